"""The `codecs` parameter (RFC 6381) of what a bitstream really is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from live777py.recorder.bitstream.av1 import Sequence1
    from live777py.recorder.bitstream.h264 import Sequence264
    from live777py.recorder.bitstream.h265 import Sequence265
    from live777py.recorder.bitstream.vp9 import Header9

VP8 = "vp8"
OPUS = "opus"


def h264(sequence: Sequence264) -> str:
    """RFC 6381 section 3.3."""
    return f"avc1.{sequence.profile:02x}{sequence.constraints:02x}{sequence.level:02x}"


def h265(sequence: Sequence265) -> str:
    """ISO/IEC 14496-15 Annex E.3."""
    space = ("", "A", "B", "C")[sequence.profile_space]
    compatibility = int(f"{sequence.compatibility:032b}"[::-1], 2)
    constraints = [f".{byte:X}" for byte in sequence.constraints.rstrip(b"\x00")]
    return "".join(
        (f"hvc1.{space}{sequence.profile}.{compatibility:X}.{'LH'[sequence.tier]}{sequence.level}", *constraints)
    )


def vp9(header: Header9, level: int) -> str:
    """VP codec ISO media file format binding, "Codecs Parameter String"."""
    short = f"vp09.{header.profile:02}.{level:02}.{header.depth:02}"
    if header.chroma == 1 and not header.full_range and header.matrix in {1, 2}:
        return short
    return f"{short}.{header.chroma:02}.02.02.{header.matrix:02}.{header.full_range:02}"


def av1(sequence: Sequence1) -> str:
    """AV1 in ISOBMFF, section 5."""
    short = f"av01.{sequence.profile}.{sequence.level:02}{'MH'[sequence.tier]}.{sequence.depth:02}"
    chroma = f"{sequence.subsampling_x}{sequence.subsampling_y}{sequence.chroma_position}"
    colours = f"{sequence.primaries:02}.{sequence.transfer:02}.{sequence.matrix:02}.{sequence.full_range:01}"
    if not sequence.monochrome and chroma == "110" and colours in {"01.01.01.0", "02.02.02.0"}:
        return short
    return f"{short}.{sequence.monochrome:01}.{chroma}.{colours}"
