"""What has been recorded, as plain values: Periods, tracks, segments. Manifest and playlists are written from it.

Media times are the recording's time line, on which pauses have their length; the presentation leaves the pauses
between Periods out, in DASH as in HLS.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from live777py.recorder.configuration import Configuration, Kind


@dataclass(slots=True)
class Grown:
    """A text as far as it will not change any more, and how much of the segments, or of the runs, it tells."""

    text: str = ""
    count: int = 0


class Segments:
    """The segments of a track in a Period: grows, and keeps what the texts need, so that writing them stays cheap."""

    def __init__(self) -> None:
        self.count = 0
        self.bytes = 0
        self.first: int | None = None
        """Ticks at which the first one begins."""
        self.end = 0
        """Ticks at which the last one ends."""
        self.longest = 0
        self.peak = Fraction(0)
        """The most bytes per tick of a segment."""
        self.all_keys = True
        self.runs: list[tuple[int | None, int, int]] = []
        """Of the SegmentTimeline: time (None: where the one before ends), ticks, and how often."""
        self.ticks = array("Q")
        """Of each segment."""
        self.timeline = Grown()
        """For `manifest`, of the runs."""
        self.playlist = Grown()
        """For `playlist`, of the segments."""

    def append(self, time: int, ticks: int, size: int, *, key: bool = True) -> None:
        if ticks <= 0 or (self.first is not None and time < self.end):
            raise ValueError("segments do not overlap")
        follows = self.first is not None and time == self.end
        if follows and self.runs[-1][1] == ticks:
            begin, _, count = self.runs[-1]
            self.runs[-1] = (begin, ticks, count + 1)
        else:
            self.runs.append((None if follows else time, ticks, 1))
        self.ticks.append(ticks)
        self.first = time if self.first is None else self.first
        self.end = time + ticks
        self.longest = max(self.longest, ticks)
        self.peak = max(self.peak, Fraction(size, ticks))
        self.count += 1
        self.bytes += size
        self.all_keys = self.all_keys and key


@dataclass(slots=True)
class Track:
    configuration: Configuration
    segments: Segments = field(default_factory=Segments)
    first_number: int = 1
    pending: tuple[int, int] | None = None
    """Low latency: time and wanted ticks of the segment of which there are chunks."""

    @property
    def bandwidth(self) -> int:
        """Bits per second of its busiest segment."""
        return max(1, -int(-8 * self.segments.peak * self.configuration.timescale // 1))

    @property
    def end(self) -> Fraction:
        """Seconds of media time."""
        return Fraction(self.segments.end, self.configuration.timescale)


@dataclass(slots=True)
class Period:
    number: int
    """From 0: it names the files. After a repair two may share it, where a segment between them is missing."""
    media_start: Fraction
    """Seconds of media time."""
    wallclock: float
    """Unix seconds at its start."""
    tracks: dict[Kind, Track]

    @property
    def duration(self) -> Fraction:
        """Seconds that it has so far."""
        ends = [track.end for track in self.tracks.values() if track.segments.count]
        return max(ends) - self.media_start if ends else Fraction(0)


@dataclass(slots=True)
class Presentation:
    """`started` is unix seconds; `segment_seconds` what segments are meant to last."""

    started: float
    segment_seconds: float
    chunk_seconds: float | None = None
    """Low latency: what chunks last."""
    periods: list[Period] = field(default_factory=list)
    finished: bool = False

    def begin_period(self, media_start: Fraction, wallclock: float, *configurations: Configuration) -> Period:
        number = self.periods[-1].number + 1 if self.periods else 0
        tracks = {configuration.kind: Track(configuration) for configuration in configurations}
        self.periods.append(Period(number, media_start, wallclock, tracks))
        return self.periods[-1]

    @property
    def duration(self) -> Fraction:
        return sum((period.duration for period in self.periods), Fraction(0))

    @property
    def bytes(self) -> int:
        return sum(track.segments.bytes for period in self.periods for track in period.tracks.values())
