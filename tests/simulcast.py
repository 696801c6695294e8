"""A publisher of three simulcast layers that costs little: VP8 key frames of three sizes, and nothing that decodes."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import TYPE_CHECKING, Final

from aiortc import RTCRtpParameters
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap, RtpPacket
from pylibsrtp import Policy, Session

from tests.fakes.remote import offer
from tests.light import LightPeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from live777py.rtc.srtp import SrtpKeys

LAYERS: Final = {"0": (1280, 720), "1": (640, 360), "2": (320, 180)}
"""Width and height by rid, in the order of OBS."""
_INTERVAL: Final = 0.02
_MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
_RID: Final = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
PROFILES: Final = {
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    "AES128_CM_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}

OFFER: Final = offer("vp8") + "".join(
    f"{line}\r\n"
    for line in (
        f"a=extmap:1 {_MID}",
        f"a=extmap:2 {_RID}",
        "a=rtcp-fb:96 nack pli",
        *(f"a=rid:{rid} send" for rid in LAYERS),
        f"a=simulcast:send {';'.join(LAYERS)}",
    )
)


@contextlib.asynccontextmanager
async def sending(answer: str) -> AsyncIterator[None]:
    """Every layer, again and again, to the gateway that gave this answer to `OFFER`."""
    peer = LightPeer()
    keys = await peer.connect(answer)
    task = asyncio.create_task(_send(peer, _srtp(keys)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        peer.close()


async def _send(peer: LightPeer, srtp: Session) -> None:
    parameters = RTCRtpParameters(
        headerExtensions=[RTCRtpHeaderExtensionParameters(id=number, uri=uri) for number, uri in ((1, _MID), (2, _RID))]
    )
    extensions = HeaderExtensionsMap()
    extensions.configure(parameters)
    count = 0
    while True:
        for index, (rid, (width, height)) in enumerate(LAYERS.items()):
            packet = RtpPacket(
                payload_type=96, marker=1, sequence_number=count & 0xFFFF, timestamp=1_800 * count, ssrc=1_000 + index
            )
            packet.extensions = HeaderExtensions(mid="0", rtp_stream_id=rid)
            packet.payload = _key_frame(width, height)
            peer.send(srtp.protect(packet.serialize(extensions)))
        count += 1
        await asyncio.sleep(_INTERVAL)


def _key_frame(width: int, height: int) -> bytes:
    """RFC 7741: a payload descriptor, and the start of a key frame; as long as its picture is large."""
    return bytes.fromhex("10 10 02 00 9d 01 2a") + struct.pack("<HH", width, height) + bytes(width // 2)


def _srtp(keys: SrtpKeys) -> Session:
    policy = Policy(
        key=keys.local_key + keys.local_salt,
        ssrc_type=Policy.SSRC_ANY_OUTBOUND,
        srtp_profile=PROFILES[keys.profile.engine_profile],
    )
    return Session(policy)
