"""A `KeyValue` without threads, for tests whose time is virtual, and that can be away."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from live777py.errors import StoreUnavailable
from live777py.store import Change, Changes, Entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class MemoryKeyValue:
    """Times are those of the event loop."""

    def __init__(self) -> None:
        self.away = False
        self._entries: dict[str, Entry] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._watches: list[Changes] = []
        self._version = 0

    async def get(self, key: str) -> Entry | None:
        self._require()
        return self._entries.get(key)

    async def list(self, prefix: str) -> list[Entry]:
        self._require()
        return [entry for key, entry in sorted(self._entries.items()) if key.startswith(prefix)]

    async def put(self, key: str, value: bytes, *, expires: float | None = None) -> Entry:
        self._require()
        self._version += 1
        entry = self._entries[key] = Entry(key=key, value=value, version=self._version)
        self._expire(key, expires)
        self._tell(key)
        return entry

    async def compare_and_swap(
        self, key: str, expected_version: int | None, value: bytes, *, expires: float | None = None
    ) -> Entry | None:
        self._require()
        there = self._entries.get(key)
        if (None if there is None else there.version) != expected_version:
            return None
        return await self.put(key, value, expires=expires)

    async def delete(self, key: str, *, version: int | None = None) -> bool:
        self._require()
        there = self._entries.get(key)
        if there is None or version not in (None, there.version):
            return False
        self._forget(key)
        return True

    @asynccontextmanager
    async def watch(self, prefix: str) -> AsyncIterator[Changes]:
        changes = Changes(prefix)
        for key, entry in self._entries.items():
            if key.startswith(prefix):
                changes.tell(Change(key=key, entry=entry))
        self._watches.append(changes)
        try:
            yield changes
        finally:
            self._watches.remove(changes)

    def _require(self) -> None:
        if self.away:
            raise StoreUnavailable("the store is away")

    def _expire(self, key: str, expires: float | None) -> None:
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        if expires is not None:
            self._timers[key] = asyncio.get_running_loop().call_later(expires, self._forget, key)

    def _forget(self, key: str) -> None:
        self._expire(key, None)
        del self._entries[key]
        self._tell(key)

    def _tell(self, key: str) -> None:
        for changes in self._watches:
            if key.startswith(changes.prefix):
                changes.tell(Change(key=key, entry=self._entries.get(key)))
