"""From the engine's counters to Live777's bytes, packets and bitrate. Totals never fall, whoever comes and goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.streams.views import StatsView

if TYPE_CHECKING:
    from collections.abc import Iterable


class Meter:
    """Counters of one session. `sample` is given the engine's totals at `now` (unix milliseconds)."""

    __slots__ = ("_sampled_at", "bitrate", "bytes", "packets")

    def __init__(self, now: int) -> None:
        self.bytes = 0
        self.packets = 0
        self.bitrate = 0
        self._sampled_at = now

    def sample(self, total_bytes: int, total_packets: int, now: int) -> int:
        """Returns the bytes since the sample before."""
        grown = max(0, total_bytes - self.bytes)
        elapsed = now - self._sampled_at
        if elapsed > 0:
            self.bitrate = grown * 8_000 // elapsed
            self._sampled_at = now
        self.bytes += grown
        self.packets = max(self.packets, total_packets)
        return grown

    def stop(self) -> None:
        self.bitrate = 0

    def view(self) -> StatsView:
        return StatsView(bytes=self.bytes, packets=self.packets, bitrate=self.bitrate)


class Total:
    """The sum over sessions that live and sessions that have been folded in."""

    __slots__ = ("_bytes", "_packets")

    def __init__(self) -> None:
        self._bytes = 0
        self._packets = 0

    def fold(self, meter: Meter) -> None:
        self._bytes += meter.bytes
        self._packets += meter.packets

    def view(self, live: Iterable[Meter]) -> StatsView:
        total_bytes, packets, bitrate = self._bytes, self._packets, 0
        for meter in live:
            total_bytes += meter.bytes
            packets += meter.packets
            bitrate += meter.bitrate
        return StatsView(bytes=total_bytes, packets=packets, bitrate=bitrate)
