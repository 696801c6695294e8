"""What a track is: its codec's parameters as its own bitstream gives them. Another configuration is another Period."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from live777py.recorder import codec_strings
from live777py.recorder.bitstream import BitstreamError, annexb, av1, h264, h265, vp8, vp9
from live777py.recorder.boxes import box

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from live777py.recorder.frames import Frame

Kind = Literal["video", "audio"]
Container = Literal["mp4", "webm"]

VIDEO_TIMESCALE: Final = 90_000
OPUS_TIMESCALE: Final = 48_000
WEBM_TIMESCALE: Final = 1000
"""WebM counts milliseconds: TimestampScale is 1,000,000 ns in every WebM file."""
_LEVEL_FRAME_RATE: Final = 60.0
"""A VP9 stream does not carry its level, and its rate is not known when it begins: what decodes this, decodes less."""


@dataclass(frozen=True, slots=True)
class Configuration:
    kind: Kind
    container: Container
    codecs: str
    timescale: int
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0
    sample_entry: bytes = field(default=b"", compare=False, repr=False)
    """The box of the sample description. Not compared: parameter sets that change nothing of the above are in the
    samples as well (encoders number them anew at each key frame)."""

    @property
    def mime(self) -> str:
        return f"{self.kind}/{self.container}"


def configuration_of(frame: Frame) -> Configuration:
    """Of a key frame, or of a packet of audio. `BitstreamError` when the frame does not tell."""
    match frame.codec:
        case "H264":
            return _h264(frame)
        case "H265":
            return _h265(frame)
        case "VP8":
            return vp8_configuration(*vp8.picture_size(frame))
        case "VP9":
            return _vp9(frame)
        case "AV1":
            return _av1(frame)
        case "opus":
            return _opus()
    raise BitstreamError(f"{frame.codec} is not recorded")


def _h264(frame: Frame) -> Configuration:
    sequence, picture = h264.parameter_sets(annexb.nal_units(frame))
    _check_sets([sequence, picture])
    read = h264.read_sequence(sequence[0])
    record = box(b"avcC", h264.configuration_record(read, sequence, picture))
    return _video(codec_strings.h264(read), b"avc1", read.width, read.height, record)


def _h265(frame: Frame) -> Configuration:
    sets = h265.parameter_sets(annexb.nal_units(frame))
    _check_sets(sets.values())
    read = h265.read_sequence(sets[h265.SPS][0])
    record = box(b"hvcC", h265.configuration_record(read, sets))
    return _video(codec_strings.h265(read), b"hvc1", read.width, read.height, record)


def _check_sets(kinds: Iterable[Sequence[bytes]]) -> None:
    for sets in kinds:
        if not sets:
            raise BitstreamError("no parameter sets before the key frame")
        # avcC counts sequence parameter sets with five bits, and all of them have a length of 16 bits.
        if len(sets) > 31 or max(map(len, sets)) > 65_535:
            raise BitstreamError("too many parameter sets, or too long ones")


def vp8_configuration(width: int, height: int) -> Configuration:
    # The sample entry is for a file that has other codecs too; of segments WebM is the only kind that plays.
    record = box(b"vpcC", bytes((1, 0, 0, 0, 0, 0, 0x82, 2, 2, 2, 0, 0)))
    return Configuration(
        "video", "webm", codec_strings.VP8, WEBM_TIMESCALE, width=width, height=height,
        sample_entry=_visual(b"vp08", width, height, record),
    )  # fmt: skip


def _vp9(frame: Frame) -> Configuration:
    header = vp9.read_key_frame(frame)
    # The first frame of a superframe is its smallest spatial layer; the tap knows the picture that is shown.
    width, height = max((header.width, header.height), (frame.width, frame.height))
    level = vp9.level(width, height, _LEVEL_FRAME_RATE)
    record = box(b"vpcC", vp9.configuration_record(header, level))
    return _video(codec_strings.vp9(header, level), b"vp09", width, height, record)


def _av1(frame: Frame) -> Configuration:
    found = av1.sequence_header(frame)
    if found is None:
        raise BitstreamError("no sequence header before the key frame")
    payload, whole = found
    read = av1.read_sequence(payload)
    record = box(b"av1C", av1.configuration_record(read, whole))
    return _video(codec_strings.av1(read), b"av01", read.width, read.height, record)


def _video(codecs: str, entry: bytes, width: int, height: int, record: bytes) -> Configuration:
    if max(width, height) > 65_535:
        raise BitstreamError("a picture too large for a file")
    return Configuration(
        "video", "mp4", codecs, VIDEO_TIMESCALE, width=width, height=height,
        sample_entry=_visual(entry, width, height, record),
    )  # fmt: skip


def _visual(kind: bytes, width: int, height: int, record: bytes) -> bytes:
    """VisualSampleEntry: ISO/IEC 14496-12 12.1.3."""
    head = struct.pack(">6xH16xHHIIIH32xHh", 1, width, height, 0x480000, 0x480000, 0, 1, 0x18, -1)
    return box(kind, head, record)


def _opus() -> Configuration:
    """Always two channels: an Opus packet tells by itself whether it is mono, at any moment (RFC 7587 section 7)."""
    # Encapsulation of Opus in ISOBMFF 4.3.2. No pre-skip: recording begins in the middle of a stream.
    record = box(b"dOps", struct.pack(">BBHIhB", 0, 2, 0, OPUS_TIMESCALE, 0, 0))
    head = struct.pack(">6xH8xHHIHH", 1, 2, 16, 0, OPUS_TIMESCALE, 0)
    return Configuration(
        "audio", "mp4", codec_strings.OPUS, OPUS_TIMESCALE, sample_rate=OPUS_TIMESCALE, channels=2,
        sample_entry=box(b"Opus", head, record),
    )  # fmt: skip
