"""WebM (Matroska, RFC 9559) for VP8, which has no place in CMAF: an init segment, and clusters as segments."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Buffer

    from live777py.recorder.configuration import Configuration

VIDEO: Final = 1
AUDIO: Final = 2
SEGMENT: Final = b"\x18\x53\x80\x67"
TRACKS: Final = b"\x16\x54\xae\x6b"
TRACK_VIDEO: Final = b"\xe0"
WIDTH: Final = b"\xb0"
HEIGHT: Final = b"\xba"
_CLUSTER: Final = b"\x1f\x43\xb6\x75"
_TIMESTAMP: Final = b"\xe7"
_SIMPLE_BLOCK: Final = b"\xa3"
_BLOCK_GROUP: Final = b"\xa0"
_BLOCK: Final = b"\xa1"
_BLOCK_DURATION: Final = b"\x9b"
_UNKNOWN: Final = b"\x01" + b"\xff" * 7
_LONGEST_CLUSTER: Final = 30_000
"""Milliseconds; a block's time is a signed number of 16 bits."""


class EbmlError(ValueError):
    """Bytes that are not the elements which they should be."""


def _size(length: int) -> bytes:
    """A variable-size integer of RFC 8794 section 4; one byte is enough for most."""
    width = next(count for count in range(1, 9) if length < (1 << 7 * count) - 1)
    return (length | 1 << 7 * width).to_bytes(width)


def element(identifier: bytes, *parts: bytes) -> bytes:
    return identifier + _size(sum(map(len, parts))) + b"".join(parts)


