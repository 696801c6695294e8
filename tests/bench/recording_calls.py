"""What 50 recordings that begin and end at once hold up: the event loop, and one another.

One gateway pushes a publisher of H264 and Opus to 50 streams of another, whose event loop is watched (`watched`).
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
import msgspec

from tests.bench.target import Target
from tests.bench.watched import MARK, Blocks
from tests.gateway import Gateway, running_gateway
from tests.interop.programs import ffmpeg_publisher
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

STREAMS: Final = 50
SECONDS: Final = 5.0
"""Of the idle time before, and of the recordings."""
START_LIMIT: Final = 40.0
LIMIT_MS: Final = 20.0
PHASES: Final = ("idle", "asking", "starting", "recording", "stopping")
SOURCE: Final = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30", "-f", "lavfi", "-i", "sine")
OPTIONS: Final = (
    *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-bf", "0", "-g", "30", "-b:v", "300k"),
    *("-c:a", "libopus", "-ar", "48000", "-ac", "2"),
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """Milliseconds. `slowest` is from request to answer, with 50 requests (and as many questions) at once."""

    streams: int
    idle: Blocks
    asking: Blocks
    """Twice as many questions at once, while nothing is recorded: what so many requests of any kind hold up."""
    starting: Blocks
    recording: Blocks
    stopping: Blocks
    slowest_start: float
    slowest_question: float
    slowest_stop: float

    @property
    def longest_cpu(self) -> float:
        return max(self.starting.cpu_ms, self.recording.cpu_ms, self.stopping.cpu_ms)

    @property
    def targets(self) -> tuple[Target, ...]:
        name = f"longest block, {self.streams} recordings begin"
        return (Target(name=name, value=self.starting.wall_ms, limit=LIMIT_MS, unit="ms"),)

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {name: msgspec.to_builtins(getattr(self, name)) for name in PHASES}

    def as_table(self) -> str:
        lines = [f"{'':<10} {'callback':>9} {'its CPU':>9} {'timer late':>11}   ms, the longest"]
        for name in PHASES:
            it: Blocks = getattr(self, name)
            lines.append(f"{name:<10} {it.wall_ms:>9.1f} {it.cpu_ms:>9.1f} {it.late_ms:>11.1f}   {it.callback[:90]}")
        lines.append(
            f"{self.streams} at once: a start takes {self.slowest_start:.0f} ms at most, a question meanwhile "
            f"{self.slowest_question:.0f} ms, a stop {self.slowest_stop:.0f} ms"
        )
        return "\n".join(lines)


async def measure(*, seconds: float = SECONDS) -> Result:
    """Takes some twenty seconds."""
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = (
            f"[store]\npath = '{directory}/store.db'\n[recorder]\nsegment_seconds = 2\n"
            f"[recorder.storage]\nroot = '{directory}/storage'\n"
        )
        gateway = await stack.enter_async_context(
            running_gateway(directory, config=config, module="tests.bench.watched")
        )
        url = gateway.url.replace("http", "whip")
        targets = "".join(f'[[stream.source.targets]]\nurl = "{url}/whip/cam{number}"\n' for number in range(STREAMS))
        sender = await stack.enter_async_context(running_gateway(directory, config=targets))
        await stack.enter_async_context(ffmpeg_publisher(f"{sender.url}/whip/source", inputs=SOURCE, options=OPTIONS))
        client = await stack.enter_async_context(
            aiohttp.ClientSession(gateway.url, connector=aiohttp.TCPConnector(limit=0))
        )
        await eventually(lambda: _all_published(gateway), within=START_LIMIT)
        await _blocks(gateway)
        await asyncio.sleep(seconds)
        idle = await _blocks(gateway)

        async def ask(stream: str) -> None:
            async with client.get(f"/api/record/{stream}") as response:
                response.raise_for_status()

        async def start(stream: str) -> None:
            async with client.post(f"/api/record/{stream}") as response:
                response.raise_for_status()

        async def stop(stream: str) -> None:
            async with client.delete(f"/api/record/{stream}") as response:
                response.raise_for_status()

        await asyncio.gather(_slowest(ask), _slowest(ask))
        asking = await _blocks(gateway)
        started, asked = await asyncio.gather(_slowest(start), _slowest(ask))
        starting = await _blocks(gateway)
        await asyncio.sleep(seconds)
        recording = await _blocks(gateway)
        stopped, asked_then = await asyncio.gather(_slowest(stop), _slowest(ask))
        stopping = await _blocks(gateway)
    return Result(
        streams=STREAMS,
        idle=idle,
        asking=asking,
        starting=starting,
        recording=recording,
        stopping=stopping,
        slowest_start=started,
        slowest_question=max(asked, asked_then),
        slowest_stop=stopped,
    )


async def _all_published(gateway: Gateway) -> bool:
    streams = await gateway.get("/api/streams/")
    states = [session["state"] for stream in streams for session in stream["publish"]["sessions"]]
    return states.count("connected") == STREAMS


async def _slowest(call: Callable[[str], Awaitable[None]]) -> float:
    """Milliseconds."""

    async def timed(stream: str) -> float:
        began = time.perf_counter()
        await call(stream)
        return time.perf_counter() - began

    return max(await asyncio.gather(*(timed(f"cam{number}") for number in range(STREAMS)))) * 1000


async def _blocks(gateway: Gateway) -> Blocks:
    """Since the last call."""
    after = len(gateway.log)
    gateway.process.send_signal(signal.SIGUSR1)
    line = await gateway.logged(MARK, after=after)
    return msgspec.json.decode(line.removeprefix(MARK), type=Blocks)
