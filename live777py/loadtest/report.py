"""What a run has shown: for a person, and as JSON (docs/bench.md describes each field)."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Mode = Literal["whip", "whep"]

_Number = TypeVar("_Number", int, float)

_SHOWN_FAILURES = 10


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Of the sessions that got so far, in milliseconds."""

    median: float
    p95: float
    longest: float


class SessionReport(msgspec.Struct, frozen=True, kw_only=True):
    """One session. None: not known of a publisher, or it did not get so far."""

    session: int
    failure: str | None
    connected_ms: float | None
    first_packet_ms: float | None = None
    first_key_frame_ms: float | None = None
    packets: int = 0
    bytes: int = 0
    lost: int = 0
    repaired: int = 0
    reordered: int | None = None
    frames: int | None = None
    freezes: int | None = None
    freeze_ms: float | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of a run. Sums are over `details`, in the order of the sessions."""

    mode: Mode
    url: str
    sessions: int
    connected: int
    failed: int
    seconds: float
    packets: int
    bytes: int
    bitrate: float
    lost: int
    repaired: int
    reordered: int | None
    frames: int | None
    freezes: int | None
    freeze_ms: float | None
    connected_ms: Times | None
    first_packet_ms: Times | None
    first_key_frame_ms: Times | None
    cpu: float
    failures: dict[str, int]
    details: tuple[SessionReport, ...]


def summarize(mode: Mode, url: str, details: Sequence[SessionReport], *, seconds: float, cpu: float) -> Report:
    """`seconds` is the time from the first session to the end, `cpu` the cores that this process used."""
    size = sum(one.bytes for one in details)
    return Report(
        mode=mode,
        url=url,
        sessions=len(details),
        connected=sum(one.connected_ms is not None for one in details),
        failed=sum(one.failure is not None for one in details),
        seconds=seconds,
        packets=sum(one.packets for one in details),
        bytes=size,
        bitrate=size * 8 / seconds if seconds else 0.0,
        lost=sum(one.lost for one in details),
        repaired=sum(one.repaired for one in details),
        reordered=_sum([one.reordered for one in details]),
        frames=_sum([one.frames for one in details]),
        freezes=_sum([one.freezes for one in details]),
        freeze_ms=_sum([one.freeze_ms for one in details]),
        connected_ms=_times(one.connected_ms for one in details),
        first_packet_ms=_times(one.first_packet_ms for one in details),
        first_key_frame_ms=_times(one.first_key_frame_ms for one in details),
        cpu=cpu,
        failures=dict(Counter(one.failure for one in details if one.failure is not None).most_common()),
        details=tuple(details),
    )


def as_json(report: Report) -> str:
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def as_text(report: Report) -> str:
    each = report.bitrate / report.sessions
    rows = [
        ("connected", f"{report.connected} of {report.sessions}"),
        ("failed", f"{report.failed}"),
        ("packets", f"{report.packets}, {_rate(report.bitrate)}, {_rate(each)} a session"),
        ("lost", f"{report.lost} ({_share(report.lost, report.packets)})"),
        ("repaired", f"{report.repaired}"),
    ]
    if report.reordered is not None:
        rows.append(("reordered", f"{report.reordered}"))
    if report.freezes is not None and report.freeze_ms is not None:
        rows.append(("freezes", f"{report.freezes}, {report.freeze_ms / 1000:.1f} s, {report.frames} pictures"))
    rows += [
        (name, f"median {times.median:.0f} ms, p95 {times.p95:.0f} ms, longest {times.longest:.0f} ms")
        for name, times in (
            ("connected after", report.connected_ms),
            ("first packet after", report.first_packet_ms),
            ("first key frame after", report.first_key_frame_ms),
        )
        if times is not None
    ]
    rows.append(("CPU of this program", f"{report.cpu:.2f} cores"))
    lines = [f"{report.mode} {report.url}, {report.sessions} sessions, {report.seconds:.0f} s"]
    lines += [f"  {name:<22} {value}" for name, value in rows]
    lines += [f"  {count} failed: {reason}" for reason, count in [*report.failures.items()][:_SHOWN_FAILURES]]
    if len(report.failures) > _SHOWN_FAILURES:
        lines.append(f"  and {len(report.failures) - _SHOWN_FAILURES} other reasons")
    return "\n".join(lines)


def _times(values: Iterable[float | None]) -> Times | None:
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    return Times(median=_percentile(known, 0.5), p95=_percentile(known, 0.95), longest=known[-1])


def _percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share is not above."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def _sum(values: Sequence[_Number | None]) -> _Number | None:
    """None where no session knows."""
    known = [value for value in values if value is not None]
    return sum(known[1:], start=known[0]) if known else None


def _rate(bits: float) -> str:
    return f"{bits / 1e6:.2f} Mbit/s"


def _share(part: int, rest: int) -> str:
    return f"{part * 100 / (part + rest):.3f} %" if part + rest else "-"
