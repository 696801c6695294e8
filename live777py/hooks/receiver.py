"""One webhook: what it wants to hear, and the posts to it, in order within a stream and side by side across streams."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from live777py.errors import StoreError
from live777py.hooks.lanes import Lanes
from live777py.hooks.signature import sign
from live777py.outbound.client import failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from live777py.config import WebhookConfig
    from live777py.hooks.notice import Notice
    from live777py.store import Deliveries, Delivery

MAX_CONCURRENT: Final = 8
"""Posts to one URL at a time."""
TIMEOUT: Final = aiohttp.ClientTimeout(total=10, sock_connect=5)

_GONE: Final = 410

_logger = logging.getLogger(__name__)


class Receiver:
    """`key` names it in the queue: it holds nothing secret, and another secret does not change it."""

    def __init__(
        self,
        config: WebhookConfig,
        deliveries: Deliveries,
        client: Callable[[], aiohttp.ClientSession],
        random: Random,
        given_up: Callable[[], None],
    ) -> None:
        """`given_up` is called for every event that was not wanted, or was too old before it was taken."""
        self.key = key_of(config)
        self._given_up = given_up
        self._config = config
        self._deliveries = deliveries
        self._client = client
        self._lanes = Lanes(random)
        self._changed = asyncio.Event()
        self._quiet = asyncio.Event()
        self._in_trouble = False
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._name = str(URL(config.url).origin())
        """A path may be a secret too."""

    def reconfigure(self, config: WebhookConfig) -> None:
        """Of the same URL."""
        self._config = config

    def wants(self, notice: Notice) -> bool:
        events, streams = self._config.events, self._config.streams
        return (not events or notice.event in events) and (
            not streams or any(fnmatchcase(notice.stream, pattern) for pattern in streams)
        )

    def offer(self, stream: str) -> None:
        """Something for it has been put into the queue."""
        self._lanes.offer(stream, _now())
        self._quiet.clear()
        self._changed.set()

    async def settled(self) -> None:
        """Wait until all that is due has been tried."""
        await self._quiet.wait()

    async def run(self) -> None:
        """Until cancelled. Posts under way are cancelled too, and made again when it runs the next time."""
        async with asyncio.TaskGroup() as posts:
            while True:
                await self._slots.acquire()
                posts.create_task(self._serve(await self._next()))

    async def _next(self) -> str:
        while (stream := self._lanes.take(_now())) is None:
            if self._lanes.quiet(_now()):
                self._quiet.set()
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._lanes.next_due()):
                    await self._changed.wait()
        self._quiet.clear()
        return stream

    async def _serve(self, stream: str) -> None:
        try:
            delivery = await self._deliveries.first(self.key, stream)
            if delivery is None:
                self._lanes.empty(stream, _now())
            elif await self._is_over(delivery):
                await self._deliveries.remove(delivery)
                self._lanes.over(stream, _now())
            else:
                self._lanes.failed(stream, _now())
        except StoreError as error:
            self._lanes.failed(stream, _now())
            _logger.error("%s", error.detail)  # noqa: TRY400 (nothing to trace)
        finally:
            self._slots.release()
            self._changed.set()

    async def _is_over(self, delivery: Delivery) -> bool:
        """Whether it was taken, is not wanted, or is too old."""
        if time.time() - delivery.created_ms / 1000 > self._config.max_age_seconds:
            self._give_up(delivery, "too old")
            return True
        try:
            status = await self._post(delivery)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Not the error's own text: it may hold the URL.
            self._trouble(delivery, failure(error))
            return False
        if status == _GONE:
            self._give_up(delivery, "status 410")
            return True
        if not 200 <= status < 300:
            self._trouble(delivery, f"status {status}")
            return False
        self._log(logging.INFO if self._in_trouble else logging.DEBUG, delivery, "delivered")
        self._in_trouble = False
        return True

    async def _post(self, delivery: Delivery) -> int:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "live777py",
            "Live777-Event": delivery.event,
            "Live777-Delivery": delivery.id,
            "Live777-Signature": sign(self._config.secret, delivery.body, int(time.time())),
        }
        async with self._client().post(
            self._config.url, data=delivery.body, headers=headers, allow_redirects=False, timeout=TIMEOUT
        ) as response:
            return response.status

    def _trouble(self, delivery: Delivery, problem: str) -> None:
        """A warning for the first of many."""
        self._log(logging.DEBUG if self._in_trouble else logging.WARNING, delivery, f"{problem}; tried again later")
        self._in_trouble = True

    def _give_up(self, delivery: Delivery, why: str) -> None:
        self._given_up()
        self._log(logging.ERROR, delivery, f"given up: {why}")

    def _log(self, level: int, delivery: Delivery, text: str) -> None:
        _logger.log(level, "webhook %s, %s of stream %s: %s", self._name, delivery.event, delivery.stream, text)


def key_of(config: WebhookConfig) -> str:
    return hashlib.sha256(config.url.encode()).hexdigest()


def _now() -> float:
    return asyncio.get_running_loop().time()
