"""The time line of a recording: zero is its start, and audio and video lie on it by their common wall clock."""

from __future__ import annotations

from typing import Final

CORRECTED_FROM: Final = 0.006
"""Seconds off the wall clock: from here on a track is brought back, all the way. Below, timestamps are taken as they
are, so that durations are exact. Two tracks are never further apart than twice this, if reports are right."""
SLEW: Final = 0.005
"""Share of the time that passes which a correction may add or take: what no ear hears."""
FAR: Final = 0.02
"""Seconds off the wall clock that are brought back faster,"""
FAST_SLEW: Final = 0.1
"""so fast: durations shrink or grow by a tenth."""
JUMP: Final = 0.5
"""Seconds off the wall clock that are a jump of the timestamps, not drift."""
SMOOTHING: Final = 2.0
"""Seconds over which a report's error is averaged; ten times that where only arrival tells the time."""


class TrackTimeline:
    """Times of one track's frames. No clock: everything comes with the frames.

    `origin` is the wall clock's reading, unix seconds, at zero of the time line. Times are ticks of `timescale`.
    They increase with the timestamps, whatever the wall clock says.
    """

    def __init__(self, *, clock_rate: int, timescale: int, origin: float) -> None:
        self._clock_rate = clock_rate
        self._timescale = timescale
        self._origin = origin
        self._first = 0
        self._newest: int | None = None
        self._newest_ticks = 0
        """Since the first timestamp; the offset is not in it."""
        self._last = 0
        self._offset = 0
        self._part = 0.0
        """What the offset would have beyond whole ticks."""
        self._error = 0.0
        """Averaged, in ticks."""
        self._correcting = False
        self._synced = False

    def place(self, timestamp: int, wallclock: float, *, synced: bool = True) -> int:
        """Ticks since the origin; negative before it. `timestamp` may go back: pictures come in decoding order."""
        target = (wallclock - self._origin) * self._timescale
        if self._newest is None:
            self._first = self._newest = timestamp
            self._last = self._offset = round(target)
            self._synced = synced
            return self._last
        ticks = (timestamp - self._first) * self._timescale // self._clock_rate
        if timestamp <= self._newest:
            return ticks + self._offset
        elapsed = ticks - self._newest_ticks
        self._newest, self._newest_ticks = timestamp, ticks
        self._correct(target - ticks - self._offset, elapsed, synced=synced)
        self._last = max(ticks + self._offset, self._last + 1)
        return self._last

    def _correct(self, error: float, elapsed: int, *, synced: bool) -> None:
        """`error` and `elapsed` are ticks: how far behind the wall clock the frame would be, and since the last one."""
        just_synced, self._synced = synced and not self._synced, synced
        jump = JUMP * self._timescale
        if error > jump or (just_synced and error > FAR * self._timescale) or (error < -jump and elapsed > jump):
            self._offset += max(round(error), 1 - elapsed)
            self._error = 0.0
            return
        if just_synced:
            self._error = error
        weight = elapsed / (self._timescale * SMOOTHING * (1 if synced else 10))
        self._error += (error - self._error) * min(1.0, weight)
        distance = abs(self._error)
        self._correcting = distance >= CORRECTED_FROM * self._timescale or (self._correcting and distance >= 1)
        if self._correcting:
            far = synced and distance >= FAR * self._timescale
            most = elapsed * (FAST_SLEW if far else SLEW)
            change = max(-most, min(most, self._error))
            self._shift(change)
            self._error -= change

    def _shift(self, ticks: float) -> None:
        self._part += ticks
        whole = int(self._part)
        self._offset += whole
        self._part -= whole
