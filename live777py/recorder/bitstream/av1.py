"""AV1 sequence headers (AV1 specification 5.5) and the av1C box (AV1 in ISOBMFF 2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from live777py.recorder.bitstream.reader import BitReader, BitstreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

SEQUENCE_HEADER = 1
_SRGB = (1, 13, 0)


@dataclass(frozen=True, slots=True)
class Sequence1:
    profile: int
    level: int
    tier: int
    depth: int
    monochrome: bool
    subsampling_x: int
    subsampling_y: int
    chroma_position: int
    primaries: int
    transfer: int
    matrix: int
    full_range: bool
    width: int
    height: int


def units(data: Buffer) -> Iterator[tuple[int, memoryview, memoryview]]:
    """OBUs with size fields: type, payload, and the whole with its header."""
    view = memoryview(data)
    at = 0
    while at < len(view):
        header = view[at]
        if header & 0x80 or not header & 0x02:
            raise BitstreamError("not an OBU with a size field")
        begin = at + (2 if header & 0x04 else 1)
        size = 0
        for index in range(8):
            if begin >= len(view):
                raise BitstreamError("OBU ends too early")
            byte = view[begin]
            begin += 1
            size |= (byte & 0x7F) << (7 * index)
            if not byte & 0x80:
                break
        end = begin + size
        if end > len(view):
            raise BitstreamError("OBU ends too early")
        yield (header >> 3) & 0x0F, view[begin:end], view[at:end]
        at = end


def sequence_header(data: Buffer) -> tuple[bytes, bytes] | None:
    """The first sequence header of a temporal unit: its payload, and the whole OBU."""
    for kind, payload, whole in units(data):
        if kind == SEQUENCE_HEADER:
            return bytes(payload), bytes(whole)
    return None


def read_sequence(payload: bytes) -> Sequence1:
    reader = BitReader(payload)
    profile = reader.bits(3)
    if profile > 2:
        raise BitstreamError("a profile of AV1 that does not exist")
    reader.skip(1)
    reduced = reader.flag()
    tier = 0
    if reduced:
        level = reader.bits(5)
    else:
        level, tier = _operating_points(reader)
    width_bits, height_bits = reader.bits(4) + 1, reader.bits(4) + 1
    width, height = reader.bits(width_bits) + 1, reader.bits(height_bits) + 1
    if not reduced and reader.flag():
        reader.skip(4 + 3)
    reader.skip(3)
    if not reduced:
        reader.skip(4)
        order_hint = reader.flag()
        if order_hint:
            reader.skip(2)
        # seq_choose_screen_content_tools, seq_choose_integer_mv: 2 means "by the frame".
        screen_content = 2 if reader.flag() else reader.bits(1)
        if screen_content and not reader.flag():
            reader.skip(1)
        if order_hint:
            reader.skip(3)
    reader.skip(3)
    depth, mono, colours, full_range, (sub_x, sub_y), position = _colours(reader, profile)
    return Sequence1(profile, level, tier, depth, mono, sub_x, sub_y, position, *colours, full_range, width, height)


def _operating_points(reader: BitReader) -> tuple[int, int]:
    """seq_level_idx and seq_tier of operating point 0."""
    decoder_model = False
    delay_bits = 0
    if reader.flag():
        reader.skip(64)
        if reader.flag():
            reader.unsigned()
        decoder_model = reader.flag()
        if decoder_model:
            delay_bits = reader.bits(5) + 1
            reader.skip(32 + 5 + 5)
    display_delay = reader.flag()
    first: tuple[int, int] | None = None
    for _ in range(reader.bits(5) + 1):
        reader.skip(12)
        level = reader.bits(5)
        tier = reader.bits(1) if level > 7 else 0
        if decoder_model and reader.flag():
            reader.skip(2 * delay_bits + 1)
        if display_delay and reader.flag():
            reader.skip(4)
        first = first or (level, tier)
    return first or (0, 0)


def _colours(reader: BitReader, profile: int) -> tuple[int, bool, tuple[int, int, int], bool, tuple[int, int], int]:
    """color_config(), 5.5.2."""
    depth = 8
    if reader.flag():
        depth = 12 if profile == 2 and reader.flag() else 10
    mono = reader.flag() if profile != 1 else False
    colours = (2, 2, 2)
    if reader.flag():
        colours = (reader.bits(8), reader.bits(8), reader.bits(8))
    if mono:
        return depth, True, colours, reader.flag(), (1, 1), 0
    if colours == _SRGB:
        return depth, False, colours, True, (0, 0), 0
    full_range = reader.flag()
    subsampling = {0: (1, 1), 1: (0, 0), 2: (1, 0)}[profile]
    if profile == 2 and depth == 12:
        horizontal = reader.bits(1)
        subsampling = (horizontal, reader.bits(1) if horizontal else 0)
    position = reader.bits(2) if subsampling == (1, 1) else 0
    return depth, False, colours, full_range, subsampling, position


def configuration_record(sequence: Sequence1, header: bytes) -> bytes:
    """AV1CodecConfigurationRecord; `header` is the whole sequence header OBU."""
    flags = sequence.tier << 7 | (sequence.depth > 8) << 6 | (sequence.depth == 12) << 5 | sequence.monochrome << 4
    flags |= sequence.subsampling_x << 3 | sequence.subsampling_y << 2 | sequence.chroma_position
    return bytes((0x81, sequence.profile << 5 | sequence.level, flags, 0)) + header
