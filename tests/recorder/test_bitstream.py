"""Codec strings and sizes from the bitstreams of real encoders, against what FFmpeg says of the same."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import av
import pytest

from live777py.media.native import Frame, length_prefixed
from live777py.recorder import codec_strings
from live777py.recorder.bitstream import BitReader, BitstreamError, annexb, av1, h264, h265, vp8, vp9
from live777py.recorder.configuration import configuration_of
from live777py.recorder.frames import DataFrame
from live777py.recorder.muxer import TrackMuxer
from tests.recorder.encoded import ENCODERS, ffmpeg, opus, video

if TYPE_CHECKING:
    from pathlib import Path

X265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none:repeat-headers=1"
AOM = "-c:v libaom-av1 -usage realtime -cpu-used 8"

ENCODINGS = [
    ("H264", "-c:v libx264 -profile:v baseline -level 3.1", "yuv420p", "avc1.42c01f"),
    ("H264", "-c:v libx264 -profile:v main -level 4.0", "yuv420p", "avc1.4d4028"),
    ("H264", "-c:v libx264 -profile:v high -level 5.1", "yuv420p", "avc1.640033"),
    ("H264", "-c:v libx264 -flags +ilme+ildct -level 3.0", "yuv420p", "avc1.64001e"),
    ("H264", "-c:v libx264 -profile:v high10 -level 3.0", "yuv420p10le", "avc1.6e001e"),
    ("H264", "-c:v libx264 -profile:v high422 -level 3.0", "yuv422p", "avc1.7a001e"),
    ("H264", "-c:v libx264 -profile:v high444 -level 3.0", "yuv444p", "avc1.f4001e"),
    ("H264", "-c:v libx264 -level 3.0 -x264-params cqm=jvt", "yuv420p", "avc1.64001e"),
    ("H265", X265, "yuv420p", "hvc1.1.6.L60.90"),
    ("H265", f"{X265}:level-idc=4.1:high-tier=1", "yuv420p", "hvc1.1.6.H123.90"),
    ("H265", X265, "yuv420p10le", "hvc1.2.4.L60.90"),
    ("H265", X265, "yuv422p10le", "hvc1.4.10.L60.9D.8"),
    ("H265", X265, "yuv444p", "hvc1.4.10.L60.9E.8"),
    ("VP8", "-c:v libvpx -deadline realtime", "yuv420p", "vp8"),
    ("VP9", "-c:v libvpx-vp9 -deadline realtime", "yuv420p", "vp09.00.20.08"),
    ("VP9", "-c:v libvpx-vp9 -deadline realtime", "yuv444p", "vp09.01.20.08.03.02.02.02.00"),
    ("VP9", "-c:v libvpx-vp9 -deadline realtime", "yuv422p", "vp09.01.20.08.02.02.02.02.00"),
    ("VP9", "-c:v libvpx-vp9 -deadline realtime", "yuv420p10le", "vp09.02.20.10"),
    ("VP9", "-c:v libvpx-vp9 -deadline realtime", "yuv444p12le", "vp09.03.20.12.03.02.02.02.00"),
    ("VP9", "-c:v libvpx-vp9 -deadline realtime", "gbrp", "vp09.01.20.08.03.02.02.00.01"),
    ("AV1", AOM, "yuv420p", "av01.0.00M.08"),
    ("AV1", AOM, "yuv420p10le", "av01.0.00M.10"),
    ("AV1", AOM, "gray", "av01.0.00M.08.1.110.02.02.02.1"),
    ("AV1", AOM, "yuv444p", "av01.1.00M.08.0.000.02.02.02.0"),
    ("AV1", "-c:v libsvtav1 -preset 12 -svtav1-params lp=1", "yuv420p", "av01.0.00M.08"),
]


def key_frame(codec: str, encoder: str, pixels: str, size: str, tmp_path: Path) -> DataFrame:
    source = f"-f lavfi -i testsrc2=s={size}:r=25:d=0.08"
    path = tmp_path / "one.nut"
    ffmpeg(*f"{source} -pix_fmt {pixels} {encoder} -f nut {path}".split())
    with av.open(str(path), "r") as container:
        stream = container.streams.video[0]
        extra = bytes(stream.codec_context.extradata or b"")
        packet = bytes(next(packet for packet in container.demux(stream) if packet.size))
    if codec in {"H264", "H265"} and not packet.startswith(extra):
        packet = extra + packet
    if codec == "AV1" and packet[:2] == b"\x12\x00":
        packet = packet[2:]
    if codec == "AV1" and av1.sequence_header(packet) is None:
        packet = extra[4:] + packet
    width, height = (int(side) for side in size.split("x"))
    return DataFrame(packet, codec=codec, timestamp=0, clock_rate=90_000, width=width, height=height)


@pytest.mark.parametrize(("codec", "encoder", "pixels", "string"), ENCODINGS)
def test_codec_string(codec: str, encoder: str, pixels: str, string: str, tmp_path: Path) -> None:
    frame = key_frame(codec, encoder, pixels, "322x184", tmp_path)
    configuration = configuration_of(frame)
    assert configuration.codecs == string
    assert (configuration.width, configuration.height) == (322, 184)
    muxer = TrackMuxer(frame, seconds=1)
    muxer.push(frame, 0)
    data = muxer.init + b"".join(segment.data for segment in muxer.finish())
    with av.open(io.BytesIO(data), "r") as container:
        read = container.streams.video[0].codec_context
        assert (read.width, read.height, read.pix_fmt) == (322, 184, pixels)


@pytest.mark.parametrize("codec", ["H264", "AV1"])
def test_ffmpeg_says_the_same(codec: str, tmp_path: Path) -> None:
    """Its DASH muxer writes a `codecs` attribute from what our init segment has."""
    frames = video(codec)
    muxer = TrackMuxer(frames[0], seconds=1)
    for index, frame in enumerate(frames[:25]):
        muxer.push(frame, index * 3600)
    (tmp_path / "one.mp4").write_bytes(muxer.init + muxer.finish()[0].data)
    ffmpeg("-i", str(tmp_path / "one.mp4"), "-c", "copy", "-f", "dash", str(tmp_path / "one.mpd"))
    found = re.search(r'codecs="([^"]+)"', (tmp_path / "one.mpd").read_text())
    assert found is not None
    assert found[1].lower() == muxer.configuration.codecs.lower()


@pytest.mark.parametrize(
    ("width", "height", "rate", "level"),
    [
        (1280, 720, 30, 31),
        (1280, 720, 60, 40),
        (1920, 1080, 30, 40),
        (1920, 1080, 60, 41),
        (3840, 2160, 60, 51),
        (16, 16, 1, 10),
        (16_384, 16_384, 240, 62),
        (4000, 16, 30, 40),
    ],
)
def test_vp9_level(width: int, height: int, rate: float, level: int) -> None:
    assert vp9.level(width, height, rate) == level


def test_hevc_profile_space_and_full_constraints() -> None:
    sequence = h265.Sequence265(2, 1, 1, 0x60000000, bytes(range(1, 7)), 93, 16, 16, 1, 8, 8, 1, True)
    assert codec_strings.h265(sequence) == "hvc1.B1.6.H93.1.2.3.4.5.6"


def test_a_superframe_is_as_large_as_what_is_shown() -> None:
    small = video("VP9")[0]
    layered = DataFrame(bytes(small), codec="VP9", timestamp=0, clock_rate=90_000, width=1280, height=720)
    assert configuration_of(layered).width == 1280


def test_what_is_not_recorded_says_so() -> None:
    with pytest.raises(BitstreamError, match="H266 is not recorded"):
        configuration_of(DataFrame(b"", codec="H266", timestamp=0, clock_rate=90_000))


@pytest.mark.parametrize("codec", ["H264", "H265", "VP8", "VP9", "AV1"])
def test_a_frame_between_key_frames_tells_nothing(codec: str) -> None:
    with pytest.raises(BitstreamError):
        configuration_of(video(codec)[1])


def test_opus_needs_nothing() -> None:
    assert configuration_of(opus()[0]).codecs == "opus"


@pytest.mark.parametrize(
    ("data", "units"),
    [
        (b"", []),
        (b"\x01\x02", []),
        (b"\0\0\1", []),
        (b"\0\0\0\1\x67\x42\0\0\0\1\x68", [b"\x67\x42", b"\x68"]),
        (b"\0\0\1\x67\x42\0\0\0\0\0\0\1\x68\x01\0\0", [b"\x67\x42", b"\x68\x01"]),
        (b"\0\0\1\0\0\1\x68", [b"\x68"]),
    ],
)
def test_nal_units(data: bytes, units: list[bytes]) -> None:
    assert [bytes(unit) for unit in annexb.nal_units(data)] == units
    frame = Frame(data, codec="H264", timestamp=0, clock_rate=90_000, wallclock=0)
    assert length_prefixed(frame) == annexb.sample_of(map(memoryview, units))


def packed(*fields: str) -> bytes:
    bits = "".join(fields).replace(" ", "")
    length = -(-len(bits) // 8)
    return int(bits.ljust(8 * length, "0"), 2).to_bytes(length)


def test_exp_golomb() -> None:
    bits = "101001100100001010011000111"
    packed = int(bits.ljust(32, "0"), 2).to_bytes(4)
    reader = BitReader(packed)
    assert [reader.unsigned() for _ in range(5)] == [0, 1, 2, 3, 4]
    assert [reader.signed() for _ in range(2)] == [3, -3]
    with pytest.raises(BitstreamError):
        BitReader(bytes(20)).unsigned()


def ue(value: int) -> str:
    bits = f"{value + 1:b}"
    return "0" * (len(bits) - 1) + bits


def se(value: int) -> str:
    return ue(2 * value - 1 if value > 0 else -2 * value)


def test_h264_with_everything_before_its_size() -> None:
    """4:4:4 in separate planes, a flat and a falling scaling list, a cycle of pictures, fields, cropping: 7.3.2.1.1."""
    lists = f"1 {se(-8)}" + f"1 {se(8)} {se(0) * 14} {se(-24)}" + "0" * 10
    unit = b"\x67\xf4\x00\x28" + packed(
        f"{ue(0)} {ue(3)} 1 {ue(2)} {ue(1)} 0 1 {lists}",
        f"{ue(0)} {ue(1)} 0 {se(-2)} {se(3)} {ue(2)} {se(1)} {se(-1)}",
        f"{ue(4)} 0 {ue(119)} {ue(33)} 0 0 1 1 {ue(1)} {ue(2)} {ue(3)} {ue(4)} 1",
    )
    read = h264.read_sequence(unit)
    assert (read.chroma_format, read.luma_depth, read.chroma_depth) == (3, 10, 9)
    assert (read.width, read.height) == (1920 - 3, 2 * 34 * 16 - 2 * 7)


@pytest.mark.parametrize(
    "fields",
    [
        f"{ue(0)} {ue(4)}",
        f"{ue(0)} {ue(1)} {ue(7)} {ue(0)}",
        f"{ue(0)} {ue(1)} {ue(0)} {ue(0)} 0 0 {ue(0)} {ue(1)} 0 {se(0)} {se(0)} {ue(256)}",
        f"{ue(0)} {ue(1)} {ue(0)} {ue(0)} 0 0 {ue(0)} {ue(2)} {ue(1)} 0 {ue(5000)} {ue(0)} 1 0 0 0",
        f"{ue(0)} {ue(1)} {ue(0)} {ue(0)} 0 0 {ue(0)} {ue(2)} {ue(1)} 0 {ue(0)} {ue(0)} 1 0 1 {ue(9) * 2} {ue(0) * 2}",
    ],
)
def test_h264_that_cannot_be(fields: str) -> None:
    with pytest.raises(BitstreamError, match=r"no such|too long"):
        h264.read_sequence(b"\x67\x64\x00\x28" + packed(fields) + bytes([0xAA] * 20))


def test_h265_with_temporal_layers() -> None:
    head = b"\x42\x01" + packed(f"0000 010 1 00 0 00001 {0x60000000:032b} {0x90 << 40:048b} {93:08b}")
    layers = packed(f"1 1 0 1 {0:012b}", f"{0:088b} {0:08b}", f"{0:08b}")
    sizes = f"{ue(0)} {ue(3)} 1 {ue(640)} {ue(360)} 1 {ue(1)} {ue(1)} {ue(2)} {ue(2)}"
    read = h265.read_sequence(head + layers + packed(f"{sizes} {ue(0)} {ue(0)}"))
    assert (read.temporal_layers, read.temporal_nesting, read.level) == (3, True, 93)
    assert (read.width, read.height, read.chroma_format) == (638, 356, 3)
    for broken in (f"{ue(0)} {ue(4)}", sizes + ue(8) + ue(0), sizes.replace(ue(640), ue(1)) + ue(0) * 2):
        with pytest.raises(BitstreamError, match="no such"):
            h265.read_sequence(head + layers + packed(broken))


def test_emulation_prevention_is_taken_out() -> None:
    assert annexb.payload(b"\x67\0\0\3\1\0\0\3\0\0\3") == b"\x67\0\0\1\0\0\0\0"


@pytest.mark.parametrize(
    "headers",
    [
        bytes.fromhex("4742c01e"),
        bytes.fromhex("6764001eac"),
        b"\x67\x64\x00\x1e" + bytes(40),
    ],
)
def test_broken_h264(headers: bytes) -> None:
    with pytest.raises(BitstreamError):
        h264.read_sequence(headers)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x82\x49\x83\x42",
        b"\xb2\x49\x83\x42",
        b"\x80\x49\x83\x43" + bytes(8),
        b"\x82" + bytes(15),
        b"\x80\x49\x83\x42\xe0",
    ],
)
def test_broken_vp9(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        vp9.read_key_frame(data)


@pytest.mark.parametrize(
    "data", [b"", b"\x11" + bytes(9), b"\x10\0\0\x9d\x01\x2b\0\1\0\1", b"\x10\0\0\x9d\x01\x2a\0\0\0\1"]
)
def test_broken_vp8(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        vp8.picture_size(data)


@pytest.mark.parametrize("data", [b"\x08", b"\x8a\x00", b"\x0a\x05\x00", b"\x0a\x80", b"\x0a", b"\x0a\x02\xff\xff"])
def test_broken_av1(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        configuration_of(DataFrame(data, codec="AV1", timestamp=0, clock_rate=90_000))


def test_av1_with_everything_in_its_sequence_header() -> None:
    """Timing, a decoder model, several operating points, frame numbers: 5.5.1 to 5.5.2, bit by bit."""
    payload = packed(
        "000 0 0",  # main profile, neither still nor reduced
        f"1 {1:032b} {30:032b} 1 1",  # timing; equal intervals of one tick
        f"1 {9:05b} {1:032b} {0:05b} {0:05b}",  # decoder model; delays of ten bits
        "1 00001",  # display delays; two operating points
        f"{0:012b} {9:05b} 1 1 {0:021b} 1 0101",  # level index 9, high tier
        f"{0:012b} {5:05b} 0 0",
        f"1011 1010 {1919:012b} {1079:011b}",
        f"1 {2:04b} {1:03b}",  # frame numbers
        "000 0000 1 11 0 1 0 1 110",  # tools: screen content by force, integer vectors
        "000",
        f"1 0 1 {9:08b} {16:08b} {9:08b} 0 10",  # ten bits, BT.2020 PQ
    )
    sequence = av1.read_sequence(payload)
    assert (sequence.width, sequence.height, sequence.tier) == (1920, 1080, 1)
    assert codec_strings.av1(sequence) == "av01.0.09H.10.0.112.09.16.09.0"


def test_av1_reduced_still_picture_and_rgb() -> None:
    payload = packed(f"001 1 1 {4:05b} 0100 0100 {15:05b} {8:05b} 000 000 0 1 {1:08b} {13:08b} {0:08b}")
    assert codec_strings.av1(av1.read_sequence(payload)) == "av01.1.04M.08.0.000.01.13.00.1"


def test_every_encoder_is_covered() -> None:
    assert {codec for codec, *_ in ENCODINGS} == {codec.partition("-")[0] for codec in ENCODERS}
