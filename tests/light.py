"""A WebRTC peer that costs little, so that a thousand fit into a test: one UDP socket, ICE, DTLS, and no media."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aioice import stun

from live777py.rtc.dtls import DtlsTransport
from tests.fakes.remote import CERTIFICATE, UFRAG

if TYPE_CHECKING:
    from collections.abc import Callable

    from live777py.rtc.srtp import SrtpKeys

TIMEOUT = 20.0
_REPEAT = 0.2


class LightPeer(asyncio.DatagramProtocol):
    """Its offer is one of `tests.fakes.remote`: `connect` takes the answer, `closed` is set by a close_notify."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.received = 0
        self.on_media: Callable[[bytes], None] | None = None
        """Is given SRTP and SRTCP."""
        self.answers = 0
        """To STUN checks."""
        self._request = b""
        self._dtls = DtlsTransport(CERTIFICATE, role="client", send=self._send, on_closed=self.closed.set)
        self._checked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.DatagramTransport | None = None

    async def connect(self, answer: str) -> SrtpKeys:
        values = {name: value for name, _, value in (line.partition(":") for line in answer.splitlines())}
        words = values["a=candidate"].split()
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=(words[4], int(words[5])))
        async with asyncio.timeout(TIMEOUT):
            self._request = self._check(values["a=ice-ufrag"], values["a=ice-pwd"])
            while not self._checked.done():
                self.keep_alive()
                await asyncio.wait([self._checked], timeout=_REPEAT)
            name, _, fingerprint = values["a=fingerprint"].partition(" ")
            return await self._dtls.connect([(name, fingerprint)])

    def send(self, datagram: bytes) -> None:
        """SRTP or SRTCP."""
        self._send(datagram)

    def keep_alive(self) -> None:
        """A binding request, without which the gateway takes the peer for gone after 30 s (RFC 7675)."""
        self._send(self._request)

    def close(self, *, goodbye: bool = True) -> None:
        if goodbye:
            self._dtls.shutdown()
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, _addr: object) -> None:
        if data[0] < 4:
            self.answers += data[:2] == b"\x01\x01"
            if not self._checked.done():
                self._checked.set_result(None)
        elif 19 < data[0] < 64:
            self._dtls.datagram_received(data)
        else:
            self.received += 1
            if self.on_media is not None:
                self.on_media(data)

    def error_received(self, exc: Exception) -> None:
        """A gateway that is gone answers with ICMP; the time-outs tell."""

    def _send(self, datagram: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(datagram)

    @staticmethod
    def _check(ufrag: str, password: str) -> bytes:
        message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{ufrag}:{UFRAG}"
        message.attributes["PRIORITY"] = 1845501695
        message.attributes["ICE-CONTROLLING"] = 1
        message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(password.encode())
        return bytes(message)
