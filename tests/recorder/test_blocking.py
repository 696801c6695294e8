"""Recordings that begin, are asked about and end at once, in a process of their own whose event loop is watched."""

from __future__ import annotations

import pytest

from tests.bench import recording_calls


@pytest.mark.timeout(120)
async def test_fifty_that_begin_at_once_do_not_hold_up_the_loop() -> None:
    """CPU of one callback: a machine that is busy with something else does not count."""
    result = await recording_calls.measure(seconds=2.5)
    print(result.as_table())
    assert result.longest_cpu < recording_calls.LIMIT_MS
    # A start waits for the disk, a question for nothing.
    assert result.slowest_question < 1000
