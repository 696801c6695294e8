"""Giving back to the system what closed sessions have left free: glibc keeps pages between blocks that are in use."""

from __future__ import annotations

import ctypes
from typing import Final

_C_LIBRARY: Final = ctypes.CDLL(None)
_MALLOC_TRIM: Final = getattr(_C_LIBRARY, "malloc_trim", None)  # glibc; other C libraries give back by themselves
_MALLOPT: Final = getattr(_C_LIBRARY, "mallopt", None)

_LIMITS: Final = {
    -1: 256 * 1024,  # M_TRIM_THRESHOLD: more than that free at the end of an arena is given back
    -3: 128 * 1024,  # M_MMAP_THRESHOLD: what is larger gets pages of its own
}
"""About what glibc begins with. It raises both, up to 64 and 32 MB, with the largest block that was ever freed,
and `malloc_trim` does not touch the end of the arena of a media thread."""


def keep_little_free() -> None:
    """Call it once, before the media threads start. Limits that are set stay as they are."""
    if _MALLOC_TRIM is not None and _MALLOPT is not None:
        for parameter, value in _LIMITS.items():
            _MALLOPT(parameter, value)


def release_free_memory() -> None:
    """Takes a few milliseconds after a thousand sessions, so call it when many have gone and not for each."""
    if _MALLOC_TRIM is not None:
        _MALLOC_TRIM(0)
