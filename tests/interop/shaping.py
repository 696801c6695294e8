"""Links that carry less than they are given, by tc."""

from __future__ import annotations

import subprocess
from typing import Final

QUEUE_MS: Final = 200
"""What waits for its turn; the rest is lost. Home routers keep this much and more."""


def narrow(device: str, bitrate: float) -> None:
    """Lets a network device of this thread's namespace send so many bits per second, from now on."""
    command = f"tc qdisc replace dev {device} root tbf rate {bitrate:.0f}bit burst 3000 latency {QUEUE_MS}ms"
    subprocess.run(command.split(), check=True, timeout=10)


def widen(device: str) -> None:
    """The link carries everything again."""
    subprocess.run(f"tc qdisc delete dev {device} root".split(), check=True, timeout=10)
