"""Which node has which stream. An entry counts as long as the node that made it is there, in the same run of it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from live777py import log
from live777py.errors import Conflict, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection

    from live777py.cluster.membership import Membership, Node
    from live777py.store import Entry, KeyValue

_PREFIX: Final = "stream/"
_ATTEMPTS: Final = 5
_ORPHANED: Final = 60.0
"""Seconds after which an entry is struck out whose node is not there: longer than Redis is away for a moment."""

_logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Held:
    """`orphaned_at`: since when its node is known not to be there."""

    holder: _Holder
    version: int
    orphaned_at: float | None = None


class _Holder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    node: str
    run: str


class Directory:
    """Usage: `directory.start()` ... `await directory.stop()`; `keep` whenever what is published here has changed.

    `make_way` asks another node, by its id, to give a stream up: it returns when that node has not got it (any more),
    or does not answer, and raises Conflict where it keeps it. `changed` is told of a stream whose holder is another one
    than before, `taken` of one that another node has taken from this one.
    """

    def __init__(
        self,
        store: KeyValue,
        membership: Membership,
        *,
        make_way: Callable[[str, str], Awaitable[None]],
        changed: Callable[[str], None],
        taken: Callable[[str], None],
    ) -> None:
        self._store = store
        self._membership = membership
        self._make_way = make_way
        self._changed = changed
        self._taken = taken
        self._me = _Holder(node=membership.node.id, run=membership.node.run)
        self._entries: dict[str, _Held] = {}
        self._mine: dict[str, int] = {}
        """With the version of the entry."""
        self._claiming: dict[str, int] = {}
        self._keeping = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = log.watched(asyncio.create_task(self._follow(), name="cluster streams"))

    async def stop(self) -> None:
        """After `keep(())`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def holder(self, stream: str) -> Node | None:
        """Another node that has the stream, and is there."""
        held = self._entries.get(stream)
        return None if held is None else self._membership.has(held.holder.node, held.holder.run)

    def claiming(self, stream: str) -> bool:
        return stream in self._claiming

    @asynccontextmanager
    async def claimed(self, stream: str) -> AsyncIterator[None]:
        """While somebody is about to publish here; `keep` has the last word on it afterwards.

        Raises Conflict where another node has a publisher, and StoreError.
        """
        self._claiming[stream] = self._claiming.get(stream, 0) + 1
        try:
            if stream not in self._mine:
                await self._claim(stream)
            yield
        finally:
            self._claiming[stream] -= 1
            if not self._claiming[stream]:
                del self._claiming[stream]

    async def keep(self, published: Collection[str]) -> None:
        """Enter what is published here and is not entered, strike out what is not published any more.

        Also, after a while, what nodes have left behind that died.
        """
        async with self._keeping:
            try:
                for stream in [name for name in self._mine if name not in published and name not in self._claiming]:
                    await self._release(stream)
                for stream in [name for name in published if name not in self._mine and name not in self._claiming]:
                    await self._enter(stream)
                await self._strike_out_orphans(asyncio.get_running_loop().time())
            except StoreError as error:
                _logger.debug("the list of streams is not up to date: %s", error.detail)

    # Steps

    async def _claim(self, stream: str) -> None:
        for _ in range(_ATTEMPTS):
            entry = await self._store.get(_PREFIX + stream)
            holder = None if entry is None else _read(entry)
            if holder is not None and holder.node != self._me.node:
                await self._make_way(holder.node, stream)
            if await self._swap(stream, entry):
                return
        raise Conflict(f"several nodes want to have stream '{stream}'", retry_after=1)

    async def _enter(self, stream: str) -> None:
        """Of a publisher that is here already. One that another node has let in comes first."""
        entry = await self._store.get(_PREFIX + stream)
        holder = None if entry is None else _read(entry)
        if holder is not None and holder != self._me and self._membership.has(holder.node, holder.run) is not None:
            return
        await self._swap(stream, entry)

    async def _swap(self, stream: str, entry: Entry | None) -> bool:
        value = msgspec.json.encode(self._me)
        made = await self._store.compare_and_swap(_PREFIX + stream, None if entry is None else entry.version, value)
        if made is not None:
            self._mine[stream] = made.version
        return made is not None

    async def _release(self, stream: str) -> None:
        version = self._mine.get(stream)
        if version is not None:
            await self._store.delete(_PREFIX + stream, version=version)
            if self._mine.get(stream) == version:
                del self._mine[stream]

    async def _strike_out_orphans(self, now: float) -> None:
        for stream, held in tuple(self._entries.items()):
            if held.holder == self._me or self._membership.has(held.holder.node, held.holder.run) is not None:
                held.orphaned_at = None
            elif held.orphaned_at is None:
                held.orphaned_at = now
            elif now - held.orphaned_at >= _ORPHANED:
                await self._store.delete(_PREFIX + stream, version=held.version)

    async def _follow(self) -> None:
        async with self._store.watch(_PREFIX) as changes:
            async for change in changes:
                stream = change.key.removeprefix(_PREFIX)
                before = self._entries.pop(stream, None)
                if change.entry is not None:
                    self._entries[stream] = _Held(holder=_read(change.entry), version=change.entry.version)
                self._look_at_mine(stream)
                after = self._entries.get(stream)
                if (before and before.holder) != (after and after.holder):
                    self._changed(stream)

    def _look_at_mine(self, stream: str) -> None:
        """It may be gone from the store, or another node's by now."""
        held = self._entries.get(stream)
        if stream not in self._mine or (held is not None and held.holder == self._me):
            return
        if held is None:
            del self._mine[stream]
        elif held.version > self._mine[stream]:
            del self._mine[stream]
            _logger.warning("node %s has taken stream '%s'", held.holder.node, stream)
            self._taken(stream)


def _read(entry: Entry) -> _Holder:
    """An entry of another version counts as a dead node's."""
    try:
        return msgspec.json.decode(entry.value, type=_Holder)
    except msgspec.DecodeError:
        return _Holder(node="", run="")
