"""Whatever a publisher calls a frame: a segment is made of it or `BitstreamError` raised, quickly; nothing else."""

from __future__ import annotations

import time
from contextlib import suppress

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from live777py.recorder import webm
from live777py.recorder.bitstream import BitstreamError
from live777py.recorder.boxes import BoxError, boxes, find
from live777py.recorder.configuration import configuration_of
from live777py.recorder.frames import DataFrame
from live777py.recorder.muxer import Segment, TrackMuxer
from tests.fuzz.test_sdp import SECONDS
from tests.recorder.encoded import video

PROFILE = settings(
    max_examples=150 + int(400 * SECONDS),
    derandomize=not SECONDS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
CODEC = st.sampled_from(["H264", "H265", "VP8", "VP9", "AV1"])


@st.composite
def changed(draw: st.DrawFn) -> tuple[str, bytes]:
    """The head of a real key frame, where its headers are, with some bytes or bits of it wrong."""
    codec = draw(CODEC)
    data = bytearray(video(codec, seconds=0.2)[0])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(min(len(data), 160) - 1, 0)))
        match draw(st.integers(0, 2)):
            case 0 if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case 1:
                data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
            case 2:
                del data[at + 1 :]
    return codec, bytes(data)


BEGINNINGS = [
    b"",
    b"\0\0\0\1\x67",
    b"\0\0\0\1\x40\1\0\0\1\x42\1",
    b"\x82\x49\x83\x42",
    b"\x0a\x0b",
    b"\x10\0\0\x9d\1\x2a",
]
HEADERS = st.tuples(CODEC, st.tuples(st.sampled_from(BEGINNINGS), st.binary(max_size=80)).map(b"".join))


def frame(codec: str, data: bytes) -> DataFrame:
    return DataFrame(data, codec=codec, timestamp=0, clock_rate=90_000)


@PROFILE
@given(which=changed() | HEADERS)
@example(which=("H264", b"\0\0\1\x67\x64\0\x1e" + b"\0" * 60_000))
@example(which=("H264", b"\0\0\1\x68" * 40_000 + b"\0\0\1\x67\x42\0\x1e\xff\xff\xff"))
@example(which=("H265", b"\0\0\1\x40\1" + b"\0\0\1\x42\1" + b"\xff" * 60_000 + b"\0\0\1\x44\1"))
@example(which=("AV1", b"\x0a\xff\xff\xff\xff\xff\xff\xff\x7f"))
def test_key_frames_of_any_kind(which: tuple[str, bytes]) -> None:
    codec, data = which
    began = time.process_time()
    try:
        first = TrackMuxer(frame(codec, data), seconds=1)
    except BitstreamError:
        pass
    else:
        assert first.configuration.width
        assert first.configuration.height
        first.push(frame(codec, data), 0)
        assert [segment.frames for segment in first.finish() if isinstance(segment, Segment)] == [1]
    assert time.process_time() - began < 1


@PROFILE
@given(which=changed() | HEADERS)
def test_a_frame_of_any_kind_goes_into_a_segment(which: tuple[str, bytes]) -> None:
    codec, data = which
    good = video(codec)[0]
    muxer = TrackMuxer(good, seconds=1)
    muxer.push(good, 0)
    with suppress(BitstreamError):
        muxer.accepts(frame(codec, data))
    muxer.push(frame(codec, data), 30)
    assert [segment.frames for segment in muxer.finish() if isinstance(segment, Segment)] == [2]


@PROFILE
@given(data=st.binary(max_size=60))
def test_boxes_and_elements_of_any_kind(data: bytes) -> None:
    for read in (
        lambda: list(boxes(data)),
        lambda: find(data, b"moof", b"traf"),
        lambda: list(webm.elements(data)),
        lambda: list(webm.read_clusters(data)),
        lambda: list(webm.read_clusters(b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff" + data)),
    ):
        try:
            read()
        except (BoxError, webm.EbmlError):
            continue
    assert configuration_of(video("VP8")[0]).codecs == "vp8"
