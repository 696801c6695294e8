"""The engine seen from both ends, without SDP and DTLS: its console, and peers of one UDP socket with keys set by hand.

Everything here blocks, with a time limit.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
import select
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, SupportsBytes, TypeVar, cast

from aioice import stun
from aiortc.rtp import RtcpPacket, RtpPacket, is_rtcp
from pylibsrtp import Policy, Session

from live777py.media import native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from live777py._media import Event, SrtpProfile, Stats  # noqa: TID251

T = TypeVar("T")
Address = tuple[str, int]

TIME_LIMIT: Final = 5.0
"""Seconds that anything may take on loopback."""

KEY_LENGTHS: Final[dict[SrtpProfile, tuple[int, int]]] = {
    "AEAD_AES_128_GCM": (16, 12),
    "AEAD_AES_256_GCM": (32, 12),
    "AES128_CM_HMAC_SHA1_80": (16, 14),
}
_LIBSRTP_PROFILES: Final[dict[SrtpProfile, int]] = {
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    "AES128_CM_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}


def parse_address(text: str) -> Address:
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


class Refused(Exception):
    """The engine answered a command with this error code."""


class Console:
    """Sends commands and waits for their responses; keeps the events for whoever asks."""

    def __init__(
        self, sockets: Sequence[Sequence[str]] = (("127.0.0.1:0",),), listeners: Sequence[Sequence[str]] = ()
    ) -> None:
        self.engine = native.Engine(sockets=sockets, listeners=listeners)
        self.ids = itertools.count(1)
        self.responses: deque[native.Response] = deque()
        self.events: deque[Event] = deque()
        self._requests = itertools.count(1)
        self._readable = select.poll()
        self._readable.register(self.engine.fileno(), select.POLLIN)

    def address(self, worker: int = 0) -> Address:
        return parse_address(self.engine.addresses()[worker][0])

    def send(self, command: Callable[..., None], *arguments: object, **options: object) -> int:
        """Sends and does not wait; returns the request's number."""
        request = next(self._requests)
        command(request, *arguments, **options)
        return request

    def call(self, command: Callable[..., None], *arguments: object, **options: object) -> Any:
        """Sends, waits, and returns the response's value; raises `Refused`."""
        request = self.send(command, *arguments, **options)
        response = self._next(self.responses, lambda answer: answer.request == request)
        if response.error is not None:
            raise Refused(response.error)
        return response.value

    def stats(self) -> Stats:
        return cast("Stats", self.call(self.engine.stats))

    def wait_for_connections(self, count: int) -> None:
        """Until the first worker has so many over TCP."""
        deadline = time.monotonic() + TIME_LIMIT
        while (found := self.stats().workers[0].tcp_connections) != count:
            assert time.monotonic() < deadline, found

    def wait(self, kind: type[T], **fields: object) -> T:
        """The next event of this class with these fields; the others stay."""

        def matches(event: object) -> bool:
            return isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items())

        return cast("T", self._next(self.events, matches))

    def _next(self, queue: deque[Any], matches: Callable[[Any], bool]) -> Any:
        deadline = time.monotonic() + TIME_LIMIT
        while True:
            for item in queue:
                if matches(item):
                    queue.remove(item)
                    return item
            if not self._readable.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError(f"the engine did not say it; it said {list(queue)}")
            for told in self.engine.poll():
                if isinstance(told, native.Response):
                    self.responses.append(told)
                else:
                    self.events.append(told)


@contextlib.contextmanager
def running_console(
    sockets: Sequence[Sequence[str]] = (("127.0.0.1:0",),), listeners: Sequence[Sequence[str]] = ()
) -> Iterator[Console]:
    console = Console(sockets, listeners)
    try:
        yield console
    finally:
        console.engine.close()


class FramedSocket:
    """A TCP connection that carries datagrams (RFC 4571), with the names of a UDP socket."""

    def __init__(self, server: Address) -> None:
        self.stream = socket.create_connection(server, TIME_LIMIT)
        self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def sendto(self, datagram: bytes, _server: Address) -> None:
        self.stream.sendall(len(datagram).to_bytes(2, "big") + datagram)

    def recv(self, _size: int) -> bytes:
        return self._read(int.from_bytes(self._read(2), "big"))

    def _read(self, size: int) -> bytes:
        data = self.stream.recv(size, socket.MSG_WAITALL)
        if len(data) < size:
            raise EOFError("the engine has closed the connection")
        return data

    def getsockname(self) -> Address:
        host, port, *_ = self.stream.getsockname()
        return host, port

    def close(self) -> None:
        self.stream.close()


def framed_socket(server: Address) -> socket.socket:
    """A `FramedSocket`, which does what a `Peer` asks of its socket."""
    return cast("socket.socket", FramedSocket(server))


