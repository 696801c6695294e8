"""A publisher of three VP8 encodings that sends key frames only when asked, and a viewer who keeps every packet.

Each encoding has two temporal layers: every other picture is needed by no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiortc import RTCRtpParameters
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap, RtcpPacket, RtcpPsfbPacket, RtpPacket, is_rtcp
from pylibsrtp import Policy, Session

from tests.light import LightPeer
from tests.simulcast import LAYERS, PROFILES
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from live777py.rtc.srtp import SrtpKeys

INTERVAL: Final = 0.02
_CLOCK: Final = 90_000
_SSRC: Final = 1_000
_PLI: Final = 1
_EXTENSIONS: Final = ((1, "urn:ietf:params:rtp-hdrext:sdes:mid"), (2, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"))


class Publisher:
    """Its offer is that of `tests.simulcast`. `asked` counts the key frames that were asked for, by rid."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self._peer = LightPeer()
        self._peer.on_media = self._received
        self._due = set(LAYERS)

    @contextlib.asynccontextmanager
    async def sending(self, answer: str) -> AsyncIterator[None]:
        keys = await self._peer.connect(answer)
        self._inbound = _session(keys.remote_key + keys.remote_salt, keys, inbound=True)
        task = asyncio.create_task(self._send(_session(keys.local_key + keys.local_salt, keys, inbound=False)))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            self._peer.close()

    def _received(self, datagram: bytes) -> None:
        for packet in RtcpPacket.parse(self._inbound.unprotect_rtcp(datagram)):
            if isinstance(packet, RtcpPsfbPacket) and packet.fmt == _PLI:
                rid = list(LAYERS)[packet.media_ssrc - _SSRC]
                self.asked[rid] += 1
                self._due.add(rid)

    async def _send(self, outbound: Session) -> None:
        extensions = HeaderExtensionsMap()
        extensions.configure(
            RTCRtpParameters(
                headerExtensions=[RTCRtpHeaderExtensionParameters(id=number, uri=uri) for number, uri in _EXTENSIONS]
            )
        )
        count = 0
        while True:
            for index, (rid, (width, height)) in enumerate(LAYERS.items()):
                packet = RtpPacket(
                    payload_type=96,
                    marker=1,
                    sequence_number=(count + 1_000 * index) & 0xFFFF,
                    timestamp=(1_000_000 * index + int(count * INTERVAL * _CLOCK)) & 0xFFFFFFFF,
                    ssrc=_SSRC + index,
                )
                packet.extensions = HeaderExtensions(mid="0", rtp_stream_id=rid)
                key = rid in self._due and count % 2 == 0
                if key:
                    self._due.discard(rid)
                packet.payload = _picture(count + 500 * index, width if key else 0, height)
                self._peer.send(outbound.protect(packet.serialize(extensions)))
            count += 1
            await asyncio.sleep(INTERVAL)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """`width` is 0 where it is no key frame. The numbers are those of RTP and of the VP8 payload descriptor.

    `group` is TL0PICIDX, `temporal` the number of the temporal layer.
    """

    ssrc: int
    sequence: int
    timestamp: int
    picture: int
    group: int
    temporal: int
    width: int


class Viewer:
    """`pictures` are as they came."""

    def __init__(self) -> None:
        self.pictures: list[Picture] = []
        self._peer = LightPeer()
        self._peer.on_media = self._received

    async def watch(self, answer: str) -> None:
        keys = await self._peer.connect(answer)
        self._inbound = _session(keys.remote_key + keys.remote_salt, keys, inbound=True)

    async def sees(self, width: int, *, after: int = 0, more: int = 10) -> None:
        """A key frame of that width among those after the first `after`, and `more` pictures."""

        async def seen() -> bool:
            wide = [at for at, picture in enumerate(self.pictures) if at >= after and picture.width == width]
            return bool(wide) and len(self.pictures) > wide[0] + more

        await eventually(seen)

    async def gets(self, *temporal: int) -> None:
        """Pictures of all these temporal layers, and of no other."""

        async def so() -> bool:
            newest = self.pictures[-10:]
            return len(newest) == 10 and {picture.temporal for picture in newest} == set(temporal)

        await eventually(so)

    def close(self) -> None:
        self._peer.close()

    def _received(self, datagram: bytes) -> None:
        if is_rtcp(datagram):
            return
        packet = RtpPacket.parse(self._inbound.unprotect(datagram))
        if len(packet.payload) < 16:
            return  # padding
        picture, group, temporal = struct.unpack_from("!HBB", packet.payload, 2)
        key = not packet.payload[6] & 1
        width: int = struct.unpack_from("<H", packet.payload, 12)[0] if key else 0
        self.pictures.append(
            Picture(
                ssrc=packet.ssrc,
                sequence=packet.sequence_number,
                timestamp=packet.timestamp,
                picture=picture & 0x7FFF,
                group=group,
                temporal=temporal >> 6,
                width=width,
            )
        )


def _picture(number: int, width: int, height: int) -> bytes:
    """RFC 7741 with PictureID of 15 bits, TL0PICIDX and TID; a key frame if it has a width."""
    temporal = number % 2
    descriptor = struct.pack("!BBHBB", 0x90, 0xE0, 0x8000 | number & 0x7FFF, number // 2 & 0xFF, temporal << 6)
    if width:
        return descriptor + bytes.fromhex("10 02 00 9d 01 2a") + struct.pack("<HH", width, height) + bytes(width)
    return descriptor + bytes.fromhex("11 02 00") + bytes(height)


def _session(key: bytes, keys: SrtpKeys, *, inbound: bool) -> Session:
    kind = Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND
    return Session(Policy(key=key, ssrc_type=kind, srtp_profile=PROFILES[keys.profile.engine_profile]))