def _unsigned(identifier: bytes, value: int) -> bytes:
    return element(identifier, value.to_bytes(max(1, (value.bit_length() + 7) // 8)))


def track_entry(number: int, configuration: Configuration) -> bytes:
    """Of VP8 or Opus."""
    shared = _unsigned(b"\xd7", number) + _unsigned(b"\x73\xc5", number) + _unsigned(b"\x9c", 0)
    if configuration.kind == "video":
        size = _unsigned(WIDTH, configuration.width) + _unsigned(HEIGHT, configuration.height)
        return element(b"\xae", shared, _unsigned(b"\x83", 1), element(b"\x86", b"V_VP8"), element(TRACK_VIDEO, size))
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, configuration.channels, 0, configuration.sample_rate, 0, 0)
    sound = element(b"\xb5", struct.pack(">d", configuration.sample_rate)) + _unsigned(b"\x9f", configuration.channels)
    codec = element(b"\x86", b"A_OPUS") + element(b"\x63\xa2", head)
    return element(b"\xae", shared, _unsigned(b"\x83", 2), codec, element(b"\xe1", sound))


def ebml_header() -> bytes:
    numbers = (
        (b"\x42\x86", 1), (b"\x42\xf7", 1), (b"\x42\xf2", 4), (b"\x42\xf3", 8), (b"\x42\x87", 4), (b"\x42\x85", 2)
    )  # fmt: skip
    return element(
        b"\x1a\x45\xdf\xa3",
        element(b"\x42\x82", b"webm"),
        *(_unsigned(identifier, value) for identifier, value in numbers),
    )


def information(duration: int | None = None) -> bytes:
    """The Info element; `duration` is in milliseconds."""
    lasts = b"" if duration is None else element(b"\x44\x89", struct.pack(">d", duration))
    names = element(b"\x4d\x80", b"live777py") + element(b"\x57\x41", b"live777py")
    return element(b"\x15\x49\xa9\x66", _unsigned(b"\x2a\xd7\xb1", 1_000_000), lasts, names)


def init_segment(configuration: Configuration) -> bytes:
    """What stands before the clusters, in a Segment of unknown size."""
    tracks = element(TRACKS, track_entry(VIDEO, configuration))
    return ebml_header() + SEGMENT + _UNKNOWN + information() + tracks


def cues(track: int, points: Sequence[tuple[int, int]]) -> bytes:
    """Where clusters are: times, and positions behind the Segment's head. Its length depends on their number alone."""
    return element(
        b"\x1c\x53\xbb\x6b",
        *(
            element(
                b"\xbb",
                element(b"\xb3", time.to_bytes(8)),
                element(b"\xb7", _unsigned(b"\xf7", track), element(b"\xf1", position.to_bytes(8))),
            )
            for time, position in points
        ),
    )


@dataclass(frozen=True, slots=True)
class Block:
    time: int
    """Milliseconds."""
    data: Buffer
    size: int
    key: bool
    track: int = VIDEO
    duration: int | None = None
    """Milliseconds: written for the last block of a segment, whose end no other block tells."""


def clusters(blocks: Sequence[Block]) -> list[Buffer]:
    """Pieces of as many clusters as their times need, usually one."""
    pieces: list[Buffer] = []
    begin = 0
    for index in range(1, len(blocks) + 1):
        if index == len(blocks) or blocks[index].time - blocks[begin].time > _LONGEST_CLUSTER:
            pieces += _cluster(blocks[begin:index])
            begin = index
    return pieces


def _cluster(blocks: Sequence[Block]) -> list[Buffer]:
    base = min(block.time for block in blocks)
    pieces: list[Buffer] = []
    size = 0
    for block in blocks:
        head = _block_head(block, base)
        pieces += (head, block.data)
        size += len(head) + block.size
    clock = _unsigned(_TIMESTAMP, base)
    return [_CLUSTER + _size(len(clock) + size) + clock, *pieces]


def _block_head(block: Block, base: int) -> bytes:
    """All of a block but its data, which ends it."""
    place = bytes((0x80 | block.track,)) + struct.pack(">hB", block.time - base, 0x80 if block.key else 0)
    size = len(place) + block.size
    if block.duration is None:
        return _SIMPLE_BLOCK + _size(size) + place
    # In a group a key frame is a block without references (RFC 9559 section 10.3).
    others = _unsigned(_BLOCK_DURATION, block.duration)
    if not block.key:
        others += element(b"\xfb", b"\xff")
    group = place[:-1] + b"\0"
    inner = others + _BLOCK + _size(size) + group
    return _BLOCK_GROUP + _size(len(inner) + block.size) + inner


@dataclass(frozen=True, slots=True)
class Element:
    identifier: bytes
    body: int
    end: int


def elements(data: bytes | memoryview, begin: int = 0, end: int | None = None) -> Iterator[Element]:
    """The elements that lie side by side in `data[begin:end]`; one of unknown size goes to the end."""
    end = len(data) if end is None else end
    at = begin
    while at < end:
        found = _element(data, at, end)
        yield found
        at = found.end


def _element(data: bytes | memoryview, at: int, end: int) -> Element:
    width = 9 - data[at].bit_length()
    if width > 4 or at + width >= end:
        raise EbmlError("no such identifier")
    identifier = bytes(data[at : at + width])
    at += width
    width = 9 - data[at].bit_length()
    if width > 8 or at + width > end:
        raise EbmlError("element ends too early")
    size = int.from_bytes(data[at : at + width]) & ((1 << 7 * width) - 1)
    body = at + width
    if size == (1 << 7 * width) - 1:
        return Element(identifier, body, end)
    if body + size > end:
        raise EbmlError("element ends too early")
    return Element(identifier, body, body + size)


@dataclass(frozen=True, slots=True)
class ReadBlock:
    track: int
    time: int
    key: bool
    begin: int
    """Of the frame, in the bytes that were read."""
    end: int
    duration: int | None


def read_clusters(data: bytes | memoryview) -> Iterator[ReadBlock]:
    """The blocks of whole clusters; `EbmlError` at anything else."""
    for cluster in elements(data):
        if cluster.identifier != _CLUSTER:
            raise EbmlError("not a cluster")
        base = 0
        for found in elements(data, cluster.body, cluster.end):
            if found.identifier == _TIMESTAMP:
                base = int.from_bytes(data[found.body : found.end])
            elif found.identifier == _SIMPLE_BLOCK:
                yield _read_block(data, found, base, None)
            elif found.identifier == _BLOCK_GROUP:
                inside = {inner.identifier: inner for inner in elements(data, found.body, found.end)}
                if _BLOCK not in inside:
                    raise EbmlError("a group without block")
                length = inside.get(_BLOCK_DURATION)
                duration = int.from_bytes(data[length.body : length.end]) if length else None
                yield _read_block(data, inside[_BLOCK], base, duration, key=b"\xfb" not in inside)


def _read_block(
    data: bytes | memoryview, found: Element, base: int, duration: int | None, *, key: bool | None = None
) -> ReadBlock:
    if found.end - found.body < 4 or not data[found.body] & 0x80:
        raise EbmlError("no such block")
    time, flags = struct.unpack_from(">hB", data, found.body + 1)
    is_key = bool(flags & 0x80) if key is None else key
    return ReadBlock(data[found.body] & 0x7F, base + time, is_key, found.body + 4, found.end, duration)
