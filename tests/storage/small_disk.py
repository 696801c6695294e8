"""A tmpfs of one megabyte: a disk that really fills."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CAP_SYS_ADMIN = 21


def may_mount() -> bool:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (effective,) = (line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _CAP_SYS_ADMIN & 1)


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(directory)], check=True, timeout=10)
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True, timeout=10)
