"""When to ask a publisher for a key frame. No I/O; `now` is seconds of a monotonic clock."""

from __future__ import annotations

from typing import Final

FIRST_DELAY: Final = 5.0
LAST_DELAY: Final = 30.0
MOST: Final = 5
"""Requests without an answer; then nothing is expected of this publisher."""


class KeyFrameRequests:
    def __init__(self) -> None:
        self._wanted = False
        self._asked = 0
        self._next = 0.0

    def want(self) -> None:
        self._wanted = True

    def arrived(self) -> None:
        self._wanted = False
        self._asked = 0
        self._next = 0.0

    def due(self, now: float) -> bool:
        """Whether to ask now; the next time is 5 s later, then 10, 20, 30."""
        if not self._wanted or now < self._next or self._asked == MOST:
            return False
        self._next = now + min(FIRST_DELAY * 2**self._asked, LAST_DELAY)
        self._asked += 1
        return True
