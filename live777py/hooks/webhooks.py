"""`[[webhooks]]`: every event goes into the queue of the store first, and from there to the URLs."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from random import Random
from typing import TYPE_CHECKING, Final

import aiohttp
import msgspec

from live777py import log
from live777py.errors import StoreError
from live777py.hooks.notice import CAPACITY, Notice, notice_of
from live777py.hooks.receiver import Receiver, key_of
from live777py.store import Deliveries, Delivery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live777py.config import Config
    from live777py.store import Database
    from live777py.streams.bus import EventBus

MAX_QUEUED: Final = 10_000
"""Events that wait for one webhook; with more, the oldest are given up."""
STOP_GRACE: Final = 0.5
"""Seconds for the last posts. What is not delivered then waits in the store."""

_STORE_RETRY: Final = 1.0

_logger = logging.getLogger(__name__)


class Post(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body. `id` is the same for every webhook and every attempt; `time` is Unix milliseconds."""

    id: str
    event: str
    stream: str
    session: str | None = None
    reason: str | None = None
    path: str | None = None
    time: int


class WebhookSender:
    """Usage: `await start()` before the first event that counts, `await stop()` after the last.

    Without webhooks the store is not opened. It belongs to the caller, who closes it after `stop`.
    """

    def __init__(self, bus: EventBus, config: Config, store: Database, *, random: Random | None = None) -> None:
        self.given_up = 0
        """Events that a webhook was not told of: there were too many, they were too old, or not wanted."""
        self._events = bus.subscribe(capacity=CAPACITY)
        self._store = store
        self._config = config
        self._random = random or Random()  # noqa: S311 (jitter)
        self._queue: Deliveries | None = None
        self._session: aiohttp.ClientSession | None = None
        self._receivers: dict[str, Receiver] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises StartError: the store cannot be used."""
        await self.reconfigure(self._config)
        self._reader = log.watched(asyncio.create_task(self._read(), name="webhooks"))

    async def reconfigure(self, config: Config) -> None:
        """For the events from now on. What waits for a URL that is no more is forgotten.

        Raises StartError, having changed nothing.
        """
        if config.webhooks and self._queue is None:
            await self._store.open()
            self._queue = Deliveries(self._store)
        if (queue := self._queue) is None:
            return
        wanted = {key_of(webhook): webhook for webhook in config.webhooks}
        for key in self._receivers.keys() - wanted.keys():
            del self._receivers[key]
            await _ended(self._runs.pop(key))
        if forgotten := await queue.keep_only(wanted):
            _logger.warning("%d events waited for webhooks that are no more", forgotten)
        for key, webhook in wanted.items():
            if key in self._receivers:
                self._receivers[key].reconfigure(webhook)
                continue
            receiver = self._receivers[key] = Receiver(webhook, queue, self._client, self._random, self._count)
            for stream in await queue.streams(key):
                receiver.offer(stream)
            self._runs[key] = log.watched(asyncio.create_task(receiver.run(), name="webhook"))

    async def stop(self) -> None:
        self._events.close()
        try:
            async with asyncio.timeout(STOP_GRACE):
                if self._reader is not None:
                    await self._reader
                await asyncio.gather(*(receiver.settled() for receiver in self._receivers.values()))
        except TimeoutError:
            _logger.info("webhooks: what is not delivered waits in %s", self._store.path)
        for run in self._runs.values():
            await _ended(run)
        if self._session is not None:
            await self._session.close()

    async def _read(self) -> None:
        missed = 0
        while events := await self._events.batch():
            if self._events.missed > missed:
                self._give_up(self._events.missed - missed)
                missed = self._events.missed
            now = time.time_ns() // 1_000_000
            notices = [notice for event in events if (notice := notice_of(event)) is not None]
            posts = [delivery for notice in notices for delivery in self._deliveries_of(notice, now)]
            if posts and self._queue is not None:
                await self._keep(posts, self._queue)

    def _deliveries_of(self, notice: Notice, now: int) -> list[Delivery]:
        wanting = [receiver.key for receiver in self._receivers.values() if receiver.wants(notice)]
        if not wanting:
            return []
        post = Post(
            id=str(uuid.uuid4()),
            event=notice.event,
            stream=notice.stream,
            session=notice.session,
            reason=notice.reason,
            path=notice.path,
            time=now,
        )
        body = msgspec.json.encode(post)
        return [
            Delivery(hook=key, stream=post.stream, id=post.id, event=post.event, body=body, created_ms=now)
            for key in wanting
        ]

    async def _keep(self, posts: Sequence[Delivery], queue: Deliveries) -> None:
        """Try until the store takes them; meanwhile the bus keeps what comes."""
        while True:
            try:
                too_many = await queue.put(posts, limit=MAX_QUEUED)
                break
            except StoreError as error:
                _logger.error("%s", error.detail)  # noqa: TRY400 (nothing to trace)
                await asyncio.sleep(_STORE_RETRY)
        if too_many:
            self._give_up(too_many)
        for post in posts:
            if post.hook in self._receivers:
                self._receivers[post.hook].offer(post.stream)

    def _count(self, given_up: int = 1) -> None:
        self.given_up += given_up

    def _give_up(self, count: int) -> None:
        self._count(count)
        _logger.error("webhooks: %d events are given up, there are too many", count)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)
        return self._session


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
