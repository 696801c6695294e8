"""Which bytes of an object were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.errors import RangeNotSatisfiable

if TYPE_CHECKING:
    from live777py.storage.storage import Entry


def clip(entry: Entry, start: int, end: int | None) -> tuple[int, int]:
    """`start` and `end` within the object. Raises RangeNotSatisfiable (RFC 9110 section 15.5.17)."""
    clipped = entry.size if end is None else min(end, entry.size)
    if start and (start >= entry.size or start >= clipped):
        raise RangeNotSatisfiable(f"{entry.path} has {entry.size} bytes", size=entry.size)
    return start, max(start, clipped)
