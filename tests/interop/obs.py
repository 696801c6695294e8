"""OBS Studio 32.1 and later with three simulcast layers, scripted: its offer, real H264 of three sizes, and Opus.

As OBS does it: rid 0 is the largest, MID and RID stand in every packet, each layer has its own clock offset, a key
frame comes at a fixed interval and never on request, and nothing is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import av
import numpy as np
from aiortc.codecs.h264 import H264Encoder
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap, RtcpSenderInfo, RtcpSrPacket, RtpPacket
from av import VideoFrame
from pylibsrtp import Policy, Session

from tests.fakes.remote import CERTIFICATE, PASSWORD, UFRAG
from tests.interop.peers import picture
from tests.light import LightPeer
from tests.rtc.offers import recorded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

SIZES: Final = {"0": (960, 540), "1": (640, 360), "2": (320, 180)}
FPS: Final = 30
SECONDS: Final = 20
"""What is encoded beforehand."""
KEY_FRAME_INTERVAL: Final = 15
"""Frames: half a second, so that any layer can be switched to within one."""

_PAYLOAD_TYPE: Final = 96
_OPUS: Final = 111
_OPUS_SSRC: Final = 1_000_000_001
_OPUS_PER_SECOND: Final = 50
_CLOCK: Final = 90_000
_NTP_EPOCH: Final = 2_208_988_800
_EXTENSIONS: Final = {
    1: "urn:ietf:params:rtp-hdrext:sdes:mid",
    2: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
}


def offer() -> str:
    """The recorded one with the ICE and DTLS of `LightPeer`."""
    name, value = CERTIFICATE.fingerprint
    replaced = {
        "a=fingerprint:": f"a=fingerprint:{name} {value}",
        "a=ice-ufrag:": f"a=ice-ufrag:{UFRAG}",
        "a=ice-pwd:": f"a=ice-pwd:{PASSWORD}",
    }
    lines = recorded("obs32-h264-3layers.sdp").splitlines()
    return "".join(
        next((new for start, new in replaced.items() if line.startswith(start)), line) + "\r\n" for line in lines
    )


def encode(
    width: int, height: int, bitrate: int = 0, key_frame_interval: int = KEY_FRAME_INTERVAL
) -> list[list[bytes]]:
    """RTP payloads of each frame of the counted picture; `bitrate` 0 is as little as the picture needs."""
    codec = av.CodecContext.create("libx264", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt, codec.framerate = width, height, "yuv420p", Fraction(FPS)
    codec.gop_size = key_frame_interval
    parameters = f"keyint={key_frame_interval}:scenecut=0:repeat-headers=1:sliced-threads=0"
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "high"}
    if bitrate:
        kilobits = bitrate // 1000
        parameters += f":bitrate={kilobits}:vbv-maxrate={kilobits}:vbv-bufsize={kilobits}:nal-hrd=cbr"
    else:
        codec.options["crf"] = "23"
    codec.options["x264-params"] = parameters
    frames = []
    for count in range(SECONDS * FPS):
        image = VideoFrame.from_ndarray(noisy(count, width, height) if bitrate else picture(count, width, height))
        image.pts = count
        frames += [
            H264Encoder._packetize(H264Encoder._split_bitstream(bytes(packet))) for packet in codec.encode(image)
        ]
    return frames


def noisy(count: int, width: int, height: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The counted picture with something in it for the encoder to do."""
    image = picture(count, width, height)
    rows = slice(int(height * 0.6), int(height * 0.9))
    noise = np.random.default_rng(count).integers(0, 255, image[rows].shape, dtype=np.uint8)
    image[rows] = image[rows] // 2 + noise // 4
    return image


def encode_tone() -> list[bytes]:
    """RTP payloads of 20 ms each, of 440 Hz."""
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, av.AudioCodecContext)
    codec.bit_rate = 32_000
    codec.sample_rate, codec.layout, codec.format = 48_000, av.AudioLayout("stereo"), av.AudioFormat("s16")
    codec.open()
    packets: list[bytes] = []
    for number in range(SECONDS * _OPUS_PER_SECOND):
        at = np.arange(number * 960, (number + 1) * 960)
        wave = (np.sin(2 * np.pi * 440 * at / 48_000) * 8192).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2)[None, :], format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, number * 960, Fraction(1, 48_000)
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets


@dataclass
class Layer:
    """One encoding on its way."""

    rid: str
    frames: list[list[bytes]]
    ssrc: int
    offset: int
    sequence: int
    packets: int = 0
    octets: int = 0


