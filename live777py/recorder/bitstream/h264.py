"""H.264 sequence parameter sets (ITU-T H.264 7.3.2.1.1) and the avcC box (ISO/IEC 14496-15 5.3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from live777py.recorder.bitstream.annexb import payload
from live777py.recorder.bitstream.reader import BitReader, BitstreamError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SPS = 7
PPS = 8
_WITH_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


@dataclass(frozen=True, slots=True)
class Sequence264:
    profile: int
    constraints: int
    level: int
    width: int
    height: int
    chroma_format: int
    luma_depth: int
    chroma_depth: int


def parameter_sets(units: Iterable[memoryview]) -> tuple[list[bytes], list[bytes]]:
    """The sequence and the picture parameter sets among NAL units."""
    sequence: list[bytes] = []
    picture: list[bytes] = []
    for unit in units:
        match unit[0] & 0x1F:
            case 7:
                sequence.append(bytes(unit))
            case 8:
                picture.append(bytes(unit))
    return sequence, picture


def read_sequence(unit: bytes) -> Sequence264:
    reader = BitReader(payload(unit))
    reader.skip(8)
    profile, constraints, level = reader.bits(8), reader.bits(8), reader.bits(8)
    reader.unsigned()
    chroma_format, luma_depth, chroma_depth = 1, 8, 8
    separate_planes = False
    if profile in _WITH_CHROMA:
        chroma_format = reader.unsigned()
        if chroma_format > 3:
            raise BitstreamError("no such chroma format")
        if chroma_format == 3:
            separate_planes = reader.flag()
        luma_depth, chroma_depth = 8 + reader.unsigned(), 8 + reader.unsigned()
        if max(luma_depth, chroma_depth) > 14:
            raise BitstreamError("no such bit depth")
        reader.skip(1)
        if reader.flag():
            for index in range(12 if chroma_format == 3 else 8):
                if reader.flag():
                    _skip_scaling_list(reader, 16 if index < 6 else 64)
    reader.unsigned()
    _skip_picture_order(reader)
    reader.unsigned()
    reader.skip(1)
    width = 16 * (reader.unsigned() + 1)
    map_units = reader.unsigned() + 1
    frames_only = reader.flag()
    height = 16 * map_units * (2 - frames_only)
    if not frames_only:
        reader.skip(1)
    reader.skip(1)
    if reader.flag():
        left, right, top, bottom = (reader.unsigned() for _ in range(4))
        subsampled = 0 if separate_planes else chroma_format
        width -= (left + right) * (2 if subsampled in {1, 2} else 1)
        height -= (top + bottom) * (2 if subsampled == 1 else 1) * (2 - frames_only)
    if not (0 < width <= 65535 and 0 < height <= 65535):
        raise BitstreamError("no such picture size")
    return Sequence264(profile, constraints, level, width, height, chroma_format, luma_depth, chroma_depth)


def _skip_scaling_list(reader: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + reader.signed()) % 256
        last = following or last


def _skip_picture_order(reader: BitReader) -> None:
    match reader.unsigned():
        case 0:
            reader.unsigned()
        case 1:
            reader.skip(1)
            reader.signed()
            reader.signed()
            count = reader.unsigned()
            if count > 255:
                raise BitstreamError("too long a cycle of pictures")
            for _ in range(count):
                reader.signed()


def configuration_record(first: Sequence264, sequence: Sequence[bytes], picture: Sequence[bytes]) -> bytes:
    """AVCDecoderConfigurationRecord."""
    record = bytearray((1, first.profile, first.constraints, first.level, 0xFF, 0xE0 | len(sequence)))
    for unit in sequence:
        record += len(unit).to_bytes(2) + unit
    record.append(len(picture))
    for unit in picture:
        record += len(unit).to_bytes(2) + unit
    if first.profile not in {66, 77, 88}:
        record += bytes((0xFC | first.chroma_format, 0xF8 | (first.luma_depth - 8), 0xF8 | (first.chroma_depth - 8), 0))
    return bytes(record)
