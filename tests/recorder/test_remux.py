"""One file of a recording: every frame of every Period is in it, where the presentation has it."""

from __future__ import annotations

import asyncio
import io
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import av
import pytest

from live777py.errors import NotFound
from live777py.recorder.boxes import boxes, find
from live777py.recorder.muxer import Segment, TrackMuxer
from live777py.recorder.names import init_name, segment_name
from live777py.recorder.remux import OneFile, remux
from tests.recorder.encoded import ENCODERS, ffmpeg, opus, video
from tests.recorder.recording import Recording, time
from tests.recorder.test_repair import Memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from av.container import InputContainer


def whole(files: Mapping[str, bytes], start: int = 0, end: int | None = None) -> tuple[OneFile, bytes]:
    async def get() -> tuple[OneFile, bytes]:
        file = await remux(Memory(files))
        return file, b"".join([piece async for piece in file.read(start, end)])

    return asyncio.run(get())


def times(data: bytes, kind: str, number: int = 0) -> list[Fraction]:
    container: InputContainer
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[number] if kind == "video" else container.streams.audio[number]
        return [
            frame.pts * frame.time_base
            for frame in container.decode(stream)
            if isinstance(frame, (av.VideoFrame, av.AudioFrame)) and frame.pts is not None and frame.time_base
        ]


def near(found: list[Fraction], wanted: list[Fraction], within: Fraction = Fraction(1, 1000)) -> bool:
    return len(found) == len(wanted) and all(abs(a - b) <= within for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("codec", ["H264", "H265", "VP8", "VP9", "AV1"])
def test_every_frame_of_both_periods_is_in_the_file(codec: str) -> None:
    recording = Recording()
    recording.record(video(codec), opus())
    recording.record(video(codec, size="640x360"), opus(), at=Fraction(33, 4))
    file, data = whole(recording.files)
    assert file.size == len(data)
    assert file.content_type == ("video/webm" if codec == "VP8" else "video/mp4")
    second = Fraction("3.02")
    wanted = [start + Fraction(index, 25) for start in (Fraction(0), second) for index in range(75)]
    assert near(times(data, "video"), wanted)
    wanted = [start + Fraction(index, 50) for start in (Fraction(0), second) for index in range(151)]
    assert near(times(data, "audio"), wanted)
    with av.open(io.BytesIO(data), "r") as container:
        sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert sizes == [(320, 180)] * 75 + [(640, 360)] * 75


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_any_part_of_the_file_is_that_part(codec: str) -> None:
    recording = Recording()
    recording.record(video(codec), opus())
    _, data = whole(recording.files)
    marks = [0, 1, 600, 5000, len(data) // 3, len(data) // 2, len(data) - 1, len(data)]
    for start in marks:
        for end in [*marks, len(data) + 10]:
            assert whole(recording.files, start, end)[1] == data[start:end]


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_ffmpeg_finds_its_way_to_the_middle(codec: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The index in front is right: after a jump the same picture is decoded as without."""
    recording = Recording()
    recording.record(video(codec), opus())
    path = tmp_path_factory.mktemp("seek") / "one"
    path.write_bytes(whole(recording.files)[1])
    jumped = ffmpeg("-ss", "2", "-i", str(path), "-frames:v", "1", "-an", "-f", "rawvideo", "-")
    straight = ffmpeg("-i", str(path), "-vf", "select=gte(t\\,2)", "-frames:v", "1", "-an", "-f", "rawvideo", "-")
    assert jumped == straight != b""


def test_the_index_is_in_front() -> None:
    recording = Recording()
    recording.record(video("H264"), opus())
    _, data = whole(recording.files)
    assert [found.kind for found in boxes(data)] == [b"ftyp", b"moov", b"mdat"]
    duration = find(data, b"moov", b"mvhd").body + 24
    assert int.from_bytes(data[duration : duration + 8]) == round(Fraction("3.02") * 90_000)


@pytest.mark.parametrize("first", ["H264", "VP8"])
def test_another_codec_is_another_track(first: str) -> None:
    other = "VP8" if first == "H264" else "H264"
    recording = Recording()
    recording.record(video(first), opus())
    recording.record(video(other), opus(), at=10)
    file, data = whole(recording.files)
    assert file.content_type == "video/mp4"
    container: InputContainer
    with av.open(io.BytesIO(data), "r") as container:
        assert [stream.codec_context.name for stream in container.streams.video] == [first.lower(), other.lower()]
    for index, start in enumerate((Fraction(0), Fraction("3.02"))):
        assert near(times(data, "video", index), [start + Fraction(number, 25) for number in range(75)])


@pytest.mark.parametrize("codec", ["H264", None])
def test_one_kind_alone(codec: str | None) -> None:
    recording = Recording()
    recording.record(video(codec) if codec else (), () if codec else opus())
    file, data = whole(recording.files)
    assert file.content_type == ("video/mp4" if codec else "audio/mp4")
    assert len(times(data, "video" if codec else "audio")) == (75 if codec else 151)


def test_vp8_without_sound() -> None:
    recording = Recording()
    recording.record(video("VP8"), ())
    assert len(times(whole(recording.files)[1], "video")) == 75


def test_a_track_that_begins_late_begins_late() -> None:
    for late, early in ((opus()[25:], video("H264")), (opus(), video("H264")[25:])):
        recording = Recording()
        recording.record(early, late)
        _, data = whole(recording.files)
        assert near(times(data, "video"), [Fraction(75 - len(early) + index, 25) for index in range(len(early))])
        assert near(times(data, "audio"), [Fraction(151 - len(late) + index, 50) for index in range(len(late))])


@pytest.mark.parametrize("codec", ["H264-B", "H265"])
def test_chunks_and_reordered_pictures_come_out_in_order(codec: str) -> None:
    frames = video(codec)
    muxer = TrackMuxer(frames[0], seconds=1, chunk_seconds=0.2)
    files = {init_name("video", 0, "mp4"): muxer.init}
    made = [chunk for frame in frames for chunk in muxer.push(frame, time(frame, 90_000, 0))] + muxer.finish()
    for number, segment in enumerate([chunk for chunk in made if isinstance(chunk, Segment)], 1):
        files[segment_name("video", 0, number, "mp4")] = segment.data
    _, data = whole(files)
    found = times(data, "video")
    assert [after - before for before, after in pairwise(found)] == [Fraction(1, 25)] * 74


def test_a_missing_segment_leaves_no_hole() -> None:
    recording = Recording()
    recording.record(video("H264"), ())
    del recording.files["v_seg_0002.m4s"]
    _, data = whole(recording.files)
    assert near(times(data, "video"), [Fraction(index, 25) for index in range(50)])


def test_a_pause_within_a_period_lasts() -> None:
    """Sound stops for a second while the picture goes on."""
    recording = Recording()
    recording.record(video("H264"), (*opus()[:50], *opus()[100:]))
    _, data = whole(recording.files)
    found = times(data, "audio")
    assert near(found, [Fraction(index, 50) for index in (*range(50), *range(100, 151))])


def test_nothing_is_not_a_file() -> None:
    with pytest.raises(NotFound):
        whole({})


def test_ffmpeg_reads_every_encoder_without_a_word() -> None:
    for codec in ENCODERS:
        recording = Recording()
        recording.record(video(codec), opus())
        _, data = whole(recording.files)
        assert ffmpeg("-xerror", "-i", "-", "-f", "null", "-", stdin=data) == b""
