"""The plan of one MP4 (ISO/IEC 14496-12) from the segments of a recording: ftyp, moov, and their data in order."""

from __future__ import annotations

import struct
import sys
from array import array
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from live777py.recorder.boxes import box, full_box
from live777py.recorder.configuration import OPUS_TIMESCALE, VIDEO_TIMESCALE
from live777py.recorder.mp4 import movie_header, track

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from live777py.recorder.configuration import Kind
    from live777py.recorder.files import Files
    from live777py.recorder.recorded import RecordedPeriod, RecordedSegment
    from live777py.recorder.remux import Part

_TIMESCALES: Final[dict[Kind, int]] = {"video": VIDEO_TIMESCALE, "audio": OPUS_TIMESCALE}
_MOVIE_TIMESCALE: Final = VIDEO_TIMESCALE
_PIECE: Final = 1 << 20
"""Bytes that are read and sent at once."""


@dataclass(frozen=True, slots=True)
class Head:
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    async def pieces(self, files: Files, start: int, end: int) -> AsyncIterator[bytes]:  # noqa: ARG002
        for at in range(start, end, _PIECE):
            yield self.data[at : min(at + _PIECE, end)]


@dataclass(frozen=True, slots=True)
class SegmentData:
    """The samples of a segment, without what is between them in its file."""

    name: str
    ranges: Sequence[tuple[int, int]]

    @property
    def size(self) -> int:
        return sum(end - begin for begin, end in self.ranges)

    async def pieces(self, files: Files, start: int, end: int) -> AsyncIterator[bytes]:
        at = 0
        for begin, stop in self.ranges:
            first, last = begin + max(start - at, 0), min(begin + end - at, stop)
            for position in range(first, last, _PIECE):
                yield await files.read(self.name, position, min(position + _PIECE, last))
            at += stop - begin


