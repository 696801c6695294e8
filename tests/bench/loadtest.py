"""The load tool against a gateway of its own: what 500 viewers cost it, and 500 who come at once cost the gateway.

Three processes: the gateway, one publisher of 1 Mbit/s, and the viewers. CPU time is read from the system, so what
other programs take is not in it; in times by the clock it is. Datagrams that the kernel threw away because a process
waited for a core are `lost`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
import msgspec
import psutil

from live777py.loadtest.report import Report
from tests.bench.target import Target
from tests.gateway import running_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.gateway import Gateway

VIEWERS: Final = 500
STEADY_SECONDS: Final = 20
RAMP: Final = 25
CORE_LIMIT: Final = 1.0
JOIN_LIMIT_MS: Final = 5.0
TIME_LIMIT: Final = 180.0

_SETTLE_SECONDS: Final = 2.0
_STEADY_SAMPLE_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.5
_NO_MORE_SECONDS: Final = 20.0
"""Longer than a session is set up for."""
_CONNECTED: Final = 'live777_sessions{state="connected"}'
_REPLAYED: Final = 'live777_forwarding_total{outcome="replayed"}'


@dataclass(frozen=True, kw_only=True)
class Run:
    """Of `VIEWERS`. Cores are those of a steady state; CPU of a join is what the gateway used until all were there,
    less what forwarding cost in that time."""

    connected: int
    failed: int
    bitrate: float
    """A viewer, in bits per second."""
    lost_percent: float
    freezes: int
    tool_cores: float
    gateway_cores: float
    join_cpu_ms: float
    replayed: int
    """Packets of the past."""
    all_there_s: float
    key_frame_p95_ms: float


@dataclass(frozen=True, kw_only=True)
class Result:
    paced: Run
    at_once: Run

    @property
    def targets(self) -> tuple[Target, ...]:
        return (
            Target(name=f"{VIEWERS} viewers of 1 Mbit/s, the load tool", value=self.paced.tool_cores, limit=CORE_LIMIT),
            Target(
                name=f"{VIEWERS} joins at once, CPU each",
                value=self.at_once.join_cpu_ms,
                limit=JOIN_LIMIT_MS,
                unit="ms",
            ),
            Target(name="of both, sessions that failed", value=self.paced.failed + self.at_once.failed, limit=0),
        )

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    def as_table(self) -> str:
        lines = [
            f"{'':<12} connected       tool    gateway CPU a join  replayed all there key frame p95    lost freezes"
        ]
        for name, run in ((f"{RAMP} a second", self.paced), ("all at once", self.at_once)):
            lines.append(
                f"{name:<12} {run.connected:>9} {run.tool_cores:>6.2f} core {run.gateway_cores:>5.2f} core"
                f" {run.join_cpu_ms:>7.2f} ms {run.replayed:>9} {run.all_there_s:>7.1f} s"
                f" {run.key_frame_p95_ms:>10.0f} ms {run.lost_percent:>5.2f} % {run.freezes:>7}"
            )
        return "\n".join(lines)


async def measure() -> Result:
    """Takes about two minutes."""
    with tempfile.TemporaryDirectory() as directory:
        async with (
            running_gateway(Path(directory)) as gateway,
            _bench("whip", f"{gateway.url}/whip/cam", "--duration", "600"),
        ):
            await _connected(gateway, 1)
            return Result(paced=await _run(gateway, RAMP), at_once=await _run(gateway, 0))


async def _run(gateway: Gateway, ramp: int) -> Run:
    process, loop = psutil.Process(gateway.pid), asyncio.get_running_loop()
    options = ("--sessions", str(VIEWERS), "--ramp", str(ramp), "--duration", str(STEADY_SECONDS), "--json")
    replayed, cpu, begun = (await _metrics(gateway))[_REPLAYED], _cpu(process), loop.time()
    async with _bench("whep", f"{gateway.url}/whep/cam", *options) as tool:
        await _connected(gateway, VIEWERS + 1)
        all_there, joining = loop.time() - begun, _cpu(process) - cpu
        await asyncio.sleep(_SETTLE_SECONDS)
        steady, cpu = loop.time(), _cpu(process)
        await asyncio.sleep(_STEADY_SAMPLE_SECONDS)
        cores = (_cpu(process) - cpu) / (loop.time() - steady)
        out, _ = await asyncio.wait_for(tool.communicate(), TIME_LIMIT)
    report = msgspec.json.decode(out, type=Report)
    await _connected(gateway, 1)
    assert report.freezes is not None
    key_frames = report.first_key_frame_ms
    return Run(
        connected=report.connected,
        failed=report.failed,
        bitrate=report.bitrate / VIEWERS,
        lost_percent=report.lost * 100 / max(1, report.lost + report.packets),
        freezes=report.freezes,
        tool_cores=report.cpu,
        gateway_cores=cores,
        # While they come, half of them are there in the mean.
        join_cpu_ms=(joining - cores * all_there / 2) * 1000 / VIEWERS,
        replayed=int((await _metrics(gateway))[_REPLAYED] - replayed),
        all_there_s=all_there,
        key_frame_p95_ms=key_frames.p95 if key_frames is not None else float("nan"),
    )


@contextlib.asynccontextmanager
async def _bench(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The load tool as a process of its own; it is ended with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "live777py", "bench", *words), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.communicate()


async def _connected(gateway: Gateway, sessions: int) -> None:
    """Until so many are, or as many as will be."""
    loop = asyncio.get_running_loop()
    before, changed = -1.0, loop.time()
    while loop.time() - changed < _NO_MORE_SECONDS:
        now = (await _metrics(gateway))[_CONNECTED]
        if now == sessions:
            return
        if now != before:
            before, changed = now, loop.time()
        await asyncio.sleep(_LOOK_SECONDS)


async def _metrics(gateway: Gateway) -> dict[str, float]:
    async with aiohttp.ClientSession() as client, client.get(f"{gateway.url}/metrics") as response:
        text = await response.text()
    return {name: float(value) for name, value in re.findall(r"^([^#\s]+) (\S+)$", text, re.MULTILINE)}


def _cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system
