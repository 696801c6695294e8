"""VP9 uncompressed headers (VP9 bitstream specification 6.2) and levels (its Annex A)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from live777py.recorder.bitstream.reader import BitReader, BitstreamError

if TYPE_CHECKING:
    from typing_extensions import Buffer

_RGB = 7
_MATRIX: Final = {1: 5, 2: 1, 3: 6, 4: 7, 5: 9, 7: 0}
"""color_space to MatrixCoefficients of ISO/IEC 23091-2; what is not here is unspecified (2)."""
_LEVELS: Final = (
    (10, 829_440, 36_864, 512),
    (11, 2_764_800, 73_728, 768),
    (20, 4_608_000, 122_880, 960),
    (21, 9_216_000, 245_760, 1344),
    (30, 20_736_000, 552_960, 2048),
    (31, 36_864_000, 983_040, 2752),
    (40, 83_558_400, 2_228_224, 4160),
    (41, 160_432_128, 2_228_224, 4160),
    (50, 311_951_360, 8_912_896, 8384),
    (51, 588_251_136, 8_912_896, 8384),
    (52, 1_176_502_272, 8_912_896, 8384),
    (60, 1_176_502_272, 35_651_584, 16832),
    (61, 2_353_004_544, 35_651_584, 16832),
    (62, 4_706_009_088, 35_651_584, 16832),
)
"""Ten times the level; its luma samples per second, per picture, and the longest side."""


@dataclass(frozen=True, slots=True)
class Header9:
    profile: int
    depth: int
    chroma: int
    """chromaSubsampling of the vpcC box: 1 is 4:2:0 as VP9 places it, 2 is 4:2:2, 3 is 4:4:4, 4 is 4:4:0."""
    matrix: int
    full_range: bool
    width: int
    height: int


def read_key_frame(frame: Buffer) -> Header9:
    """The header of a key frame; of a superframe's first frame."""
    reader = BitReader(bytes(memoryview(frame)[:16]))
    if reader.bits(2) != 2:
        raise BitstreamError("not a frame of VP9")
    profile = reader.bits(1) | reader.bits(1) << 1
    if profile == 3 and reader.flag():
        raise BitstreamError("a profile of VP9 that does not exist")
    if reader.flag() or reader.flag():
        raise BitstreamError("not a key frame of VP9")
    reader.skip(2)
    if reader.bits(24) != 0x498342:
        raise BitstreamError("not a key frame of VP9")
    depth = 10 + 2 * reader.bits(1) if profile >= 2 else 8
    space = reader.bits(3)
    chroma, full_range = 1, True
    if space != _RGB:
        full_range = reader.flag()
    if profile in {1, 3}:
        chroma = 3
        if space != _RGB:
            chroma = (3, 4, 2, 1)[reader.bits(2)]
        reader.skip(1)
    elif space == _RGB:
        raise BitstreamError("RGB in a profile of 4:2:0")
    width, height = reader.bits(16) + 1, reader.bits(16) + 1
    return Header9(profile, depth, chroma, _MATRIX.get(space, 2), full_range, width, height)


def level(width: int, height: int, frame_rate: float) -> int:
    """Ten times the lowest level that holds such pictures."""
    area = width * height
    for number, rate, picture, side in _LEVELS:
        if area <= picture and area * frame_rate <= rate and max(width, height) <= side:
            return number
    return _LEVELS[-1][0]


def configuration_record(header: Header9, level_: int) -> bytes:
    """VPCodecConfigurationRecord of the VP codec ISO media file format binding, with the FullBox header."""
    packed = header.depth << 4 | header.chroma << 1 | header.full_range
    return bytes((1, 0, 0, 0, header.profile, level_, packed, 2, 2, header.matrix, 0, 0))
