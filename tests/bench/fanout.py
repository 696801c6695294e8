"""What a forwarded packet costs the media thread, beside what the kernel alone charges for the same datagrams.

One run measures, on this machine and in turns, so that a noisy neighbour troubles all alike: a raw `sendto` loop, a raw
GSO loop (both by `live777-bench raw`), and the engine with N viewers. Transports get their keys by hand after a real
STUN check; viewers are sockets that nobody reads, as in the raw loops. The publisher is a child process that sends
packets encrypted beforehand; it is its own last viewer, and sends a burst when the one before has come back. CPU is
that of the sending thread, loopback's receive half included.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import statistics
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from tests.bench.rig import CM80, GCM, Rig, allow_descriptors, run_program
from tests.bench.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live777py._media import SrtpProfile  # noqa: TID251

RECEIVERS: Final = (100, 500)
BURSTS: Final = (1, 4, 12)
ROUNDS: Final = 5
SECONDS: Final = 80.0
"""On a machine that is busy with other things, rounds are left out rather than this passed; one is always made."""

PACKETS_PER_TRIAL: Final = 60_000
"""That leave, to all viewers together."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """`method` is `sendto`, `gso` or an SRTP profile; the cost is CPU-seconds per million packets."""

    method: str
    receivers: int
    burst: int
    cost: float


@dataclass(frozen=True, kw_only=True)
class Result:
    rows: tuple[Row, ...]
    targets: tuple[Target, ...]

    def cost(self, method: str, receivers: int, burst: int) -> float:
        return next(
            row.cost for row in self.rows if (row.method, row.receivers, row.burst) == (method, receivers, burst)
        )

    def as_json(self) -> dict[str, object]:
        return {
            "unit": "CPU-seconds of the sending thread per million packets of 1200 bytes",
            "rows": [asdict(row) for row in self.rows],
        }

    def as_table(self) -> str:
        lines = ["   N burst | sendto    GSO    GCM   CM80 | GCM/sendto  GCM/GSO CM80/GCM"]
        for receivers, burst in itertools.product(RECEIVERS, BURSTS):
            sendto, gcm, cm80 = (self.cost(method, receivers, burst) for method in ("sendto", GCM, CM80))
            gso = self.cost("gso", receivers, burst) if burst > 1 else None
            lines.append(
                f"{receivers:>4} {burst:>5} | {sendto:6.2f} {_number(gso)} {gcm:6.2f} {cm80:6.2f} | "
                f"{gcm / sendto:>10.2f} {_number(gso and gcm / gso, 8)} {cm80 / gcm:8.2f}"
            )
        return "\n".join(lines)


def _number(value: float | None, width: int = 6) -> str:
    return " " * (width - 1) + "-" if value is None else f"{value:{width}.2f}"


class FanOut:
    """An engine with a publisher and N viewers of its video."""

    def __init__(self, profile: SrtpProfile, viewers: int) -> None:
        self.profile = profile
        self.receivers = viewers
        self._rig = Rig(profile)
        self._publisher, track = self._rig.publisher()
        self._sequence = 1
        for _ in range(viewers - 1):
            self._rig.sink(track)
        self._rig.attach(self._publisher, track)
        self.close = self._rig.close
        self.keep_alive = self._rig.keep_alive

    def trial(self, burst: int) -> float:
        """CPU-seconds per million packets while bursts of this many come in."""
        bursts = max(10, PACKETS_PER_TRIAL // (burst * self.receivers))
        before = self._rig.worker()
        run_program(
            "publish",
            self.profile,
            self._publisher.key.hex(),
            self._publisher.salt.hex(),
            "{}:{}".format(*self._publisher.server),
            self._sequence,
            burst,
            bursts,
            stdin=self._publisher.socket.fileno(),
        )
        self._sequence += burst * bursts
        after = self._rig.worker()
        packets = after.datagrams_sent - before.datagrams_sent
        if packets < burst * bursts * self.receivers:
            raise RuntimeError(f"{packets} of {burst * bursts * self.receivers} packets were sent")
        return (after.thread_cpu_seconds - before.thread_cpu_seconds) / packets * 1e6


def _raw(receivers: int) -> Iterator[Row]:
    for row in json.loads(run_program("raw", receivers, 1)):
        yield Row(method=row["method"], receivers=receivers, burst=row["burst"], cost=row["ns_per_packet"] / 1000)


def measure() -> Result:
    """Takes about a minute."""
    allow_descriptors(4 * max(RECEIVERS))
    costs: defaultdict[tuple[str, int, int], list[float]] = defaultdict(list)
    for receivers in RECEIVERS:
        with contextlib.ExitStack() as stack:
            engines = [FanOut(profile, receivers) for profile in (GCM, CM80)]
            for engine in engines:
                stack.callback(engine.close)
            deadline = time.monotonic() + SECONDS / len(RECEIVERS)
            for _ in range(ROUNDS):
                for row in _raw(receivers):
                    costs[row.method, receivers, row.burst].append(row.cost)
                for burst, engine in itertools.product(BURSTS, engines):
                    costs[engine.profile, receivers, burst].append(engine.trial(burst))
                if time.monotonic() > deadline:
                    break
                for engine in engines:
                    engine.keep_alive()
    rows = tuple(
        Row(method=method, receivers=receivers, burst=burst, cost=statistics.median(values))
        for (method, receivers, burst), values in costs.items()
    )
    return Result(rows=rows, targets=tuple(_targets(Result(rows=rows, targets=()))))


def _targets(result: Result) -> Iterator[Target]:
    many = max(RECEIVERS)

    def target(name: str, burst: int, over: str, under: str, limit: float) -> Target:
        ratio = result.cost(over, many, burst) / result.cost(under, many, burst)
        return Target(name=f"{name}, N={many}, burst {burst}", value=ratio, limit=limit)

    yield target("GCM / sendto", 1, GCM, "sendto", 1.35)
    yield target("GCM / sendto", 12, GCM, "sendto", 0.45)
    yield target("GCM / GSO", 12, GCM, "gso", 2.0)
    for burst in BURSTS:
        yield target("CM80 / GCM", burst, CM80, GCM, 1.6)
