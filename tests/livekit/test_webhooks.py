"""`[livekit.webhook]`: what LiveKit's own receiver is given, verifies and reads."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import signal
import time
from random import Random
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from aiohttp import web
from livekit import api
from livekit.api import TokenVerifier, WebhookReceiver
from livekit.protocol.models import DisconnectReason, ParticipantInfo, Room, RoomEndReason, TrackInfo, TrackType

from live777py.hooks import lanes, outbox
from live777py.livekit import webhooks
from live777py.livekit.room_events import (
    ParticipantAborted,
    ParticipantJoined,
    ParticipantLeft,
    RoomEvents,
    RoomFinished,
    RoomStarted,
    TrackPublished,
    TrackUnpublished,
)
from live777py.livekit.webhooks import RoomWebhooks, WebhookSettings, authorization
from live777py.store import Database
from live777py.streams.bus import Bus
from tests.conformance import livekit_server as conformance
from tests.conformance.livekit_server import livekit_server
from tests.fakes.remote import offer
from tests.gateway import free_port, running_gateway
from tests.livekit.workers import gateway
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from livekit.protocol.webhook import WebhookEvent

    from live777py.livekit.room_events import RoomEvent

KEY, SECRET = "APIwebhook", "a secret of at least thirty-two characters"
ROOM = Room(sid="RM_1", name="show", metadata="ü", creation_time=1_800_000_000, num_participants=1)
ALICE = ParticipantInfo(sid="PA_1", identity="alice", name="Alice", state=ParticipantInfo.ACTIVE, attributes={"a": "b"})
CAMERA = TrackInfo(sid="TR_VC1", type=TrackType.VIDEO, mime_type="video/VP8", width=640)
LEFT = ParticipantInfo(sid="PA_1", identity="alice", disconnect_reason=DisconnectReason.PARTICIPANT_REMOVED)

LIFE: list[RoomEvent] = [
    RoomStarted(room=ROOM),
    ParticipantJoined(room=ROOM, participant=ALICE),
    TrackPublished(room=ROOM, participant=ALICE, track=CAMERA),
    TrackUnpublished(room=ROOM, participant=ALICE, track=CAMERA),
    ParticipantLeft(room=ROOM, participant=LEFT),
    ParticipantAborted(room=ROOM, participant=ALICE),
    RoomFinished(room=ROOM, reason=RoomEndReason.ROOM_END_IDLE_TIMEOUT),
]
NAMES = [
    "room_started",
    "participant_joined",
    "track_published",
    "track_unpublished",
    "participant_left",
    "participant_connection_aborted",
    "room_finished",
]


class Listener:
    """An HTTP server that has every post verified by the receiver of livekit-api; `answer` makes the status."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answer: Callable[[WebhookEvent], int] = lambda _: 200
        self.accepted: list[WebhookEvent] = []
        self.seen: list[tuple[WebhookEvent, dict[str, Any]]] = []
        self._receiver = WebhookReceiver(TokenVerifier(KEY, SECRET))
        self._runner: web.AppRunner | None = None

    def trust(self, key: str, secret: str) -> None:
        self._receiver = WebhookReceiver(TokenVerifier(key, secret))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/hook", self._receive)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _receive(self, request: web.Request) -> web.Response:
        assert request.headers["Content-Type"] == "application/webhook+json"
        assert request.headers["User-Agent"] == "LiveKit"
        text = await request.text()
        event = self._receiver.receive(text, request.headers["Authorization"])
        self.seen.append((event, json.loads(text)))
        status = self.answer(event)
        if status < 300:
            self.accepted.append(event)
        return web.Response(status=status)

    async def names(self, count: int) -> list[str]:
        async def enough() -> bool:
            return len(self.accepted) >= count

        await eventually(enough)
        return [event.event for event in self.accepted]


@pytest.fixture
async def listener(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Listener]:
    monkeypatch.setattr(lanes, "FIRST_RETRY", 0.02)
    listener = Listener()
    await listener.start()
    yield listener
    await listener.stop()


