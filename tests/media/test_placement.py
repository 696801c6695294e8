"""Streams keep together while there is room."""

from __future__ import annotations

from live777py.media.placement import Placement


def test_a_stream_stays_on_its_worker_and_others_go_elsewhere() -> None:
    placement = Placement(2, capacity=10)
    first = placement.take("a", 2)
    assert [placement.take("a", 2) for _ in range(3)] == [first] * 3
    assert placement.take("b", 2) == 1 - first if first is not None else False


def test_a_stream_spills_over_when_its_worker_is_full() -> None:
    placement = Placement(2, capacity=4)
    assert [placement.take("a", 2) for _ in range(4)] == [0, 0, 1, 1]
    assert placement.take("a", 2) in (0, 1), "full workers take more rather than refuse"


def test_room_that_is_given_back_is_used_again() -> None:
    placement = Placement(2, capacity=4)
    assert [placement.take("a", 2) for _ in range(3)] == [0, 0, 1]
    placement.give_back("a", 0, 2)
    assert placement.take("a", 2) in (0, 1)
    for worker in (0, 0, 1):
        placement.give_back("a", worker, 2)
    assert placement.take("b", 1) == 0, "nothing is left of the stream"


def test_a_worker_that_has_ended_takes_nobody() -> None:
    placement = Placement(2, capacity=4)
    assert placement.take("a", 1) == 0
    placement.remove_worker(0)
    placement.give_back("a", 0, 1)
    assert placement.take("a", 1) == 1
    placement.remove_worker(1)
    assert placement.take("a", 1) is None


def test_a_worker_can_be_chosen_before_it_is_taken() -> None:
    placement = Placement(2, capacity=4)
    worker = placement.take("a", 2)
    assert [placement.choose("a", 2) for _ in range(3)] == [worker] * 3, "nothing is taken by choosing"
    assert placement.take("a", 4, at=worker) == worker, "it is taken even when it is full by then"
    assert placement.choose("b", 1) == placement.choose("c", 1) == 1 - (worker or 0)
    placement.remove_worker(0)
    assert placement.take("a", 1, at=0) is None
    placement.remove_worker(1)
    assert placement.choose("a", 1) is None
