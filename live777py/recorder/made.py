"""What a `Recording` has made: values to be written out, in this order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from live777py.recorder.configuration import Configuration
    from live777py.recorder.muxer import Chunk, Sample, Segment
    from live777py.rtc.parameters import Kind


@dataclass(frozen=True, slots=True)
class TrackBegan:
    kind: Kind
    configuration: Configuration
    init: bytes


@dataclass(frozen=True, slots=True)
class PeriodBegan:
    """`start` is in seconds, a whole number of milliseconds; `wallclock` is what the publisher's clock said, in Unix
    seconds."""

    number: int
    start: Fraction
    wallclock: float
    tracks: tuple[TrackBegan, ...]


@dataclass(frozen=True, slots=True)
class SegmentMade:
    """`number` counts from 1 in each track of a period."""

    period: int
    kind: Kind
    number: int
    segment: Segment


@dataclass(frozen=True, slots=True)
class ChunkMade:
    """A part of the segment that will have `number`."""

    period: int
    kind: Kind
    number: int
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class SamplesTaken:
    """By the segment that will have `number`, since this was last told of it."""

    period: int
    kind: Kind
    number: int
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class PeriodEnded:
    number: int
    duration: Fraction


@dataclass(frozen=True, slots=True)
class Rotated:
    """The recording is over; what follows belongs to the next one, which begins at 0."""


Made = PeriodBegan | SegmentMade | ChunkMade | SamplesTaken | PeriodEnded | Rotated
