"""A peer made by hand: its own SDP, one UDP socket, STUN by `aioice`, and whatever bytes a test wants to send."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from aioice import stun

if TYPE_CHECKING:
    from types import TracebackType

    import aiohttp

FINGERPRINT = ":".join(["AB"] * 32)
Address = tuple[str, int]


def offer(*, ufrag: str, pwd: str, fingerprint: str = FINGERPRINT, direction: str = "sendonly") -> str:
    """An offer of one Opus section."""
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        f"a={direction}",
        "a=rtcp-mux",
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{pwd}",
        f"a=fingerprint:sha-256 {fingerprint}",
        "a=setup:actpass",
        "a=rtpmap:111 opus/48000/2",
    ]
    return "".join(f"{line}\r\n" for line in lines)


def sdp_value(sdp: str, name: str) -> str:
    return next(line.split(":", 1)[1] for line in sdp.splitlines() if line.startswith(f"a={name}:"))


def candidate_address(sdp: str) -> Address:
    parts = sdp_value(sdp, "candidate").split()
    return parts[4], int(parts[5])


class _Inbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, _addr: object) -> None:
        self.received.put_nowait(data)


class Socket:
    """A UDP socket on loopback."""

    def __init__(self, transport: asyncio.DatagramTransport, inbox: _Inbox) -> None:
        self._transport = transport
        self._inbox = inbox

    @classmethod
    async def open(cls) -> Socket:
        loop = asyncio.get_running_loop()
        transport, inbox = await loop.create_datagram_endpoint(_Inbox, local_addr=("127.0.0.1", 0))
        return cls(transport, inbox)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    def send(self, data: bytes, to: Address) -> None:
        self._transport.sendto(data, to)

    async def receive(self, within: float = 2.0) -> bytes:
        """The next datagram; `TimeoutError` when none comes."""
        return await asyncio.wait_for(self._inbox.received.get(), within)


@dataclass
class HandMade:
    """A session on the gateway whose peer is this test."""

    stream_url: str
    ufrag: str = field(default_factory=lambda: secrets.token_hex(4))
    pwd: str = field(default_factory=lambda: secrets.token_hex(16))
    answer: str = ""
    location: str = ""

    async def post(self, client: aiohttp.ClientSession, *, direction: str = "sendonly") -> None:
        body = offer(ufrag=self.ufrag, pwd=self.pwd, direction=direction)
        headers = {"Content-Type": "application/sdp"}
        async with client.post(self.stream_url, data=body, headers=headers) as response:
            self.answer = await response.text()
            assert response.status == 201, self.answer
            self.location = response.headers["Location"]

    @property
    def server(self) -> Address:
        return candidate_address(self.answer)

    def check(self, *, nominate: bool = True, local_ufrag: str | None = None, pwd: str | None = None) -> bytes:
        """A binding request as a controlling full agent sends it; the arguments make it wrong."""
        message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{local_ufrag or sdp_value(self.answer, 'ice-ufrag')}:{self.ufrag}"
        message.attributes["PRIORITY"] = 1845501695
        message.attributes["ICE-CONTROLLING"] = 1
        if nominate:
            message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity((pwd or sdp_value(self.answer, "ice-pwd")).encode())
        return bytes(message)

    async def connect(self, socket: Socket) -> None:
        """ICE only: the gateway's answer to a check makes the socket's address an authenticated one."""
        socket.send(self.check(), self.server)
        response = stun.parse_message(await socket.receive())
        assert response.message_class == stun.Class.RESPONSE
        assert response.check_message_integrity(sdp_value(self.answer, "ice-pwd").encode())
