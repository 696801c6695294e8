"""Giving back to the system what closed sessions have left free: glibc keeps pages between blocks that are in use.

And keeping the garbage collector's pauses short.
"""

from __future__ import annotations

import ctypes
import gc
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


_FULL_COLLECTION: Final = 100
"""One in so many collections of the middle generation is of everything; Python's own is 10."""


def keep_little_free() -> None:
    """Call it once, before the media threads start. Limits that are set stay as they are."""
    if _MALLOC_TRIM is not None and _MALLOPT is not None:
        for parameter, value in _LIMITS.items():
            _MALLOPT(parameter, value)


def keep_what_is_loaded() -> None:
    """Call it once, when all is imported and set up: what there is by now, some 80,000 objects that stay for good, is
    not looked through by the garbage collector again, and it looks through all the rest a tenth as often. It stops the
    whole process for as long as it looks; little here forms cycles."""
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _FULL_COLLECTION)


def release_free_memory() -> None:
    """Takes a few milliseconds after a thousand sessions, so call it when many have gone and not for each."""
    if _MALLOC_TRIM is not None:
        _MALLOC_TRIM(0)
