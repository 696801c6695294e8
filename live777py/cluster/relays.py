"""Streams that another node has, pulled from it once for all who watch them here, and for as long as they do."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

from live777py import log
from live777py.cascade.link import Link
from live777py.cascade.streams import SessionWatches
from live777py.cluster.membership import whep_url
from live777py.errors import Live777Error, NotFound
from live777py.outbound import Endpoint

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from live777py.cluster.directory import Directory
    from live777py.cluster.key import ClusterKey
    from live777py.cluster.membership import Node
    from live777py.streams.events import StreamEvent
    from live777py.streams.manager import StreamManager

IDLE: Final = 10.0
"""Seconds for which a relay stays that nobody watches."""

_logger = logging.getLogger(__name__)


@dataclass(kw_only=True, eq=False)
class _Relay:
    """`made`: the stream was not here before. `unused_since`: nobody watches it, or nobody is known to have it."""

    node: Node
    link: Link
    made: bool
    starting: asyncio.Task[None] | None = None
    unused_since: float | None = None


class Relays:
    """Usage: `tell` every event of the streams, `tick` every few seconds, `await relays.stop()` at the end."""

    def __init__(self, manager: StreamManager, directory: Directory, key: ClusterKey) -> None:
        self._manager = manager
        self._directory = directory
        self._key = key
        self._watches = SessionWatches(manager)
        self._random = Random()  # noqa: S311 (jitter)
        self._relays: dict[str, _Relay] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        for stream in tuple(self._relays):
            self.end(stream)
        if self._ending:
            await asyncio.wait(self._ending)

    async def flowing(self, stream: str, node: Node) -> None:
        """Until the stream comes from that node. Raises why it does not, UpstreamError for one."""
        await self._key.load()
        relay = self._relays.get(stream)
        if relay is None or relay.node != node:
            relay = self._start(stream, node)
        if relay.starting is not None:
            await asyncio.shield(relay.starting)

    def end(self, stream: str) -> None:
        """The publisher's slot is free when this returns, and the viewers stay."""
        relay = self._relays.pop(stream, None)
        if relay is None:
            return
        relay.link.end()
        self._later(self._manager.sharing.end_relay(stream))
        if relay.made and stream not in self._relays:
            self._manager.sharing.forget(stream)
        self._later(relay.link.stop())

    def tell(self, event: StreamEvent) -> None:
        self._watches.tell(event)

    def look(self) -> None:
        """Events were missed."""
        self._watches.look()

    def follow(self, stream: str) -> None:
        """The holder of the stream may be another one: who watches it here goes along."""
        holder = self._directory.holder(stream)
        relay = self._relays.get(stream)
        if holder is None:
            return
        if relay is not None and relay.node == holder:
            if relay.link.state != "Connected":
                relay.link.start()  # its publisher is back
            return
        if self._manager.sharing.watched(stream) and not self._manager.sharing.publishes(stream):
            self._later(self._flow(stream, holder))
        elif relay is not None:
            self.end(stream)

    def tick(self) -> None:
        """Relays that have nobody to serve, or nothing to come from, end; waiting viewers are served."""
        now = asyncio.get_running_loop().time()
        for stream, relay in tuple(self._relays.items()):
            used = self._manager.sharing.watched(stream) and (
                relay.link.state == "Connected" or self._directory.holder(stream) is not None
            )
            if used or relay.starting is not None:
                relay.unused_since = None
            elif relay.unused_since is None:
                relay.unused_since = now
            elif now - relay.unused_since >= IDLE:
                self.end(stream)
        for stream in self._manager.sharing.waiting():
            if stream not in self._relays:
                self.follow(stream)

    # Steps

    def _start(self, stream: str, node: Node) -> _Relay:
        made = not self._manager.sharing.has(stream)
        if (former := self._relays.get(stream)) is not None:
            made = former.made
            former.made = False
            self.end(stream)
        endpoint = Endpoint(
            whep_url(node, stream),
            lambda: f"Bearer {self._key.token(stream)}",
            own=True,
        )
        link = Link(
            stream,
            (endpoint,),
            connect=self._pull,
            disconnect=self._manager.stop_pull,
            watches=self._watches,
            random=self._random,
            silence_ends=True,
        )
        relay = self._relays[stream] = _Relay(node=node, link=link, made=made)
        relay.starting = asyncio.create_task(self._first(stream, relay), name=f"relay {stream}")
        relay.starting.add_done_callback(partial(self._started, stream))
        return relay

    async def _first(self, stream: str, relay: _Relay) -> None:
        try:
            await relay.link.first()
        except Live777Error:
            relay.starting = None
            if self._relays.get(stream) is relay:
                self.end(stream)
            raise
        relay.starting = None

    def _started(self, stream: str, starting: asyncio.Task[None]) -> None:
        """Those who wait for it are told by the task; there may be nobody any more."""
        error = None if starting.cancelled() else starting.exception()
        if isinstance(error, Live777Error):
            log.bind(_logger, stream=stream).warning("it does not come from the node that has it: %s", error.detail)

    async def _pull(self, stream: str, endpoint: Endpoint, *, configured: bool) -> str:  # noqa: ARG002 (it is not)
        relay, holder = self._relays.get(stream), self._directory.holder(stream)
        if relay is None or relay.node != holder:  # to ask would make the stream there
            raise NotFound(f"nobody publishes stream '{stream}' at the node that had it")
        return await self._manager.pull(stream, endpoint, relay=True)

    async def _flow(self, stream: str, holder: Node) -> None:
        try:
            await self.flowing(stream, holder)
        except Live777Error as error:
            _logger.debug("the next look tries again: %s", error.detail)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = log.watched(asyncio.create_task(work, name="relays"))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