class House:
    """A bus and senders on one store, one after the other."""

    def __init__(self, directory: Path) -> None:
        self.events: RoomEvents = Bus()
        self.path = directory / "store.db"
        self.sender: RoomWebhooks | None = None
        self.store: Database | None = None

    async def start(self, *urls: str, **settings: Any) -> RoomWebhooks:
        self.store = Database(self.path)
        wanted = WebhookSettings(urls=urls, api_key=KEY, secret=SECRET, **settings)
        self.sender = RoomWebhooks(self.events, wanted, self.store, random=Random(1))
        await self.sender.start()
        return self.sender

    async def stop(self) -> None:
        if self.sender is not None and self.store is not None:
            await self.sender.stop()
            await self.store.close()
            self.sender = None

    def say(self, *events: RoomEvent) -> None:
        for event in events:
            self.events.publish(event)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    yield house
    await house.stop()


async def test_the_receiver_of_livekit_verifies_every_event_in_order(house: House, listener: Listener) -> None:
    await house.start(listener.url)
    house.say(*LIFE)
    assert await listener.names(len(LIFE)) == NAMES
    started, joined, published, _, left, _, finished = listener.accepted
    assert (started.room, finished.room) == (ROOM, ROOM)
    assert not started.HasField("participant")
    assert finished.room_end_reason == RoomEndReason.ROOM_END_IDLE_TIMEOUT
    assert (joined.room, joined.participant) == (ROOM, ALICE)
    assert published.room == Room(sid="RM_1", name="show")
    assert published.participant == ParticipantInfo(sid="PA_1", identity="alice")
    assert published.track == CAMERA
    assert left.participant.disconnect_reason == DisconnectReason.PARTICIPANT_REMOVED
    assert all(event.id.startswith("EV_") and len(event.id) == 15 for event in listener.accepted)
    assert len({event.id for event in listener.accepted}) == len(LIFE)
    assert all(event.created_at > 1_700_000_000 for event in listener.accepted)


async def test_the_body_is_protojson_in_camel_case_without_defaults(house: House, listener: Listener) -> None:
    """Section 4 of the contract: long integers are strings."""
    await house.start(listener.url)
    house.say(RoomStarted(room=ROOM), TrackPublished(room=ROOM, participant=ALICE, track=CAMERA))
    await listener.names(2)
    (_, started), (_, published) = listener.seen
    assert isinstance(started.pop("createdAt"), str)
    assert started.pop("id")
    assert started == {
        "event": "room_started",
        "room": {
            "sid": "RM_1",
            "name": "show",
            "creationTime": "1800000000",
            "metadata": "ü",
            "numParticipants": 1,
        },
    }
    assert published["track"] == {"sid": "TR_VC1", "type": "VIDEO", "mimeType": "video/VP8", "width": 640}


def test_the_token_is_of_its_body_and_short_lived() -> None:
    receiver = WebhookReceiver(TokenVerifier(KEY, SECRET))
    body, now = '{"event":"room_started"}', int(time.time())
    token = authorization(KEY, SECRET, body.encode(), now)
    assert receiver.receive(body, token).event == "room_started"
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert claims == {
        "iss": KEY,
        "nbf": now,
        "exp": now + 300,
        "sha256": base64.b64encode(hashlib.sha256(body.encode()).digest()).decode(),
    }
    with pytest.raises(Exception, match="hash mismatch"):
        receiver.receive(body + " ", token)
    with pytest.raises(jwt.ExpiredSignatureError):
        receiver.receive(body, authorization(KEY, SECRET, body.encode(), now - 400))


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ((), (), NAMES),
        (("room_started", "room_finished"), (), ["room_started", "room_finished"]),
        ((), ("track_published", "track_unpublished", "participant_left"), [*NAMES[:2], *NAMES[5:]]),
        (("room_finished",), ("room_finished",), ["room_finished"]),
    ],
)
async def test_filters(
    house: House, listener: Listener, include: tuple[str, ...], exclude: tuple[str, ...], expected: list[str]
) -> None:
    await house.start(listener.url, include_events=frozenset(include), exclude_events=frozenset(exclude))
    house.say(*LIFE)
    await listener.names(len(expected))
    await house.stop()
    assert [event.event for event in listener.accepted] == expected


async def test_rooms_do_not_wait_for_each_other(house: House, listener: Listener) -> None:
    """What one room's first event cannot get through holds up the rest of that room, and no other."""
    stuck = True
    listener.answer = lambda event: 503 if stuck and event.room.name == "stuck" else 200
    await house.start(listener.url)
    house.say(
        RoomStarted(room=Room(name="stuck")),
        RoomFinished(room=Room(name="stuck"), reason=RoomEndReason.ROOM_END_API_DELETE),
        *LIFE,
    )
    assert await listener.names(len(LIFE)) == NAMES
    stuck = False
    await listener.names(len(LIFE) + 2)
    assert [(event.room.name, event.event) for event in listener.accepted[-2:]] == [
        ("stuck", "room_started"),
        ("stuck", "room_finished"),
    ]


