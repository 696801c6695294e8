"""The plan of one WebM from the segments of a recording: VP8 of their clusters, Opus of their CMAF fragments."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from live777py.recorder import webm
from live777py.recorder.remux_mp4 import Head, SegmentData

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from live777py.recorder.configuration import Configuration, Kind
    from live777py.recorder.files import Files
    from live777py.recorder.recorded import RecordedPeriod, RecordedSegment, RecordedTrack
    from live777py.recorder.remux import Part

_NUMBERS: Final[dict[Kind, int]] = {"video": webm.VIDEO, "audio": webm.AUDIO}


class _Sample(NamedTuple):
    segment: RecordedSegment
    place: int
    """Among the segment's."""
    time: int
    """Milliseconds, of the whole file."""


class _Slice(NamedTuple):
    """Samples of a segment, in a row: from `first` to before `last`."""

    segment: RecordedSegment
    track: int
    timescale: int
    first: int
    last: int
    origin: Fraction
    """Seconds to be added to media time."""

    def blocks(self, data: bytes | None = None) -> Iterator[webm.Block]:
        """Without `data` they have none, but their size."""
        samples = self.segment.samples
        ticks = samples.time + sum(samples.durations[: self.first])
        at = 0
        for index in range(self.first, self.last):
            size = samples.sizes[index]
            content = b"" if data is None else memoryview(data)[at : at + size]
            time = _milliseconds(self.origin, ticks, self.timescale)
            yield webm.Block(time, content, size, bool(samples.keys[index]), self.track)
            ticks += samples.durations[index]
            at += size

    async def read(self, files: Files) -> bytes:
        sizes = self.segment.samples.sizes
        begin = sum(sizes[: self.first])
        data = SegmentData(self.segment.name, self.segment.samples.ranges)
        pieces = data.pieces(files, begin, begin + sum(sizes[self.first : self.last]))
        return b"".join([piece async for piece in pieces])


def _milliseconds(origin: Fraction, ticks: int, timescale: int) -> int:
    numerator, denominator = origin.as_integer_ratio()
    return max(0, (numerator * timescale + ticks * denominator) * 1000 // (denominator * timescale))


@dataclass(slots=True)
class Cluster:
    """Of one segment of video and the sound beside it."""

    slices: list[_Slice]
    time: int = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        blocks = _in_order(it.blocks() for it in self.slices)
        self.time = blocks[0].time
        self.size = sum(len(memoryview(piece)) for piece in webm.clusters(blocks)) + sum(it.size for it in blocks)

    async def pieces(self, files: Files, start: int, end: int) -> AsyncIterator[bytes]:
        blocks = _in_order([it.blocks(await it.read(files)) for it in self.slices])
        yield b"".join(webm.clusters(blocks))[start:end]


def _in_order(blocks: Iterator[Iterator[webm.Block]] | list[Iterator[webm.Block]]) -> list[webm.Block]:
    return sorted((block for some in blocks for block in some), key=lambda block: block.time)


def webm_parts(periods: Sequence[RecordedPeriod]) -> list[Part]:
    """The file's parts. Periods follow one another without the pauses between them."""
    clusters: list[Cluster] = []
    configurations: dict[Kind, Configuration] = {}
    at = Fraction(0)
    for period in periods:
        for kind, it in period.tracks.items():
            configurations.setdefault(kind, it.configuration)
        clusters += _clusters(period, at - period.media_start)
        at += period.duration
    return [Head(_head(configurations, clusters, at)), *clusters]


def _clusters(period: RecordedPeriod, origin: Fraction) -> Iterator[Cluster]:
    video, audio = period.tracks.get("video"), period.tracks.get("audio")
    if video is None or audio is None:
        ((kind, only),) = period.tracks.items()
        for segment in only.segments:
            yield Cluster([_whole(segment, kind, only, origin)])
        return
    sound = _Sound(audio, origin)
    for segment in video.segments:
        last = segment is video.segments[-1]
        end = None if last else _milliseconds(origin, segment.end, video.configuration.timescale)
        yield Cluster([_whole(segment, "video", video, origin), *sound.until(end)])


def _whole(segment: RecordedSegment, kind: Kind, track: RecordedTrack, origin: Fraction) -> _Slice:
    count = len(segment.samples.sizes)
    return _Slice(segment, _NUMBERS[kind], track.configuration.timescale, 0, count, origin)


class _Sound:
    """The samples of a track, taken in pieces."""

    def __init__(self, track: RecordedTrack, origin: Fraction) -> None:
        self._timescale = track.configuration.timescale
        self._origin = origin
        self._samples = self._all(track)
        self._next = next(self._samples, None)

    def _all(self, track: RecordedTrack) -> Iterator[_Sample]:
        for segment in track.segments:
            ticks = segment.samples.time
            for index, duration in enumerate(segment.samples.durations):
                yield _Sample(segment, index, _milliseconds(self._origin, ticks, self._timescale))
                ticks += duration

    def until(self, end: int | None) -> list[_Slice]:
        """Those before `end`, in milliseconds; None: all that are left."""
        taken = []
        while self._next is not None and (end is None or self._next.time < end):
            taken.append(self._next)
            self._next = next(self._samples, None)
        slices = []
        for _, some in groupby(taken, key=lambda sample: sample.segment.number):
            row = list(some)
            first, last = row[0].place, row[-1].place + 1
            slices.append(_Slice(row[0].segment, webm.AUDIO, self._timescale, first, last, self._origin))
        return slices


def _head(configurations: dict[Kind, Configuration], clusters: Sequence[Cluster], duration: Fraction) -> bytes:
    """All before the clusters, which `Cues` finds: a player can jump."""
    tracks = webm.element(webm.TRACKS, *(webm.track_entry(_NUMBERS[kind], it) for kind, it in configurations.items()))
    before = webm.information(round(duration * 1000)) + tracks
    track = _NUMBERS["video" if "video" in configurations else "audio"]
    # Twice: its numbers have eight bytes each, so it stays as long.
    cues = webm.cues(track, [(cluster.time, 0) for cluster in clusters])
    position = len(before) + len(cues)
    points = []
    for cluster in clusters:
        points.append((cluster.time, position))
        position += cluster.size
    inside = before + webm.cues(track, points)
    return webm.ebml_header() + webm.SEGMENT + (1 << 56 | position).to_bytes(8) + inside
