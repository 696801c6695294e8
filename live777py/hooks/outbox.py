"""What is to be posted goes into the queue of the store first, and from there to the URLs."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final, TypeVar

import aiohttp

from live777py import log
from live777py.errors import StoreError
from live777py.hooks.receiver import Receiver
from live777py.store import Deliveries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from random import Random

    from live777py.hooks.receiver import Target
    from live777py.store import Database, Delivery
    from live777py.streams.bus import Reader

MAX_QUEUED: Final = 10_000
"""Events that wait for one URL; with more, the oldest are given up."""
STOP_GRACE: Final = 0.5
"""Seconds for the last posts. What is not delivered then waits in the store."""

_STORE_RETRY: Final = 1.0

E = TypeVar("E")

_logger = logging.getLogger(__name__)


class Outbox:
    """The targets of one family: their keys begin with `family`, which is "" or ends with a colon.

    Without targets the store is not opened. It belongs to the caller, who closes it after `stop`.
    """

    def __init__(self, store: Database, *, family: str, random: Random) -> None:
        self.given_up = 0
        """Events that a target was not told of: there were too many, they were too old, or not wanted."""
        self._store = store
        self._family = family
        self._random = random
        self._queue: Deliveries | None = None
        self._session: aiohttp.ClientSession | None = None
        self._receivers: dict[str, Receiver] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}

    async def reconfigure(self, targets: Sequence[Target]) -> None:
        """What waits for a target that is no more is forgotten; what waits for the others is delivered.

        Raises StartError, having changed nothing.
        """
        if targets and self._queue is None:
            await self._store.open()
            self._queue = Deliveries(self._store)
        if (queue := self._queue) is None:
            return
        wanted = {target.key: target for target in targets}
        for key in self._receivers.keys() - wanted.keys():
            del self._receivers[key]
            await _ended(self._runs.pop(key))
        if forgotten := await queue.keep_only(wanted, family=self._family):
            _logger.warning("%d events waited for webhooks that are no more", forgotten)
        for key, target in wanted.items():
            if key in self._receivers:
                self._receivers[key].reconfigure(target)
                continue
            receiver = self._receivers[key] = Receiver(target, queue, self._client, self._random, self._count)
            for stream in await queue.streams(key):
                receiver.offer(stream)
            self._runs[key] = log.watched(asyncio.create_task(receiver.run(), name="webhook"))

    async def follow(self, events: Reader[E], deliveries_of: Callable[[E, int], Iterable[Delivery]]) -> None:
        """Put what is to be posted of each event until there are no more; asked with the time, in Unix milliseconds."""
        missed = 0
        while some := await events.batch():
            if events.missed > missed:
                self._give_up(events.missed - missed)
                missed = events.missed
            now = time.time_ns() // 1_000_000
            await self.put([delivery for event in some for delivery in deliveries_of(event, now)])

    async def put(self, deliveries: Sequence[Delivery]) -> None:
        """Try until the store takes them; meanwhile the caller's bus keeps what comes.

        What is for no target of now is dropped.
        """
        deliveries = [delivery for delivery in deliveries if delivery.hook in self._receivers]
        if self._queue is None or not deliveries:
            return
        while True:
            try:
                too_many = await self._queue.put(deliveries, limit=MAX_QUEUED)
                break
            except StoreError as error:
                _logger.error("%s", error.detail)  # noqa: TRY400 (nothing to trace)
                await asyncio.sleep(_STORE_RETRY)
        if too_many:
            self._give_up(too_many)
        for delivery in deliveries:
            if delivery.hook in self._receivers:
                self._receivers[delivery.hook].offer(delivery.stream)

    def _give_up(self, count: int) -> None:
        self._count(count)
        _logger.error("webhooks: %d events are given up, there are too many", count)

    async def stop(self, reader: asyncio.Task[None] | None = None) -> None:
        """`reader` is who puts; its end is waited for."""
        try:
            async with asyncio.timeout(STOP_GRACE):
                if reader is not None:
                    await reader
                await asyncio.gather(*(receiver.settled() for receiver in self._receivers.values()))
        except TimeoutError:
            _logger.info("webhooks: what is not delivered waits in %s", self._store.path)
        for run in self._runs.values():
            await _ended(run)
        if self._session is not None:
            await self._session.close()

    def _count(self, given_up: int = 1) -> None:
        self.given_up += given_up

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)
        return self._session


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
