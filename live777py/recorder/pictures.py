"""Pictures out of video: one key frame decoded, made small, written as JPEG. Blocking, so in a thread."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final, cast

import av
from av.video.codeccontext import VideoCodecContext

from live777py.errors import NotFound

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAX_WIDTH: Final = 640
"""Pixels."""
MAX_PIXELS: Final = 8192 * 8192
"""Larger pictures are not decoded: the memory they take is the publisher's to choose."""

_DECODERS: Final = {"H264": "h264", "H265": "hevc", "VP8": "vp8", "VP9": "vp9", "AV1": "libdav1d"}
_QUALITY: Final = "5"
"""Of FFmpeg's scale, on which 2 is the best and 31 the worst."""


def of_key_frame(codec: str, data: Buffer) -> bytes:
    """Of a frame in the form of `media.native.Frame`. Raises NotFound: it does not decode."""
    decoder = cast("VideoCodecContext", av.CodecContext.create(_DECODERS[codec], "r"))
    decoder.thread_count = 1
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    try:
        # A superframe of VP9 has a picture for each of its layers, the best one last.
        pictures = [*decoder.decode(av.Packet(bytes(data))), *decoder.decode(None)]
    except av.FFmpegError:
        pictures = []
    return _jpeg(pictures[-1] if pictures else None)


def of_segment(init: bytes, segment: bytes) -> bytes:
    """Of the first picture in it; the end of `segment` may be missing. Raises NotFound: there is none."""
    picture = None
    try:
        with av.open(io.BytesIO(init + segment), mode="r") as container:
            decoder = container.streams.video[0].codec_context
            decoder.thread_count = 1
            decoder.options = {"max_pixels": str(MAX_PIXELS)}
            picture = next(container.decode(video=0), None)
    except (av.FFmpegError, IndexError):
        pass
    return _jpeg(picture)


def _jpeg(picture: av.VideoFrame | None) -> bytes:
    if picture is None:
        raise NotFound("there is no picture")
    width = min(picture.width, MAX_WIDTH)
    height = max(1, round(picture.height * width / picture.width))
    encoder = VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = width, height
    encoder.pix_fmt = "yuvj420p"
    encoder.options = {"qmin": _QUALITY, "qmax": _QUALITY}
    small = picture.reformat(width=width, height=height, format="yuvj420p")
    small.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])
