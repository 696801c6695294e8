"""Whatever is done in whatever order: events come in pairs, what is shown is what flows, and nothing is left behind."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from livekit.protocol.models import ParticipantPermission, TrackSource
from livekit.protocol.room import UpdateParticipantRequest, UpdateSubscriptionsRequest

from live777py.errors import Conflict, NotFound
from live777py.livekit.room_events import (
    ParticipantJoined,
    ParticipantLeft,
    RoomFinished,
    RoomStarted,
    TrackPublished,
    TrackUnpublished,
)
from tests.livekit.test_rooms_of_streams import Hall, hall, house, make_house

if TYPE_CHECKING:
    from live777py.livekit.room_events import RoomEvent

__all__ = ["hall", "house", "make_house"]

ROOMS = ("show", "hall", "stage")
NAMES = ("alice", "bob", "carol", "dave")
STEPS = 60


class Chance:
    def __init__(self, hall: Hall, seed: int) -> None:
        self.hall = hall
        self.random = random.Random(seed)

    async def step(self) -> None:
        what = self.random.choice(
            [
                *(self.publish, self.publish, self.play, self.play, self.leave, self.forward, self.move),
                *(self.mute, self.permit, self.subscribe, self.remove, self.delete_room),
            ]
        )
        with contextlib.suppress(Conflict, NotFound):  # it is not there, or there is no place for it
            await what()

    def anybody(self) -> tuple[str, str]:
        return self.random.choice(ROOMS), self.random.choice(NAMES)

    async def publish(self) -> None:
        room, identity = self.anybody()
        await self.hall.publish(f"{identity}@{room}", identity)

    async def play(self) -> None:
        room, identity = self.anybody()
        await self.hall.play(f"{self.random.choice(NAMES)}@{room}", identity)

    async def leave(self) -> None:
        sessions = self.hall.rooms.control.sessions()
        if sessions:
            stream, session = self.random.choice(sessions).key
            await self.hall.house.manager.close_session(stream, session)

    async def forward(self) -> None:
        await self.hall.actions.forward(*self.anybody(), self.random.choice(ROOMS))

    async def move(self) -> None:
        await self.hall.actions.move(*self.anybody(), self.random.choice(ROOMS))

    async def mute(self) -> None:
        room, identity = self.anybody()
        for sid in await self.hall.sids(room, identity):
            await self.hall.actions.mute(room, identity, sid, muted=self.random.random() < 0.5)

    async def permit(self) -> None:
        room, identity = self.anybody()
        sources = self.random.choice([[], [TrackSource.CAMERA], [TrackSource.MICROPHONE]])
        permission = ParticipantPermission(
            can_publish=self.random.random() < 0.7,
            can_subscribe=self.random.random() < 0.7,
            can_publish_sources=sources,
        )
        await self.hall.actions.update(UpdateParticipantRequest(room=room, identity=identity, permission=permission))

    async def subscribe(self) -> None:
        room, identity = self.anybody()
        sids = await self.hall.sids(room, self.random.choice(NAMES))
        subscribe = self.random.random() < 0.7
        await self.hall.actions.subscribe(
            UpdateSubscriptionsRequest(room=room, identity=identity, track_sids=sids, subscribe=subscribe)
        )

    async def remove(self) -> None:
        await self.hall.actions.remove(*self.anybody())

    async def delete_room(self) -> None:
        if self.random.random() < 0.2:
            await self.hall.rooms.delete_room(self.random.choice(ROOMS))


def in_pairs(events: list[RoomEvent]) -> None:
    """Nobody joins twice, publishes without having joined, or leaves with tracks; of a room that is over none tells."""
    rooms: Counter[str] = Counter()
    joined: Counter[tuple[str, str]] = Counter()
    published: dict[tuple[str, str], tuple[str, str]] = {}
    for event in events:
        room = event.room.sid
        match event:
            case RoomStarted():
                rooms[room] += 1
            case RoomFinished():
                assert not [key for key, count in joined.items() if key[0] == room and count]
                rooms[room] -= 1
                continue
            case ParticipantJoined():
                joined[room, event.participant.sid] += 1
                assert joined[room, event.participant.sid] == 1
            case ParticipantLeft():
                key = room, event.participant.sid
                joined[key] -= 1
                assert joined[key] == 0
                assert key not in published.values()
            case TrackPublished():
                key = room, event.participant.sid
                assert joined[key] == 1
                assert (room, event.track.sid) not in published
                published[room, event.track.sid] = key
            case TrackUnpublished():
                assert published.pop((room, event.track.sid)) == (room, event.participant.sid)
        assert rooms[room] == 1
    assert not published
    assert set(joined.values()) <= {0}


async def shown_is_what_flows(hall: Hall) -> None:
    """Who is listed publishes just what the sessions do; what a viewer gets is something that somebody publishes."""
    await hall.rooms.members.settle()
    control, members = hall.rooms.control, hall.rooms.members
    listed = {key for room in members.rooms.values() for member in room.members.values() for key in member.sessions}
    assert listed == {facts.key for facts in control.sessions()}
    numbers = set()
    for room in members.rooms.values():
        info = room.info()
        assert info.num_participants == len(room.members)
        assert info.num_publishers == sum(bool(member.tracks) for member in room.members.values())
        for member in room.members.values():
            there = {facts.number for key in member.sessions_of("publish") for facts in control.tracks(key)}
            assert {track.number for track in member.tracks.values()} == there
            numbers |= there
    fake = hall.house.fake
    assert {track for track, _ in fake.attached.values()} <= numbers
    for facts in control.sessions():
        if facts.role == "publish":
            continue
        playing = control.playing(facts.key)
        viewer = hall.house.manager._registry.sessions[facts.key]
        for played, subscription in viewer.peer.subscriptions:
            source, track = playing.get(played.kind, (None, None))
            attached = fake.attached.get(subscription)
            assert (None if attached is None else attached[0]) == track
            if source is not None:
                (muted,) = [one.muted for one in control.tracks(source) if one.number == track]
                assert (subscription in fake.paused) == muted


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens(hall: Hall, seed: int) -> None:
    chance = Chance(hall, seed)
    for _ in range(STEPS):
        await chance.step()
        await shown_is_what_flows(hall)
    await hall.house.manager.control.close([facts.key for facts in hall.rooms.control.sessions()], "removed")
    await hall.rooms.members.settle()
    in_pairs(hall.reader.pending())
    members, registry = hall.rooms.members, hall.house.manager._registry
    assert members.places == {}
    assert not (members._copies | members._connected | members.homeless)
    assert (members.reasons, members._track_sids, members._kept_sids) == ({}, {}, {})
    assert (registry.sessions, registry._moved) == ({}, {})
    assert hall.house.fake.transports == {}
