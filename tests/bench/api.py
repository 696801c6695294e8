"""What the list of streams costs: one GET of it, and 100 listeners to it by server-sent events while nothing changes.

The gateway is a process of its own with 2,000 streams, each with a connected publisher that sends nothing.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
import psutil

from tests.bench.rig import allow_descriptors
from tests.bench.sessions import browser_offer, connect
from tests.bench.target import Target
from tests.gateway import running_gateway

if TYPE_CHECKING:
    from tests.light import LightPeer

STREAMS: Final = 2_000
LISTENERS: Final = 100
GETS: Final = 20
IDLE_SECONDS: Final = 20.0
AT_ONCE: Final = 8
KEEP_ALIVE_SECONDS: Final = 5.0
LIST_LIMIT_MS: Final = 100.0
IDLE_LIMIT: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Result:
    """Percentages are of one core. `alone` is what the gateway uses without listeners."""

    streams: int
    list_bytes: int
    list_ms: float
    """Median, from the request to the last byte."""
    listeners: int
    alone_percent: float
    listening_percent: float

    @property
    def targets(self) -> tuple[Target, ...]:
        cost = self.listening_percent - self.alone_percent
        return (
            Target(name=f"GET of {self.streams} streams", value=self.list_ms, limit=LIST_LIMIT_MS, unit="ms"),
            Target(name=f"{self.listeners} idle listeners", value=cost, limit=IDLE_LIMIT, unit="%"),
        )

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    def as_table(self) -> str:
        return (
            f"{self.streams} streams of one publisher each: {self.list_ms:.1f} ms for {self.list_bytes / 1e6:.2f} MB\n"
            f"Nothing happens: {self.alone_percent:.1f} % of a core, with {self.listeners} listeners "
            f"{self.listening_percent:.1f} %"
        )


async def _publish(url: str, client: aiohttp.ClientSession, peers: list[LightPeer]) -> None:
    """Appends to `peers`."""
    offer = browser_offer("chromium-156-whip.sdp")
    names = iter(range(STREAMS))

    async def some() -> None:
        for number in names:
            peer, _ = await connect(client, f"{url}/whip/bench-{number}", offer)
            peers.append(peer)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(some())


async def _keep_alive(peers: list[LightPeer]) -> None:
    while True:
        await asyncio.sleep(KEEP_ALIVE_SECONDS)
        for peer in peers:
            peer.keep_alive()


async def _list(client: aiohttp.ClientSession, url: str) -> tuple[float, int]:
    """Milliseconds and bytes."""
    began = time.perf_counter()
    async with client.get(f"{url}/api/streams/") as response:
        body = await response.read()
    taken = (time.perf_counter() - began) * 1000
    assert body.count(b'"state":"connected"') == STREAMS
    return taken, len(body)


async def _use(process: psutil.Process) -> float:
    """Percent of a core, while nothing is asked."""
    began, before = time.monotonic(), process.cpu_times()
    await asyncio.sleep(IDLE_SECONDS)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) * 100 / (time.monotonic() - began)


async def _listen(client: aiohttp.ClientSession, url: str, ready: asyncio.Semaphore) -> None:
    """Reads the first snapshot, and on until it is cancelled."""
    async with client.get(f"{url}/api/sse/streams", timeout=aiohttp.ClientTimeout()) as response:
        first = True
        async for chunk in response.content.iter_any():
            if first and chunk.endswith(b"\n\n"):
                first = False
                ready.release()


async def measure() -> Result:
    """Takes about a minute."""
    allow_descriptors(STREAMS + 1000)
    peers: list[LightPeer] = []
    connector = aiohttp.TCPConnector(limit=0)
    with tempfile.TemporaryDirectory() as directory:
        async with running_gateway(Path(directory)) as gateway, aiohttp.ClientSession(connector=connector) as client:
            process = psutil.Process(gateway.pid)
            keeper = asyncio.create_task(_keep_alive(peers))
            listeners: list[asyncio.Task[None]] = []
            try:
                await _publish(gateway.url, client, peers)
                times, sizes = zip(*[await _list(client, gateway.url) for _ in range(GETS)], strict=True)
                alone = await _use(process)
                ready = asyncio.Semaphore(0)
                listeners += [asyncio.create_task(_listen(client, gateway.url, ready)) for _ in range(LISTENERS)]
                for _ in range(LISTENERS):
                    await ready.acquire()
                listening = await _use(process)
            finally:
                for task in (keeper, *listeners):
                    task.cancel()
                await asyncio.gather(keeper, *listeners, return_exceptions=True)
                for peer in peers:
                    peer.close()
    return Result(
        streams=STREAMS,
        list_bytes=max(sizes),
        list_ms=statistics.median(times),
        listeners=LISTENERS,
        alone_percent=alone,
        listening_percent=listening,
    )
