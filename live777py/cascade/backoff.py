"""How long to wait before the next attempt. No I/O; `now` is seconds of one monotonic clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

FIRST: Final = 1.0
LONGEST: Final = 60.0
CONFLICT: Final = 1.0
"""A stream that has a publisher is free again when that one's silence is noticed: seconds, not minutes."""
LASTING: Final = 10.0
"""A connection of so many seconds was a good one: what comes after it begins anew."""
LONGEST_RETRY_AFTER: Final = 3600.0
JITTER: Final = 0.2


class Backoff:
    """Doubles from `FIRST` to `LONGEST`, with jitter, so that those who lost one server do not come back as one."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failures = 0
        self._connected_at: float | None = None

    def connected(self, now: float) -> None:
        self._connected_at = now

    def delay(self, now: float, *, conflict: bool = False, retry_after: float = 0.0) -> float:
        """Seconds to wait after an attempt or a connection that has ended at `now`.

        `conflict`: the other side, or our own stream, has a publisher. `retry_after` is what the other side asked for.
        """
        if self._connected_at is not None and now - self._connected_at >= LASTING:
            self._failures = 0
        self._connected_at = None
        wanted = CONFLICT
        if not conflict:
            wanted = min(FIRST * 2**self._failures, LONGEST)
            self._failures = min(self._failures + 1, 16)
        jittered = wanted * self._random.uniform(1 - JITTER, 1 + JITTER)
        return max(min(jittered, LONGEST), min(retry_after, LONGEST_RETRY_AFTER))
