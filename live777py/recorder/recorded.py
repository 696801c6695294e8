"""A recording as its files tell it: Periods, tracks, whole segments."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from live777py.recorder.names import parse
from live777py.recorder.reading import Damaged, Samples, read_init, read_samples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from live777py.recorder.configuration import Configuration, Kind
    from live777py.recorder.files import Files
    from live777py.recorder.names import SegmentName

_AT_ONCE: Final = 16
"""Files that are read at the same time: a bucket answers slowly, but many questions at once."""

_LATEST: Final = 366 * 86_400
"""Seconds of media time; a time behind it is damage."""


@dataclass(frozen=True, slots=True)
class RecordedSegment:
    name: str
    number: int
    size: int
    samples: Samples
    ticks: int

    @property
    def end(self) -> int:
        return self.samples.time + self.ticks


@dataclass(slots=True)
class RecordedTrack:
    configuration: Configuration
    segments: list[RecordedSegment] = field(default_factory=list)

    def start_of(self, segment: RecordedSegment) -> Fraction:
        """Seconds of media time."""
        return Fraction(segment.samples.time, self.configuration.timescale)


@dataclass(slots=True)
class RecordedPeriod:
    number: int
    """It names the files; parts of one Period share it."""
    tracks: dict[Kind, RecordedTrack]

    @property
    def media_start(self) -> Fraction:
        """Seconds of media time, whole milliseconds: where its first track begins."""
        first = min(track.start_of(track.segments[0]) for track in self.tracks.values())
        return Fraction(math.floor(first * 1000), 1000)

    @property
    def duration(self) -> Fraction:
        ends = (Fraction(it.segments[-1].end, it.configuration.timescale) for it in self.tracks.values())
        return max(ends) - self.media_start


async def read_recording(files: Files, sizes: Mapping[str, int]) -> tuple[list[RecordedPeriod], list[str]]:
    """Its Periods, with no number missing in any of their tracks, and the names of files that are damaged.

    Raises StorageError.
    """
    named = {name: found for name in sizes if (found := parse(name)) is not None}
    damaged: list[str] = []
    periods: dict[int, dict[Kind, RecordedTrack]] = {}
    for name, found in named.items():
        if found.number is None:
            try:
                configuration = read_init(await files.read(name), found)
            except Damaged:
                damaged.append(name)
            else:
                periods.setdefault(found.period, {})[found.kind] = RecordedTrack(configuration)
    await _read_segments(files, sizes, named, periods, damaged)
    parts: list[RecordedPeriod] = []
    for number, tracks in sorted(periods.items()):
        for track in tracks.values():
            damaged += _sort(track)
        parts += _parts(number, tracks)
    return parts, sorted(damaged)


async def _read_segments(
    files: Files,
    sizes: Mapping[str, int],
    named: Mapping[str, SegmentName],
    periods: Mapping[int, Mapping[Kind, RecordedTrack]],
    damaged: list[str],
) -> None:
    async def read(name: str, number: int, track: RecordedTrack) -> None:
        try:
            samples = await read_samples(files, name, sizes[name], track.configuration.container)
        except Damaged:
            damaged.append(name)
            return
        segment = RecordedSegment(name, number, sizes[name], samples, samples.ticks)
        if segment.end > _LATEST * track.configuration.timescale:
            damaged.append(name)
        else:
            track.segments.append(segment)

    wanted = []
    for name, found in named.items():
        if found.number is None:
            continue
        track = periods.get(found.period, {}).get(found.kind)
        if track is None or track.configuration.container != found.container:
            damaged.append(name)
        else:
            wanted.append((name, found.number, track))
    for at in range(0, len(wanted), _AT_ONCE):
        await asyncio.gather(*(read(*one) for one in wanted[at : at + _AT_ONCE]))


def _sort(track: RecordedTrack) -> list[str]:
    """By number. What lies before the end of the one before it is of no use: the names of such."""
    ordered = sorted(track.segments, key=lambda segment: segment.number)
    track.segments = []
    damaged = []
    for segment in ordered:
        if track.segments and segment.samples.time < track.segments[-1].end:
            damaged.append(segment.name)
        else:
            track.segments.append(segment)
    return damaged


def _parts(number: int, tracks: Mapping[Kind, RecordedTrack]) -> list[RecordedPeriod]:
    """Where a segment is missing a Period ends: a SegmentTimeline leaves no number out."""
    holes = sorted(
        {
            track.start_of(after)
            for track in tracks.values()
            for before, after in pairwise(track.segments)
            if after.number != before.number + 1
        }
    )
    parts = []
    for begin, end in pairwise([None, *holes, None]):
        part: dict[Kind, RecordedTrack] = {}
        for kind, track in tracks.items():
            inside = [
                segment
                for segment in track.segments
                if (begin is None or begin <= track.start_of(segment))
                and (end is None or track.start_of(segment) < end)
            ]
            if inside:
                part[kind] = RecordedTrack(track.configuration, inside)
        if part:
            parts.append(RecordedPeriod(number, part))
    return parts
