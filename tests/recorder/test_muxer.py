"""Frames in, segments out, and FFmpeg reads back what went in: as many pictures, at the same times."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live777py.recorder import muxer as muxer_module
from live777py.recorder.bitstream import BitstreamError
from live777py.recorder.boxes import boxes, find
from live777py.recorder.frames import DataFrame
from live777py.recorder.muxer import LONGEST, Chunk, Segment, TrackMuxer
from tests.recorder.encoded import ENCODERS, START, decoded, opus, video

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

OFFSET = 5
"""Seconds on the time line at which the streams of these tests begin."""


def ticks(frame: DataFrame, timescale: int) -> int:
    return OFFSET * timescale + (frame.timestamp - START) * timescale // frame.clock_rate


def mux(frames: Iterable[DataFrame], muxer: TrackMuxer) -> list[Chunk]:
    out: list[Chunk] = []
    for frame in frames:
        assert muxer.accepts(frame)
        out += muxer.push(frame, ticks(frame, muxer.timescale))
    return out + muxer.finish()


def segments(chunks: Iterable[Chunk]) -> list[Segment]:
    return [chunk for chunk in chunks if isinstance(chunk, Segment)]


def seconds(frames: Sequence[DataFrame], timescale: int) -> list[Fraction]:
    return sorted(Fraction(ticks(frame, timescale), timescale) for frame in frames)


@pytest.mark.parametrize("codec", ENCODERS)
def test_every_frame_is_there_at_its_time(codec: str) -> None:
    frames = video(codec)
    muxer = TrackMuxer(frames[0], seconds=1)
    made = segments(mux(frames, muxer))
    assert [segment.start for segment in made] == [OFFSET + index for index in range(3)]
    assert all(segment.duration == 1 and segment.key for segment in made)
    assert sum(segment.frames for segment in made) == len(frames)
    times = [time for time, _ in decoded(muxer.init + b"".join(segment.data for segment in made))]
    wanted = seconds(frames, muxer.timescale)
    # FFmpeg adds the largest negative offset, of one picture here, to all presentation times of a track with B-frames.
    shift = Fraction(1, 25) if codec == "H264-B" else 0
    assert times == [time + shift for time in wanted]


@pytest.mark.parametrize("codec", ENCODERS)
def test_each_segment_stands_alone(codec: str) -> None:
    frames = video(codec)
    muxer = TrackMuxer(frames[0], seconds=1)
    for segment in segments(mux(frames, muxer)):
        assert len(decoded(muxer.init + segment.data)) == segment.frames == 25


@pytest.mark.parametrize("milliseconds", [10, 20, 60])
def test_audio_is_there_to_the_sample(milliseconds: int) -> None:
    frames = opus(milliseconds=milliseconds)
    muxer = TrackMuxer(frames[0], seconds=1)
    made = segments(mux(frames, muxer))
    blocks = decoded(muxer.init + b"".join(segment.data for segment in made))
    assert [time for time, _ in blocks] == seconds(frames, 48_000)
    ends = [segment.start + segment.duration for segment in made]
    assert [segment.start for segment in made[1:]] == ends[:-1]
    assert all(segment.duration >= 1 for segment in made[:-1])


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_a_variable_frame_rate_keeps_its_times(codec: str) -> None:
    frames = list(video(codec))
    steps = [1, 40, 3000, 7200, 90_000, 17]
    at = START
    uneven = []
    for index, frame in enumerate(frames):
        uneven.append(copy(frame, timestamp=at))
        at += max(90, steps[index % len(steps)])
    muxer = TrackMuxer(uneven[0], seconds=2)
    made = segments(mux(uneven, muxer))
    times = [time for time, _ in decoded(muxer.init + b"".join(segment.data for segment in made))]
    assert times == seconds(uneven, muxer.timescale)


def copy(frame: DataFrame, *, data: bytes | None = None, **changes: int | bool) -> DataFrame:
    values = {
        name: getattr(frame, name)
        for name in ("codec", "timestamp", "clock_rate", "wallclock", "synced", "key_frame", "gap", "width", "height")
    }
    return DataFrame(frame if data is None else data, **{**values, **changes})


@pytest.mark.parametrize("codec", ["H264", "H265", "VP9", "AV1"])
def test_chunks_are_their_segment(codec: str) -> None:
    frames = video(codec)
    muxer = TrackMuxer(frames[0], seconds=1, chunk_seconds=0.2)
    out = mux(frames, muxer)
    parts: list[Chunk] = []
    for chunk in out:
        if not isinstance(chunk, Segment):
            parts.append(chunk)
            continue
        assert b"".join(part.data for part in parts) == chunk.data
        assert [part.key for part in parts] == [True, *[False] * 4]
        assert sum(part.duration for part in parts) == chunk.duration
        assert [part.start for part in parts] == [chunk.start + Fraction(index, 5) for index in range(5)]
        parts = []
    assert not parts
    whole = b"".join(segment.data for segment in segments(out))
    assert [time for time, _ in decoded(muxer.init + whole)] == seconds(frames, muxer.timescale)
    kinds = [found.kind for found in boxes(segments(out)[0].data)]
    assert kinds == [b"styp", *[b"moof", b"mdat"] * 5]


def test_a_fragment_says_where_it_begins_and_which_one_it_is() -> None:
    frames = opus()
    muxer = TrackMuxer(frames[0], seconds=1)
    for number, segment in enumerate(segments(mux(frames, muxer)), 1):
        begin = find(segment.data, b"moof", b"traf", b"tfdt")
        assert int.from_bytes(segment.data[begin.body + 4 : begin.end]) == segment.time == segment.start * 48_000
        sequence = find(segment.data, b"moof", b"mfhd")
        assert int.from_bytes(segment.data[sequence.body + 4 : sequence.end]) == number


def test_another_size_is_another_configuration() -> None:
    small, large = video("H264"), video("H264", size="640x360")
    muxer = TrackMuxer(small[0], seconds=1)
    assert (muxer.configuration.width, muxer.configuration.height) == (320, 180)
    assert muxer.accepts(small[25])
    assert not muxer.accepts(large[0])
    assert muxer.accepts(large[1]), "only a key frame tells"
    assert not muxer.accepts(video("VP8")[0])


@pytest.mark.parametrize("codec", ["H264", "H265"])
def test_parameter_sets_that_come_only_once_are_in_every_segment(codec: str) -> None:
    frames = [
        frame if index == 0 or not frame.key_frame else copy(frame, data=without_sets(frame))
        for index, frame in enumerate(video(codec))
    ]
    assert len(frames[25]) < len(video(codec)[25])
    muxer = TrackMuxer(frames[0], seconds=1)
    made = segments(mux(frames, muxer))
    other = TrackMuxer(video(codec)[25], seconds=1)
    assert len(decoded(other.init + made[1].data)) == 25
    with pytest.raises(BitstreamError, match="no parameter sets"):
        TrackMuxer(frames[25], seconds=1)


def without_sets(frame: DataFrame) -> bytes:
    units = [unit.rstrip(b"\0") for unit in bytes(frame).split(b"\0\0\1")]
    kept = [unit for unit in units if unit and nal_type(unit, frame.codec) not in {7, 8, 32, 33, 34}]
    return b"".join(b"\0\0\0\1" + unit for unit in kept)


def nal_type(unit: bytes, codec: str) -> int:
    return unit[0] & 31 if codec == "H264" else unit[0] >> 1


def test_a_publisher_without_key_frames_is_cut_all_the_same() -> None:
    frames = video("VP8", seconds=8, gop=1000)
    muxer = TrackMuxer(frames[0], seconds=1)
    made = segments(mux(frames, muxer))
    assert [segment.duration for segment in made] == [LONGEST, 2]
    assert [segment.key for segment in made] == [True, False]


def test_a_segment_is_cut_before_it_takes_too_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = video("VP8", seconds=4, gop=1000)
    most = sum(len(bytes(frame)) for frame in frames[:20])
    monkeypatch.setattr(muxer_module, "MOST_BYTES", most)
    made = segments(mux(frames, TrackMuxer(frames[0], seconds=10)))
    assert made[0].frames == 20
    assert sum(segment.frames for segment in made) == len(frames)


def test_audio_is_cut_where_the_video_is() -> None:
    frames = opus()
    for late in (0, 1, 10):
        muxer = TrackMuxer(frames[0], seconds=1, aligned=True)
        out: list[Chunk] = []
        cuts = [round((OFFSET + at) * 48_000) for at in (0.505, 1.5, 2.75)]
        for frame in frames:
            now = ticks(frame, 48_000)
            if cuts and now >= cuts[0] + late * 960:
                out += muxer.cut(cuts.pop(0))
            out += muxer.push(frame, now)
        assert not cuts
        made = segments(out + muxer.finish())
        # 0.505 is within a packet: the one that follows begins the segment.
        assert [segment.start - OFFSET for segment in made] == [0, Fraction("0.52"), Fraction("1.5"), Fraction("2.76")]
        assert sum(segment.frames for segment in made) == len(frames)
        assert len(decoded(muxer.init + b"".join(segment.data for segment in made))) == len(frames)


def test_a_cut_ahead_of_the_audio_is_carried_out_when_it_gets_there() -> None:
    frames = opus()
    muxer = TrackMuxer(frames[0], seconds=1, aligned=True)
    assert not muxer.cut((OFFSET + 1) * 48_000)
    made = segments(mux(frames, muxer))
    assert [segment.duration for segment in made] == [1, Fraction(151, 50) - 1]


def test_aligned_audio_without_cuts_is_bounded() -> None:
    frames = opus(seconds=8)
    muxer = TrackMuxer(frames[0], seconds=1, aligned=True)
    assert segments(mux(frames, muxer))[0].duration == LONGEST


def test_the_end_is_what_the_caller_knows_or_one_frame_more() -> None:
    frame = opus()[0]
    for end, duration in ((None, Fraction(1, 50)), (48_000, 1), (-1, Fraction(1, 50))):
        muxer = TrackMuxer(frame, seconds=1)
        assert not muxer.finish(end)
        assert not muxer.push(frame, 0)
        assert [segment.duration for segment in muxer.finish(end)] == [duration]
        assert not muxer.finish(end)


PACKET = st.integers(1, 5000)


@settings(deadline=None)
@given(
    steps=st.lists(PACKET, min_size=1, max_size=80),
    cuts=st.lists(st.integers(0, 80 * 5000), max_size=8),
    chunk=st.sampled_from([None, 0.02, 0.1]),
    start=st.integers(0, 2**40),
)
def test_time_is_neither_lost_nor_made(steps: list[int], cuts: list[int], chunk: float | None, start: int) -> None:
    packet = opus()[0]
    muxer = TrackMuxer(packet, seconds=0.5, chunk_seconds=chunk, aligned=bool(cuts))
    out: list[Chunk] = []
    at = start
    waiting = sorted(cuts)
    for step in steps:
        while waiting and waiting[0] <= at - start:
            out += muxer.cut(start + waiting.pop(0))
        out += muxer.push(packet, at)
        at += step
    made = segments(out + muxer.finish(at))
    assert sum(segment.frames for segment in made) == len(steps)
    assert made[0].time == start
    assert [before.time + before.ticks for before in made] == [*(after.time for after in made[1:]), at]
    assert all(segment.ticks > 0 for segment in made)


@settings(deadline=None)
@given(order=st.permutations(range(12)), step=st.integers(1, 3000))
def test_any_order_of_pictures_gives_increasing_decoding_times(order: list[int], step: int) -> None:
    key, delta = video("VP9")[0], video("VP9")[1]
    muxer = TrackMuxer(key, seconds=1)
    muxer.push(key, 0)
    for place in order:
        muxer.push(delta, (place + 1) * step)
    (made,) = segments(muxer.finish())
    assert made.frames == 13
    assert (made.time, made.ticks > 12 * step) == (0, True)
