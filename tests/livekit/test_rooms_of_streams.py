"""Rooms over the stream manager and the fake engine: who comes, is forwarded, moved and put out, as both tell it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from livekit.protocol.models import DisconnectReason, ParticipantInfo, ParticipantPermission
from livekit.protocol.room import CreateRoomRequest, UpdateParticipantRequest, UpdateSubscriptionsRequest

from live777py.errors import BadRequest, Conflict, Forbidden, NotFound, Unavailable
from live777py.livekit.actions import Actions
from live777py.livekit.room_events import ParticipantLeft
from live777py.livekit.rooms import Rooms, RoomSettings
from live777py.outbound.endpoint import Endpoint
from live777py.streams.clients import Client
from live777py.streams.participant import Participant
from tests.fakes.remote import Remote, offer, watch
from tests.livekit.memory import MemoryKeyValue
from tests.streams.conftest import House, house, make_house

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from livekit.protocol.models import TrackInfo

    from live777py.livekit.room_events import RoomEventReader
    from live777py.streams.clients import Answer

__all__ = ["house", "make_house"]


@dataclass
class Hall:
    house: House
    rooms: Rooms
    actions: Actions
    reader: RoomEventReader

    async def publish(self, stream: str, identity: str = "", *, text: str = "") -> tuple[Answer, Remote]:
        answer = await self.house.manager.publish(
            stream, text or offer("opus", "vp8"), client=_client(stream, identity)
        )
        return answer, await self.house.connect(answer)

    async def play(self, stream: str, identity: str = "") -> tuple[Answer, Remote]:
        text = watch("opus", "vp8", "vp9")
        answer = await self.house.manager.play(stream, text, client=_client(stream, identity))
        return answer, await self.house.connect(answer)

    async def told(self) -> list[str]:
        """Since the last call: the events, with their rooms and whom they are about."""
        await self.rooms.members.settle()
        lines = []
        for event in self.reader.pending():
            about = getattr(event, "participant", None)
            lines.append(f"{type(event).__name__} {event.room.name}" + (f" {about.identity}" if about else ""))
        return lines

    async def tracks(self, room: str, identity: str) -> list[TrackInfo]:
        return list((await self.rooms.participant(room, identity)).tracks)

    async def sids(self, room: str, identity: str) -> list[str]:
        return [track.sid for track in await self.tracks(room, identity)]


def _client(stream: str, identity: str) -> Client:
    room = stream.rpartition("@")[2]
    return Client(loopback=True, participant=Participant(room=room, identity=identity) if identity else None)


@pytest.fixture
async def hall(house: House) -> AsyncIterator[Hall]:
    rooms = Rooms(house.manager, MemoryKeyValue(), RoomSettings(enable_remote_unmute=True))
    house.manager.clients.doorkeeper = rooms
    await rooms.start()
    yield Hall(house, rooms, Actions(rooms), rooms.events.subscribe())
    await house.manager.stop()
    await rooms.stop()


async def test_one_who_joins_and_leaves(hall: Hall) -> None:
    _, remote = await hall.publish("show")
    await hall.play("show")
    viewer = next(info for info in await hall.rooms.list_participants("show") if info.identity != "show")
    assert viewer.identity.startswith("viewer-")
    assert not viewer.is_publisher
    remote.dtls.shutdown()
    await hall.house.until(lambda: hall.house.manager.counts().publishers == 0)
    assert await hall.told() == [
        "RoomStarted show",
        "ParticipantJoined show show",
        "TrackPublished show show",
        "TrackPublished show show",
        f"ParticipantJoined show {viewer.identity}",
        "TrackUnpublished show show",
        "TrackUnpublished show show",
        "ParticipantLeft show show",
    ]


async def test_the_same_identity_takes_the_slot_and_the_viewers_stay(hall: Hall) -> None:
    _, first = await hall.publish("alice@show", "alice")
    viewer, watching = await hall.play("alice@show", "bob")
    second, _ = await hall.publish("alice@show", "alice")
    await first.closed.wait()
    assert hall.house.flows(viewer) == hall.house.tracks(second)
    again, _ = await hall.play("alice@show", "bob")
    await watching.closed.wait()
    assert hall.house.flows(again) == hall.house.tracks(second)
    with pytest.raises(Conflict):  # nobody says who this is
        await hall.publish("alice@show")


async def test_a_refused_offer_puts_nobody_out(hall: Hall) -> None:
    answer, _ = await hall.publish("alice@show", "alice")
    with pytest.raises(Exception, match="SDP"):
        await hall.publish("alice@show", "alice", text="nothing")
    assert hall.house.state(answer) == "connected"


async def test_a_full_room_and_a_revoked_token(hall: Hall) -> None:
    await hall.rooms.create_room(CreateRoomRequest(name="show", max_participants=1))
    await hall.publish("alice@show", "alice")
    for joining in (hall.publish("bob@show", "bob"), hall.play("alice@show")):
        with pytest.raises(Unavailable, match="full"):
            await joining
    await hall.play("alice@show", "alice")
    await hall.actions.remove("show", "alice", revoke_token_ts=2**40)
    with pytest.raises(Forbidden):
        await hall.publish("alice@show", "alice")
    assert await hall.rooms.list_participants("show") == []


async def test_forwarded_it_has_the_same_sids_and_follows(hall: Hall) -> None:
    await hall.publish("alice@show", "alice")
    source = await hall.sids("show", "alice")
    await hall.told()
    await hall.actions.forward("show", "alice", "hall")
    await hall.actions.forward("show", "alice", "hall")
    assert await hall.told() == [
        "RoomStarted hall",
        "ParticipantJoined hall alice",
        "TrackPublished hall alice",
        "TrackPublished hall alice",
    ]
    assert await hall.sids("hall", "alice") == source
    forwarded = await hall.rooms.participant("hall", "alice")
    assert list(forwarded.kind_details) == [ParticipantInfo.KindDetail.FORWARDED]
    assert forwarded.sid != (await hall.rooms.participant("show", "alice")).sid

    muted = await hall.actions.mute("show", "alice", source[1], muted=True)
    assert muted is not None
    assert [track.muted for track in await hall.tracks("hall", "alice")] == [False, True]
    await hall.actions.update(UpdateParticipantRequest(room="show", identity="alice", metadata="m", name="Alice"))
    forwarded = await hall.rooms.participant("hall", "alice")
    assert (forwarded.metadata, forwarded.name) == ("m", "Alice")

    silent = ParticipantPermission(can_subscribe=True)
    await hall.actions.update(UpdateParticipantRequest(room="show", identity="alice", permission=silent))
    assert await hall.sids("show", "alice") == await hall.sids("hall", "alice") == []
    loud = ParticipantPermission(can_publish=True)
    await hall.actions.update(UpdateParticipantRequest(room="show", identity="alice", permission=loud))
    assert await hall.sids("show", "alice") == await hall.sids("hall", "alice") != source
    await hall.told()
    await hall.actions.remove("show", "alice")
    assert await hall.told() == [
        *["TrackUnpublished hall alice"] * 2,
        "ParticipantLeft hall alice",
        *["TrackUnpublished show alice"] * 2,
        "ParticipantLeft show alice",
    ]


async def test_what_was_forwarded_follows_one_who_was_moved(hall: Hall) -> None:
    await hall.publish("alice@show", "alice")
    sids = await hall.sids("show", "alice")
    await hall.actions.forward("show", "alice", "hall")
    await hall.actions.move("show", "alice", "stage")
    assert await hall.sids("stage", "alice") == await hall.sids("hall", "alice") == sids
    await hall.actions.update(UpdateParticipantRequest(room="stage", identity="alice", metadata="m"))
    assert (await hall.rooms.participant("hall", "alice")).metadata == "m"
    await hall.actions.mute("stage", "alice", sids[0], muted=True)
    assert [track.muted for track in await hall.tracks("hall", "alice")] == [True, False]
    await hall.actions.remove("stage", "alice")
    with pytest.raises(NotFound):
        await hall.rooms.participant("hall", "alice")


async def test_moved_it_is_the_same_participant(hall: Hall) -> None:
    await hall.publish("alice@show", "alice")
    await hall.play("alice@show", "bob")
    waiting, _ = await hall.play("alice@hall", "carol")
    before = await hall.rooms.participant("show", "alice")
    await hall.told()
    await hall.actions.move("show", "alice", "hall")
    assert await hall.told() == [
        *["TrackUnpublished show alice"] * 2,
        "ParticipantLeft show alice",
        "ParticipantJoined hall alice",
        *["TrackPublished hall alice"] * 2,
    ]
    after = await hall.rooms.participant("hall", "alice")
    assert (after.sid, [track.sid for track in after.tracks]) == (before.sid, [track.sid for track in before.tracks])
    assert set(hall.house.flows(waiting)) == {"audio", "video"}
    await hall.actions.move("show", "bob", "hall")
    assert [info.identity for info in await hall.rooms.list_participants("show")] == []
    assert {info.identity for info in await hall.rooms.list_participants("hall")} == {"alice", "bob", "carol"}


@pytest.mark.parametrize("room", ["", "..", "a/b", "../hall", "a@hall", "hall@", "h" * 252, "a\nb"])
async def test_there_is_no_stream_in_a_room_of_such_a_name(hall: Hall, room: str) -> None:
    await hall.publish("alice@show", "alice")
    await hall.play("alice@show", "bob")
    await hall.told()
    for way in (hall.actions.forward, hall.actions.move):
        with pytest.raises(BadRequest, match="destination_room"):
            await way("show", "alice", room)
    with pytest.raises(BadRequest, match="destination_room"):
        await hall.actions.move("show", "bob", room)
    assert await hall.told() == []
    assert [stream.id for stream in hall.house.manager.streams()] == ["alice@show"]


async def test_one_who_publishes_and_watches_is_moved_as_one(hall: Hall) -> None:
    await hall.publish("bob@show", "bob")
    watching, _ = await hall.play("bob@show", "alice")
    await hall.publish("alice@show", "alice")
    dave, _ = await hall.publish("dave@hall", "dave")
    before = await hall.rooms.participant("show", "alice")
    await hall.actions.move("show", "alice", "hall")
    assert (await hall.rooms.participant("hall", "alice")).sid == before.sid
    assert [info.identity for info in await hall.rooms.list_participants("hall")] == ["dave", "alice"]
    assert hall.house.flows(watching) == hall.house.tracks(dave)
    assert (await hall.told()).count("ParticipantJoined hall alice") == 1


async def test_a_switched_viewer_and_who_cannot_be(hall: Hall) -> None:
    await hall.publish("alice@show", "alice")
    bob, _ = await hall.publish("bob@show", "bob")
    await hall.publish("carol@show", "carol", text=offer("av1"))
    viewer, _ = await hall.play("alice@show", "dave")
    (video,) = [track.sid for track in await hall.tracks("show", "bob") if track.type == 1]
    request = UpdateSubscriptionsRequest(room="show", identity="dave", track_sids=[video], subscribe=True)
    await hall.actions.subscribe(request)
    assert hall.house.flows(viewer)["video"] == hall.house.tracks(bob)["video"]
    request = UpdateSubscriptionsRequest(
        room="show", identity="dave", track_sids=await hall.sids("show", "carol"), subscribe=True
    )
    with pytest.raises(Conflict, match="cannot play"):
        await hall.actions.subscribe(request)
    assert hall.house.flows(viewer)["video"] == hall.house.tracks(bob)["video"]
    await hall.actions.subscribe(UpdateSubscriptionsRequest(room="show", identity="dave", track_sids=[video]))
    assert set(hall.house.flows(viewer)) == {"audio"}


async def test_a_deleted_room_takes_its_streams_and_what_they_gave(hall: Hall) -> None:
    await hall.publish("alice@show", "alice")
    _, viewer = await hall.play("show")
    await hall.publish("other")
    await hall.actions.forward("show", "alice", "hall")
    await hall.told()
    await hall.rooms.delete_room("show")
    await viewer.closed.wait()
    told = await hall.told()
    assert told[-1] == "RoomFinished show"
    assert "ParticipantLeft hall alice" in told
    assert {view.id for view in hall.house.manager.streams()} == {"other", "alice@hall"}
    assert hall.house.manager.counts().publishers == 1


async def test_a_pull_is_a_participant(hall: Hall) -> None:
    await hall.house.manager.pull("camera@show", Endpoint.parse("http://elsewhere/whep/camera"))

    async with asyncio.timeout(5):
        while not (infos := await hall.rooms.list_participants("show")):  # noqa: ASYNC110 - its room is made first
            await asyncio.sleep(0)
    assert [info.identity for info in infos] == ["camera"]


async def test_at_the_end_everybody_is_told_and_the_room_is_kept(hall: Hall) -> None:
    await hall.publish("show")
    await hall.told()
    await hall.house.manager.stop()
    await hall.rooms.members.settle()
    left = hall.reader.pending()[-1]
    assert isinstance(left, ParticipantLeft)
    assert left.reason == DisconnectReason.SERVER_SHUTDOWN
    assert [room.name for room in await hall.rooms.list_rooms()] == ["show"]
