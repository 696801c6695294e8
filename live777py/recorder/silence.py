"""Sound where there is none: of a muted track, of a sender that says nothing while nobody speaks, of lost packets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from live777py.recorder.frames import DataFrame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live777py.recorder.frames import Frame

STEP: Final = 0.02
_PACKETS: Final = {
    "opus": b"\xf8\xff\xfe",
    "PCMU": b"\xff" * 160,
    "PCMA": b"\xd5" * 160,
    "G722": b"\xfa" * 160,
}
"""20 ms each; that of Opus is what its encoder makes of digital silence (CELT, full band)."""


def silence(start: float, end: float, like: Frame) -> Iterator[tuple[float, Frame]]:
    """Packets with their positions, as many as fit between two positions in seconds."""
    packet = _PACKETS[like.codec]
    for index in range(int((end - start) / STEP + 1e-6)):
        yield (
            start + index * STEP,
            DataFrame(
                packet,
                codec=like.codec,
                timestamp=like.timestamp,
                clock_rate=like.clock_rate,
                wallclock=like.wallclock,
            ),
        )
