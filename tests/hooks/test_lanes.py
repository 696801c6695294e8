"""The order of a webhook's streams, on a clock that is a number."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from live777py.hooks.lanes import FIRST_RETRY, JITTER, Lanes


def lanes() -> Lanes:
    return Lanes(Random(1))


def test_one_at_a_time() -> None:
    queue = lanes()
    queue.offer("a", 0)
    queue.offer("a", 0)
    queue.offer("b", 1)
    assert [queue.take(1) for _ in range(3)] == ["a", "b", None]
    queue.offer("a", 2)
    assert queue.take(2) is None
    queue.over("a", 2)
    assert queue.take(2) == "a"


def test_what_came_meanwhile_is_not_forgotten() -> None:
    queue = lanes()
    queue.offer("a", 0)
    assert queue.take(0) == "a"
    queue.offer("a", 1)
    queue.empty("a", 1)
    assert queue.take(1) == "a"
    queue.empty("a", 1)
    assert queue.take(1) is None
    assert queue.quiet(1)
    assert queue.next_due() is None


def test_a_failure_holds_up_its_stream_alone() -> None:
    queue = lanes()
    queue.offer("a", 0)
    queue.offer("b", 0)
    assert queue.take(0) == "a"
    delay = queue.failed("a", 0)
    assert queue.take(0) == "b"
    queue.over("b", 0)
    assert queue.take(0) == "b"
    queue.empty("b", 0)
    queue.offer("a", 0.1)
    assert queue.take(delay - 0.01) is None
    assert queue.quiet(delay - 0.01)
    assert queue.take(delay) == "a"


def test_the_waits_double_up_to_five_minutes_and_begin_anew() -> None:
    queue, now, waits = lanes(), 0.0, []
    queue.offer("a", now)
    for _ in range(30):
        assert queue.take(now) == "a"
        waits.append(queue.failed("a", now))
        now += waits[-1]
    for wait, wanted in zip(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, *[300] * 21], strict=True):
        assert wanted * (1 - JITTER) <= wait <= wanted * (1 + JITTER)
    assert queue.take(now) == "a"
    queue.over("a", now)
    assert queue.take(now) == "a"
    assert queue.failed("a", now) <= 1 + JITTER


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["offer", "over", "failed", "empty"]))))
def test_a_stream_with_something_is_always_waiting_or_taken(steps: list[tuple[str, str]]) -> None:
    """Against a queue that is a number per stream."""
    queue, now = lanes(), 0.0
    waiting = dict.fromkeys("abc", 0)
    taken: set[str] = set()
    for stream, step in steps:
        now += 1000
        if step == "offer":
            waiting[stream] += 1
            queue.offer(stream, now)
        elif stream in taken:
            taken.remove(stream)
            if waiting[stream] == 0:
                queue.empty(stream, now)
            elif step == "failed":
                queue.failed(stream, now)
            else:
                waiting[stream] -= 1
                queue.over(stream, now)
        now += 1000
        while (due := queue.take(now)) is not None:
            assert due not in taken
            taken.add(due)
        assert all(stream in taken for stream, count in waiting.items() if count)


def test_those_that_failed_together_do_not_come_back_together() -> None:
    queue = lanes()
    names = [f"cam{number}" for number in range(50)]
    delays = []
    for name in names:
        queue.offer(name, 0.0)
        assert queue.take(0.0) == name
        delays.append(queue.failed(name, 0.0))
    assert all(FIRST_RETRY * (1 - JITTER) <= delay <= FIRST_RETRY * (1 + JITTER) for delay in delays)
    assert max(delays) - min(delays) > FIRST_RETRY * JITTER
