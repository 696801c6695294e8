"""How rooms begin and end, and who comes in: hours in milliseconds, without media."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.models import DisconnectReason
from livekit.protocol.room import CreateRoomRequest

from live777py.errors import Forbidden, NotFound, StoreError, StoreUnavailable, Unavailable
from live777py.livekit.actions import Actions
from live777py.livekit.room_events import (
    ParticipantAborted,
    ParticipantJoined,
    ParticipantLeft,
    RoomEvent,
    RoomFinished,
    RoomStarted,
    TrackPublished,
    TrackUnpublished,
)
from live777py.livekit.rooms import Rooms, RoomSettings
from live777py.streams.clients import Client
from live777py.streams.participant import Participant
from tests.livekit.memory import MemoryKeyValue
from tests.livekit.stage import Stage
from tests.virtual_time import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from livekit.protocol.room import UpdateSubscriptionsRequest

    from live777py.livekit.room_events import RoomEventReader
    from live777py.rtc.parameters import Kind

ALICE = Participant(room="show", identity="alice", issued_at=1000)
BOB = Participant(room="show", identity="bob")


class House:
    """Rooms of one node, and what they have told."""

    def __init__(self, store: MemoryKeyValue, settings: RoomSettings | None = None, node: str | None = None) -> None:
        self.stage = Stage()
        self.rooms = Rooms(self.stage, store, settings, node=node)
        self.actions = Actions(self.rooms)
        self._reader: RoomEventReader = self.rooms.events.subscribe()

    async def names(self) -> list[str]:
        return [room.name for room in await self.rooms.list_rooms()]

    async def identities(self, room: str = "show") -> list[str]:
        return [participant.identity for participant in await self.rooms.list_participants(room)]

    async def told(self) -> list[RoomEvent]:
        """Since the last call."""
        await self.rooms.members.settle()
        return self._reader.pending()

    async def kinds(self) -> list[str]:
        return [type(event).__name__ for event in await self.told()]


@asynccontextmanager
async def house(
    store: MemoryKeyValue | None = None, *, node: str | None = None, **settings: Any
) -> AsyncIterator[House]:
    made = House(store or MemoryKeyValue(), RoomSettings(**settings), node)
    await made.rooms.start()
    try:
        yield made
    finally:
        made.stage.bus.close()
        await made.rooms.stop()


def virtual(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def in_virtual_time() -> None:
        run(test())

    in_virtual_time.__doc__ = test.__doc__
    return in_virtual_time


# Beginning


@virtual
async def test_the_first_who_comes_makes_the_room() -> None:
    async with house() as here:
        await here.stage.come(here.rooms, "show")
        assert await here.kinds() == [
            "RoomStarted",
            "ParticipantJoined",
            "TrackPublished",
            "TrackPublished",
        ]
        (room,) = await here.rooms.list_rooms()
        assert (room.name, room.num_participants, room.num_publishers) == ("show", 1, 1)
        assert (room.empty_timeout, room.departure_timeout) == (300, 20)
        assert await here.identities() == ["show"]


@virtual
async def test_a_room_is_made_once() -> None:
    async with house() as here:
        first = await here.rooms.create_room(
            CreateRoomRequest(name="show", metadata="m", agents=[RoomAgentDispatch(agent_name="helper")])
        )
        again = await here.rooms.create_room(CreateRoomRequest(name="show", metadata="other", max_participants=3))
        assert again == first
        (started,) = await here.told()
        assert isinstance(started, RoomStarted)
        assert [agent.agent_name for agent in started.agents] == ["helper"]


@virtual
async def test_of_many_who_make_a_room_at_once_one_does() -> None:
    async with house() as here:
        rooms, _ = await asyncio.gather(
            asyncio.gather(*(here.rooms.create_room(CreateRoomRequest(name="show")) for _ in range(10))),
            asyncio.gather(*(here.stage.come(here.rooms, f"p{number}@show") for number in range(10))),
        )
        assert len({room.sid for room in rooms}) == 1
        assert (await here.kinds()).count("RoomStarted") == 1
        assert len(await here.identities()) == 10


@virtual
async def test_what_a_token_says_of_the_room_that_it_makes() -> None:
    asked = {"emptyTimeout": 7, "metadata": "m", "agents": [{"agentName": "helper"}], "tags": {"a": "b"}}
    participant = Participant(room="show", identity="alice", room_config=asked)
    async with house() as here:
        await here.stage.come(here.rooms, "alice@show", participant=participant)
        (room,) = await here.rooms.list_rooms()
        assert (room.empty_timeout, room.departure_timeout, room.metadata) == (7, 20, "m")
        started = (await here.told())[0]
        assert isinstance(started, RoomStarted)
        assert [agent.agent_name for agent in started.agents] == ["helper"]


# Coming


@virtual
async def test_without_auto_create_rooms_are_made_ahead() -> None:
    async with house(auto_create=False) as here:
        with pytest.raises(NotFound, match="requested room does not exist"):
            await here.stage.come(here.rooms, "show")
        with pytest.raises(NotFound):
            await here.stage.come(here.rooms, "show", "subscribe", participant=BOB)
        await here.rooms.create_room(CreateRoomRequest(name="show"))
        await here.stage.come(here.rooms, "show")
        maker = Participant(room="other", identity="alice", can_create_room=True)
        await here.stage.come(here.rooms, "alice@other", participant=maker)
        assert await here.names() == ["other", "show"]


@virtual
async def test_a_room_is_full() -> None:
    async with house(max_participants=2) as here:
        await here.stage.come(here.rooms, "show")
        viewer = await here.stage.come(here.rooms, "show", "subscribe")
        with pytest.raises(Unavailable, match="full"):
            await here.stage.come(here.rooms, "show", "subscribe")
        agent = Participant(room="show", identity="robot", kind="agent")
        await here.stage.come(here.rooms, "show", "subscribe", participant=agent)
        (room,) = await here.rooms.list_rooms()
        assert room.num_participants == 2
        here.stage.leave(viewer)
        await here.stage.come(here.rooms, "show", "subscribe")


@virtual
async def test_of_two_who_come_at_once_for_the_last_place_one_gets_it() -> None:
    async with house(max_participants=1) as here:
        client = Client(loopback=True)
        async with here.rooms.admit("show", "subscribe", "11111111", client):
            with pytest.raises(Unavailable):
                async with here.rooms.admit("show", "subscribe", "22222222", client):
                    pytest.fail("there was no place")
        await here.stage.come(here.rooms, "show")


@virtual
async def test_the_same_identity_again_takes_the_place() -> None:
    async with house() as here:
        await here.stage.come(here.rooms, "alice@show", participant=ALICE)
        old = await here.rooms.participant("show", "alice")
        await here.told()
        await here.stage.come(here.rooms, "show", participant=ALICE)
        events = await here.told()
        assert [type(event) for event in events] == [
            TrackUnpublished,
            TrackUnpublished,
            ParticipantLeft,
            ParticipantJoined,
            TrackPublished,
            TrackPublished,
        ]
        left = events[2]
        assert isinstance(left, ParticipantLeft)
        assert left.reason == DisconnectReason.DUPLICATE_IDENTITY
        assert left.participant.sid == old.sid != (await here.rooms.participant("show", "alice")).sid


@virtual
async def test_one_who_publishes_may_watch_too() -> None:
    async with house() as here:
        await here.stage.come(here.rooms, "alice@show", participant=ALICE)
        watching = await here.stage.come(here.rooms, "bob@show", "subscribe", participant=ALICE)
        assert await here.identities() == ["alice"]
        assert (await here.kinds()).count("ParticipantJoined") == 1
        here.stage.leave(watching)
        assert await here.kinds() == []
        assert await here.identities() == ["alice"]


@virtual
async def test_a_removed_one_may_not_come_again_with_the_same_token() -> None:
    async with house() as here:
        await here.stage.come(here.rooms, "alice@show", participant=ALICE)
        await here.actions.remove("show", "alice", revoke_token_ts=1001)
        (left,) = [event for event in await here.told() if isinstance(event, ParticipantLeft)]
        assert left.reason == DisconnectReason.PARTICIPANT_REMOVED
        with pytest.raises(Forbidden):
            await here.stage.come(here.rooms, "alice@show", participant=ALICE)
        newer = Participant(room="show", identity="alice", issued_at=1001)
        await here.stage.come(here.rooms, "alice@show", participant=newer)


@virtual
async def test_who_never_connects_has_not_joined() -> None:
    async with house() as here:
        client = Client(loopback=True)
        async with here.rooms.admit("show", "subscribe", "11111111", client) as participant:
            here.stage.enter(("show", "11111111"), "subscribe", participant)
        assert (await here.rooms.list_participants("show"))[0].state == 0
        here.stage.leave(("show", "11111111"))
        events = await here.told()
        assert [type(event) for event in events] == [RoomStarted, ParticipantAborted]
        assert await here.identities() == []


@virtual
async def test_another_gateway_is_nobody() -> None:
    async with house() as here:
        await here.stage.come(here.rooms, "show")
        client = Client(loopback=True, marks=frozenset({"mark"}))
        async with here.rooms.admit("show", "subscribe", "11111111", client) as participant:
            here.stage.enter(("show", "11111111"), "subscribe", participant, gateway=True)
        assert await here.identities() == ["show"]


@virtual
async def test_a_session_that_nobody_admitted_makes_its_room() -> None:
    async with house() as here:
        here.stage.enter(("alice@show", "virtual-source"), "publish", None)
        here.stage.connect(("alice@show", "virtual-source"))
        await asyncio.sleep(0.1)
        assert await here.identities() == ["alice"]
        assert await here.kinds() == ["RoomStarted", "ParticipantJoined", "TrackPublished", "TrackPublished"]


@virtual
async def test_after_too_many_events_everybody_is_looked_at() -> None:
    async with house() as here:
        stays = await here.stage.come(here.rooms, "show")
        goes = await here.stage.come(here.rooms, "show", "subscribe")
        here.rooms._reader._events = type(here.rooms._reader._events)(maxlen=1)
        here.stage.leave(goes)
        here.stage.enter(("show", "33333333"), "subscribe", None)
        here.stage.connect(("show", "33333333"))
        assert await here.identities() == ["show", "viewer-33333333"]
        assert here.stage.control.session(stays) is not None


# Ending


@virtual
async def test_a_room_ends_when_the_last_one_has_left_for_its_time() -> None:
    async with house() as here:
        key = await here.stage.come(here.rooms, "show")
        await asyncio.sleep(1000)
        here.stage.leave(key)
        await asyncio.sleep(19)
        assert await here.names() == ["show"]
        await asyncio.sleep(2.5)
        assert await here.names() == []
        events = await here.told()
        assert isinstance(events[-1], RoomFinished)
        assert [type(event) for event in events].count(RoomFinished) == 1


@virtual
async def test_who_comes_back_in_time_finds_the_room() -> None:
    async with house() as here:
        here.stage.leave(await here.stage.come(here.rooms, "show"))
        (before,) = await here.rooms.list_rooms()
        await asyncio.sleep(19)
        here.stage.leave(await here.stage.come(here.rooms, "show"))
        await asyncio.sleep(19)
        assert [room.sid for room in await here.rooms.list_rooms()] == [before.sid]


@pytest.mark.parametrize(("empty_timeout", "lasts"), [(0, 300), (60, 60)])
def test_a_room_to_which_nobody_comes_ends(empty_timeout: int, lasts: int) -> None:
    async def test() -> None:
        async with house() as here:
            await here.rooms.create_room(CreateRoomRequest(name="show", empty_timeout=empty_timeout))
            await asyncio.sleep(lasts - 1)
            assert await here.names() == ["show"]
            await asyncio.sleep(2.5)
            assert await here.names() == []
            assert await here.kinds() == ["RoomStarted", "RoomFinished"]

    run(test())


@virtual
async def test_agents_do_not_keep_a_room_open_and_go_with_it() -> None:
    agent = Participant(room="show", identity="robot", kind="agent")
    async with house() as here:
        key = await here.stage.come(here.rooms, "show")
        await here.stage.come(here.rooms, "show", "subscribe", participant=agent)
        here.stage.leave(key)
        await asyncio.sleep(22)
        assert await here.names() == []
        events = (await here.told())[-2:]
        assert [type(event) for event in events] == [ParticipantLeft, RoomFinished]
        assert isinstance(events[0], ParticipantLeft)
        assert events[0].reason == DisconnectReason.ROOM_CLOSED


@virtual
async def test_a_deleted_room_ends_with_everybody_in_it() -> None:
    async with house() as here:
        await here.stage.come(here.rooms, "show")
        await here.stage.come(here.rooms, "alice@show", participant=ALICE)
        await here.stage.come(here.rooms, "show", "subscribe")
        await here.stage.come(here.rooms, "other")
        await here.told()
        await here.rooms.delete_room("show")
        events = await here.told()
        left = [event for event in events if isinstance(event, ParticipantLeft)]
        assert {event.reason for event in left} == {DisconnectReason.ROOM_DELETED}
        assert len(left) == 3
        assert isinstance(events[-1], RoomFinished)
        assert await here.names() == ["other"]
        with pytest.raises(NotFound):
            await here.rooms.delete_room("show")
        await here.stage.come(here.rooms, "show")
        assert (await here.kinds())[0] == "RoomStarted"


@virtual
async def test_what_was_missing_is_not_found() -> None:
    async with house() as here:
        for asking in (
            here.rooms.delete_room("show"),
            here.rooms.update_room_metadata("show", "m"),
            here.actions.send_data("show", b""),
        ):
            with pytest.raises(NotFound, match="requested room does not exist"):
                await asking
        await here.rooms.create_room(CreateRoomRequest(name="show"))
        for room in ("show", "other"):
            with pytest.raises(NotFound, match="participant does not exist"):
                await here.rooms.participant(room, "alice")
        assert await here.rooms.list_participants("other") == []
        assert here.rooms.room("other") is None
        assert not await here.rooms.has_participant("show", "alice")


@virtual
async def test_a_room_is_deleted_while_another_one_ends() -> None:
    """It is gone when its own turn comes, and rooms go on to end."""

    class Store(MemoryKeyValue):
        async def delete(self, key: str, *, version: int | None = None) -> bool:
            if key == "room/first":
                await here.rooms.delete_room("second")
            return await super().delete(key, version=version)

    async with house(Store()) as here:
        for name in ("first", "second"):
            await here.rooms.create_room(CreateRoomRequest(name=name, empty_timeout=10))
        await asyncio.sleep(12)
        assert await here.names() == []
        await here.rooms.create_room(CreateRoomRequest(name="third", empty_timeout=10))
        await asyncio.sleep(12)
        assert await here.names() == []
        assert (await here.kinds()).count("RoomFinished") == 3


# Over a restart, and with other nodes


@virtual
async def test_rooms_outlive_the_process() -> None:
    store = MemoryKeyValue()
    async with house(store) as here:
        await here.rooms.create_room(CreateRoomRequest(name="ahead", empty_timeout=1000, metadata="m"))
        await here.stage.come(here.rooms, "used")
        before = {room.name: room.sid for room in await here.rooms.list_rooms()}
        await asyncio.sleep(2)
    async with house(store) as here:
        assert {room.name: room.sid for room in await here.rooms.list_rooms()} == before
        await asyncio.sleep(25)
        assert await here.names() == ["ahead"]
        assert await here.kinds() == ["RoomFinished"]


@virtual
async def test_two_nodes_have_the_same_rooms() -> None:
    store = MemoryKeyValue()
    async with house(store, node="a") as a, house(store, node="b") as b:
        made = await a.rooms.create_room(CreateRoomRequest(name="show"))
        assert (await b.rooms.create_room(CreateRoomRequest(name="show"))).sid == made.sid
        key = await b.stage.come(b.rooms, "show")
        await asyncio.sleep(1000)
        assert await a.names() == await b.names() == ["show"]
        await a.rooms.update_room_metadata("show", "m")
        await asyncio.sleep(0)
        room = b.rooms.room("show")
        assert room is not None
        assert room.metadata == "m"
        b.stage.leave(key)
        await asyncio.sleep(15)
        assert await a.names() == ["show"]
        await asyncio.sleep(30)
        assert await a.names() == await b.names() == []
        told = [*await a.kinds(), *await b.kinds()]
        assert (told.count("RoomStarted"), told.count("RoomFinished")) == (1, 1)


@virtual
async def test_a_room_is_deleted_on_all_nodes() -> None:
    store = MemoryKeyValue()
    async with house(store, node="a") as a, house(store, node="b") as b:
        await b.stage.come(b.rooms, "show")
        await asyncio.sleep(2)
        await a.rooms.delete_room("show")
        assert await b.identities() == []
        assert b.stage.control.sessions() == []
        assert (await b.kinds())[-1] == "ParticipantLeft"
        assert await a.kinds() == ["RoomFinished"]
        await asyncio.sleep(1)
        assert b.rooms.room("show") is None


class Stubborn(MemoryKeyValue):
    """Deletes nothing while it is told so."""

    refuses = False

    async def delete(self, key: str, *, version: int | None = None) -> bool:
        if self.refuses:
            raise StoreError("no")
        return await super().delete(key, version=version)


@virtual
async def test_a_room_whose_deletion_was_broken_off_ends() -> None:
    store = Stubborn()
    async with house(store) as here:
        await here.rooms.create_room(CreateRoomRequest(name="show"))
        store.refuses = True
        with pytest.raises(StoreError):
            await here.rooms.delete_room("show")
        store.refuses = False
    async with house(store) as here:
        assert await here.names() == []
        await asyncio.sleep(15)
        await here.stage.come(here.rooms, "show")
        assert await here.names() == ["show"]


@virtual
async def test_while_the_store_is_away_everybody_stays() -> None:
    store = MemoryKeyValue()
    async with house(store) as here:
        viewer = await here.stage.come(here.rooms, "show", "subscribe")
        store.away = True
        await asyncio.sleep(60)
        with pytest.raises(StoreError):
            await here.rooms.list_rooms()
        with pytest.raises(StoreError):
            await here.stage.come(here.rooms, "other")
        await here.stage.come(here.rooms, "show")
        assert len(await here.identities()) == 2
        store.away = False
        here.stage.leave(viewer)
        await asyncio.sleep(60)
        assert await here.names() == ["show"]


@pytest.mark.parametrize(("error", "warned"), [(StoreUnavailable("away"), False), (StoreError("no space"), True)])
def test_a_store_that_is_away_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture, error: StoreError, warned: bool
) -> None:
    class Broken(MemoryKeyValue):
        broken = False

        async def delete(self, key: str, *, version: int | None = None) -> bool:
            if self.broken:
                raise error
            return await super().delete(key, version=version)

    async def outage() -> None:
        store = Broken()
        async with house(store) as here:
            await here.rooms.create_room(CreateRoomRequest(name="show", empty_timeout=1))
            store.broken = True
            await asyncio.sleep(60)
            assert await here.names() == ["show"]
            store.broken = False
            await asyncio.sleep(60)
            assert await here.names() == []

    with caplog.at_level(logging.INFO):
        run(outage())
    assert ("rooms do not end" in caplog.text) is warned


# Size


async def test_a_thousand_participants_hold_up_nobody() -> None:
    async with house() as here:
        for _ in range(1000):
            await here.stage.come(here.rooms, "show", "subscribe")
        await here.told()
        longest, running = 0.0, True

        async def tick() -> None:
            nonlocal longest
            while running:
                began = time.thread_time()
                await asyncio.sleep(0)
                longest = max(longest, time.thread_time() - began)

        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0)
        for _ in range(20):
            assert len(await here.rooms.list_participants("show")) == 1000
            (room,) = await here.rooms.list_rooms()
            assert room.num_participants == 1000
        running = False
        await ticking
        assert longest < 0.01


@virtual
async def test_a_room_with_people_outlives_a_store_that_has_lost_it() -> None:
    store = MemoryKeyValue()
    async with house(store, node="a") as a, house(store, node="b") as b:
        await b.stage.come(b.rooms, "show")
        await asyncio.sleep(2)
        (before,) = await a.rooms.list_rooms()
        for entry in await store.list(""):
            await store.delete(entry.key)
        await asyncio.sleep(2)
        assert await b.identities() != []
        assert [room.sid for room in await a.rooms.list_rooms()] == [before.sid]
        assert "RoomFinished" not in [*await a.kinds(), *await b.kinds()]


@virtual
async def test_a_room_does_not_end_before_the_others_could_speak() -> None:
    """The store was away for so long that it has forgotten who has people in it."""
    store = MemoryKeyValue()
    async with house(store, node="a") as a, house(store, node="b") as b:
        await b.stage.come(b.rooms, "show")
        await a.rooms.list_rooms()
        await asyncio.sleep(2)
        store.away = True
        await asyncio.sleep(100)
        store.away = False
        await asyncio.sleep(100)
        assert await a.names() == ["show"]
        assert "RoomFinished" not in await a.kinds()


class Elsewhere:
    """Other nodes."""

    def __init__(self, count: int) -> None:
        self.count = count

    async def people(self, room: str) -> int:
        assert room == "show"
        return self.count

    async def tracks(self, request: UpdateSubscriptionsRequest) -> list[tuple[str, Kind]]:
        return [("show", "video")] if "TR_far" in request.track_sids else []


@virtual
async def test_people_of_other_nodes_take_places() -> None:
    async with house(node="a") as a:
        a.rooms.others = elsewhere = Elsewhere(2)
        await a.rooms.create_room(CreateRoomRequest(name="show", max_participants=3))
        await a.stage.come(a.rooms, "show")
        with pytest.raises(Unavailable, match="full"):
            await a.stage.come(a.rooms, "show", "subscribe")
        elsewhere.count = 1
        await a.stage.come(a.rooms, "show", "subscribe")
        assert len(await a.identities()) == 2


class Neighbour(Elsewhere):
    """Another node, to which question and answer take a moment."""

    def __init__(self, rooms: Rooms) -> None:
        super().__init__(0)
        self._rooms = rooms

    async def people(self, room: str) -> int:
        await asyncio.sleep(0.1)
        people = self._rooms.people(room)
        await asyncio.sleep(0.1)
        return people


@virtual
async def test_who_comes_to_several_nodes_at_once() -> None:
    """Of many at one node as many as there are places for; of those at several nodes never more."""
    store = MemoryKeyValue()
    async with house(store, node="a") as a, house(store, node="b") as b:
        a.rooms.others, b.rooms.others = Neighbour(b.rooms), Neighbour(a.rooms)
        await a.rooms.create_room(CreateRoomRequest(name="show", max_participants=3))
        many = await asyncio.gather(
            *(a.stage.come(a.rooms, "show", "subscribe") for _ in range(6)), return_exceptions=True
        )
        assert sum(isinstance(answer, Unavailable) for answer in many) == 3
        assert len(await a.identities()) == 3

        await a.rooms.delete_room("show")
        await b.rooms.create_room(CreateRoomRequest(name="show", max_participants=1))
        await asyncio.gather(
            *(each.stage.come(each.rooms, "show", "subscribe") for each in (a, b)), return_exceptions=True
        )
        assert len([*await a.identities(), *await b.identities()]) <= 1
        await asyncio.sleep(1)
        if not [*await a.identities(), *await b.identities()]:
            await a.stage.come(a.rooms, "show", "subscribe")
