"""Giving back to the system what closed sessions have left free: glibc keeps pages between blocks that are in use."""

from __future__ import annotations

import ctypes
from typing import Final

_C_LIBRARY: Final = ctypes.CDLL(None)
_MALLOC_TRIM: Final = getattr(_C_LIBRARY, "malloc_trim", None)  # glibc; other C libraries give back by themselves


def release_free_memory() -> None:
    """Takes a few milliseconds after a thousand sessions, so call it when many have gone and not for each."""
    if _MALLOC_TRIM is not None:
        _MALLOC_TRIM(0)
