"""What a run amounts to, in figures and in words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from live777py.loadtest.report import SessionReport, Times, as_json, as_text, summarize


def viewer(number: int, **changes: Any) -> SessionReport:
    facts: dict[str, Any] = {
        "session": number,
        "failure": None,
        "connected_ms": 10.0 * number,
        "first_packet_ms": 20.0 * number,
        "first_key_frame_ms": None,
        "packets": 90,
        "bytes": 100_000,
        "lost": 10,
        "repaired": 4,
        "reordered": 3,
        "frames": 30,
        "freezes": 2,
        "freeze_ms": 250.0,
    }
    return SessionReport(**facts | changes)


def test_sums_and_times() -> None:
    details = [viewer(number) for number in range(1, 21)]
    report = summarize("whep", "http://here/whep/cam", details, seconds=8.0, cpu=0.25)
    assert (report.sessions, report.connected, report.failed, report.failures) == (20, 20, 0, {})
    assert (report.packets, report.bytes, report.bitrate) == (1800, 2_000_000, 2_000_000)
    assert (report.lost, report.repaired, report.reordered, report.frames) == (200, 80, 60, 600)
    assert (report.freezes, report.freeze_ms) == (40, 5000.0)
    assert report.connected_ms == Times(median=100, p95=190, longest=200)
    assert report.first_packet_ms == Times(median=200, p95=380, longest=400)
    assert report.first_key_frame_ms is None


def test_failures_are_counted_by_reason_the_most_frequent_first() -> None:
    details = [
        viewer(1, failure="refused", connected_ms=None),
        viewer(2),
        *(viewer(number, failure="nothing came") for number in (3, 4)),
    ]
    report = summarize("whep", "http://here/", details, seconds=1.0, cpu=0.0)
    assert (report.connected, report.failed) == (3, 3)
    assert list(report.failures.items()) == [("nothing came", 2), ("refused", 1)]
    assert "2 failed: nothing came" in as_text(report)


@pytest.mark.parametrize("count", [9, 12])
def test_a_person_is_not_shown_every_reason(count: int) -> None:
    details = [viewer(number, failure=f"reason {number}") for number in range(count)]
    text = as_text(summarize("whep", "http://here/", details, seconds=1.0, cpu=0.0))
    assert ("and 2 other reasons" in text) == (count == 12)
    assert text.count(" failed: ") == min(count, 10)


def test_a_publisher_knows_nothing_of_pictures() -> None:
    details = [SessionReport(session=0, failure=None, connected_ms=5.0, packets=100, bytes=1000, lost=1, repaired=1)]
    report = summarize("whip", "http://here/whip/cam", details, seconds=2.0, cpu=0.5)
    assert (report.reordered, report.freezes, report.frames, report.first_packet_ms) == (None, None, None, None)
    text = as_text(report)
    assert "freezes" not in text
    assert "lost                   1 (0.990 %)" in text


def test_nothing_at_all() -> None:
    details = [SessionReport(session=0, failure="refused", connected_ms=None)]
    report = summarize("whep", "http://here/", details, seconds=0.0, cpu=0.0)
    assert (report.bitrate, report.connected_ms) == (0.0, None)
    assert "lost                   0 (-)" in as_text(report)


def test_json_has_every_field_of_every_session() -> None:
    report = summarize("whep", "http://here/", [viewer(1)], seconds=1.0, cpu=0.1)
    decoded = msgspec.json.decode(as_json(report))
    assert set(decoded) == set(type(report).__struct_fields__)
    assert set(decoded["details"][0]) == set(SessionReport.__struct_fields__)
