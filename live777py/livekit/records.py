"""What is kept of rooms: each one's settings, which nodes have people in it, and which tokens are no good any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from live777py.livekit import ids

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection
    from contextlib import AbstractAsyncContextManager

    from live777py.store import Changes, Entry, KeyValue

REVOKED_FOR: Final = 30 * 24 * 3600.0
"""Seconds. A token that is good for longer is good again after that."""

_AT_ONCE: Final = 50
_ROOM: Final = "room/"
_PRESENCE: Final = "presence/"
_REVOKED: Final = "revoked/"
_DELETED: Final = "deleted/"
_DELETED_FOR: Final = 60.0
"""Seconds for which it is known that a room was deleted, and not lost by the store."""


class RoomRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`created_ms` is Unix time, time-outs are seconds, 0 participants is no limit.

    `request` is the CreateRoomRequest that made it, empty where somebody's coming did. `joined`: somebody has been
    there. `closing`: it is being deleted, and nobody may come.
    """

    name: str
    sid: str
    created_ms: int
    empty_timeout: int
    departure_timeout: int
    max_participants: int
    metadata: str = ""
    tags: dict[str, str] = {}
    request: bytes = b""
    joined: bool = False
    closing: bool = False


class Stored(msgspec.Struct, frozen=True):
    """A record as the store has it."""

    record: RoomRecord
    version: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(RoomRecord)


class RoomRecords:
    """Every method raises what the store raises."""

    def __init__(self, store: KeyValue) -> None:
        self._store = store

    async def get(self, name: str) -> Stored | None:
        entry = await self._store.get(_ROOM + name)
        return None if entry is None else _stored(entry)

    async def all(self, names: Collection[str] = ()) -> AsyncIterator[Stored]:
        """Of these names, or of all. Others have their turn in between."""
        if names:
            found = [await self._store.get(_ROOM + name) for name in sorted(names)]
            entries = [entry for entry in found if entry is not None]
        else:
            entries = await self._store.list(_ROOM)
        for place, entry in enumerate(entries, 1):
            yield _stored(entry)
            if place % _AT_ONCE == 0:
                await asyncio.sleep(0)

    async def create(self, record: RoomRecord) -> tuple[Stored, bool]:
        """Or the one that is there; whether it was made now."""
        key, value = _ROOM + record.name, _encoder.encode(record)
        while True:
            made = await self._store.compare_and_swap(key, None, value)
            if made is not None:
                return Stored(record, made.version), True
            there = await self.get(record.name)
            if there is not None:
                return there, False

    async def change(self, name: str, change: Callable[[RoomRecord], RoomRecord]) -> Stored | None:
        """None if there is none."""
        while (before := await self.get(name)) is not None:
            record = change(before.record)
            if record == before.record:
                return before
            entry = await self._store.compare_and_swap(_ROOM + name, before.version, _encoder.encode(record))
            if entry is not None:
                return Stored(record, entry.version)
        return None

    async def delete(self, stored: Stored) -> bool:
        """False if it has changed, or somebody else has deleted it."""
        return await self._store.delete(_ROOM + stored.record.name, version=stored.version)

    async def note_deleted(self, sid: str) -> None:
        """Before `delete`, where others may have people in the room."""
        await self._store.put(_DELETED + sid, b"", expires=_DELETED_FOR)

    async def was_deleted(self, sid: str) -> bool:
        return await self._store.get(_DELETED + sid) is not None

    async def remove(self, name: str) -> None:
        """One that is closing, whatever has been changed of it meanwhile."""
        await self._store.delete(_ROOM + name)

    def watch(self) -> AbstractAsyncContextManager[Changes]:
        return self._store.watch(_ROOM)

    # Nodes with people in a room

    async def be_present(self, name: str, node: str, *, expires: float) -> None:
        await self._store.put(_presence(name) + node, b"", expires=expires)

    async def not_present(self, name: str, node: str) -> None:
        await self._store.delete(_presence(name) + node)

    async def others_present(self, name: str, node: str) -> bool:
        prefix = _presence(name)
        return any(entry.key != prefix + node for entry in await self._store.list(prefix))

    # Tokens

    async def revoke(self, name: str, identity: str, before: int) -> None:
        """Tokens of this identity for this room that were made before (Unix seconds)."""
        await self._store.put(_revoked(name, identity), b"%d" % before, expires=REVOKED_FOR)

    async def revoked_before(self, name: str, identity: str) -> int:
        entry = await self._store.get(_revoked(name, identity))
        return 0 if entry is None else int(entry.value)


def name_of(key: str) -> str:
    return key.removeprefix(_ROOM)


def new_sid() -> str:
    return ids.new_id(ids.ROOM)


def _stored(entry: Entry) -> Stored:
    return Stored(_decoder.decode(entry.value), entry.version)


def _presence(name: str) -> str:
    return f"{_PRESENCE}{quote(name, safe='')}/"


def _revoked(name: str, identity: str) -> str:
    return f"{_REVOKED}{quote(name, safe='')}/{quote(identity, safe='')}"


def record_of(entry: Entry) -> RoomRecord:
    return _decoder.decode(entry.value)
