"""What the choice of layers costs: all that follows from a transport-wide feedback of a viewer, in the core alone."""

from __future__ import annotations

import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import msgspec

from tests.bench.rig import ROOT
from tests.bench.target import Target

PER_SECOND: Final = 10
"""Feedbacks of a viewer, as Chromium sends them while little flows; with more it is up to 20."""
VIEWERS: Final = 500
MOST: Final = 0.1
TIME_LIMIT: Final = 120


@dataclass(frozen=True, kw_only=True)
class Result:
    """Microseconds of CPU for one feedback: decrypted, read, the estimate made, a layer chosen."""

    feedbacks: int
    packets_each: float
    mean_us: float
    median_us: float

    @property
    def cores(self) -> float:
        return self.mean_us * PER_SECOND * VIEWERS / 1e6

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target(name=f"estimates and layers of {VIEWERS} viewers, cores", value=self.cores, limit=MOST),)

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"cores": self.cores}

    def as_table(self) -> str:
        return (
            f"{self.feedbacks} feedbacks of {self.packets_each:.0f} packets: {self.mean_us:.2f} us each (median "
            f"{self.median_us:.2f}); {VIEWERS} viewers with {PER_SECOND} a second: {self.cores * 100:.1f} % of a core"
        )


def measure() -> Result:
    """The program is built by `cargo build --release -p live777-media --example decision_speed`."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "rust" / "target"))
    program = target / "release" / "examples" / "decision_speed"
    finished = subprocess.run([program], stdout=subprocess.PIPE, check=True, timeout=TIME_LIMIT)
    return msgspec.json.decode(finished.stdout, type=Result)
