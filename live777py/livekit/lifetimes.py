"""When rooms end by themselves, and what other nodes that share the store do to them."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
from livekit.protocol.models import DisconnectReason, RoomEndReason

from live777py import log
from live777py.errors import StoreError, StoreUnavailable
from live777py.livekit.records import name_of

if TYPE_CHECKING:
    from live777py.livekit.records import RoomRecord
    from live777py.livekit.room import RoomState
    from live777py.livekit.rooms import Rooms
    from live777py.store import Change

CHECK_SECONDS: Final = 1.0
"""Between two looks at which rooms are to end."""
PRESENCE_SECONDS: Final = 30.0
"""For how long a node that is not heard of counts as having people in a room."""
AWAY_SECONDS: Final = 5.0
"""For the nodes to say again who has people where, when the store was away for so long that it has forgotten."""
_OTHERS_SECONDS: Final = 3.0
"""That other nodes have to close the sessions of a room that is deleted."""
_AGAIN_SECONDS: Final = 0.05

_logger = logging.getLogger(__name__)


class Lifetimes:
    """`node` is the name of this one; None where no other shares the store."""

    def __init__(self, rooms: Rooms, node: str | None) -> None:
        self._rooms = rooms
        self._node = node
        self._present_until: dict[str, float] = {}
        self._nothing_ends_until = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [
            log.watched(asyncio.create_task(self._follow_records(), name="room records")),
            log.watched(asyncio.create_task(self._end_rooms(), name="ends of rooms")),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def others_gone(self, room: RoomState) -> None:
        """Until the other nodes have nobody in a room that is being deleted; not for long."""
        if self._node is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_OTHERS_SECONDS):
                while True:
                    if not await self._rooms.records.others_present(room.name, self._node):
                        return
                    await asyncio.sleep(_AGAIN_SECONDS)

    # The store

    async def _follow_records(self) -> None:
        """Rooms of an earlier run, and what other nodes do to rooms."""
        async with self._rooms.records.watch() as changes:
            async for change in changes:
                try:
                    await self._record_changed(change)
                except StoreError as error:
                    _logger.warning("room records: %s", error.detail)

    async def _record_changed(self, change: Change) -> None:
        name = name_of(change.key)
        stored = await self._rooms.records.get(name)  # what is true by now
        room = self._rooms.members.rooms.get(name) if stored is None else self._rooms.adopt(stored)
        if room is None or self._over(room) or (stored is not None and not stored.record.closing):
            return
        if stored is None and room.occupied and not await self._rooms.records.was_deleted(room.stored.record.sid):
            # A server that nodes share may come back without what it had: who plays plays on.
            restored, _ = await self._rooms.records.create(room.stored.record)
            self._rooms.adopt(restored)
            return
        if self._over(room):
            return
        with self._rooms.ending(room):  # another node deletes it
            await self._rooms.empty(room)
            if self._node is not None and self._present_until.pop(name, None) is not None:
                await self._rooms.records.not_present(name, self._node)
        if stored is None:
            self._rooms.forget(room)

    # Time

    async def _end_rooms(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self._rooms.members.settle()
                for room in tuple(self._rooms.members.rooms.values()):
                    await self._look_after(room)
            except StoreError as error:
                # That the server is away is told once, by the store.
                level = logging.DEBUG if isinstance(error, StoreUnavailable) else logging.WARNING
                _logger.log(level, "rooms do not end meanwhile: %s", error.detail)
                self._nothing_ends_until = asyncio.get_running_loop().time() + AWAY_SECONDS

    async def _look_after(self, room: RoomState) -> None:
        if self._over(room):
            return
        records = self._rooms.records
        if self._node is not None:
            await self._say_present(room, self._node)
        if room.joined and not room.stored.record.joined:
            stored = await records.change(room.name, _joined)
            if stored is not None:
                self._rooms.adopt(stored)
        if not self._due(room) or asyncio.get_running_loop().time() < self._nothing_ends_until:
            return
        if self._node is not None and await records.others_present(room.name, self._node):
            room.left_ms = self._rooms.clock.now()
            return
        if not self._due(room):
            return
        with self._rooms.ending(room):
            if await records.delete(room.stored):
                await self._rooms.close(room, DisconnectReason.ROOM_CLOSED)
                self._rooms.forget(room, RoomEndReason.ROOM_END_IDLE_TIMEOUT)
            elif (stored := await records.get(room.name)) is None:
                self._rooms.forget(room)
            else:
                self._rooms.adopt(stored)

    def _due(self, room: RoomState) -> bool:
        return not self._over(room) and room.due(self._rooms.clock.now())

    def _over(self, room: RoomState) -> bool:
        """It ends or has ended, by whatever else, while something was waited for."""
        return room.ending or self._rooms.members.rooms.get(room.name) is not room

    async def _say_present(self, room: RoomState, node: str) -> None:
        """That there is somebody in it here, or was a moment ago, so that no other node ends it."""
        now = asyncio.get_running_loop().time()
        until = self._present_until.get(room.name)
        if room.occupied:
            if until is None or until - now < PRESENCE_SECONDS / 2:
                await self._rooms.records.be_present(room.name, node, expires=PRESENCE_SECONDS)
                self._present_until[room.name] = now + PRESENCE_SECONDS
        elif until is not None:
            await self._rooms.records.be_present(room.name, node, expires=room.stored.record.departure_timeout)
            del self._present_until[room.name]


def _joined(record: RoomRecord) -> RoomRecord:
    return msgspec.structs.replace(record, joined=True)
