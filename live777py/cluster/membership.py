"""Which nodes are there: each says so again and again, and one that does not is forgotten."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from live777py import log
from live777py.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from live777py.store import KeyValue

MISSED: Final = 4
"""So many signs of life may fail to come."""
RETRY: Final = 0.5
"""Seconds after which a sign of life that was not taken is given again."""

_PREFIX: Final = "node/"

_logger = logging.getLogger(__name__)


class Node(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`run` is another one after each start. `url` has no slash at its end."""

    id: str
    run: str
    url: str
    version: str


def whep_url(node: Node, stream: str) -> str:
    return f"{node.url}/whep/{quote(stream, safe='')}"


class Membership:
    """Usage: `await membership.start()` ... `await membership.stop()`. `heartbeat` is in seconds.

    `changed` is told after `nodes` has changed.
    """

    def __init__(self, store: KeyValue, node: Node, *, heartbeat: float, changed: Callable[[], None]) -> None:
        self.node: Final = node
        self.nodes: dict[str, Node] = {}
        """The others that are there."""
        self._store = store
        self._heartbeat = heartbeat
        self._changed = changed
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [
            log.watched(asyncio.create_task(work, name=f"cluster {name}"))
            for name, work in (("heartbeat", self._beat()), ("nodes", self._follow()))
        ]

    async def stop(self) -> None:
        """The others know at once that this node has gone."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        try:
            await self._store.delete(_PREFIX + self.node.id)
        except StoreError as error:
            _logger.info("the other nodes were not told of the end: %s", error.detail)

    def has(self, node: str, run: str) -> Node | None:
        """The node in that run of it, if it is another one and there."""
        found = self.nodes.get(node)
        return found if found is not None and found.run == run else None

    def forget(self, node: str) -> None:
        """It was asked, and is not there. One that lives says so again."""
        if self.nodes.pop(node, None) is not None:
            _logger.warning("node %s does not answer", node)
            self._changed()

    async def _beat(self) -> None:
        value = msgspec.json.encode(self.node)
        while True:
            delay = self._heartbeat
            try:
                await self._store.put(_PREFIX + self.node.id, value, expires=MISSED * self._heartbeat)
            except StoreError as error:
                _logger.debug("no sign of life was given: %s", error.detail)
                delay = min(RETRY, self._heartbeat)
            await asyncio.sleep(delay)

    async def _follow(self) -> None:
        async with self._store.watch(_PREFIX) as changes:
            async for change in changes:
                node = change.key.removeprefix(_PREFIX)
                if change.entry is None:
                    if node in self.nodes:
                        _logger.warning("node %s is gone", node)
                        del self.nodes[node]
                        self._changed()
                    continue
                try:
                    found = msgspec.json.decode(change.entry.value, type=Node)
                except msgspec.DecodeError as error:
                    _logger.error("node %s is of another version: %s", node, error)  # noqa: TRY400 (nothing to trace)
                    continue
                if node == self.node.id:
                    if found.run != self.node.run:
                        _logger.error("cluster.node_id: another node calls itself %s too", node)
                elif self.nodes.get(node) != found:
                    _logger.info("node %s is there: %s", node, found.url)
                    self.nodes[node] = found
                    self._changed()
