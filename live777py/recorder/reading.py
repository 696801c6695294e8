"""Init segments and segments, read back: what they hold, and whether they are whole."""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from live777py.recorder import codec_strings, webm
from live777py.recorder.bitstream import BitstreamError, av1, h264, h265
from live777py.recorder.bitstream.vp9 import Header9
from live777py.recorder.boxes import Box, BoxError, find, header
from live777py.recorder.configuration import Configuration, vp8_configuration

if TYPE_CHECKING:
    from live777py.recorder.files import Files
    from live777py.recorder.names import SegmentName

_HEAD: Final = 16 << 10
"""Bytes read at once where a moof is expected: one of ten seconds has a fourth of it."""
_LONGEST_MOOF: Final = 16 << 20
_NOT_SYNC: Final = 0x0001_0000


class Damaged(ValueError):
    """A file of a recording that is not whole."""


@dataclass(slots=True)
class Samples:
    """Of a segment, in decoding order; times in its track's time scale."""

    time: int = 0
    """When the first is decoded."""
    sizes: array[int] = field(default_factory=lambda: array("I"))
    durations: array[int] = field(default_factory=lambda: array("I"))
    offsets: array[int] = field(default_factory=lambda: array("i"))
    """From decoding to presentation."""
    keys: bytearray = field(default_factory=bytearray)
    """1 for a sample that depends on no other."""
    ranges: list[tuple[int, int]] = field(default_factory=list)
    """Where in the file the data of all of them lies, in order."""

    @property
    def ticks(self) -> int:
        return sum(self.durations)

    def add_range(self, begin: int, end: int) -> None:
        if self.ranges and self.ranges[-1][1] == begin:
            self.ranges[-1] = (self.ranges[-1][0], end)
        else:
            self.ranges.append((begin, end))


async def read_samples(files: Files, name: str, size: int, container: str) -> Samples:
    """Of a segment of `size` bytes, of which no more than the headers is read if it is MP4. Raises Damaged."""
    try:
        samples = await (_webm(files, name) if container == "webm" else _mp4(files, name, size))
    except (BoxError, webm.EbmlError, struct.error, IndexError, OverflowError) as error:
        raise Damaged(f"{name}: {error}") from error
    if not samples.sizes:
        raise Damaged(f"{name}: no samples")
    return samples


async def _mp4(files: Files, name: str, size: int) -> Samples:
    samples = Samples()
    at = 0
    while at < size:
        head = await files.read(name, at, at + _HEAD)
        found = header(head, 0)
        if at + found.end > size:
            raise BoxError("box ends too early")
        if found.kind == b"moof":
            if found.end > _LONGEST_MOOF:
                raise BoxError("too large a moof")
            if found.end + 8 > len(head):
                head += await files.read(name, at + len(head), at + found.end + 8)
            data = header(head, found.end)
            _fragment(head, found, data, at, samples)
            found = data
            if at + found.end > size:
                raise BoxError("box ends too early")
        at += found.end
    return samples


def _fragment(head: bytes, moof: Box, data: Box, at: int, samples: Samples) -> None:
    """A moof as `mp4.fragment` writes it."""
    track = find(head, b"traf", begin=moof.body, end=moof.end)
    clock = find(head, b"tfdt", begin=track.body, end=track.end)
    time = int.from_bytes(head[clock.body + 4 : clock.end])
    run = find(head, b"trun", begin=track.body, end=track.end)
    flags, count, offset = struct.unpack_from(">IIi", head, run.body)
    flags &= 0xFFFFFF
    if flags & ~0xC00 != 0x301 or data.kind != b"mdat":
        raise BoxError("a fragment of another kind")
    columns = 2 + bool(flags & 0x400) + bool(flags & 0x800)
    rows = struct.unpack_from(f">{columns * count}I", head, run.body + 12)
    sizes = rows[1::columns]
    if moof.begin + offset != data.body or sum(sizes) != data.end - data.body:
        raise BoxError("samples that are not where they should be")
    if not samples.sizes:
        samples.time = time
    elif time != samples.time + samples.ticks:
        raise BoxError("fragments that do not follow one another")
    samples.durations.extend(rows[0::columns])
    samples.sizes.extend(sizes)
    if flags & 0x400:
        samples.keys.extend(not value & _NOT_SYNC for value in rows[2::columns])
    else:
        samples.keys.extend(b"\1" * count)
    shifts = rows[columns - 1 :: columns] if flags & 0x800 else (0,) * count
    samples.offsets.extend(value - (1 << 32) if value >> 31 else value for value in shifts)
    samples.add_range(at + data.body, at + data.end)


