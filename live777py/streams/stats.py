"""From the engine's counters to Live777's bytes, packets and bitrate. Totals never fall, whoever comes and goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.streams.views import StatsView

if TYPE_CHECKING:
    from collections.abc import Iterable


class Meter:
    """Counters of one session. `sample` is given the engine's totals at `now` (unix milliseconds)."""

    __slots__ = (
        "_sampled_at", "available_bitrate", "bitrate", "bytes", "packets", "packets_lost", "round_trip_ms",
    )  # fmt: skip

    def __init__(self, now: int) -> None:
        self.available_bitrate: int | None = None
        self.round_trip_ms: int | None = None
        self.bytes = 0
        self.packets = 0
        self.packets_lost: int | None = None
        """None where it is not known: of what is sent, and before the first sample."""
        self.bitrate = 0
        self._sampled_at = now

    def sample(self, total_bytes: int, total_packets: int, now: int, packets_lost: int | None = None) -> int:
        """Returns the bytes since the sample before."""
        grown = max(0, total_bytes - self.bytes)
        elapsed = now - self._sampled_at
        if elapsed > 0:
            self.bitrate = grown * 8_000 // elapsed
            self._sampled_at = now
        self.bytes += grown
        self.packets = max(self.packets, total_packets)
        if packets_lost is not None:
            self.packets_lost = max(self.packets_lost or 0, packets_lost)
        return grown

    def know_path(self, available_bitrate: int | None, round_trip_ms: float | None) -> None:
        """The newest of each, or None."""
        self.available_bitrate = available_bitrate
        self.round_trip_ms = None if round_trip_ms is None else round(round_trip_ms)

    def stop(self) -> None:
        self.bitrate = 0
        self.know_path(None, None)

    def view(self) -> StatsView:
        return StatsView(
            bytes=self.bytes,
            packets=self.packets,
            packets_lost=self.packets_lost,
            bitrate=self.bitrate,
            available_bitrate=self.available_bitrate,
            round_trip_ms=self.round_trip_ms,
        )


class Total:
    """The sum over sessions that live and sessions that have been folded in."""

    __slots__ = ("_bytes", "_packets", "_packets_lost")

    def __init__(self) -> None:
        self._bytes = 0
        self._packets = 0
        self._packets_lost: int | None = None

    def fold(self, meter: Meter) -> None:
        self._bytes += meter.bytes
        self._packets += meter.packets
        self._packets_lost = _add(self._packets_lost, meter.packets_lost)

    def view(self, live: Iterable[Meter]) -> StatsView:
        total_bytes, packets, bitrate = self._bytes, self._packets, 0
        packets_lost = self._packets_lost
        for meter in live:
            total_bytes += meter.bytes
            packets += meter.packets
            packets_lost = _add(packets_lost, meter.packets_lost)
            bitrate += meter.bitrate
        return StatsView(bytes=total_bytes, packets=packets, packets_lost=packets_lost, bitrate=bitrate)


def _add(known: int | None, more: int | None) -> int | None:
    return known if more is None else (known or 0) + more
