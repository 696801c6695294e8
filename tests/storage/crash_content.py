"""What the killed processes write, and their judges expect."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from live777py.storage import StoragePath


def content(path: StoragePath, number: int) -> bytes:
    """Of a length that a crash would be seen in, and which says what it is."""
    seeded = random.Random(f"{path} {number}")
    return f"{number} ".encode() + seeded.randbytes(200_000 if path.name.startswith("v_") else 20_000)
