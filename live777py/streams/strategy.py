"""When streams come and go by themselves: the rules of Live777's `[strategy]`, applied to plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

ORPHAN_MS = 5_000
"""A stream with nobody on either side is forgotten after this time, where the next client would make it anew."""


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """Live777's keys and defaults. The `auto_delete_*` values are milliseconds; -1 is off."""

    each_stream_max_sub: int = 65_535
    cascade_push_close_sub: bool = False
    auto_create_whip: bool = True
    auto_create_whep: bool = True
    auto_delete_whip: int = -1
    auto_delete_whep: int = -1
