"""The other end of a session over the fake engine: an offer, and DTLS with a certificate of its own. No media."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Literal

from live777py.rtc import sctp_section
from live777py.rtc.certificate import Certificate
from live777py.rtc.channels import DataChannels, Message
from live777py.rtc.dtls import DtlsTransport
from live777py.rtc.negotiation import DataChannelParameters
from tests.fakes import media as fake_media

if TYPE_CHECKING:
    from live777py.rtc.srtp import SrtpKeys

CERTIFICATE = Certificate.generate()
UFRAG = "remote"
PASSWORD = "p" * 24

CODECS = {
    "opus": ("audio", 111, "opus/48000/2"),
    "pcmu": ("audio", 0, "PCMU/8000"),
    "vp8": ("video", 96, "VP8/90000"),
    "vp9": ("video", 98, "VP9/90000"),
    "av1": ("video", 45, "AV1/90000"),
}


def offer(
    *codecs: str,
    direction: str = "sendonly",
    setup: str = "actpass",
    fingerprint: tuple[str, str] | None = None,
    data: bool = False,
) -> str:
    """One m-section for each kind that the codecs name, and one for data channels."""
    name, value = fingerprint or CERTIFICATE.fingerprint
    kinds = list(dict.fromkeys(CODECS[codec][0] for codec in codecs))
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE " + " ".join([*map(str, range(len(kinds))), *(["data"] if data else [])]),
        f"a=fingerprint:{name} {value}",
        f"a=ice-ufrag:{UFRAG}",
        f"a=ice-pwd:{PASSWORD}",
        f"a=setup:{setup}",
    ]
    for mid, kind in enumerate(kinds):
        chosen = [CODECS[codec] for codec in codecs if CODECS[codec][0] == kind]
        lines += [
            f"m={kind} 9 UDP/TLS/RTP/SAVPF " + " ".join(str(payload_type) for _, payload_type, _ in chosen),
            "c=IN IP4 0.0.0.0",
            f"a=mid:{mid}",
            f"a={direction}",
            "a=rtcp-mux",
            *(f"a=rtpmap:{payload_type} {rtpmap}" for _, payload_type, rtpmap in chosen),
        ]
    if data:
        lines += sctp_section.offer_lines("data")
    return "".join(f"{line}\r\n" for line in lines)


def watch(*codecs: str, setup: str = "actpass", data: bool = False) -> str:
    """The offer of a viewer."""
    return offer(*codecs, direction="recvonly", setup=setup, data=data)


def answer_to(text: str, *names: str, direction: str = "recvonly", setup: str = "active") -> str:
    """A viewer's answer: of each section the codecs of these names under the numbers of the offer."""
    fingerprint = " ".join(CERTIFICATE.fingerprint)
    head, *sections = text.split("\r\nm=")
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    lines += [line for line in head.split("\r\n") if line.startswith("a=group")]
    lines += [f"a=fingerprint:{fingerprint}", "a=ice-ufrag:viewer", f"a=ice-pwd:{'v' * 24}", f"a=setup:{setup}"]
    for section in sections:
        kind, mid = section.partition(" ")[0], re.findall(r"a=mid:(\S+)", section)[0]
        if kind == "application":
            lines += ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", f"a=mid:{mid}", "a=sctp-port:5000"]
            continue
        maps = [(number, name) for number, name in re.findall(r"a=rtpmap:(\d+) (\S+)", section)]
        taken = [(number, name) for number, name in maps if name.partition("/")[0].lower() in names]
        if not taken:
            lines += [f"m={kind} 0 UDP/TLS/RTP/SAVPF 0", f"a=mid:{mid}", "a=inactive"]
            continue
        lines += [f"m={kind} 9 UDP/TLS/RTP/SAVPF {' '.join(number for number, _ in taken)}", f"a=mid:{mid}"]
        lines += [f"a={direction}", "a=rtcp-mux", *(f"a=rtpmap:{number} {name}" for number, name in taken)]
    return "".join(f"{line}\r\n" for line in lines)


class Remote:
    """Runs ICE (an event) and DTLS with one transport of the fake engine."""

    def __init__(self, fake: fake_media.Engine, transport: int, *, server: bool = False) -> None:
        self._fake = fake
        self.transport = transport
        self.closed = asyncio.Event()
        self.heard: asyncio.Queue[tuple[str, Message]] = asyncio.Queue()
        role: Literal["client", "server"] = "server" if server else "client"
        self.dtls = DtlsTransport(
            CERTIFICATE, role=role, send=self._send, on_closed=self.closed.set, on_data=self._data_received
        )
        self.channels = DataChannels(
            DataChannelParameters(port=5000, max_message_size=262_144),
            dtls_role=role,
            send=self.dtls.send,
            on_message=lambda label, message: self.heard.put_nowait((label, message)),
        )
        fake.transports[transport].on_dtls = self._receive

    async def connect(self, fingerprint: tuple[str, str]) -> SrtpKeys:
        self._fake.emit(fake_media.IceConnected(self.transport, "127.0.0.1:7777", "127.0.0.1:50000"))
        async with asyncio.timeout(10):
            return await self.dtls.connect([fingerprint])

    async def hear(self) -> tuple[str, Message]:
        """What is said next on a data channel."""
        async with asyncio.timeout(10):
            return await self.heard.get()

    def _data_received(self, data: bytes) -> None:
        self.channels.received(data)

    def _send(self, datagram: bytes) -> None:
        self._fake.emit(fake_media.Dtls(self.transport, datagram))

    def _receive(self, datagram: bytes) -> None:
        asyncio.get_running_loop().call_soon(self.dtls.datagram_received, datagram)
