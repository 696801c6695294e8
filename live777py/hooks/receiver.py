"""One URL that is posted to: in order within a stream or room, and side by side across them."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from live777py.errors import StoreError
from live777py.hooks.lanes import LAST_RETRY, Lanes
from live777py.outbound.client import failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from live777py.store import Deliveries, Delivery

MAX_CONCURRENT: Final = 8
"""Posts to one URL at a time."""
TIMEOUT: Final = aiohttp.ClientTimeout(total=10, sock_connect=5)

_GONE: Final = 410

_logger = logging.getLogger(__name__)


def _is_gone(status: int) -> bool:
    return status == _GONE


@dataclass(frozen=True, kw_only=True)
class Target:
    """`key` names it in the queue: it holds nothing secret, and another secret does not change it."""

    key: str
    url: str = field(repr=False)
    headers: Callable[[Delivery], Mapping[str, str]] = field(repr=False)
    """Made for every attempt: a signature has its time."""
    max_age_seconds: int
    max_attempts: int | None = None
    """None = until it is too old."""
    longest_retry: float = LAST_RETRY
    """Seconds between two attempts at most."""
    is_final: Callable[[int], bool] = _is_gone
    """Whether an answer with this status, not 2xx, is not asked for again."""


class Receiver:
    def __init__(
        self,
        target: Target,
        deliveries: Deliveries,
        client: Callable[[], aiohttp.ClientSession],
        random: Random,
        given_up: Callable[[], None],
    ) -> None:
        """`given_up` is called for every event that was not wanted, or was not taken in time."""
        self.key = target.key
        self._given_up = given_up
        self._target = target
        self._deliveries = deliveries
        self._client = client
        self._lanes = Lanes(random, target.longest_retry)
        self._changed = asyncio.Event()
        self._quiet = asyncio.Event()
        self._in_trouble = False
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._name = str(URL(target.url).origin())
        """A path may be a secret too."""

    def reconfigure(self, target: Target) -> None:
        """Of the same URL."""
        self._target = target

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
        """Whether it was taken, is not wanted, is too old, or has been tried often enough."""
        if time.time() - delivery.created_ms / 1000 > self._target.max_age_seconds:
            self._give_up(delivery, "too old")
            return True
        try:
            status = await self._post(delivery)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Not the error's own text: it may hold the URL.
            return self._is_last(delivery, failure(error))
        if not 200 <= status < 300:
            if self._target.is_final(status):
                self._give_up(delivery, f"status {status}")
                return True
            return self._is_last(delivery, f"status {status}")
        self._log(logging.INFO if self._in_trouble else logging.DEBUG, delivery, "delivered")
        self._in_trouble = False
        return True

    def _is_last(self, delivery: Delivery, problem: str) -> bool:
        attempts = self._target.max_attempts
        if attempts is not None and self._lanes.failures(delivery.stream) + 1 >= attempts:
            self._give_up(delivery, f"{problem}, {attempts} times")
            return True
        self._trouble(delivery, problem)
        return False

    async def _post(self, delivery: Delivery) -> int:
        async with self._client().post(
            self._target.url,
            data=delivery.body,
            headers=self._target.headers(delivery),
            allow_redirects=False,
            timeout=TIMEOUT,
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


def _now() -> float:
    return asyncio.get_running_loop().time()
