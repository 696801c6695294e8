"""Frames of real encoders, as sources take them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from av.audio.codeccontext import AudioCodecContext
    from av.video.codeccontext import VideoCodecContext

    from live777py.media import native

WIDTH: Final = 320
HEIGHT: Final = 180
RATE: Final = 30
TICKS: Final = 90_000 // RATE

VIDEO_ENCODERS: Final = {
    "H264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    "H265": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0:repeat-headers=1"}),
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    "VP9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "AV1": ("libsvtav1", {"preset": "12", "svtav1-params": "pred-struct=1:lookahead=0"}),
}
DECODERS: Final = {"H264": "h264", "H265": "hevc", "VP8": "vp8", "VP9": "vp9", "AV1": "libdav1d", "opus": "opus"}
AUDIO_ENCODERS: Final = {"opus": ("libopus", 48_000), "G722": ("g722", 16_000), "PCMU": ("pcm_mulaw", 8_000)}

_TEMPORAL_DELIMITER: Final = b"\x12\x00"


@dataclass(frozen=True)
class Encoded:
    data: bytes
    timestamp: int
    key_frame: bool


def pictures(codec: str, count: int, *, width: int = WIDTH, height: int = HEIGHT) -> list[Encoded]:
    """`count` pictures, a key frame each second; the level of grey is the number of the picture, twice."""
    name, options = VIDEO_ENCODERS[codec]
    encoder = cast("VideoCodecContext", av.CodecContext.create(name, "w"))
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.gop_size = Fraction(1, 90_000), Fraction(RATE), RATE
    encoder.options = options
    packets = []
    for number in range(count):
        picture = av.VideoFrame.from_ndarray(_grey(number, width, height), format="yuv420p")
        picture.pts, picture.time_base = number * TICKS, encoder.time_base
        packets += encoder.encode(picture)
    packets += encoder.encode(None)
    return [
        Encoded(_as_frame(codec, bytes(packet)), packet.pts or 0, packet.is_keyframe)
        for packet in packets
        if packet.size
    ]


def sounds(codec: str, count: int) -> list[Encoded]:
    """`count` times 20 ms."""
    name, rate = AUDIO_ENCODERS[codec]
    encoder = cast("AudioCodecContext", av.CodecContext.create(name, "w"))
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "s16"
    packets = []
    for number in range(count):
        samples = (8000 * np.sin(np.arange(rate // 50) * 0.05 * (number + 1))).astype(np.int16)
        sound = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        sound.sample_rate, sound.pts = rate, number * rate // 50
        packets += encoder.encode(sound)
    clock_rate = 48_000 if codec == "opus" else 8_000
    return [Encoded(bytes(packet), number * clock_rate // 50, True) for number, packet in enumerate(packets)]


def numbers(frames: Iterable[native.Frame], codec: str) -> list[int]:
    """What a decoder that gets nothing else makes of video frames: the numbers that `pictures` has drawn."""
    decoder = cast("VideoCodecContext", av.CodecContext.create(DECODERS[codec], "r"))
    found = [picture for frame in frames for picture in decoder.decode(av.Packet(bytes(frame)))]
    found += decoder.decode(None)
    return [round(float(picture.to_ndarray(format="yuv420p")[:100].mean()) / 2) for picture in found]


def _as_frame(codec: str, data: bytes) -> bytes:
    """In the form of `native.Frame`: encoders write start codes of both lengths, and temporal delimiters."""
    if codec in {"H264", "H265"}:
        return re.sub(rb"\x00*\x00\x00\x01", b"\0\0\0\1", data)
    return data.removeprefix(_TEMPORAL_DELIMITER) if codec == "AV1" else data


def _grey(number: int, width: int, height: int) -> np.ndarray:
    picture = np.full((height * 3 // 2, width), 128, np.uint8)
    picture[:height] = 2 * number
    return picture
