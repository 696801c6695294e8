"""A show as its director sees it: OBS by WHIP, three browsers by WHEP, LiveKit's Python SDK and webhook receiver."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from livekit import api
from livekit.protocol.models import DisconnectReason, TrackType

from tests.conformance.livekit_server import KEY, KEYS, SECRET, livekit_server, refused, token
from tests.gateway import running_gateway
from tests.interop.obs import obs_publishing
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from livekit.protocol.webhook import WebhookEvent
    from playwright.async_api import Browser, Page

ROOM = "show"
VIEWERS = ("ann", "ben", "cyd")
PLAYER = """async ([url, stream, token]) => {
    await import(url);
    document.body.innerHTML = `<whep-player stream="${stream}" token="${token}" datachannel autoplay></whep-player>`;
    window.player = document.querySelector("whep-player");
    window.heard = [];
    player.addEventListener("message", ({ detail: { data } }) => heard.push(data));
}"""
DECODED = "async () => (await player.stats())?.framesDecoded ?? 0"
ENERGY = "async () => (await player.stats())?.audioEnergy ?? 0"
STILL_SECONDS = 1.0


class Receiver:
    """Checks each post as LiveKit's receiver does."""

    def __init__(self) -> None:
        self.events: list[WebhookEvent] = []
        self._receiver = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET))

    def app(self) -> web.Application:
        application = web.Application()
        application.router.add_post("/hook", self._receive)
        return application

    async def _receive(self, request: web.Request) -> web.Response:
        assert request.headers["Content-Type"] == "application/webhook+json"
        self.events.append(self._receiver.receive(await request.text(), request.headers["Authorization"]))
        return web.Response()

    def of(self, name: str) -> list[WebhookEvent]:
        return [event for event in self.events if event.event == name]


class Viewer:
    def __init__(self, page: Page) -> None:
        self._page = page

    async def play(self, gateway: str, identity: str) -> None:
        await self._page.goto(f"{gateway}/api/info")
        bearer = token(identity, room_join=True, room=ROOM)
        await self._page.evaluate(PLAYER, [f"{gateway}/embed.js", ROOM, bearer])
        await self.state("playing")
        await self.advance()

    async def state(self, name: str) -> None:
        await self._page.wait_for_function("(name) => player.dataset.state === name", arg=name, timeout=30_000)

    async def decoded(self) -> int:
        return int(await self._page.evaluate(DECODED))

    async def advance(self) -> None:
        """Thirty more frames, and sound."""
        frames, energy = await self.decoded(), await self._page.evaluate(ENERGY)

        async def more() -> bool:
            return await self.decoded() >= frames + 30 and await self._page.evaluate(ENERGY) > energy

        await eventually(more)

    async def stands_still(self) -> None:
        """No frame is decoded for a second, while sound goes on."""
        clock = asyncio.get_running_loop()
        seen: deque[tuple[float, int, float]] = deque()

        async def still() -> bool:
            now = clock.time()
            seen.append((now, await self.decoded(), await self._page.evaluate(ENERGY)))
            while seen[0][1] != seen[-1][1]:
                seen.popleft()
            return now - seen[0][0] >= STILL_SECONDS and seen[-1][2] > seen[0][2]

        await eventually(still)

    async def heard(self) -> list[Any]:
        """Text, or bytes as numbers."""
        return list(
            await self._page.evaluate(
                "() => heard.map((data) => typeof data === 'string' ? data : [...new Uint8Array(data)])"
            )
        )