async def _webm(files: Files, name: str) -> Samples:
    data = await files.read(name)
    samples = Samples()
    last: webm.ReadBlock | None = None
    for block in webm.read_clusters(data):
        if last is None:
            samples.time = block.time
        else:
            samples.durations.append(block.time - last.time)
        samples.sizes.append(block.end - block.begin)
        samples.keys.append(block.key)
        samples.offsets.append(0)
        samples.add_range(block.begin, block.end)
        last = block
    if last is None or last.duration is None:
        raise webm.EbmlError("the last block tells no duration")
    samples.durations.append(last.duration)
    return samples


def read_init(init: bytes, name: SegmentName) -> Configuration:
    """What `configuration_of` said when the init segment was written. Raises Damaged."""
    try:
        if name.container == "webm":
            return _webm_track(init)
        timescale, entry = _sample_entry(init)
        return _configuration(timescale, entry)
    except (BoxError, webm.EbmlError, BitstreamError, struct.error, IndexError) as error:
        raise Damaged(f"not an init segment: {error}") from error


def _sample_entry(init: bytes) -> tuple[int, bytes]:
    media = find(init, b"moov", b"trak", b"mdia")
    clock = find(init, b"mdhd", begin=media.body, end=media.end)
    (timescale,) = struct.unpack_from(">I", init, clock.body + (20 if init[clock.body] else 12))
    table = find(init, b"minf", b"stbl", b"stsd", begin=media.body, end=media.end)
    entry = header(init, table.body + 8)
    if entry.end > table.end or not timescale:
        raise BoxError("box ends too early")
    return timescale, init[entry.begin : entry.end]


def _configuration(timescale: int, entry: bytes) -> Configuration:
    kind = entry[4:8]
    if kind == b"Opus":
        (channels, _, _, rate) = struct.unpack_from(">HHIH", entry, 24)
        return Configuration(
            "audio", "mp4", codec_strings.OPUS, timescale, sample_rate=rate, channels=channels, sample_entry=entry
        )
    width, height = struct.unpack_from(">HH", entry, 32)
    record = header(entry, 86)
    codecs = _codecs(kind, entry[record.body : record.end])
    return Configuration("video", "mp4", codecs, timescale, width=width, height=height, sample_entry=entry)


def _codecs(kind: bytes, record: bytes) -> str:
    match kind:
        case b"avc1":
            (length,) = struct.unpack_from(">H", record, 6)
            return codec_strings.h264(h264.read_sequence(record[8 : 8 + length]))
        case b"hvc1":
            at = 23
            for _ in range(record[22]):
                kind_of_unit, (count,) = record[at] & 0x3F, struct.unpack_from(">H", record, at + 1)
                at += 3
                for _ in range(count):
                    (length,) = struct.unpack_from(">H", record, at)
                    if kind_of_unit == h265.SPS:
                        return codec_strings.h265(h265.read_sequence(record[at + 2 : at + 2 + length]))
                    at += 2 + length
            raise BitstreamError("no sequence parameter set")
        case b"vp09":
            profile, level, packed = struct.unpack_from(">BBB", record, 4)
            read = Header9(profile, packed >> 4, packed >> 1 & 7, record[9], bool(packed & 1), 0, 0)
            return codec_strings.vp9(read, level)
        case b"av01":
            found = av1.sequence_header(record[4:])
            if found is not None:
                return codec_strings.av1(av1.read_sequence(found[0]))
    raise BitstreamError("a codec that we do not write")


def _webm_track(init: bytes) -> Configuration:
    segment = next((it for it in webm.elements(init) if it.identifier == webm.SEGMENT), None)
    if segment is None:
        raise webm.EbmlError("no segment")
    sides = {}
    for tracks in webm.elements(init, segment.body, segment.end):
        if tracks.identifier != webm.TRACKS:
            continue
        for entry in webm.elements(init, tracks.body, tracks.end):
            for part in webm.elements(init, entry.body, entry.end):
                if part.identifier == webm.TRACK_VIDEO:
                    sides = {
                        it.identifier: int.from_bytes(init[it.body : it.end])
                        for it in webm.elements(init, part.body, part.end)
                    }
    width, height = sides.get(webm.WIDTH, 0), sides.get(webm.HEIGHT, 0)
    if not (width and height):
        raise webm.EbmlError("no picture size")
    return vp8_configuration(width, height)
