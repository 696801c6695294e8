"""Publishers and viewers that come and go at random over a bad network, and what they leave behind."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from live777py.loadtest.clip import load
from live777py.loadtest.feed import Feed
from live777py.loadtest.session import Publisher, Viewer
from live777py.media.engine import GopCache, MediaEngine
from live777py.outbound import AddressPolicy, Endpoint, Outbound
from live777py.rtc.certificate import Certificate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    import psutil

    from live777py.loadtest.clip import VideoCodec
    from live777py.loadtest.report import SessionReport
    from live777py.loadtest.session import BenchSession
    from live777py.media.native import Stats
    from tests.gateway import Gateway

STREAMS: Final = ("north", "east", "south", "west")
VIEWERS: Final = 24
CODEC_CHANGE_SECONDS: Final = 60.0
SAMPLE_SECONDS: Final = 10.0
PUBLISHER_STAYS: Final = (10.0, 90.0)
VIEWER_STAYS: Final = 15.0
"""Seconds, in the mean."""
_OTHER: Final[dict[VideoCodec, VideoCodec]] = {"h264": "vp8", "vp8": "h264"}


@contextlib.contextmanager
def losing(percent: int) -> Iterator[None]:
    """Every so many UDP datagrams of this network namespace are lost, one by one; the namespace is the caller's."""
    # A run of datagrams would be lost as one.
    subprocess.run(["ip", "link", "set", "lo", "gso_max_segs", "1"], check=True, timeout=10)
    for rule in (
        "add table inet bad",
        "add chain inet bad in { type filter hook input priority 0; }",
        f"add rule inet bad in meta l4proto udp numgen random mod 100 < {percent} counter drop",
    ):
        subprocess.run(["nft", rule], check=True, timeout=10)
    yield


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Of the gateway's process."""

    rss: int
    descriptors: int
    threads: int


def sample(process: psutil.Process) -> Sample:
    return Sample(rss=process.memory_info().rss, descriptors=process.num_fds(), threads=process.num_threads())


@dataclass
class Crowd:
    """`async with` it: everybody is there. `codec_changes` and `reports` tell what was."""

    gateway: Gateway
    address: str
    seed: int
    codec_changes: int = 0
    killed: int = 0
    published: list[SessionReport] = field(default_factory=list)
    viewed: list[SessionReport] = field(default_factory=list)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        self._engine = MediaEngine([[f"{self.address}:0"]], GopCache(bytes=0, ms=0))
        self._stack.callback(self._engine.close)
        self._outbound = Outbound(AddressPolicy(allow_private=True))
        self._stack.push_async_callback(self._outbound.close)
        self._certificate = Certificate.generate()
        self._feeds: dict[VideoCodec, Feed] = {
            codec: await self._stack.enter_async_context(Feed(self._engine, load(codec))) for codec in _OTHER
        }
        self._changes = {stream: asyncio.Event() for stream in STREAMS}
        self._numbers = iter(range(1_000_000))
        lives = [
            *(self._publish(stream, self._random(stream)) for stream in STREAMS),
            *(self._view(self._random(f"viewer {number}")) for number in range(VIEWERS)),
            self._change_codecs(self._random("changes")),
            self._kill(self._random("kill")),
        ]
        self._tasks = [asyncio.create_task(life) for life in lives]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        await asyncio.gather(*self._tasks)
        await self._stack.aclose()

    async def stats(self) -> Stats:
        return await self._engine.stats()

    def failures(self) -> Counter[str]:
        return Counter(one.failure for one in (*self.published, *self.viewed) if one.failure is not None)

    def check(self) -> None:
        """Raises what a life ended with before its time."""
        for task in self._tasks:
            if task.done():
                task.result()

    def _random(self, who: str) -> random.Random:
        return random.Random(f"{self.seed} {who}")

    async def _publish(self, stream: str, chance: random.Random) -> None:
        codec: VideoCodec = chance.choice(("h264", "vp8"))
        while not self._over.is_set():
            session = Publisher(
                next(self._numbers),
                Endpoint.parse(f"{self.gateway.url}/whip/{stream}"),
                engine=self._engine,
                certificate=self._certificate,
                outbound=self._outbound,
                feed=self._feeds[codec],
            )
            change = self._changes[stream]
            self.published.append(await self._live(session, chance.uniform(*PUBLISHER_STAYS), change))
            if change.is_set():
                change.clear()
                codec = _OTHER[codec]
                self.codec_changes += 1
            else:
                await self._pause(chance.uniform(0, 3))

    async def _view(self, chance: random.Random) -> None:
        while not self._over.is_set():
            await self._pause(chance.uniform(0, 2))
            session = Viewer(
                next(self._numbers),
                Endpoint.parse(f"{self.gateway.url}/whep/{chance.choice(STREAMS)}"),
                engine=self._engine,
                certificate=self._certificate,
                outbound=self._outbound,
            )
            self.viewed.append(await self._live(session, chance.expovariate(1 / VIEWER_STAYS)))

    async def _live(
        self, session: BenchSession, seconds: float, cut_short: asyncio.Event | None = None
    ) -> SessionReport:
        """Until its time is up, or it fails, or is cut short, or all is over."""
        try:
            await session.start()
            if session.failure is None:
                await self._pause(seconds, *([] if cut_short is None else [cut_short]), session.failed)
            stats = await self._engine.stats()
            rows: Sequence[Any] = (*stats.tracks, *stats.subscriptions)
            session.sample([row for row in rows if row.transport == session.transport])
        finally:
            await session.end()
        return session.report()

    async def _change_codecs(self, chance: random.Random) -> None:
        while not await self._pause(CODEC_CHANGE_SECONDS):
            self._changes[chance.choice(STREAMS)].set()

    async def _kill(self, chance: random.Random) -> None:
        """Viewers that vanish without a word."""
        while not await self._pause(chance.uniform(20, 60)):
            url = f"{self.gateway.url}/whep/{chance.choice(STREAMS)}"
            words = ("--sessions", "3", "--duration", "600", "--bind", self.address)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "live777py", "bench", "whep", url, *words), stdout=asyncio.subprocess.DEVNULL
            )
            await self._pause(chance.uniform(5, 20))
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            self.killed += 1

    async def _pause(self, seconds: float, *sooner: asyncio.Event) -> bool:
        """Whether all is over."""
        waiting = [asyncio.create_task(event.wait()) for event in (self._over, *sooner)]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return self._over.is_set()
