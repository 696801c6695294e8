"""JPEG out of key frames and segments of real encoders, and out of what is none."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import av
import pytest

from live777py.errors import NotFound
from live777py.recorder import pictures
from tests.recorder.encoded import ENCODERS, ffmpeg, video

if TYPE_CHECKING:
    import numpy.typing as npt

CODECS = ["H264", "H264-B", "H265", "VP8", "VP9", "AV1"]
COLOURS = "color=red:s=1280x720:d=1[a];color=blue:s=640x720:d=1[b];[a][b]overlay=640:0"
"""The left half is red, the right half blue."""


def pixels(jpeg: bytes) -> npt.NDArray[Any]:
    with av.open(io.BytesIO(jpeg), format="mjpeg", mode="r") as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


@pytest.mark.parametrize("codec", CODECS)
def test_of_a_key_frame(codec: str) -> None:
    frame = video(codec, seconds=1)[0]
    jpeg = pictures.of_key_frame(frame.codec, frame)
    assert jpeg.startswith(b"\xff\xd8\xff")
    assert pixels(jpeg).shape == (180, 320, 3)


def test_it_is_made_small_and_shows_what_there_was() -> None:
    data = ffmpeg(
        "-filter_complex", COLOURS, *f"-frames:v 1 -pix_fmt yuv420p -c:v {ENCODERS['H264']} -f h264 -".split()
    )
    picture = pixels(pictures.of_key_frame("H264", data))
    assert picture.shape == (360, 640, 3)
    left, right = picture[180, 100], picture[180, 500]
    assert left[0] > 200
    assert left[2] < 60
    assert right[2] > 200
    assert right[0] < 60


@pytest.mark.parametrize(
    ("container", "options"), [("mp4", "-c:v libx264 -movflags empty_moov+default_base_moof"), ("webm", "-c:v libvpx")]
)
def test_of_a_segment_whose_end_is_missing(container: str, options: str) -> None:
    source = "-f lavfi -i testsrc2=s=640x360:r=25:d=2 -pix_fmt yuv420p -g 50 -b:v 2M"
    data = ffmpeg(*f"{source} {options} -f {container} -".split())
    jpeg = pictures.of_segment(data[:200], data[200 : len(data) // 2])
    assert pixels(jpeg).shape == (360, 640, 3)


@pytest.mark.parametrize("codec", ["H264", "H265", "VP8", "VP9", "AV1"])
@pytest.mark.parametrize("data", [b"\0", b"\0\0\0\1junk", bytes(range(256))])
def test_what_is_no_picture(codec: str, data: bytes) -> None:
    with pytest.raises(NotFound):
        pictures.of_key_frame(codec, data)


@pytest.mark.parametrize("data", [b"", b"junk" * 100])
def test_what_is_no_segment(data: bytes) -> None:
    with pytest.raises(NotFound):
        pictures.of_segment(data, data)


def test_sound_is_no_picture() -> None:
    data = ffmpeg(*["-f", "lavfi", "-i", "sine=d=1", "-c:a", "libopus", "-f", "webm", "-"])
    with pytest.raises(NotFound):
        pictures.of_segment(data, b"")


def test_a_picture_that_is_too_large_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = video("H264", seconds=1)[0]
    monkeypatch.setattr(pictures, "MAX_PIXELS", 319 * 180)
    with pytest.raises(NotFound):
        pictures.of_key_frame("H264", frame)