@pytest.mark.parametrize(("status", "attempts"), [(500, 5), (429, 5), (400, 1), (404, 1), (302, 1), (501, 1)])
async def test_five_attempts_and_the_next_event(
    house: House, listener: Listener, caplog: pytest.LogCaptureFixture, status: int, attempts: int
) -> None:
    listener.answer = lambda event: status if event.event == "room_started" else 200
    sender = await house.start(listener.url)
    with caplog.at_level(logging.ERROR):
        house.say(RoomStarted(room=ROOM), RoomFinished(room=ROOM, reason=RoomEndReason.ROOM_END_IDLE_TIMEOUT))
        assert await listener.names(1) == ["room_finished"]
    assert [event.event for event, _ in listener.seen] == ["room_started"] * attempts + ["room_finished"]
    assert len({event.id for event, _ in listener.seen}) == 2
    assert sender.given_up == 1
    assert "given up" in caplog.text
    assert "/hook" not in caplog.text


async def test_what_was_not_taken_is_posted_after_a_restart(house: House, listener: Listener) -> None:
    await listener.stop()
    await house.start(listener.url)
    house.say(*LIFE)

    async def kept() -> bool:
        return len(await waiting(house)) == len(LIFE)

    await eventually(kept)
    await house.stop()
    await listener.start()
    await house.start(listener.url)
    assert await listener.names(len(LIFE)) == NAMES


async def waiting(house: House) -> list[Any]:
    assert house.store is not None
    return await house.store.run(lambda connection: connection.execute("SELECT id FROM delivery").fetchall())


async def test_a_url_that_is_taken_out_is_forgotten_and_another_family_is_not(house: House, listener: Listener) -> None:
    await listener.stop()
    sender = await house.start(listener.url)
    house.say(*LIFE)

    async def kept() -> bool:
        return len(await waiting(house)) == len(LIFE)

    await eventually(kept)
    assert house.store is not None
    plain = outbox.Outbox(house.store, family="", random=Random(1))
    await plain.reconfigure([])
    await plain.stop()
    assert len(await waiting(house)) == len(LIFE)
    await sender.reconfigure(WebhookSettings(api_key=KEY, secret=SECRET))
    assert await waiting(house) == []
    house.say(*LIFE)


async def test_without_urls_there_is_no_file(house: House) -> None:
    await house.start()
    house.say(*LIFE)
    await house.stop()
    assert not house.path.exists()


async def test_too_many_events_at_once(house: House, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "_CAPACITY", 2)
    sender = await house.start(listener.url)
    house.say(*LIFE)
    assert await listener.names(2) == NAMES[-2:]
    assert sender.given_up == len(LIFE) - 2


async def test_every_url_is_told(house: House, listener: Listener) -> None:
    other = Listener()
    await other.start()
    try:
        await house.start(listener.url, other.url)
        house.say(*LIFE)
        assert await listener.names(len(LIFE)) == NAMES
        assert await other.names(len(LIFE)) == NAMES
        assert {event.id for event in other.accepted} == {event.id for event in listener.accepted}
    finally:
        await other.stop()


def test_settings_show_no_secret() -> None:
    shown = repr(WebhookSettings(urls=("http://example.org/t0ken",), api_key=KEY, secret="hunter2"))
    assert "t0ken" not in shown
    assert "hunter2" not in shown


