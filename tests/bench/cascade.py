"""How much later a packet reaches a viewer for each node that it passes: A is published to, B pulls, C is pushed to.

Three gateway processes, FFmpeg (1.2 Mbit/s, 30 frames a second), and a viewer of each node that notes when it has read
each packet. One Python process reads for all three, so its own work is in the figures: they are upper bounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.bench.target import Target
from tests.gateway import running_gateway
from tests.interop.arrivals import noting, percentile
from tests.interop.nodes import HOP_MS, connected, publisher, pulls_and_pushes
from tests.waiting import eventually

SECONDS: Final = 20
NAMES: Final = ("A to B, by WHEP", "B to C, by WHIP")


@dataclass(frozen=True, kw_only=True)
class Hop:
    """Milliseconds."""

    name: str
    packets: int
    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, kw_only=True)
class Result:
    hops: tuple[Hop, ...]
    targets: tuple[Target, ...]

    def as_json(self) -> dict[str, object]:
        return {"unit": "milliseconds", "hops": [asdict(hop) for hop in self.hops]}

    def as_table(self) -> str:
        head = f"{'hop':<16} packets    p50    p95    p99    max  (milliseconds)"
        rows = (
            f"{hop.name:<16} {hop.packets:>7} {hop.p50:>6.2f} {hop.p95:>6.2f} {hop.p99:>6.2f} {hop.max:>6.2f}"
            for hop in self.hops
        )
        return "\n".join((head, *rows))


async def measure() -> Result:
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        a = await stack.enter_async_context(running_gateway(directory))
        c = await stack.enter_async_context(running_gateway(directory))
        await stack.enter_async_context(publisher(a))
        b = await stack.enter_async_context(running_gateway(directory, config=pulls_and_pushes(a, c)))
        await eventually(lambda: connected(c))
        notes = [await stack.enter_async_context(noting(f"{node.url}/whep/cam")) for node in (a, b, c)]
        await asyncio.sleep(SECONDS)
    hops = []
    for name, (before, after) in zip(NAMES, pairwise(notes), strict=True):
        later = after.later_than(before)
        p50, p95, p99 = (percentile(later, share) for share in (0.5, 0.95, 0.99))
        hops.append(Hop(name=name, packets=len(later), p50=p50, p95=p95, p99=p99, max=later[-1]))
    worst = max(hop.p95 for hop in hops)
    target = Target(name="added latency of a hop, p95", value=worst, limit=HOP_MS, unit="ms")
    return Result(hops=tuple(hops), targets=(target,))
