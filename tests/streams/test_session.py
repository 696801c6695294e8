"""The table of session states."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from live777py.streams.session import LISTED_AFTER_CLOSE_MS, TRANSITIONS, IllegalTransitionError, Session

if TYPE_CHECKING:
    from live777py.streams.views import SessionState


def at(state: SessionState) -> Session:
    session = Session("id", "publish", 1_000)
    session.state = state
    return session


@pytest.mark.parametrize(("before", "after"), list(itertools.product(TRANSITIONS, TRANSITIONS)))
def test_only_the_steps_of_the_table_are_made(before: SessionState, after: SessionState) -> None:
    session = at(before)
    if after in TRANSITIONS[before]:
        session.enter(after, 2_000)
        assert session.state == after
    else:
        with pytest.raises(IllegalTransitionError):
            session.enter(after, 2_000)
        assert session.state == before


def test_every_state_that_is_not_closed_can_be_closed() -> None:
    assert {before for before, after in TRANSITIONS.items() if "closed" in after} == set(TRANSITIONS) - {"closed"}


def test_a_closed_session_is_listed_for_half_a_minute_with_its_totals() -> None:
    session = at("connected")
    session.meter.sample(500, 5, 2_000)
    session.enter("closed", 3_000)
    assert session.listed(3_000 + LISTED_AFTER_CLOSE_MS - 1)
    assert not session.listed(3_000 + LISTED_AFTER_CLOSE_MS)
    view = session.view()
    assert (view.state, view.leave_at, view.stats.bytes, view.stats.bitrate) == ("closed", 3_000, 500, 0)


def test_a_live_session_has_not_left() -> None:
    session = at("disconnected")
    assert session.view().leave_at == 0
    assert session.listed(10**15)
