"""Real streams, made by FFmpeg's encoders, as the frames that a tap delivers."""

from __future__ import annotations

import functools
import io
import subprocess
from typing import TYPE_CHECKING, Final

import av
import imageio_ffmpeg
from av.subtitles.subtitle import SubtitleSet

from live777py.recorder.frames import DataFrame
from tests.interop.peers import HEIGHT, WIDTH, picture

if TYPE_CHECKING:
    from fractions import Fraction

FFMPEG: Final = imageio_ffmpeg.get_ffmpeg_exe()
START: Final = 4_000_000_000
"""RTP timestamps start anywhere; these will soon have passed 32 bits."""

ENCODERS: Final = {
    "H264": "libx264 -preset ultrafast -tune zerolatency",
    "H264-B": "libx264 -preset fast -bf 2",
    "H265": "libx265 -preset ultrafast -tune zerolatency -x265-params log-level=none:repeat-headers=1",
    "VP8": "libvpx -deadline realtime -cpu-used 8",
    "VP9": "libvpx-vp9 -deadline realtime -cpu-used 8",
    "AV1": "libaom-av1 -usage realtime -cpu-used 8",
}


def ffmpeg(*arguments: str, stdin: bytes = b"") -> bytes:
    command = [FFMPEG, "-nostdin", "-v", "error", *arguments] if not stdin else [FFMPEG, "-v", "error", *arguments]
    done = subprocess.run(command, input=stdin or None, capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@functools.cache
def video(
    codec: str, *, seconds: float = 3, size: str = "320x180", rate: int = 25, gop: int = 25, extra: str = ""
) -> tuple[DataFrame, ...]:
    encoder = ENCODERS[codec]
    source = f"testsrc2=s={size}:r={rate}:d={seconds}"
    data = ffmpeg(*f"-f lavfi -i {source} -pix_fmt yuv420p -c:v {encoder} -g {gop} {extra} -f nut -".split())
    width, height = (int(side) for side in size.split("x"))
    return tuple(_frames(data, codec.split("-", maxsplit=1)[0], width, height))


@functools.cache
def counted(codec: str, *, seconds: float = 5, width: int = WIDTH, height: int = HEIGHT) -> tuple[DataFrame, ...]:
    """30 pictures a second, a key frame each second, each with its number drawn in it (`counter_of`)."""
    raw = b"".join(picture(number, width, height).tobytes() for number in range(round(seconds * 30)))
    source = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r 30 -i pipe:0 -pix_fmt yuv420p"
    data = ffmpeg(*f"{source} -c:v {ENCODERS[codec]} -g 30 -f nut -".split(), stdin=raw)
    return tuple(_frames(data, codec, width, height))


def _frames(data: bytes, codec: str, width: int, height: int) -> list[DataFrame]:
    frames: list[DataFrame] = []
    first: int | None = None
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        annexb = av.BitStreamFilterContext("dump_extra" if codec in {"H264", "H265"} else "null", stream)
        for packet in container.demux(stream):
            for filtered in annexb.filter(packet if packet.size else None):
                assert filtered.pts is not None
                assert filtered.time_base is not None
                first = filtered.pts if first is None else first
                time = (filtered.pts - first) * filtered.time_base
                content = bytes(filtered)
                if codec == "AV1" and content[:2] == b"\x12\x00":
                    content = content[2:]
                frames.append(
                    DataFrame(
                        content,
                        codec=codec,
                        timestamp=START + int(time * 90_000),
                        clock_rate=90_000,
                        wallclock=1_700_000_000 + float(time),
                        key_frame=filtered.is_keyframe,
                        width=width if filtered.is_keyframe else 0,
                        height=height if filtered.is_keyframe else 0,
                    )
                )
    return frames


@functools.cache
def opus(*, seconds: float = 3, milliseconds: int = 20) -> tuple[DataFrame, ...]:
    source = f"-f lavfi -i sine=d={seconds}:r=48000 -ac 2"
    data = ffmpeg(*f"{source} -c:a libopus -b:a 32k -frame_duration {milliseconds} -f nut -".split())
    with av.open(io.BytesIO(data), "r") as container:
        payloads = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    step = 48 * milliseconds
    return tuple(
        DataFrame(
            payload,
            codec="opus",
            timestamp=START + index * step,
            clock_rate=48_000,
            wallclock=1_700_000_000 + index * milliseconds / 1000,
        )
        for index, payload in enumerate(payloads)
    )


def decoded(file: bytes) -> list[tuple[Fraction, bytes]]:
    """Time in seconds and data of each picture or block of samples that FFmpeg's own libraries read from a file."""
    out = []
    with av.open(io.BytesIO(file), "r") as container:
        for frame in container.decode(container.streams[0]):
            assert not isinstance(frame, SubtitleSet)
            assert frame.pts is not None
            assert frame.time_base is not None
            out.append((frame.pts * frame.time_base, bytes(frame.planes[0])))
    return out
