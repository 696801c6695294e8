"""Giving memory back."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from live777py.rtc import memory

if TYPE_CHECKING:
    import pytest


def test_it_is_a_call_without_effect_on_what_lives() -> None:
    kept = [bytes(1000) for _ in range(1000)]
    memory.release_free_memory()
    assert all(len(block) == 1000 for block in kept)


def test_a_c_library_without_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MALLOC_TRIM", None)
    memory.release_free_memory()


def test_the_limits_are_taken_by_the_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[int, int] = {}
    monkeypatch.setattr(memory, "_MALLOPT", taken.__setitem__)
    memory.keep_little_free()
    assert taken == memory._LIMITS
    monkeypatch.setattr(memory, "_MALLOC_TRIM", None)
    taken.clear()
    memory.keep_little_free()
    assert not taken, "not glibc"


def test_what_is_loaded_is_not_looked_through_again() -> None:
    before = gc.get_threshold()
    try:
        memory.keep_what_is_loaded()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[:2] == before[:2]
        assert gc.get_threshold()[2] > before[2]
        cycle: list[object] = []
        cycle.append(cycle)
        del cycle
        assert gc.collect() >= 1, "what comes later is"
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