class ObsPublisher(LightPeer):
    """`run` sends until it is cancelled; what was encoded begins anew at its end."""

    def __init__(self, layers: dict[str, list[list[bytes]]], tone: list[bytes]) -> None:
        super().__init__()
        self._tone = tone
        self._toned = 0
        choose = random.Random(777)
        self.layers = [
            Layer(rid, frames, choose.getrandbits(32), choose.getrandbits(32), choose.getrandbits(15))
            for rid, frames in layers.items()
        ]
        self._extensions = HeaderExtensionsMap()
        self._extensions.configure(
            RTCRtpParameters(
                headerExtensions=[RTCRtpHeaderExtensionParameters(id=id_, uri=uri) for id_, uri in _EXTENSIONS.items()]
            )
        )
        self._srtp: Session | None = None

    async def publish(self, url: str, *, bearer: str = "") -> None:
        headers = {"Content-Type": "application/sdp", **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
        async with aiohttp.ClientSession() as client, client.post(url, data=offer(), headers=headers) as response:
            answer = await response.text()
            assert response.status == 201, answer
        assert "a=simulcast:recv 0;1;2" in answer
        keys = await self.connect(answer)
        assert keys.profile.engine_profile == "AEAD_AES_128_GCM"
        policy = Policy(
            key=keys.local_key + keys.local_salt,
            ssrc_type=Policy.SSRC_ANY_OUTBOUND,
            srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
        )
        self._srtp = Session(policy)

    async def run(self) -> None:
        began = time.monotonic()
        number = 0
        while True:
            for layer in self.layers:
                self._send_frame(layer, number)
                if number % FPS == 0:
                    self._send_report(layer, number)
            number += 1
            self._send_tone(number * _OPUS_PER_SECOND // FPS)
            await asyncio.sleep(max(0.0, began + number / FPS - time.monotonic()))

    def _send_frame(self, layer: Layer, number: int) -> None:
        payloads = layer.frames[number % len(layer.frames)]
        for index, payload in enumerate(payloads):
            packet = RtpPacket(
                payload_type=_PAYLOAD_TYPE,
                marker=int(index == len(payloads) - 1),
                sequence_number=layer.sequence,
                timestamp=self._timestamp(layer, number),
                ssrc=layer.ssrc,
                payload=payload,
            )
            packet.extensions = HeaderExtensions(mid="1", rtp_stream_id=layer.rid)
            layer.sequence = (layer.sequence + 1) % 2**16
            layer.packets += 1
            layer.octets += len(payload)
            assert self._srtp is not None
            self._send(self._srtp.protect(packet.serialize(self._extensions)))

    def _send_tone(self, until: int) -> None:
        for number in range(self._toned, until):
            packet = RtpPacket(
                payload_type=_OPUS,
                marker=0,
                sequence_number=number % 2**16,
                timestamp=number * 960 % 2**32,
                ssrc=_OPUS_SSRC,
                payload=self._tone[number % len(self._tone)],
            )
            assert self._srtp is not None
            self._send(self._srtp.protect(packet.serialize()))
        self._toned = until

    def _send_report(self, layer: Layer, number: int) -> None:
        report = RtcpSrPacket(
            ssrc=layer.ssrc,
            sender_info=RtcpSenderInfo(
                ntp_timestamp=int((time.time() + _NTP_EPOCH) * 2**32),
                rtp_timestamp=self._timestamp(layer, number),
                packet_count=layer.packets,
                octet_count=layer.octets,
            ),
        )
        assert self._srtp is not None
        self._send(self._srtp.protect_rtcp(bytes(report)))

    @staticmethod
    def _timestamp(layer: Layer, number: int) -> int:
        return (layer.offset + number * _CLOCK // FPS) % 2**32


@contextlib.asynccontextmanager
async def obs_publishing(
    url: str,
    *,
    bearer: str = "",
    sizes: Mapping[str, tuple[int, int]] = SIZES,
    bitrates: Mapping[str, int] | None = None,
    key_frame_interval: int = KEY_FRAME_INTERVAL,
) -> AsyncIterator[ObsPublisher]:
    """`bitrates` (bit/s, by rid) are what the layers have then, whatever is seen."""
    encoded = {
        rid: await asyncio.to_thread(encode, *size, (bitrates or {}).get(rid, 0), key_frame_interval)
        for rid, size in sizes.items()
    }
    publisher = ObsPublisher(encoded, await asyncio.to_thread(encode_tone))
    await publisher.publish(url, bearer=bearer)
    running = asyncio.create_task(publisher.run(), name="obs")
    try:
        yield publisher
    finally:
        running.cancel()
        await asyncio.wait([running])
        publisher.close()
