"""Which stream's queue is to be looked at next. No I/O; times are seconds of one monotonic clock."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

FIRST_RETRY: Final = 1.0
LAST_RETRY: Final = 300.0
JITTER: Final = 0.2


class Lanes:
    """A lane is a stream with something in its queue. It waits until it is due, or it is taken: by one at a time."""

    def __init__(self, random: Random, longest: float = LAST_RETRY) -> None:
        """`longest`: seconds between two attempts at most."""
        self._random = random
        self._longest = longest
        self._due: list[tuple[float, str]] = []
        self._taken: dict[str, bool] = {}
        """Whether more has come since."""
        self._waiting: set[str] = set()
        self._failures: dict[str, int] = {}

    def offer(self, stream: str, now: float) -> None:
        """Something has come into the stream's queue."""
        if stream in self._taken:
            self._taken[stream] = True
        elif stream not in self._waiting:
            self._wait(stream, now)

    def take(self, now: float) -> str | None:
        """The stream that has been due for longest; it is `empty`, `over` or `failed` afterwards."""
        if not self._due or self._due[0][0] > now:
            return None
        _, stream = heapq.heappop(self._due)
        self._waiting.remove(stream)
        self._taken[stream] = False
        return stream

    def empty(self, stream: str, now: float) -> None:
        if self._taken.pop(stream):
            self._wait(stream, now)

    def over(self, stream: str, now: float) -> None:
        """With the first of its queue; there may be more."""
        self._failures.pop(stream, None)
        del self._taken[stream]
        self._wait(stream, now)

    def failed(self, stream: str, now: float) -> float:
        """Seconds until it is due again: twice as many each time."""
        failures = self._failures.get(stream, 0)
        self._failures[stream] = min(failures + 1, 16)
        del self._taken[stream]
        longest: float = min(FIRST_RETRY * 2.0**failures, self._longest)
        delay = longest * self._random.uniform(1 - JITTER, 1 + JITTER)
        self._wait(stream, now + delay)
        return delay

    def failures(self, stream: str) -> int:
        """Since something of it was over the last time."""
        return self._failures.get(stream, 0)

    def next_due(self) -> float | None:
        return self._due[0][0] if self._due else None

    def quiet(self, now: float) -> bool:
        """Nothing is taken, nothing is due."""
        return not self._taken and (not self._due or self._due[0][0] > now)

    def _wait(self, stream: str, due: float) -> None:
        self._waiting.add(stream)
        heapq.heappush(self._due, (due, stream))