def _datagram_socket(server: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    bound.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    bound.settimeout(TIME_LIMIT)
    return bound


class Peer:
    """One transport of the engine and the other end of it, over UDP, or over TCP to the engine's address `tcp`."""

    def __init__(
        self,
        console: Console,
        *,
        profile: SrtpProfile = "AEAD_AES_128_GCM",
        worker: int = 0,
        own_socket: bool = False,
        tcp: str | None = None,
    ) -> None:
        self.console = console
        self.profile: SrtpProfile = profile
        self.ufrag, self.pwd = secrets.token_hex(4), secrets.token_hex(16)
        self.server_ufrag, self.server_pwd = secrets.token_hex(4), secrets.token_hex(16)
        self.transport = next(console.ids)
        ice = native.IceParameters(
            role="lite",
            local_ufrag=self.server_ufrag,
            local_pwd=self.server_pwd,
            remote_ufrag=self.ufrag,
            remote_pwd=self.pwd,
        )
        own = console.call(console.engine.open_transport, self.transport, worker=worker, ice=ice, own_socket=own_socket)
        self.server = parse_address(own[0]) if own_socket else console.address(worker)
        if tcp is not None:
            self.server = parse_address(tcp)
        self.socket = _datagram_socket(self.server) if tcp is None else framed_socket(self.server)
        key, salt = KEY_LENGTHS[profile]
        self.engine_key, self.engine_salt = secrets.token_bytes(key), secrets.token_bytes(salt)
        self.key, self.salt = secrets.token_bytes(key), secrets.token_bytes(salt)
        self._outbound = self._session(self.key + self.salt, Policy.SSRC_ANY_OUTBOUND)
        self._inbound = self._session(self.engine_key + self.engine_salt, Policy.SSRC_ANY_INBOUND)

    def close(self) -> None:
        self.socket.close()

    def check(self, *, nominate: bool = True, pwd: str | None = None) -> stun.Message:
        """A binding request of a controlling agent (RFC 8445 section 7.2.2)."""
        message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{self.server_ufrag}:{self.ufrag}"
        message.attributes["PRIORITY"] = 1845501695
        message.attributes["ICE-CONTROLLING"] = 1
        if nominate:
            message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity((pwd or self.server_pwd).encode())
        return message

    def nominate(self) -> None:
        """Sends a check; its response waits in the socket."""
        self.socket.sendto(bytes(self.check()), self.server)
        self.console.wait(native.IceConnected, transport=self.transport)

    def install_keys(self) -> None:
        self.console.call(
            self.console.engine.install_keys,
            self.transport,
            profile=self.profile,
            local_key=self.engine_key,
            local_salt=self.engine_salt,
            remote_key=self.key,
            remote_salt=self.salt,
        )

    def connect(self) -> None:
        """ICE and keys."""
        self.nominate()
        assert stun.parse_message(self.socket.recv(2048)).message_class == stun.Class.RESPONSE
        self.install_keys()

    def add_track(self, parameters: native.TrackParameters) -> int:
        track = next(self.console.ids)
        self.console.call(self.console.engine.add_track, self.transport, track, parameters=parameters)
        return track

    def subscribe(self, parameters: native.SubscriptionParameters) -> int:
        subscription = next(self.console.ids)
        self.console.call(self.console.engine.subscribe, self.transport, subscription, parameters=parameters)
        return subscription

    def protect(self, packet: RtpPacket) -> bytes:
        return self._outbound.protect(packet.serialize())

    def send_rtp(self, packet: RtpPacket) -> None:
        self.socket.sendto(self.protect(packet), self.server)

    def send_rtcp(self, packet: SupportsBytes) -> None:
        self.socket.sendto(self._outbound.protect_rtcp(bytes(packet)), self.server)

    def receive(self) -> RtpPacket | list[RtcpPacket]:
        """The next SRTP or SRTCP packet, decrypted."""
        data = self.socket.recv(2048)
        if is_rtcp(data):
            return cast("list[RtcpPacket]", RtcpPacket.parse(self._inbound.unprotect_rtcp(data)))
        return self.unprotect(data)

    def unprotect(self, data: bytes) -> RtpPacket:
        return RtpPacket.parse(self._inbound.unprotect(data))

    def receive_datagram(self) -> bytes:
        """The next SRTP packet as it came."""
        while is_rtcp(data := self.socket.recv(2048)):
            pass
        return data

    def receive_rtp(self) -> RtpPacket:
        """The next SRTP packet, reports skipped."""
        while not isinstance(packet := self.receive(), RtpPacket):
            pass
        return packet

    def receive_rtcp(self, kind: type[T]) -> T:
        """The next RTCP packet of this class, everything else skipped."""
        while True:
            packets = self.receive()
            for packet in packets if isinstance(packets, list) else ():
                if isinstance(packet, kind):
                    return packet

    def _session(self, key: bytes, direction: int) -> Session:
        policy = Policy(key=key, ssrc_type=direction, srtp_profile=_LIBSRTP_PROFILES[self.profile])
        policy.allow_repeat_tx = True
        return Session(policy)