async def test_a_gateway_that_is_killed(tmp_path: Path, listener: Listener) -> None:
    """What was not taken when it died is posted by the next one, in order and before what comes then."""
    port, room = free_port(), "show"
    config = (
        f'[store]\npath = "{tmp_path}/store.db"\n[livekit.keys]\n{KEY} = "{SECRET}"\n'
        f'[livekit.webhook]\nurls = ["{listener.url}"]\napi_key = "{KEY}"\n[log]\nlevel = "debug"\n'
    )
    await listener.stop()
    async with (
        running_gateway(tmp_path, config=config, port=port) as process,
        livekit_server(process.url, key=KEY, secret=SECRET) as server,
    ):
        await server.api.room.create_room(api.CreateRoomRequest(name=room))
        bearer = api.AccessToken(KEY, SECRET).with_identity("alice")
        bearer = bearer.with_grants(api.VideoGrants(room_join=True, room=room))
        await server.connect("/whip/v1", offer("opus", "vp8"), bearer.to_jwt())
        await server.publisher(room, "alice")
        # Of what happens after all that; so all that is in the store.
        await server.api.room.create_room(api.CreateRoomRequest(name="later"))
        await process.logged("of stream later: ")
        process.process.kill()
        await process.process.wait()
    async with (
        running_gateway(tmp_path, config=config, port=port) as process,
        livekit_server(process.url, key=KEY, secret=SECRET) as server,
    ):
        await server.api.room.delete_room(api.DeleteRoomRequest(room=room))
        await listener.start()
        await listener.names(6)
        shown = [event for event in listener.accepted if event.room.name == room]
        assert [event.event for event in shown] == [
            "room_started",
            "participant_joined",
            "track_published",
            "track_published",
            "room_finished",
        ]
        assert shown[-1].room_end_reason == RoomEndReason.ROOM_END_API_DELETE
        assert listener.url not in "\n".join(process.log)
        assert SECRET not in "\n".join(process.log)


async def test_the_life_of_a_room(tmp_path: Path, listener: Listener) -> None:
    """A publisher, two viewers, one of whom is removed; the room is deleted, and `room_finished` is last."""
    config = f'[livekit.webhook]\nurls = ["{listener.url}"]\napi_key = "{conformance.KEY}"\n'
    listener.trust(conformance.KEY, conformance.SECRET)
    async with gateway(tmp_path, config=config) as server:
        await server.join("show", "alice")
        await server.publisher("show", "alice")
        for name in ("bob", "carol"):
            await server.play("alice@show", identity=name, room="show")
            await server.participant("show", name)
        await server.api.room.remove_participant(api.RoomParticipantIdentity(room="show", identity="bob"))
        await server.until_gone("show", "bob")
        await server.api.room.delete_room(api.DeleteRoomRequest(room="show"))
        names = await listener.names(12)
    told = [
        (event.event, event.participant.identity, event.participant.disconnect_reason) for event in listener.accepted
    ]
    assert told[:7] == [
        ("room_started", "", 0),
        ("participant_joined", "alice", 0),
        ("track_published", "alice", 0),
        ("track_published", "alice", 0),
        ("participant_joined", "bob", 0),
        ("participant_joined", "carol", 0),
        ("participant_left", "bob", DisconnectReason.PARTICIPANT_REMOVED),
    ]
    assert sorted(told[7:11]) == [
        ("participant_left", "alice", DisconnectReason.ROOM_DELETED),
        ("participant_left", "carol", DisconnectReason.ROOM_DELETED),
        ("track_unpublished", "alice", 0),
        ("track_unpublished", "alice", 0),
    ]
    assert names[11:] == ["room_finished"]
    assert len({event.room.sid for event in listener.accepted}) == 1
    published = [event.track.sid for event in listener.accepted if event.event == "track_published"]
    unpublished = [event.track.sid for event in listener.accepted if event.event == "track_unpublished"]
    assert sorted(published) == sorted(unpublished)
    alice = [event.event for event in listener.accepted if event.participant.identity == "alice"]
    assert alice[-1] == "participant_left"


async def test_a_reload_changes_where_it_is_posted(tmp_path: Path, listener: Listener) -> None:
    """And with which key; while the process runs."""
    keys = f'[livekit.keys]\n{KEY} = "{SECRET}"\n'
    async with (
        running_gateway(tmp_path, config=f'[store]\npath = "{tmp_path}/store.db"\n{keys}') as process,
        livekit_server(process.url, key=KEY, secret=SECRET) as server,
    ):
        await server.api.room.create_room(api.CreateRoomRequest(name="before"))
        process.configure(
            f'[store]\npath = "{tmp_path}/store.db"\n{keys}[livekit.webhook]\nurls = ["{listener.url}"]\n'
            f'api_key = "{KEY}"\ninclude_events = ["room_started"]\n'
        )
        process.process.send_signal(signal.SIGHUP)
        await process.logged("reload")
        number = 0

        async def told() -> bool:
            nonlocal number
            number += 1
            await server.api.room.create_room(api.CreateRoomRequest(name=f"after-{number}"))
            return bool(listener.accepted)

        await eventually(told)
        assert listener.accepted[0].room.name.startswith("after-")
