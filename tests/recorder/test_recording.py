"""The state machine: which frames are in which segment of which period, and when."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live777py.recorder.key_frames import KeyFrameRequests
from live777py.recorder.made import ChunkMade, PeriodEnded
from live777py.recorder.recording import (
    MOST_WAITING,
    PATIENCE,
    PICTURE_LULL,
    REPORT_PATIENCE,
    Recording,
    RecordingSettings,
)
from tests.recorder.sources import WALLCLOCK, ReadRecording, picture, pictures, read, sound, sounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from live777py.recorder.frames import DataFrame
    from live777py.recorder.made import Made
    from live777py.rtc.parameters import Kind

    Arrivals = list[tuple[float, list[tuple[Kind, list[DataFrame]]]]]

LENGTH = 2.0
LIP_SYNC = 0.040
BOTH: tuple[Kind, ...] = ("video", "audio")


def settings_of(**other: float) -> RecordingSettings:
    return RecordingSettings(segment_seconds=LENGTH, **other)


def play(
    recording: Recording,
    video: Sequence[DataFrame] = (),
    audio: Sequence[DataFrame] = (),
    *,
    kinds: Iterable[Kind] = BOTH,
    delay: Callable[[Kind], float] = lambda _: 0.0,
    batch: float = 0.1,
    asked: list[float] | None = None,
) -> list[Made]:
    """One publisher from its coming to its leaving: frames come in batches, `delay` seconds after they were sampled."""
    recording.begin(kinds)
    arrivals: list[tuple[float, Kind, DataFrame]] = []
    tracks: dict[Kind, Sequence[DataFrame]] = {"video": video, "audio": audio}
    for kind, frames in tracks.items():
        last = 0.0
        for frame in frames:
            last = max(last, frame.wallclock - WALLCLOCK + delay(kind))
            arrivals.append((last, kind, frame))
    arrivals.sort(key=lambda arrival: arrival[0])
    made: list[Made] = []
    now = arrivals[0][0] if arrivals else 0.0
    while arrivals:
        due = [arrival for arrival in arrivals if arrival[0] <= now]
        arrivals = arrivals[len(due) :]
        made += recording.feed([(kind, [frame]) for _, kind, frame in due], now)
        if recording.key_frame_due(now) and asked is not None:
            asked.append(now)
        now += batch
    return made + recording.end(now)


def recorded(*arguments: object, **options: object) -> ReadRecording:
    (only,) = read(play(*arguments, **options))  # type: ignore[arg-type]
    check(only)
    return only


def check(recording: ReadRecording) -> None:
    """What is so of every recording."""
    end = Fraction(0)
    for period in recording.periods:
        assert period.start >= end
        assert period.duration is not None
        end = period.start + period.duration
        for kind, track in period.tracks.items():
            assert track.numbers, "a track without frames"
            assert all(before < after for before, after in pairwise(track.times))
            assert all(before[1] == after[0] for before, after in pairwise(track.segments)), "a hole between segments"
            assert track.segments[0][0] - period.start < Fraction(1, 25)
            assert track.times[0] == track.segments[0][0] >= period.start
            assert kind == "audio" or track.segments[0][2], "a period begins with a key frame"


def test_every_frame_is_recorded_once_and_segments_are_cut_at_key_frames() -> None:
    recording = recorded(Recording(settings_of()), pictures(9), sounds(9))
    (period,) = recording.periods
    assert recording.numbers("video") == list(range(225))
    assert recording.numbers("audio") == list(range(450))
    video, audio = period.tracks["video"].segments, period.tracks["audio"].segments
    assert [float(start) for start, _, _ in video] == [0, 2, 4, 6, 8]
    assert all(key for _, _, key in video)
    assert [float(start) for start, _, _ in audio] == pytest.approx([0, 2, 4, 6, 8], abs=0.02)
    assert all(sound_at >= video_at for (sound_at, *_), (video_at, *_) in zip(audio, video, strict=True))
    assert period.duration == 9


def test_a_segment_is_as_long_as_the_key_frames_are_apart_at_least() -> None:
    recording = recorded(Recording(settings_of()), pictures(10, gop=75), sounds(10))
    assert [float(start) for start, _, _ in recording.periods[0].tracks["video"].segments] == [0, 3, 6, 9]


def test_only_sound_and_only_pictures() -> None:
    recording = recorded(Recording(settings_of()), audio=sounds(5), kinds=["audio"])
    assert list(recording.periods[0].tracks) == ["audio"]
    assert [float(start) for start, _, _ in recording.periods[0].tracks["audio"].segments] == pytest.approx(
        [0, 2, 4], abs=0.25
    )
    assert recording.numbers("audio") == list(range(250))
    recording = recorded(Recording(settings_of()), pictures(5), kinds=["video"])
    assert list(recording.periods[0].tracks) == ["video"]
    assert recording.numbers("video") == list(range(125))


def test_nothing_is_recorded_before_the_first_key_frame() -> None:
    late = [picture(number, number / 25) for number in range(30)]
    recorder = Recording(settings_of())
    recording = recorded(recorder, late + pictures(5, start=1.2), sounds(6.2))
    assert recording.numbers("video") == list(range(125))
    first_sound = recording.numbers("audio")[0]
    assert first_sound == 60
    assert recording.times("audio")[0] < Fraction(1, 25)
    assert recorder.dropped == 0


def test_a_kind_that_does_not_come_is_not_waited_for_and_begins_with_a_period() -> None:
    recorder = Recording(settings_of())
    asked: list[float] = []
    recording = recorded(recorder, pictures(9), sounds(4, start=5.5), asked=asked)
    first, second = recording.periods
    assert list(first.tracks) == ["video"]
    assert list(second.tracks) == ["video", "audio"]
    assert recording.numbers("video") == list(range(225))
    assert float(second.start) == pytest.approx(6, abs=0.001)
    assert recording.numbers("audio")[0] == 25
    assert any(5.5 <= at < 6 for at in asked), "a key frame is wanted for the sound"


def test_the_first_frames_wait_for_the_other_kind_only_so_long() -> None:
    recorder = Recording(settings_of())
    recorder.begin(BOTH)
    assert recorder.feed([("video", pictures(1))], 1.0) == []
    assert recorder.feed([], 1.0 + PATIENCE - 0.01) == []
    assert recorder.feed([], 1.0 + PATIENCE) != []


def arriving(seconds: float, *, late: float = 0.0, reported: float = math.inf) -> Arrivals:
    """Both kinds in batches, each with the time of its coming. The encoder needs `late` seconds for a picture; before
    `reported` arrival tells the time."""
    arrivals: list[tuple[float, Kind, DataFrame]] = []
    tracks: dict[Kind, tuple[list[DataFrame], float]] = {
        "video": (pictures(seconds), late),
        "audio": (sounds(seconds), 0),
    }
    for kind, (frames, after) in tracks.items():
        for frame in frames:
            at = frame.wallclock - WALLCLOCK + after
            frame.synced = at >= reported
            frame.wallclock += 0.0 if frame.synced else after
            arrivals.append((at, kind, frame))
    arrivals.sort(key=lambda arrival: arrival[0])
    batches = groupby(arrivals, lambda arrival: math.ceil(arrival[0] * 10) / 10)
    return [(now, [(kind, [frame]) for _, kind, frame in batch]) for now, batch in batches]


@pytest.mark.parametrize("reported", [0.5, 1.5, 3.5])
def test_the_first_reports_are_waited_for(reported: float) -> None:
    recorder = Recording(settings_of())
    recorder.begin(BOTH)
    made: list[Made] = []
    for now, frames in arriving(8, late=1.0, reported=reported):
        made += recorder.feed(frames, now)
        assert not made or now >= reported
    made += recorder.end(9.0)
    (recording,) = read(made)
    check(recording)
    assert recording.numbers("video") == list(range(200))
    assert recording.numbers("audio") == list(range(400))
    for number, time in zip(recording.numbers("video"), recording.times("video"), strict=True):
        assert abs(float(time) - number / 25) < LIP_SYNC
    for number, time in zip(recording.numbers("audio"), recording.times("audio"), strict=True):
        assert abs(float(time) - number / 50) < LIP_SYNC


def test_reports_that_do_not_come_are_waited_for_only_so_long() -> None:
    recorder = Recording(settings_of())
    recorder.begin(BOTH)
    began = next(now for now, frames in arriving(6) if recorder.feed(frames, now))
    assert began == pytest.approx(REPORT_PATIENCE, abs=0.2)


def test_first_frames_that_wait_are_bounded_in_bytes() -> None:
    recorder = Recording(settings_of())
    recorder.begin(BOTH)
    large = picture(0, 0.0, key=True)
    large = type(large)(
        bytes(large).ljust(MOST_WAITING, b"\0"),
        codec="VP8",
        timestamp=0,
        clock_rate=90_000,
        wallclock=WALLCLOCK,
        width=640,
        height=360,
    )
    assert recorder.feed([("audio", sounds(0.1))], 0.0) == []
    assert recorder.feed([("video", [large])], 0.1) != []


def test_who_stops_at_once_has_what_came() -> None:
    recorder = Recording(settings_of())
    recorder.begin(BOTH)
    for now, frames in arriving(0.1):
        assert recorder.feed(frames, now) == []
    (recording,) = read(recorder.end(0.1))
    assert (recording.numbers("video"), recording.numbers("audio")) == ([0, 1], [0, 1, 2, 3, 4])


def test_another_size_begins_a_period() -> None:
    small = pictures(3, start=4, size=(320, 180))
    recording = recorded(Recording(settings_of()), pictures(4) + small, sounds(7))
    first, second = recording.periods
    assert (first.tracks["video"].configuration.width, second.tracks["video"].configuration.width) == (640, 320)
    assert first.duration == second.start == 4
    assert first.tracks["audio"].numbers == list(range(200))
    assert second.tracks["audio"].numbers == list(range(200, 350))


def test_a_publisher_that_comes_back_goes_on_in_the_same_recording() -> None:
    recorder = Recording(settings_of())
    made = play(recorder, pictures(3.5), sounds(3.5))
    made += play(recorder, pictures(3, start=60, size=(1280, 720)), sounds(3, start=60))
    (recording,) = read(made)
    check(recording)
    first, second = recording.periods
    assert second.start == first.start + (first.duration or 0) == Fraction(7, 2)
    assert recorder.duration == pytest.approx(6.5, abs=0.05)


def test_rotation_loses_no_frame() -> None:
    first, second, third = read(play(Recording(settings_of(max_seconds=3.5)), pictures(9), sounds(9)))
    for recording in (first, second, third):
        check(recording)
        assert recording.periods[0].start == 0
    assert [float(r.periods[0].duration or 0) for r in (first, second, third)] == [4, 4, 1]
    for kind, count in (("video", 225), ("audio", 450)):
        numbers = [n for recording in (first, second, third) for n in recording.numbers(kind)]  # type: ignore[arg-type]
        assert numbers == list(range(count))


def test_rotation_of_sound_alone() -> None:
    parts = read(play(Recording(settings_of(max_seconds=3)), audio=sounds(7), kinds=["audio"]))
    assert [n for part in parts for n in part.numbers("audio")] == list(range(350))
    assert [round(float(part.periods[0].duration or 0), 1) for part in parts] == [3, 3, 1]


@pytest.mark.parametrize("hole", [0.4, 3.0, 20.0])
def test_missing_sound_is_silence(hole: float) -> None:
    """Muted, or a sender that says nothing while nobody speaks."""
    audio = sounds(3) + sounds(3, start=3 + hole)
    recording = recorded(Recording(settings_of()), pictures(6 + hole), audio)
    (period,) = recording.periods
    numbers = recording.numbers("audio")
    assert [n for n in numbers if n >= 0] == [*range(150), *range(150)]
    steps = [after - before for before, after in pairwise(period.tracks["audio"].times)]
    assert max(steps) < Fraction(5, 100)
    at = [time for time, number in zip(recording.times("audio"), numbers, strict=True) if number == 0]
    assert float(at[1]) == pytest.approx(3 + hole, abs=0.005)


def test_sound_that_comes_later_than_the_first_picture_is_silence_until_then() -> None:
    recording = recorded(Recording(settings_of()), pictures(5), sounds(4.5, start=0.5))
    (period,) = recording.periods
    assert recording.numbers("video") == list(range(125))
    numbers = recording.numbers("audio")
    assert (numbers[0], [n for n in numbers if n >= 0]) == (-1, list(range(225)))
    assert period.tracks["audio"].times[0] == 0


def test_without_a_picture_sound_goes_on_alone_and_they_meet_again() -> None:
    again = 3 + PICTURE_LULL + 5
    asked: list[float] = []
    resumed = [picture(75 + n, again + n / 25, key=n % 25 == 10) for n in range(60)]
    recording = recorded(Recording(settings_of()), pictures(3) + resumed, sounds(again + 3), asked=asked)
    assert [list(period.tracks) for period in recording.periods] == [["video", "audio"], ["audio"], ["video", "audio"]]
    assert recording.numbers("video") == [*range(75), *range(85, 135)]
    assert [n for n in recording.numbers("audio") if n >= 0] == list(range(round((again + 3) * 50)))
    assert any(again <= at < again + 0.5 for at in asked)


@pytest.mark.parametrize("stands", [False, True], ids=["RTP time goes on", "RTP time stands still"])
@pytest.mark.parametrize("pause", [1.0, 10.0])
def test_sound_and_picture_are_in_sync_after_a_pause_of_both(pause: float, *, stands: bool) -> None:
    """No packet comes: paused, or a network that was away."""
    again = 4 + pause
    video = pictures(4) + [picture(100 + n, again + n / 25, key=n % 25 == 0) for n in range(100)]
    audio = sounds(4) + [sound(200 + n, again + n * 0.02) for n in range(200)]
    if stands:
        for frame in (*video[100:], *audio[200:]):
            frame.timestamp -= round(pause * frame.clock_rate)
    recording = recorded(Recording(settings_of()), video, audio)
    assert recording.numbers("video") == list(range(200))
    assert [n for n in recording.numbers("audio") if n >= 0] == list(range(400))
    for kind, rate, first in (("video", 25, 100), ("audio", 50, 200)):
        for time, number in zip(recording.times(kind), recording.numbers(kind), strict=True):  # type: ignore[arg-type]
            if number >= 0:
                sampled = number / rate + (pause if number >= first else 0)
                assert float(time) == pytest.approx(sampled, abs=0.02)


def test_pictures_that_refer_to_a_lost_one_are_left_out_until_a_key_frame() -> None:
    video = pictures(4)
    video[30] = picture(30, 30 / 25, gap=True)
    recorder = Recording(settings_of())
    asked: list[float] = []
    recording = recorded(recorder, video, sounds(4), asked=asked)
    assert recording.numbers("video") == [*range(30), *range(50, 100)]
    assert recorder.dropped == 20
    assert asked
    assert float(recording.times("video")[30]) == pytest.approx(2, abs=0.002)


def test_without_key_frames_damaged_pictures_are_better_than_none() -> None:
    video = pictures(20, gop=1000)
    video[30] = picture(30, 30 / 25, gap=True)
    recording = recorded(Recording(settings_of()), video, kinds=["video"])
    assert recording.numbers("video") == [*range(30), *range(155, 500)]


def test_a_publisher_that_sends_no_key_frames_is_asked_ever_less_often() -> None:
    asked: list[float] = []
    recorded(Recording(settings_of()), pictures(200, gop=10_000), kinds=["video"], asked=asked)
    assert [round(at) for at in asked] == [2, 7, 17, 37, 67]


def test_requests_begin_anew_with_a_key_frame() -> None:
    requests = KeyFrameRequests()
    assert not requests.due(0)
    requests.want()
    assert [requests.due(now) for now in (0, 1, 4.9, 5)] == [True, False, False, True]
    requests.arrived()
    assert not requests.due(100)
    requests.want()
    assert requests.due(100)


@pytest.mark.parametrize("late", [("video", 0.4), ("audio", 0.4), ("audio", 0.9)])
def test_one_kind_may_come_later_than_the_other(late: tuple[Kind, float]) -> None:
    recording = recorded(
        Recording(settings_of()), pictures(6), sounds(6), delay=lambda kind: late[1] if kind == late[0] else 0.0
    )
    assert recording.numbers("video") == list(range(150))
    assert recording.numbers("audio") == list(range(300))
    assert len(recording.periods) == 1


def test_low_latency_makes_parts_that_are_the_segments() -> None:
    video, audio = pictures(5), sounds(5)
    made = play(Recording(settings_of(chunk_seconds=0.5)), video, audio)
    assert any(isinstance(item, ChunkMade) for item in made)
    assert read(made)[0].numbers("audio") == list(range(250))


def test_a_broken_key_frame_is_left_out() -> None:
    video = pictures(3)
    broken = picture(25, 1, key=True)
    broken = type(broken)(
        b"\x10\0\0", codec="VP8", timestamp=broken.timestamp, clock_rate=90_000, wallclock=broken.wallclock
    )
    video[25] = broken
    recording = recorded(Recording(settings_of()), video, kinds=["video"])
    assert recording.numbers("video") == [*range(25), *range(50, 75)]


def test_nothing_comes() -> None:
    recorder = Recording(settings_of())
    assert play(recorder) == []
    assert recorder.duration == 0
    assert not any(isinstance(item, PeriodEnded) for item in play(recorder, [picture(1, 0)], kinds=["video"]))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([10, 25, 30, 60]),
    gop=st.sampled_from([5, 30, 100]),
    jitter=st.sampled_from([0.0, 0.05, 0.4]),
    batch=st.sampled_from([0.02, 0.1, 0.5]),
    max_seconds=st.sampled_from([0.0, 3.0]),
)
def test_no_frame_is_lost_or_doubled_whatever_the_order_of_arrival(
    seed: int, rate: int, gop: int, jitter: float, batch: float, max_seconds: float
) -> None:
    random_ = random.Random(seed)
    video = pictures(8, rate=rate, gop=gop)
    made = play(
        Recording(settings_of(max_seconds=max_seconds)),
        video,
        sounds(8),
        delay=lambda _: random_.uniform(0, jitter),
        batch=batch,
    )
    recordings = read(made)
    for recording in recordings:
        check(recording)
    assert [n for recording in recordings for n in recording.numbers("video")] == list(range(len(video)))
    assert [n for recording in recordings for n in recording.numbers("audio")] == list(range(400))


@pytest.mark.parametrize("drifts", [(2e-4, -2e-4), (-2e-4, 0.0)])
def test_sound_and_picture_stay_together_over_an_hour(drifts: tuple[float, float]) -> None:
    seconds = 3600
    rate = 5
    video = [picture(n, n / rate, key=n % 10 == 0, drift=drifts[0]) for n in range(seconds * rate)]
    audio = [sound(n, n * 0.02, drift=drifts[1]) for n in range(seconds * 50)]
    recorder = Recording(RecordingSettings(segment_seconds=10))
    recorder.begin(BOTH)
    made: list[Made] = []
    for second in range(seconds):
        made += recorder.feed(
            [("video", video[second * rate : (second + 1) * rate]), ("audio", audio[second * 50 : (second + 1) * 50])],
            float(second),
        )
    (recording,) = read(made + recorder.end(seconds))
    assert len(recording.periods) == 1
    for kind, step in (("video", Fraction(1, rate)), ("audio", Fraction(1, 50))):
        numbers = recording.numbers(kind)  # type: ignore[arg-type]
        assert numbers == list(range(len(numbers)))
        off = [abs(time - number * step) for time, number in zip(recording.times(kind), numbers, strict=True)]  # type: ignore[arg-type]
        assert max(off) < Fraction(1, 60)
