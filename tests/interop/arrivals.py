"""A viewer that decodes nothing and notes when each packet came, so that two viewers' notes can be compared."""

from __future__ import annotations

import contextlib
import hashlib
import time
from typing import TYPE_CHECKING

from aiortc import RTCConfiguration, RTCPeerConnection

from tests.interop.peers import negotiate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiortc
    from aiortc.rtp import RtpPacket

SMALLEST = 400
"""Bytes. Shorter payloads are alike: parameter sets, silence."""


class Arrivals(dict[bytes, float]):
    """When a payload came first, in seconds of `time.perf_counter`. Forwarding changes headers, and no payload."""

    def note(self, payload: bytes) -> None:
        if len(payload) >= SMALLEST:
            self.setdefault(hashlib.sha256(payload).digest(), time.perf_counter())

    def later_than(self, other: Arrivals) -> list[float]:
        """Milliseconds by which the packets that both have came later here, in order of size."""
        return sorted((at - other[payload]) * 1000 for payload, at in self.items() if payload in other)


@contextlib.asynccontextmanager
async def noting(url: str) -> AsyncIterator[Arrivals]:
    """Plays the video of a WHEP address."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    arrivals = Arrivals()
    transceiver = connection.addTransceiver("video", direction="recvonly")
    _note_instead_of_decoding(transceiver.receiver, arrivals)
    await negotiate(connection, url)
    try:
        yield arrivals
    finally:
        await connection.close()


def _note_instead_of_decoding(receiver: aiortc.RTCRtpReceiver, arrivals: Arrivals) -> None:
    async def note(packet: RtpPacket, arrival_time_ms: int) -> None:
        arrivals.note(packet.payload)

    vars(receiver)["_handle_rtp_packet"] = note


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]
