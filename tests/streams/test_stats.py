"""Totals and rates."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from live777py.streams.stats import Meter, Total


def test_the_bitrate_is_that_of_the_newest_interval() -> None:
    meter = Meter(0)
    assert meter.sample(250_000, 200, 2_000) == 250_000
    assert meter.view().bitrate == 1_000_000
    assert meter.sample(250_000, 200, 4_000) == 0
    assert (meter.view().bytes, meter.view().packets, meter.view().bitrate) == (250_000, 200, 0)


def test_a_stopped_meter_keeps_its_totals() -> None:
    meter = Meter(0)
    meter.sample(10, 1, 1_000)
    meter.stop()
    assert (meter.view().bytes, meter.view().bitrate) == (10, 0)


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**9), st.integers(0, 5_000))))
def test_totals_never_fall(samples: list[tuple[int, int, int]]) -> None:
    meter, now, grown = Meter(0), 0, 0
    for total_bytes, packets, elapsed in samples:
        before = meter.view()
        now += elapsed
        grown += meter.sample(total_bytes, packets, now)
        after = meter.view()
        assert after.bytes >= before.bytes
        assert after.packets >= before.packets
        assert after.bitrate >= 0
    assert meter.bytes == grown


def test_folding_a_meter_in_changes_no_total() -> None:
    total, gone, live = Total(), Meter(0), Meter(0)
    gone.sample(100, 2, 1_000)
    live.sample(10, 1, 1_000)
    before = total.view([gone, live])
    total.fold(gone)
    after = total.view([live])
    assert (before.bytes, before.packets) == (after.bytes, after.packets) == (110, 3)


def test_lost_packets_are_told_where_they_are_known() -> None:
    total, viewer, gone, live = Total(), Meter(0), Meter(0), Meter(0)
    viewer.sample(10, 1, 1_000)
    assert viewer.view().packets_lost is None
    assert total.view([viewer]).packets_lost is None
    gone.sample(10, 1, 1_000, 3)
    live.sample(10, 1, 1_000, 5)
    live.sample(20, 2, 2_000, 4)  # one came late
    total.fold(gone)
    assert live.view().packets_lost == 5
    assert total.view([live]).packets_lost == 8
