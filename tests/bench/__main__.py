"""`python -m tests.bench [--only fanout|sessions|...]`: prints tables and targets, writes a report.

A missed target is said, not punished: the exit code speaks of what broke.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tests.bench import api, cascade, decision, fanout, latency, loadtest, recording, recording_calls, sessions, twirp
from tests.bench.rig import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.target import Target

BUSY: Final = 1.5


class Result(Protocol):
    @property
    def targets(self) -> Sequence[Target]: ...
    def as_json(self) -> dict[str, object]: ...
    def as_table(self) -> str: ...


PARTS: Final[dict[str, tuple[str, Callable[[], Result]]]] = {
    "fanout": ("CPU-seconds per million packets forwarded to N viewers", fanout.measure),
    "sessions": ("WHEP sessions", lambda: asyncio.run(sessions.measure())),
    "latency": ("Added latency", latency.measure),
    "decision": ("Estimates and layers", decision.measure),
    "api": ("The list of streams", lambda: asyncio.run(api.measure())),
    "recording": ("Recording", lambda: asyncio.run(recording.measure())),
    "recording-calls": ("Recordings that begin at once", lambda: asyncio.run(recording_calls.measure())),
    "twirp": ("Calls of LiveKit's API", lambda: asyncio.run(twirp.measure())),
    "loadtest": ("500 viewers of the load tool", lambda: asyncio.run(loadtest.measure())),
    "cascade": ("Added latency of a node more", lambda: asyncio.run(cascade.measure())),
}


def machine() -> dict[str, object]:
    """What the figures are figures of."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": list(os.getloadavg()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Speed of the gateway on this machine.")
    parser.add_argument("--only", choices=PARTS)
    only: str | None = parser.parse_args().only
    began = datetime.now(UTC)
    facts = machine()
    load = os.getloadavg()[0]
    print(f"{facts['cpu']}, {facts['cores']} cores, kernel {facts['kernel']}, load average {load:.2f}")
    if load > BUSY:
        print("Other programs are at work: ratios still hold, times (latency above all) are too high.")

    report: dict[str, object] = {"time": began.isoformat(timespec="seconds"), "machine": facts}
    targets: list[Target] = []
    for name, (title, measure) in PARTS.items():
        if only in {None, name}:
            start = time.monotonic()
            result = measure()
            print(f"\n{title}\n{result.as_table()}\n({time.monotonic() - start:.0f} s)", flush=True)
            report[name] = result.as_json()
            targets += result.targets
    report["targets"] = [target.as_json() for target in targets]
    report["load_average_after"] = list(os.getloadavg())

    print("\nTargets", *targets, sep="\n")
    path = ROOT / "bench-results" / f"{began:%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nWritten to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
