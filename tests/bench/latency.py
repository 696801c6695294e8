"""How much later a packet reaches a viewer because it went through the gateway, while half of one core is in use.

The load is what a gateway of many small streams has: cameras that send 30 frames a second, each of 4 packets that leave
at once (1.2 Mbit/s), every stream with 50 viewers. Rounds have as many streams as make the media thread use 50 % of a
core, by the round before; one that misses this by more than 5 % of a core does not count. One viewer of every stream is
looked at, each at another place in the order of sending; the other sockets drop. A second measurement, without a
target, is one stream with 500 viewers: there the last viewer waits for the other 499.

One process sends and looks (`live777-bench latency`): it stamps a frame before it sends it; the kernel stamps each
packet when it reaches the viewer's socket. Both clocks are CLOCK_REALTIME. What loopback alone takes is measured in the
same seconds in the same way, and its median is subtracted. Figures are medians of several rounds; where
there are enough of them in which other programs took less than a tenth of a core, of those alone.

`waited` is what the kernel says of the media thread: the share of time in which it was ready to run and did not yet. A
virtual core that has gone to sleep and is woken for every frame makes 6 % of that; more is other programs' doing.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.rig import GCM, Rig, allow_descriptors, run_program
from tests.bench.target import Target

if TYPE_CHECKING:
    from tests.media.peer import Peer

BURST: Final = 4
FRAMES_PER_SECOND: Final = 30
VIEWERS: Final = 50
PLACES_APART: Final = 7
"""Between the viewers that are looked at in two streams; it has no factor in common with `VIEWERS`."""

LONE_VIEWERS: Final = 500
LONE_PROBES: Final = 20
SHARE: Final = 0.5
TOLERANCE: Final = 0.05
FIRST_STREAMS: Final = 30
SECONDS: Final = 2
QUIET: Final = 0.1
"""Cores that other programs may use in a quiet round."""

QUIET_ROUNDS: Final = 5
FEWEST_QUIET_ROUNDS: Final = 3
MOST_ROUNDS: Final = 14
MOST_STREAMS: Final = 60
SETTLING: Final = 0.5
LIMIT_MS: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class Delays:
    """Microseconds."""

    p50: float
    p99: float
    max: float


@dataclass(frozen=True, kw_only=True)
class Round:
    """What came of some seconds."""

    streams: int
    share: float
    waited: float
    others: float
    """Cores that other programs used."""
    packets: int
    lost: int
    """Or later than half a second."""
    gateway: Delays
    direct: Delays


@dataclass(frozen=True, kw_only=True)
class Row:
    """Microseconds through the gateway less those of `direct`."""

    name: str
    streams: int
    viewers: int
    share: float
    """Of one core, used by the media thread."""
    waited: float
    others: float
    rounds: int
    quiet_rounds: int
    packets: int
    lost: int
    p50: float
    p99: float
    longest: float
    direct_p50: float
    direct_p99: float


@dataclass(frozen=True, kw_only=True)
class Result:
    rows: tuple[Row, ...]
    targets: tuple[Target, ...]

    def as_json(self) -> dict[str, object]:
        return {"unit": "microseconds", "rows": [asdict(row) for row in self.rows]}

    def as_table(self) -> str:
        lines = [
            "streams viewers  core waited quiet | added p50    p99    max  lost | loopback p50   p99  (microseconds)"
        ]
        for row in self.rows:
            load = f"{row.streams:>7} {row.viewers:>7} {row.share:>5.0%} {row.waited:>6.1%} "
            quiet = f"{row.quiet_rounds:>2}/{row.rounds:<2} | "
            added = f"{row.p50:>9.0f} {row.p99:>6.0f} {row.longest:>6.0f} {row.lost:>5} | "
            lines.append(f"{load}{quiet}{added}{row.direct_p50:>12.1f} {row.direct_p99:>5.1f}")
        if any(row.quiet_rounds < FEWEST_QUIET_ROUNDS for row in self.rows):
            lines.append("Where quiet rounds are too few all rounds are in the figures, other programs' work too.")
        return "\n".join(lines)


@dataclass
class Stream:
    publisher: Peer
    probes: list[Peer]
    sequence: int = 1

    def descriptors(self) -> list[int]:
        return [peer.socket.fileno() for peer in (self.publisher, *self.probes)]

    def argument(self) -> str:
        publisher, *probes = self.descriptors()
        keys = (self.publisher.key.hex(), self.publisher.salt.hex())
        return ",".join(map(str, (publisher, *keys, self.sequence, *probes)))


class House:
    """An engine with streams that are played for some seconds at a time."""

    def __init__(self, viewers: int) -> None:
        self._viewers = viewers
        self._rig = Rig(GCM)
        self._streams: list[Stream] = []
        self.close = self._rig.close

    def add(self, places: set[int]) -> None:
        """Of its viewers those at the `places` are looked at."""
        publisher, track = self._rig.publisher()
        stream = Stream(publisher, [])
        for place in range(self._viewers):
            if place in places:
                stream.probes.append(self._rig.viewer(track))
            else:
                self._rig.sink(track)
        self._streams.append(stream)

    def fill(self, streams: int) -> None:
        """Up to so many, each watched at another place."""
        for number in range(len(self._streams), streams):
            self.add({number * PLACES_APART % self._viewers})

    def play(self, streams: int, seconds: int) -> Round:
        self._rig.keep_alive()
        time.sleep(SETTLING)
        playing = self._streams[:streams]
        began, others = time.monotonic(), _others()
        cpu, waited = self._rig.worker().thread_cpu_seconds, _waited()
        seen = json.loads(
            run_program(
                "latency",
                GCM,
                "{}:{}".format(*playing[0].publisher.server),
                BURST,
                seconds,
                *(stream.argument() for stream in playing),
                descriptors=list(itertools.chain.from_iterable(stream.descriptors() for stream in playing)),
                time_limit=seconds + 20,
            )
        )
        for stream in playing:
            stream.sequence += seconds * FRAMES_PER_SECOND * BURST
        return Round(
            streams=streams,
            share=(self._rig.worker().thread_cpu_seconds - cpu) / seen["seconds"],
            waited=(_waited() - waited) / seen["seconds"],
            others=(_others() - others) / (time.monotonic() - began),
            packets=seen["expected"],
            lost=seen["expected"] - seen["received"],
            gateway=Delays(**seen["gateway"]),
            direct=Delays(**seen["direct"]),
        )

    def row(self, name: str, streams: int, *, aim: bool) -> Row:
        """`aim`: at `SHARE`, with more or fewer streams."""
        rounds: list[Round] = []
        quiet: list[Round] = []
        while len(rounds) < MOST_ROUNDS and len(quiet) < QUIET_ROUNDS:
            self.fill(streams)
            one = self.play(streams, SECONDS)
            rounds.append(one)
            if one.others < QUIET and (not aim or abs(one.share - SHARE) < TOLERANCE):
                quiet.append(one)
            elif aim:
                streams = max(1, min(MOST_STREAMS, round(streams * SHARE / one.share)))
        chosen = quiet if len(quiet) >= FEWEST_QUIET_ROUNDS else rounds
        added = [(one, one.direct.p50) for one in chosen]
        return Row(
            name=name,
            streams=statistics.median_low(one.streams for one in chosen),
            viewers=statistics.median_low(one.streams for one in chosen) * self._viewers,
            share=statistics.median(one.share for one in chosen),
            waited=statistics.median(one.waited for one in chosen),
            others=statistics.median(one.others for one in chosen),
            rounds=len(rounds),
            quiet_rounds=len(quiet),
            packets=sum(one.packets for one in chosen),
            lost=sum(one.lost for one in chosen),
            p50=statistics.median(one.gateway.p50 - direct for one, direct in added),
            p99=statistics.median(one.gateway.p99 - direct for one, direct in added),
            longest=max(one.gateway.max - direct for one, direct in added),
            direct_p50=statistics.median(one.direct.p50 for one in chosen),
            direct_p99=statistics.median(one.direct.p99 for one in chosen),
        )


def _waited() -> float:
    """Seconds that the media thread has been ready without a core (proc(5), schedstat)."""
    task = next(task for task in Path("/proc/self/task").iterdir() if (task / "comm").read_text().strip() == "media-0")
    return int((task / "schedstat").read_text().split()[1]) / 1e9


def _others() -> float:
    """CPU-seconds of all programs but this one and its children (proc(5), stat)."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    )
    busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return busy - sum(os.times()[:4])


def _many() -> Row:
    with contextlib.closing(House(VIEWERS)) as house:
        return house.row("many streams", FIRST_STREAMS, aim=True)


def _lone() -> Row:
    with contextlib.closing(House(LONE_VIEWERS)) as house:
        step = LONE_VIEWERS // LONE_PROBES
        house.add(set(range(step // 2, LONE_VIEWERS, step)))
        return house.row("one stream", 1, aim=False)


def measure() -> Result:
    """Takes one minute on a quiet machine, two on a busy one."""
    allow_descriptors(MOST_STREAMS * (VIEWERS + 2))
    many, lone = _many(), _lone()
    name = f"added latency p99 at {many.share:.0%} of a core"
    target = Target(name=name, value=many.p99 / 1000, limit=LIMIT_MS, unit="ms")
    return Result(rows=(many, lone), targets=(target,))
