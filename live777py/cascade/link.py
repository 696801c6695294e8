"""One connection to another server that is to be there always: made, watched, made again."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from live777py import log
from live777py.cascade.backoff import Backoff
from live777py.errors import Conflict, Live777Error, NotFound, Unavailable, UpstreamError, UpstreamTimeout

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from live777py.cascade.streams import SessionWatches
    from live777py.outbound import Endpoint
    from live777py.streams.views import SourceState

CONNECT_TIMEOUT: Final = 15.0
"""Seconds from the other server's answer to ICE and DTLS."""

_logger = logging.getLogger(__name__)


class Connect(Protocol):
    """Makes the session and returns its id."""

    async def __call__(self, stream: str, endpoint: Endpoint, *, configured: bool) -> str: ...


class Disconnect(Protocol):
    """Ends the session; `lost` if nothing is heard of its other end. Raises NotFound."""

    async def __call__(self, stream: str, session: str, *, lost: bool) -> None: ...


@dataclass
class _Round:
    """What one attempt at every endpoint came to. `retry_after` is the shortest that one of them asked for."""

    conflict: bool = False
    retry_after: float = 0.0
    error: Live777Error | None = None

    def add(self, error: Live777Error) -> None:
        asked = error.retry_after if isinstance(error, Conflict | Unavailable | UpstreamError) else None
        self.retry_after = asked or 0.0 if self.error is None else min(asked or 0.0, self.retry_after)
        if isinstance(error, Conflict) or (isinstance(error, UpstreamError) and error.answered == 409):
            self.conflict = True
        self.error = error


class Link:
    """Keeps `stream` connected to the first of `endpoints` that works. `failed` is told when none of them did.

    Usage: `link.start()`, `link.end()` in any order; `await link.stop()` at last.
    """

    def __init__(
        self,
        stream: str,
        endpoints: tuple[Endpoint, ...],
        *,
        connect: Connect,
        disconnect: Disconnect,
        watches: SessionWatches,
        random: Random,
        silence_ends: bool,
        failed: Callable[[str], None] = lambda _detail: None,
    ) -> None:
        self.stream = stream
        self.endpoints = endpoints
        self.state: SourceState = "Disconnected"
        self._connect = connect
        self._disconnect = disconnect
        self._watches = watches
        self._backoff = Backoff(random)
        self._silence_ends = silence_ends
        self._failed = failed
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()
        self._first: asyncio.Future[None] | None = None
        self._said: dict[Endpoint, str] = {}
        self._logger = log.bind(_logger, stream=stream)

    @property
    def running(self) -> bool:
        return self._task is not None

    def start(self) -> None:
        """If it waits for its next attempt, that comes now."""
        self._hurry.set()
        if self._task is None:
            self.state = "Initializing"
            self._task = log.watched(asyncio.create_task(self._run(), name=f"cascade {self.stream}"))

    def end(self) -> None:
        """Begin to stop; may be followed by `start`."""
        if self._task is not None:
            self._task.cancel()
            self._ending.add(self._task)
            self._task.add_done_callback(self._ending.discard)
            self._task = None
        self._settle(Unavailable("the source was ended while it was being set up", retry_after=1))
        self.state = "Disconnected"

    async def stop(self) -> None:
        """The other server has been told, or has not answered, when this returns."""
        self.end()
        if self._ending:
            await asyncio.wait(self._ending)

    async def first(self) -> None:
        """Until it is connected for the first time. Raises why it could not be, after one attempt, or that it ended."""
        self._first = asyncio.get_running_loop().create_future()
        self.start()
        await self._first

    async def _run(self) -> None:
        while True:
            self._hurry.clear()
            outcome = _Round()
            for endpoint in self.endpoints:
                try:
                    await self._keep(endpoint)
                except Live777Error as error:
                    outcome.add(error)
                    self._say(endpoint, error)
                else:
                    outcome = _Round()
                    break
            if outcome.error is not None:
                self.state = "Error"
                self._settle(outcome.error)
                self._failed(outcome.error.detail)
            await self._pause(outcome)

    async def _keep(self, endpoint: Endpoint) -> None:
        """Returns when a connection that was there has ended. Raises Live777Error if it never was."""
        session = await self._connect(self.stream, endpoint, configured=True)
        watch = self._watches.watch(self.stream, session, silence_ends=self._silence_ends)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await watch.changed.wait()
            if not watch.connected.is_set():
                raise UpstreamError("the connection was not established")
            self.state = "Connected"
            self._backoff.connected(asyncio.get_running_loop().time())
            self._settle(None)
            self._said.clear()
            self._logger.info("connected to %s", endpoint)
            await watch.ended.wait()
            self.state = "Reconnecting"
            self._logger.info("disconnected from %s", endpoint)
        except TimeoutError:
            raise UpstreamTimeout("the connection was not established in time") from None
        finally:
            self._watches.forget(watch)
            with suppress(NotFound):  # it has ended by itself
                await self._disconnect(self.stream, session, lost=watch.lost)

    async def _pause(self, outcome: _Round) -> None:
        now = asyncio.get_running_loop().time()
        delay = self._backoff.delay(now, conflict=outcome.conflict, retry_after=outcome.retry_after)
        self._logger.debug("next attempt in %.1f s", delay)
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._hurry.wait()

    def _say(self, endpoint: Endpoint, error: Live777Error) -> None:
        """Once, and again when it is something else."""
        level = logging.DEBUG if self._said.get(endpoint) == error.detail else logging.WARNING
        self._said[endpoint] = error.detail
        named = error.detail.startswith(str(endpoint))
        self._logger.log(level, "%s", error.detail if named else f"{endpoint}: {error.detail}")

    def _settle(self, error: Live777Error | None) -> None:
        if self._first is None or self._first.done():
            return
        if error is None:
            self._first.set_result(None)
        else:
            self._first.set_exception(error)
