"""What a forwarded packet costs the media thread, beside what the kernel alone charges for the same datagrams.

One run measures, on this machine and in turns, so that a noisy neighbour troubles all alike: a raw `sendto` loop, a raw
GSO loop (both by `live777-bench raw`), and the engine with N viewers. Transports get their keys by hand after a real
STUN check; viewers are sockets that nobody reads, as in the raw loops. The publisher is a child process that sends
packets encrypted beforehand; it is its own last viewer, and sends a burst when the one before has come back. CPU is
that of the sending thread, loopback's receive half included.

`python -m tests.bench.fanout [--json PATH]`
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import resource
import socket
import statistics
import subprocess
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from live777py.media import native
from tests.media.peer import Console, Peer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from live777py._media import SrtpProfile, WorkerStats  # noqa: TID251

RECEIVERS: Final = (100, 500)
BURSTS: Final = (1, 4, 12)
ROUNDS: Final = 5
SECONDS: Final = 80.0
"""On a machine that is busy with other things, rounds are left out rather than this passed; one is always made."""

GCM: Final[SrtpProfile] = "AEAD_AES_128_GCM"
CM80: Final[SrtpProfile] = "AES128_CM_HMAC_SHA1_80"

PACKETS_PER_TRIAL: Final = 60_000
"""That leave, to all viewers together."""

TIME_LIMIT: Final = 20.0
ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Row:
    """`method` is `sendto`, `gso` or an SRTP profile; the cost is CPU-seconds per million packets."""

    method: str
    receivers: int
    burst: int
    cost: float


@dataclass(frozen=True, kw_only=True)
class Target:
    """A ratio of two rows that must not be passed."""

    name: str
    ratio: float
    limit: float

    @property
    def met(self) -> bool:
        return self.ratio <= self.limit


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
            "targets": [asdict(target) | {"met": target.met} for target in self.targets],
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
        lines += [
            f"{target.name}: {target.ratio:.2f}, at most {target.limit:.2f}: {'met' if target.met else 'MISSED'}"
            for target in self.targets
        ]
        return "\n".join(lines)


def _number(value: float | None, width: int = 6) -> str:
    return " " * (width - 1) + "-" if value is None else f"{value:{width}.2f}"


def _bench_program() -> Path:
    """Built by `cargo build --release -p live777-bench`."""
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "rust" / "target")) / "release" / "live777-bench"


class FanOut:
    """An engine of one worker with a publisher and N viewers of its video."""

    def __init__(self, profile: SrtpProfile, viewers: int) -> None:
        self.profile = profile
        self.receivers = viewers
        self._console = Console()
        self._publisher = Peer(self._console, profile=profile)
        self._publisher.connect()
        self._viewers = []
        self._sequence = 1
        track = self._publisher.add_track(
            native.TrackParameters(
                kind="video",
                mid="0",
                codecs=[_vp8(96)],
                encodings=[native.EncodingParameters(ssrc=0x7770_0001)],
                local_ssrc=1,
            )
        )
        for index in range(viewers - 1):
            viewer = Peer(self._console, profile=profile)
            viewer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            viewer.nominate()
            viewer.install_keys()
            self._attach(viewer, track, ssrc=1000 + index)
            self._viewers.append(viewer)
        self._attach(self._publisher, track, ssrc=999)

    def _attach(self, viewer: Peer, track: int, ssrc: int) -> None:
        subscription = viewer.subscribe(
            native.SubscriptionParameters(kind="video", mid="0", ssrc=ssrc, cname="bench", codecs=[_vp8(96)])
        )
        self._console.call(self._console.engine.attach, subscription, track, payload_types=[(96, 96)])

    def close(self) -> None:
        self._console.engine.close()
        for peer in (self._publisher, *self._viewers):
            peer.close()

    def keep_alive(self) -> None:
        """The engine stops sending to a peer whose consent has not been heard of for 30 s (RFC 7675)."""
        for peer in (self._publisher, *self._viewers):
            peer.socket.sendto(bytes(peer.check()), peer.server)

    def trial(self, burst: int) -> float:
        """CPU-seconds per million packets while bursts of this many come in."""
        bursts = max(10, PACKETS_PER_TRIAL // (burst * self.receivers))
        before = self._worker()
        arguments = (
            "publish",
            self.profile,
            self._publisher.key.hex(),
            self._publisher.salt.hex(),
            "{}:{}".format(*self._publisher.server),
            self._sequence,
            burst,
            bursts,
        )
        _run(arguments, stdin=self._publisher.socket.fileno())
        self._sequence += burst * bursts
        after = self._worker()
        packets = after.datagrams_sent - before.datagrams_sent
        if packets < burst * bursts * self.receivers:
            raise RuntimeError(f"{packets} of {burst * bursts * self.receivers} packets were sent")
        return (after.thread_cpu_seconds - before.thread_cpu_seconds) / packets * 1e6

    def _worker(self) -> WorkerStats:
        return self._console.stats().workers[0]


def _vp8(payload_type: int) -> native.CodecParameters:
    return native.CodecParameters(payload_type=payload_type, name="VP8", clock_rate=90000, nack=True, pli=True)


def _run(arguments: Sequence[object], stdin: int | None = None) -> str:
    finished = subprocess.run(
        [_bench_program(), *map(str, arguments)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=TIME_LIMIT,
    )
    return finished.stdout


def _raw(receivers: int) -> Iterator[Row]:
    for row in json.loads(_run(("raw", receivers, 1))):
        yield Row(method=row["method"], receivers=receivers, burst=row["burst"], cost=row["ns_per_packet"] / 1000)


def _allow_descriptors(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def measure() -> Result:
    """Takes about a minute."""
    _allow_descriptors(4 * max(RECEIVERS))
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
        return Target(name=f"{name}, N={many}, burst {burst}", ratio=ratio, limit=limit)

    yield target("GCM / sendto", 1, GCM, "sendto", 1.35)
    yield target("GCM / sendto", 12, GCM, "sendto", 0.45)
    yield target("GCM / GSO", 12, GCM, "gso", 2.0)
    for burst in BURSTS:
        yield target("CM80 / GCM", burst, CM80, GCM, 1.6)


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of a forwarded packet.")
    parser.add_argument("--json", type=Path, help="write the result here too")
    arguments = parser.parse_args()
    result = measure()
    print(result.as_table())
    if arguments.json:
        arguments.json.write_text(json.dumps(result.as_json(), indent=2) + "\n")


if __name__ == "__main__":
    main()