class _Table:
    """The sample table of one track, grown segment by segment; its numbers are big-endian only when written."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.timescale = _TIMESCALES[kind]
        self.entries: list[bytes] = []
        self.size = (0, 0)
        self.start: int | None = None
        self.end = 0
        self.durations = array("I")
        """Pairs: how many samples, how long."""
        self.offsets = array("i")
        self.reordered = False
        self.sizes = array("I")
        self.keys = array("I")
        self.runs: list[tuple[int, int, int]] = []
        """First chunk, samples in a chunk, sample description."""
        self.chunks = array("Q")
        """Where each begins in the data."""

    def describe(self, entry: bytes, size: tuple[int, int]) -> int:
        """The number of a sample description."""
        if entry not in self.entries:
            self.entries.append(entry)
        self.size = max(self.size, size)
        return self.entries.index(entry) + 1

    def add(self, segment: RecordedSegment, scale: int, begin: int, description: int, place: int) -> None:
        """`scale`: ticks of the track to one of the segment's; `begin`: where it is presented; `place`: in the data."""
        samples = segment.samples
        if self.start is None:
            self.start = self.end = begin
        elif begin > self.end:
            self._stretch(begin - self.end)
        for duration in samples.durations:
            self._last(duration * scale)
        if any(samples.offsets):
            self.reordered = True
        self.offsets.extend(offset * scale for offset in samples.offsets)
        if not all(samples.keys):
            known = len(self.sizes)
            self.keys.extend(known + index for index, key in enumerate(samples.keys, 1) if key)
        elif self.kind == "video":
            self.keys.extend(range(len(self.sizes) + 1, len(self.sizes) + len(samples.keys) + 1))
        self.sizes.extend(samples.sizes)
        self.chunks.append(place)
        run = (len(samples.sizes), description)
        if not self.runs or self.runs[-1][1:] != run:
            self.runs.append((len(self.chunks), *run))

    def _last(self, ticks: int) -> None:
        if self.durations and self.durations[-1] == ticks:
            self.durations[-2] += 1
        else:
            self.durations.extend((1, ticks))
        self.end += ticks

    def _stretch(self, ticks: int) -> None:
        """Nothing is between two segments: the sample before it lasts as long."""
        count, duration = self.durations[-2:]
        del self.durations[-2:]
        self.end -= duration
        if count > 1:
            self.durations.extend((count - 1, duration))
        self._last(duration + ticks)

    def box(self, number: int, shift: int) -> bytes:
        """A trak box; `shift` is where the data begins in the file."""
        start = self.start or 0
        length = self.end - start
        table = box(
            b"stbl",
            full_box(b"stsd", 0, 0, struct.pack(">I", len(self.entries)), *self.entries),
            _full(b"stts", self.durations, len(self.durations) // 2),
            *self._composition(),
            *([_full(b"stss", self.keys)] if self.kind == "video" else []),
            full_box(
                b"stsc", 0, 0, struct.pack(">I", len(self.runs)), *(struct.pack(">III", *run) for run in self.runs)
            ),
            full_box(b"stsz", 0, 0, struct.pack(">II", 0, len(self.sizes)), _big_endian(self.sizes)),
            _full(b"co64", array("Q", (place + shift for place in self.chunks))),
        )
        return track(
            number,
            self.kind,
            table,
            timescale=self.timescale,
            size=self.size,
            duration=length,
            movie_duration=self.movie_end,
            edits=self._edits(start, length),
        )

    @property
    def movie_end(self) -> int:
        """In the movie's time scale."""
        return self.end * _MOVIE_TIMESCALE // self.timescale

    def _composition(self) -> list[bytes]:
        if not self.reordered:
            return []
        rows = array("I", [1]) * (2 * len(self.offsets))
        rows[1::2] = array("I", self.offsets.tobytes())
        return [_full(b"ctts", rows, len(self.offsets), version=1)]

    def _edits(self, start: int, length: int) -> bytes:
        """Where the track begins in the movie: behind nothing, or with some of its first samples left out."""
        edits = []
        if start > 0:
            edits.append((start * _MOVIE_TIMESCALE // self.timescale, -1))
        shown = length + min(start, 0)
        edits.append((shown * _MOVIE_TIMESCALE // self.timescale, max(0, -start)))
        rows = b"".join(struct.pack(">QqI", lasts, begin, 0x10000) for lasts, begin in edits)
        return box(b"edts", full_box(b"elst", 1, 0, struct.pack(">I", len(edits)), rows))


def _full(kind: bytes, numbers: array[int], count: int | None = None, *, version: int = 0) -> bytes:
    rows = len(numbers) if count is None else count
    return full_box(kind, version, 0, struct.pack(">I", rows), _big_endian(numbers))


def _big_endian(numbers: array[int]) -> bytes:
    if sys.byteorder == "little":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def mp4_parts(periods: Sequence[RecordedPeriod]) -> list[Part]:
    """The file's parts. Periods follow one another without the pauses between them.

    Another codec is another track, that begins where the first one ends: no player changes codecs within a track.
    """
    tables: dict[tuple[Kind, bytes], _Table] = {}
    data: list[SegmentData] = []
    place = 0
    at = Fraction(0)
    for period in periods:
        order = []
        for kind, it in period.tracks.items():
            about = it.configuration
            table = tables.setdefault((kind, about.sample_entry[4:8]), _Table(kind))
            description = table.describe(about.sample_entry, (about.width, about.height))
            scale = table.timescale // about.timescale
            order += [(it.start_of(segment), table, scale, segment, description) for segment in it.segments]
        for start, table, scale, segment, description in sorted(order, key=lambda row: row[0]):
            begin = round((at + start - period.media_start) * table.timescale)
            table.add(segment, scale, begin, description, place)
            part = SegmentData(segment.name, segment.samples.ranges)
            data.append(part)
            place += part.size
        at += period.duration
    head = _head(list(tables.values()), 0, place)
    return [Head(_head(list(tables.values()), len(head), place)), *data]


def _head(tables: Sequence[_Table], shift: int, size: int) -> bytes:
    """All before the data; `shift` is its own length."""
    duration = max(table.movie_end for table in tables)
    tracks = [table.box(number, shift) for number, table in enumerate(tables, 1)]
    movie = box(b"moov", movie_header(_MOVIE_TIMESCALE, duration, len(tables) + 1), *tracks)
    brands = box(b"ftyp", b"isom", struct.pack(">I", 0x200), b"isomiso6mp41")
    return brands + movie + struct.pack(">I4sQ", 1, b"mdat", 16 + size)
