"""A run: sessions are begun at a pace, kept, and ended; what the engine counts meanwhile is what is reported."""

from __future__ import annotations

import asyncio
import resource
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from yarl import URL

from live777py import log
from live777py.loadtest.clip import load
from live777py.loadtest.feed import Feed
from live777py.loadtest.report import summarize
from live777py.loadtest.session import Publisher, Viewer
from live777py.media.addresses import SocketAddress, local_addresses
from live777py.media.engine import GopCache, MediaEngine
from live777py.outbound import AddressPolicy, Endpoint, Outbound
from live777py.rtc.certificate import Certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from live777py.loadtest.clip import VideoCodec
    from live777py.loadtest.report import Mode, Report
    from live777py.loadtest.session import BenchSession

NUMBER: Final = "{n}"
"""In the URL and the token: the number of the session, from 0."""

_SAMPLE_SECONDS: Final = 2.0
"""A session that ends by itself is forgotten by the engine; its counters are as old as this at most."""
_ENDED_AT_ONCE: Final = 50
_OTHER_DESCRIPTORS: Final = 128
_NO_CACHE: Final = GopCache(bytes=0, ms=0)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`seconds` are counted from when the last session is connected or has failed. `ramp` is in sessions a second, 0 is
    all at once. `bind` are local addresses; none are those that lead to the server's."""

    mode: Mode
    url: str
    sessions: int
    seconds: float
    ramp: float
    token: str | None = None
    codec: VideoCodec = "h264"
    bind: tuple[str, ...] = ()

    def endpoint(self, number: int) -> Endpoint:
        """Raises `BadRequest`."""
        token = None if self.token is None else self.token.replace(NUMBER, str(number))
        return Endpoint.parse(self.url.replace(NUMBER, str(number)), token=token)


async def run(plan: Plan, over: asyncio.Event) -> Report:
    """Setting `over` ends it early; it is set when all sessions have failed.

    Raises `BadRequest` or `StartError` before anything was sent.
    """
    endpoints = [plan.endpoint(number) for number in range(plan.sessions)]
    addresses = plan.bind or _local(URL(endpoints[0].url).host or "")
    _allow_descriptors(plan.sessions * (len(addresses) + 1))
    certificate = Certificate.generate()
    async with AsyncExitStack() as stack:
        engine = MediaEngine([[_any_port(address) for address in addresses]], _NO_CACHE)
        stack.callback(engine.close)
        outbound = Outbound(AddressPolicy(allow_private=True), connections=0)
        stack.push_async_callback(outbound.close)
        made: Callable[[int, Endpoint], BenchSession] = partial(
            Viewer, engine=engine, certificate=certificate, outbound=outbound
        )
        if plan.mode == "whip":
            feed = await stack.enter_async_context(Feed(engine, load(plan.codec)))
            made = partial(Publisher, engine=engine, certificate=certificate, outbound=outbound, feed=feed)
        sessions = [made(number, endpoint) for number, endpoint in enumerate(endpoints)]
        return await _Run(plan, engine, sessions, over).measured(str(endpoints[0]))


class _Run:
    def __init__(self, plan: Plan, engine: MediaEngine, sessions: Sequence[BenchSession], over: asyncio.Event) -> None:
        self._plan = plan
        self._engine = engine
        self._sessions = sessions
        self._over = over

    async def measured(self, url: str) -> Report:
        sampling = log.watched(asyncio.create_task(self._keep_sampling(), name="bench samples"))
        began = time.monotonic()
        try:
            await self._start()
            settled, used = time.monotonic(), time.process_time()
            await self._pass(self._plan.seconds)
            await self._sample()
            ended = time.monotonic()
            cpu = (time.process_time() - used) / (ended - settled)
        finally:
            sampling.cancel()
            await asyncio.wait([sampling])
            for first in range(0, len(self._sessions), _ENDED_AT_ONCE):
                await asyncio.gather(*(one.end() for one in self._sessions[first : first + _ENDED_AT_ONCE]))
        details = [session.report() for session in self._sessions]
        return summarize(self._plan.mode, url, details, seconds=ended - began, cpu=cpu)

    async def _start(self) -> None:
        """Until each of them is connected or has failed, or all is over."""
        starting: list[asyncio.Task[None]] = []
        for number, session in enumerate(self._sessions):
            if number and self._plan.ramp:
                await self._pass(1 / self._plan.ramp)
            if self._over.is_set():
                break
            starting.append(asyncio.create_task(session.start(), name=f"bench session {number}"))
        over = asyncio.create_task(self._over.wait())
        either: list[asyncio.Future[Any]] = [over, asyncio.gather(*starting, return_exceptions=True)]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        for task in (over, *starting):
            task.cancel()
        await asyncio.wait([over, *starting])

    async def _pass(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    async def _keep_sampling(self) -> None:
        while True:
            await asyncio.sleep(_SAMPLE_SECONDS)
            await self._sample()
            if all(session.failure for session in self._sessions):
                self._over.set()

    async def _sample(self) -> None:
        stats = await self._engine.stats()
        rows: dict[int, list[Any]] = {}
        some: Sequence[Any] = stats.tracks if self._plan.mode == "whep" else stats.subscriptions
        for row in some:
            rows.setdefault(row.transport, []).append(row)
        for session in self._sessions:
            if session.transport in rows:
                session.sample(rows[session.transport])


def _local(host: str) -> tuple[str, ...]:
    """Of this machine: that of the server if it is here, else all that packets to elsewhere may come from."""
    try:
        address = ip_address(host)
    except ValueError:
        if host.rstrip(".").lower() == "localhost":
            return ("127.0.0.1",)
    else:
        if address.is_loopback:
            return (str(address),)
    return tuple(str(address) for address in local_addresses() if not address.is_loopback) or ("127.0.0.1",)


def _any_port(address: str) -> str:
    return str(SocketAddress(ip_address(address), 0))


def _allow_descriptors(count: int) -> None:
    """As far as the system lets us; whoever gets none then fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _OTHER_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
