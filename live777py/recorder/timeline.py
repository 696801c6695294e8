"""The time line of a recording: zero is its start, and audio and video lie on it by their common wall clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CORRECTED_FROM: Final = 0.006
"""Seconds off the wall clock: from here on a track is brought back, all the way. Below, timestamps are taken as they
are, so that durations are exact. Two tracks are never further apart than twice this, if reports are right."""
SLEW: Final = 0.005
"""Share of the time that passes which a correction may add or take: what no ear hears."""
FAR: Final = 0.02
"""Seconds off the wall clock that are brought back faster,"""
FAST_SLEW: Final = 0.1
"""so fast: durations shrink or grow by a tenth,"""
LOOSE_SLEW: Final = 0.5
"""or by half, where nobody hears it."""
LEADER_PATIENCE: Final = 5.0
"""Seconds for which a track that knows its clock waits for the one that leads."""
JUMP: Final = 0.5
"""Seconds off the wall clock that are a jump of the timestamps, not drift."""
SMOOTHING: Final = 2.0
"""Seconds over which a report's error is averaged; ten times that where only arrival tells the time."""


@dataclass(slots=True)
class Origin:
    """Zero of the time line, for all tracks of a publisher."""

    wallclock: float
    """What the wall clock reads there, unix seconds. The first report of the leading track moves it: what arrival has
    told wrongly of all tracks alike must not stretch any of them."""
    reported: bool = False


class TrackTimeline:
    """Times of one track's frames. No clock: everything comes with the frames.

    Times are ticks of `timescale`. They increase with the timestamps, whatever the wall clock says. The track that
    `leads` (sound, where there is any) is stretched by no more than drift; `loose` is one that may be.
    """

    def __init__(
        self, *, clock_rate: int, timescale: int, origin: Origin, leads: bool = True, loose: bool = False
    ) -> None:
        self._clock_rate = clock_rate
        self._timescale = timescale
        self._origin = origin
        self._leads = leads
        self._fast_slew = LOOSE_SLEW if loose else FAST_SLEW
        self._waits = 0
        """Ticks for which it has known its clock, and the leader has not."""
        self._apart: float | None = None
        """Ticks by which it differed from the origin when only one of the two began to go by reports."""
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
        target = (wallclock - self._origin.wallclock) * self._timescale
        if self._newest is None:
            self._first = self._newest = timestamp
            self._last = self._offset = round(target)
            self._origin.reported |= synced and self._leads
            self._synced = synced and self._origin.reported
            return self._last
        ticks = (timestamp - self._first) * self._timescale // self._clock_rate
        if timestamp <= self._newest:
            return ticks + self._offset
        elapsed = ticks - self._newest_ticks
        self._newest, self._newest_ticks = timestamp, ticks
        error = target - ticks - self._offset
        origin = self._origin
        if synced and not origin.reported:
            self._waits += elapsed
            if self._leads or self._waits > LEADER_PATIENCE * self._timescale:
                origin.wallclock += error / self._timescale
                origin.reported = True
                error = 0.0
        if synced is origin.reported:
            self._apart = None
        else:
            self._apart = error if self._apart is None else self._apart
            error -= self._apart
        self._correct(error, elapsed, synced=synced and origin.reported)
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
            most = elapsed * (self._fast_slew if far else SLEW)
            change = max(-most, min(most, self._error))
            self._shift(change)
            self._error -= change

    def _shift(self, ticks: float) -> None:
        self._part += ticks
        whole = int(self._part)
        self._offset += whole
        self._part -= whole
