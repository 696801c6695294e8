"""H.265 parameter sets (ITU-T H.265 7.3.2) and the hvcC box (ISO/IEC 14496-15 8.3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from live777py.recorder.bitstream.annexb import payload
from live777py.recorder.bitstream.reader import BitReader, BitstreamError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

VPS = 32
SPS = 33
PPS = 34
PARAMETER_SETS = (VPS, SPS, PPS)


@dataclass(frozen=True, slots=True)
class Sequence265:
    profile_space: int
    tier: int
    profile: int
    compatibility: int
    """general_profile_compatibility_flag[0..31], flag 0 as the most significant bit."""
    constraints: bytes
    """Six bytes: general_progressive_source_flag and the 47 flags behind it."""
    level: int
    width: int
    height: int
    chroma_format: int
    luma_depth: int
    chroma_depth: int
    temporal_layers: int
    temporal_nesting: bool


def unit_type(unit: memoryview | bytes) -> int:
    return (unit[0] >> 1) & 0x3F


def parameter_sets(units: Iterable[memoryview]) -> dict[int, list[bytes]]:
    """Parameter sets among NAL units, by NAL unit type."""
    found: dict[int, list[bytes]] = {kind: [] for kind in PARAMETER_SETS}
    for unit in units:
        if unit_type(unit) in found:
            found[unit_type(unit)].append(bytes(unit))
    return found


def read_sequence(unit: bytes) -> Sequence265:
    reader = BitReader(payload(unit))
    reader.skip(16 + 4)
    sub_layers = reader.bits(3)
    nesting = reader.flag()
    space, tier, profile = reader.bits(2), reader.bits(1), reader.bits(5)
    compatibility = reader.bits(32)
    constraints = reader.bits(48).to_bytes(6)
    level = reader.bits(8)
    _skip_sub_layers(reader, sub_layers)
    reader.unsigned()
    chroma_format = reader.unsigned()
    if chroma_format > 3:
        raise BitstreamError("no such chroma format")
    separate_planes = reader.flag() if chroma_format == 3 else False
    width, height = reader.unsigned(), reader.unsigned()
    if reader.flag():
        left, right, top, bottom = (reader.unsigned() for _ in range(4))
        subsampled = 0 if separate_planes else chroma_format
        width -= (left + right) * (2 if subsampled in {1, 2} else 1)
        height -= (top + bottom) * (2 if subsampled == 1 else 1)
    luma_depth, chroma_depth = 8 + reader.unsigned(), 8 + reader.unsigned()
    if max(luma_depth, chroma_depth) > 15:
        raise BitstreamError("no such bit depth")
    if not (0 < width <= 65535 and 0 < height <= 65535):
        raise BitstreamError("no such picture size")
    return Sequence265(
        space, tier, profile, compatibility, constraints, level, width, height, chroma_format, luma_depth,
        chroma_depth, sub_layers + 1, nesting,
    )  # fmt: skip


def _skip_sub_layers(reader: BitReader, count: int) -> None:
    """The rest of profile_tier_level(), 7.3.3."""
    present = [(reader.flag(), reader.flag()) for _ in range(count)]
    if count:
        reader.skip(2 * (8 - count))
    for with_profile, with_level in present:
        reader.skip(88 * with_profile + 8 * with_level)


def configuration_record(first: Sequence265, sets: Mapping[int, Sequence[bytes]]) -> bytes:
    """HEVCDecoderConfigurationRecord of an hvc1 sample entry, whose arrays are complete."""
    record = bytearray((1, first.profile_space << 6 | first.tier << 5 | first.profile))
    record += first.compatibility.to_bytes(4) + first.constraints
    record += bytes((first.level, 0xF0, 0, 0xFC, 0xFC | first.chroma_format))
    record += bytes((0xF8 | (first.luma_depth - 8), 0xF8 | (first.chroma_depth - 8), 0, 0))
    record.append(first.temporal_layers << 3 | first.temporal_nesting << 2 | 3)
    record.append(len(PARAMETER_SETS))
    for kind in PARAMETER_SETS:
        record += bytes((0x80 | kind,)) + len(sets[kind]).to_bytes(2)
        for unit in sets[kind]:
            record += len(unit).to_bytes(2) + unit
    return bytes(record)
