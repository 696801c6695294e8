"""When the next attempt is made."""

from __future__ import annotations

from random import Random

import pytest

from live777py.cascade.backoff import JITTER, LASTING, Backoff

SEEDS = range(50)


@pytest.mark.parametrize("seed", SEEDS)
def test_from_a_second_to_a_minute(seed: int) -> None:
    backoff = Backoff(Random(seed))
    delays = [backoff.delay(0) for _ in range(20)]
    for delay, wanted in zip(delays, [1, 2, 4, 8, 16, 32, *[60] * 14], strict=True):
        assert wanted * (1 - JITTER) <= delay <= min(wanted * (1 + JITTER), 60)


def test_those_who_lost_one_server_do_not_come_back_as_one() -> None:
    firsts = {Backoff(Random(seed)).delay(0) for seed in SEEDS}
    assert len(firsts) == len(SEEDS)
    assert max(firsts) - min(firsts) > JITTER


def test_the_same_seed_makes_the_same_delays() -> None:
    one, other = Backoff(Random(7)), Backoff(Random(7))
    assert [one.delay(0) for _ in range(5)] == [other.delay(0) for _ in range(5)]


@pytest.mark.parametrize(("seconds", "reset"), [(0.0, False), (LASTING - 0.1, False), (LASTING, True), (3600.0, True)])
def test_a_connection_that_lasted_begins_anew(seconds: float, reset: bool) -> None:
    backoff = Backoff(Random(1))
    for _ in range(4):
        backoff.delay(0)
    backoff.connected(100)
    assert (backoff.delay(100 + seconds) < 2) is reset
    assert (backoff.delay(200) < 3) is reset


def test_a_conflict_is_tried_again_each_second_and_counts_for_nothing() -> None:
    backoff = Backoff(Random(1))
    for _ in range(30):
        assert 1 - JITTER <= backoff.delay(0, conflict=True) <= 1 + JITTER
    assert backoff.delay(0) <= 1 + JITTER


@pytest.mark.parametrize(
    ("retry_after", "conflict", "low", "high"),
    [(5.0, False, 5, 5), (0.1, False, 0.8, 1.2), (7.0, True, 7, 7), (120.0, False, 120, 120), (1e9, False, 3600, 3600)],
)
def test_what_the_other_side_asks_for_is_kept(retry_after: float, conflict: bool, low: float, high: float) -> None:
    assert low <= Backoff(Random(1)).delay(0, conflict=conflict, retry_after=retry_after) <= high
