"""Small values under names, the same for one process (SQLite) and for several (Redis)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager


@dataclass(frozen=True, kw_only=True)
class Entry:
    """`version` is another one after every write, also where a key was deleted and put again."""

    key: str
    value: bytes
    version: int


@dataclass(frozen=True, kw_only=True)
class Change:
    """`entry` is what is there now; None: the key was deleted or has expired."""

    key: str
    entry: Entry | None


class KeyValue(Protocol):
    """Every method raises StoreError, and StoreUnavailable where another process keeps the values and is away.

    A write that has returned is seen by every reader. One that raised may have been done all the same.
    """

    async def get(self, key: str) -> Entry | None: ...

    async def list(self, prefix: str) -> list[Entry]:
        """In the order of the keys."""

    async def put(self, key: str, value: bytes, *, expires: float | None = None) -> Entry:
        """Whatever was there. `expires` in so many seconds; None: never."""

    async def compare_and_swap(
        self, key: str, expected_version: int | None, value: bytes, *, expires: float | None = None
    ) -> Entry | None:
        """Put it if the key has that version, or is not there where None is expected. Returns None if it was not so."""

    async def delete(self, key: str, *, version: int | None = None) -> bool:
        """False if it was not there, or not in that version."""

    def watch(self, prefix: str) -> AbstractAsyncContextManager[Changes]:
        """First what is there, then what changes.

        Of several changes of one key the last is told, the others perhaps. While the store is away the watch waits,
        and then tells what has changed meanwhile.
        """


class Changes:
    """An asynchronous iterator; it holds no more than one change of each key."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._changes: dict[str, Change] = {}
        self._ready = asyncio.Event()

    def tell(self, change: Change) -> None:
        self._changes.pop(change.key, None)
        self._changes[change.key] = change
        self._ready.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        while not self._changes:
            self._ready.clear()
            await self._ready.wait()
        return self._changes.pop(next(iter(self._changes)))