@pytest.mark.livekit_case(25)
async def test_a_show(tmp_path: Path, chromium: Browser) -> None:
    receiver = Receiver()
    async with TestServer(receiver.app()) as hooks:
        config = f"""{KEYS}
[livekit.webhook]
urls = ["{hooks.make_url("/hook")}"]
api_key = "{KEY}"
[store]
path = "{tmp_path}/store.db"
"""
        async with running_gateway(tmp_path, config=config) as gateway, livekit_server(gateway.url) as livekit:
            rooms = livekit.api.room
            obs = token("obs", room_join=True, room=ROOM)
            async with obs_publishing(f"{gateway.url}/whip/{ROOM}", bearer=obs):
                viewers = {name: Viewer(await chromium.new_page()) for name in VIEWERS}
                for name, viewer in viewers.items():
                    await viewer.play(gateway.url, name)
                listed = await rooms.list_participants(api.ListParticipantsRequest(room=ROOM))
                assert {each.identity for each in listed.participants} == {"obs", *VIEWERS}
                publisher = next(each for each in listed.participants if each.identity == "obs")
                assert publisher.is_publisher
                video = next(track for track in publisher.tracks if track.type == TrackType.VIDEO)

                def mute(*, muted: bool) -> api.MuteRoomTrackRequest:
                    return api.MuteRoomTrackRequest(room=ROOM, identity="obs", track_sid=video.sid, muted=muted)

                assert (await rooms.mute_published_track(mute(muted=True))).track.muted
                await asyncio.gather(*(viewer.stands_still() for viewer in viewers.values()))
                with refused("failed_precondition", 412, "remote unmute not enabled"):
                    await rooms.mute_published_track(mute(muted=False))

                await rooms.remove_participant(api.RoomParticipantIdentity(room=ROOM, identity="ann"))
                await viewers["ann"].state("ended")

                await rooms.send_data(api.SendDataRequest(room=ROOM, data=b"curtain", topic="stage"))
                for name in ("ben", "cyd"):

                    async def told(viewer: Viewer = viewers[name]) -> bool:
                        return await viewer.heard() == [list(b"curtain")]

                    await eventually(told)
                assert await viewers["ann"].heard() == []

                await rooms.delete_room(api.DeleteRoomRequest(room=ROOM))
                assert list((await rooms.list_rooms(api.ListRoomsRequest())).rooms) == []
                for name in ("ben", "cyd"):
                    await viewers[name].state("ended")
                assert await gateway.get("/api/streams/") == []

            async def finished() -> bool:
                return bool(receiver.of("room_finished"))

            await eventually(finished)
            assert_in_order(receiver, publisher.sid)


def assert_in_order(receiver: Receiver, publisher: str) -> None:
    names = [event.event for event in receiver.events]
    assert names[0] == "room_started"
    assert names[-1] == "room_finished"
    assert names.count("room_started") == names.count("room_finished") == 1
    assert len({event.id for event in receiver.events}) == len(receiver.events)
    (sid,) = {event.room.sid for event in receiver.events}
    assert sid.startswith("RM_")
    joined = {event.participant.identity: index for index, event in at(receiver, "participant_joined")}
    left = {event.participant.identity: index for index, event in at(receiver, "participant_left")}
    assert set(joined) == set(left) == {"obs", *VIEWERS}
    assert all(joined[name] < left[name] for name in joined)
    published = {event.track.sid: index for index, event in at(receiver, "track_published")}
    unpublished = {event.track.sid: index for index, event in at(receiver, "track_unpublished")}
    assert len(published) == 2
    assert set(published) == set(unpublished)
    for track, when in published.items():
        assert joined["obs"] < when < unpublished[track] < left["obs"]
    reasons = {
        event.participant.identity: event.participant.disconnect_reason for event in receiver.of("participant_left")
    }
    assert reasons["ann"] == DisconnectReason.PARTICIPANT_REMOVED
    assert reasons["ben"] == reasons["obs"] == DisconnectReason.ROOM_DELETED
    assert {event.participant.sid for event in receiver.of("track_published")} == {publisher}
    assert not receiver.of("participant_connection_aborted")


def at(receiver: Receiver, name: str) -> list[tuple[int, WebhookEvent]]:
    return [(index, event) for index, event in enumerate(receiver.events) if event.event == name]
