"""Clocks that drift, reports that lie a little, pauses and jumps: times increase, and audio and video stay together."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live777py.recorder.timeline import CORRECTED_FROM, JUMP, Origin, TrackTimeline

ORIGIN = 1_700_000_000.0
FRAME = 1 / 30


@dataclass
class Publisher:
    """One track: its clock drifts by `ppm`, and every sender report maps it to the wall clock with some error."""

    rate: int
    step: float
    ppm: float
    random: Random
    jitter: float = 0.002
    start: float = 0.0
    pauses: list[tuple[float, float]] = field(default_factory=list)

    def frames(self, until: float) -> list[tuple[float, int, float]]:
        """True time, timestamp, and what the wall clock is thought to be."""
        out = []
        at = self.start
        first = self.random.randrange(2**32)
        report: tuple[float, int] | None = None
        while at < until:
            if not any(begin <= at < end for begin, end in self.pauses):
                timestamp = first + round(at * (1 + self.ppm / 1e6) * self.rate)
                if report is None or at - report[0] > 5 or self.random.random() < self.step / 3:
                    report = (at + self.random.uniform(-self.jitter, self.jitter), timestamp)
                out.append((at, timestamp, ORIGIN + report[0] + (timestamp - report[1]) / self.rate))
            at += self.step
        return out


def placed(publisher: Publisher, timeline: TrackTimeline, until: float) -> list[tuple[float, int]]:
    return [(at, timeline.place(timestamp, wall)) for at, timestamp, wall in publisher.frames(until)]


@settings(deadline=None, max_examples=40)
@given(
    ppm=st.tuples(st.floats(-300, 300), st.floats(-300, 300)),
    seed=st.integers(0, 2**32),
    pause=st.floats(0.5, 60),
    start=st.floats(0, 1),
)
def test_audio_and_video_stay_within_a_frame(ppm: tuple[float, float], seed: int, pause: float, start: float) -> None:
    random = Random(seed)
    pauses = [(20.0, 20.0 + pause)]
    video = Publisher(90_000, FRAME, ppm[0], random, pauses=pauses)
    audio = Publisher(48_000, 0.02, ppm[1], random, start=start, pauses=pauses if seed & 1 else [])
    for publisher, scale in ((video, 90_000), (audio, 48_000)):
        line = placed(publisher, TrackTimeline(clock_rate=publisher.rate, timescale=scale, origin=Origin(ORIGIN)), 120)
        assert all(before[1] < after[1] for before, after in pairwise(line))
        assert max(abs(time / scale - at) for at, time in line) < FRAME / 2


@settings(deadline=None)
@given(start=st.integers(0, 2**40), steps=st.lists(st.integers(1, 10**6), min_size=1), noise=st.integers(0, 2**32))
def test_timestamps_that_agree_with_the_clock_are_kept_to_the_tick(start: int, steps: list[int], noise: int) -> None:
    random = Random(noise)
    timeline = TrackTimeline(clock_rate=90_000, timescale=90_000, origin=Origin(ORIGIN))
    at = 0
    assert timeline.place(start, ORIGIN) == 0
    for step in steps:
        at += step
        wall = ORIGIN + at / 90_000 + random.uniform(-0.9, 0.9) * CORRECTED_FROM
        assert timeline.place(start + at, wall) == at


@settings(deadline=None)
@given(
    frames=st.lists(st.tuples(st.integers(-9000, 10**7), st.floats(-1e6, 1e6), st.booleans()), min_size=2, max_size=60),
    scale=st.sampled_from([1000, 48_000, 90_000]),
)
def test_no_clock_makes_time_go_back(frames: list[tuple[int, float, bool]], scale: int) -> None:
    timeline = TrackTimeline(clock_rate=90_000, timescale=scale, origin=Origin(ORIGIN))
    timestamp = newest = 0
    last = timeline.place(0, ORIGIN)
    for step, wall, synced in frames:
        timestamp += step
        time = timeline.place(timestamp, ORIGIN + wall, synced=synced)
        if timestamp > newest:
            newest = timestamp
            assert time > last
            last = time


def test_a_first_report_that_moves_a_track_forward_is_believed_at_once() -> None:
    timeline = TrackTimeline(clock_rate=48_000, timescale=48_000, origin=Origin(ORIGIN, reported=True))
    for index in range(50):
        assert timeline.place(index * 960, ORIGIN + index * 0.02, synced=False) == index * 960
    assert timeline.place(50 * 960, ORIGIN + 1.08) == 50 * 960 + 3840


@pytest.mark.parametrize("late", [-2.0, -0.4, 0.1, 0.7, 3.0])
@pytest.mark.parametrize("video_first", [False, True])
def test_what_arrival_told_wrongly_of_all_tracks_stretches_none(late: float, video_first: bool) -> None:
    """The first reports come after 3 s; the picture took 50 ms longer to come than the sound."""
    origin = Origin(ORIGIN + late)
    sound = TrackTimeline(clock_rate=48_000, timescale=48_000, origin=origin)
    picture = TrackTimeline(clock_rate=90_000, timescale=90_000, origin=origin, leads=False, loose=True)
    heard, shown = [], []
    for step in range(1000):
        synced = step > 300
        heard.append(sound.place(step * 480, ORIGIN + step * 0.01 + (0 if synced else late), synced=synced) / 48_000)
        if step % 4 == 0:
            known = step > (200 if video_first else 400)
            wallclock = ORIGIN + step * 0.01 + (0 if known else late + 0.05)
            shown.append(picture.place(step * 900, wallclock, synced=known) / 90_000)
    assert all(abs(after - before - 0.01) < 1e-6 for before, after in pairwise(heard)), "sound is as it was"
    assert all(0.019 < after - before < 0.061 for before, after in pairwise(shown))
    settled = shown[500 // 4 :]
    assert all(abs(at - heard[500 + 4 * index]) < CORRECTED_FROM for index, at in enumerate(settled))


def test_a_leader_who_never_reports_is_not_waited_for_without_end() -> None:
    origin = Origin(ORIGIN)
    sound = TrackTimeline(clock_rate=48_000, timescale=48_000, origin=origin)
    picture = TrackTimeline(clock_rate=90_000, timescale=90_000, origin=origin, leads=False, loose=True)
    sound.place(0, ORIGIN, synced=False)
    assert [picture.place(index * 3600, ORIGIN + 1 + index / 25) for index in range(300)] == [
        90_000 + index * 3600 for index in range(300)
    ]
    assert (origin.reported, origin.wallclock) == (True, ORIGIN)


@pytest.mark.parametrize("late", [0.1, 0.3])
def test_a_first_report_that_moves_a_track_back_takes_seconds(late: float) -> None:
    timeline = TrackTimeline(clock_rate=48_000, timescale=48_000, origin=Origin(ORIGIN, reported=True))
    timeline.place(0, ORIGIN + late, synced=False)
    times = [timeline.place(index * 960, ORIGIN + index * 0.02) for index in range(1, 500)]
    assert all(after - before >= 0.89 * 960 for before, after in pairwise(times))
    assert abs(times[-1] - 499 * 960) < CORRECTED_FROM * 48_000


def test_a_jump_of_the_timestamps_does_not_move_the_track() -> None:
    timeline = TrackTimeline(clock_rate=90_000, timescale=90_000, origin=Origin(ORIGIN))
    assert timeline.place(0, ORIGIN) == 0
    assert timeline.place(3000, ORIGIN + 1 / 30 + JUMP + 1) == round((1 / 30 + JUMP + 1) * 90_000)
    assert timeline.place(3000 + 90_000 * 100, ORIGIN + 3) == 3 * 90_000
    assert timeline.place(3000 + 90_000 * 200, ORIGIN + 1) == 3 * 90_000 + 1, "but never back"


def test_pictures_in_decoding_order_keep_their_distances() -> None:
    timeline = TrackTimeline(clock_rate=90_000, timescale=90_000, origin=Origin(ORIGIN))
    order = [0, 4, 2, 1, 3, 8, 6, 5, 7]
    assert [timeline.place(place * 3000, ORIGIN + place / 30) for place in order] == [place * 3000 for place in order]
