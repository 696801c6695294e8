"""DTLS of one session: aiortc's transport over datagrams that the engine carries. No media passes here.

Three things differ from `RTCDtlsTransport`: the keys are handed out instead of used, a lost flight is repeated within
a tenth of a second (OpenSSL's own timer is one second), and after the handshake no task waits: the owner passes each
datagram to `datagram_received`, which hands out the data in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final, Literal, cast

from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport, State
from OpenSSL import SSL

from live777py.rtc.srtp import EXPORTER_LABEL, PROFILES, SrtpKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiortc import RTCIceTransport

    from live777py.rtc.certificate import Certificate

_REPEATS: Final = (0.05, 0.1, 0.2, 0.4)  # seconds of silence after which the newest flight is sent again
_MAX_QUEUE: Final = 32
_READ_SIZE: Final = 8192  # a datagram in, a flight out

_logger = logging.getLogger(__name__)


class DtlsError(Exception):
    """The handshake failed; the text says how and names no address or key."""


class DatagramLink:
    """What aiortc takes for an ICE transport: a short queue in, a function out."""

    __slots__ = ("_output", "_queue", "_waiter", "closed")

    role = "controlled"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.closed = False
        self._output = send
        self._queue: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None

    def send(self, datagram: bytes) -> None:
        if not self.closed:
            self._output(datagram)

    def feed(self, datagram: bytes) -> None:
        if len(self._queue) < _MAX_QUEUE:
            self._queue.append(datagram)
            self._wake()

    def close(self) -> None:
        self.closed = True
        self._wake()

    def take(self) -> list[bytes]:
        """What nobody has waited for."""
        queue, self._queue = self._queue, []
        return queue

    async def _recv(self) -> bytes:
        while not self._queue:
            if self.closed:
                raise ConnectionError
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._queue.pop(0)

    async def _send(self, datagram: bytes) -> None:
        if self.closed:
            raise ConnectionError
        self._output(datagram)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class DtlsTransport:
    """Usage: `keys = await transport.connect(fingerprints)`, `datagram_received` for each datagram, `shutdown()`.

    After the handshake this and OpenSSL's connection are all that is kept; aiortc's part is larger than both.
    """

    __slots__ = ("_certificate", "_connection", "_encrypted", "_link", "_on_closed", "_on_data", "_role", "state")

    def __init__(
        self,
        certificate: Certificate,
        *,
        role: Literal["client", "server"],
        send: Callable[[bytes], None],
        on_closed: Callable[[], None],
        on_data: Callable[[bytes], None] | None = None,
    ) -> None:
        """`on_closed` is called once if the peer ends the connection (close_notify or a fatal alert).

        `on_data` gets application data, a record at a time; without it they are thrown away.
        """
        self.state: Literal["new", "connecting", "connected", "failed", "closed"] = "new"
        self._certificate = certificate
        self._role: Literal["client", "server"] = role
        self._link = DatagramLink(send)
        self._connection = SSL.Connection(certificate.context)
        self._encrypted = False
        self._on_closed = on_closed
        self._on_data = on_data

    async def connect(self, fingerprints: Sequence[tuple[str, str]]) -> SrtpKeys:
        """Handshake, and check the peer's certificate against all fingerprints whose hash we know. Raises `DtlsError`.

        It waits for a silent peer until it is cancelled or `shutdown` is called. What the peer sends right behind its
        part of the handshake is read before this returns; if that is a goodbye, `on_closed` is called, and it raises.
        """
        if not self._link.closed:
            self.state = "connecting"
        handshake = _Handshake(self._certificate, self._role, self._connection, self._link)
        await handshake.start(
            RTCDtlsParameters(
                fingerprints=[RTCDtlsFingerprint(algorithm=name, value=value) for name, value in fingerprints]
            )
        )
        self._encrypted = handshake.encrypted
        if self._link.closed:
            raise DtlsError("the session was closed")
        if handshake.keys is None:
            self.state = "failed"
            raise DtlsError(handshake.failure)
        self.state = "connected"
        self._read()
        for datagram in self._link.take():
            self.datagram_received(datagram)
        if self.state != "connected":
            raise DtlsError("the peer has closed the session at once")
        return handshake.keys

    def datagram_received(self, datagram: bytes) -> None:
        if self.state == "connected":
            self._connection.bio_write(datagram)
            self._read()
        elif datagram:
            self._link.feed(datagram)

    def send(self, data: bytes) -> None:
        """Application data, as one datagram; lost unless connected."""
        if self.state != "connected":
            return
        try:
            self._connection.send(data)
        except SSL.Error as error:
            _logger.debug("DTLS data not sent: %s", _describe(error))
        self._flush()

    def shutdown(self, *, quiet: bool = False) -> None:
        """Tell the peer (close_notify) unless `quiet`, and forget the connection; idempotent."""
        if self._encrypted and self.state != "closed" and not quiet:
            with contextlib.suppress(SSL.Error):
                self._connection.shutdown()
            self._flush()
        self._link.close()
        self.state = "closed"

    def _flush(self) -> None:
        if flight := _flight(self._connection):
            self._link.send(flight)

    def _read(self) -> None:
        """After the handshake: a repeated last flight, an alert, or data."""
        try:
            with contextlib.suppress(SSL.WantReadError):
                while self.state == "connected":  # a datagram may hold several records
                    data = self._connection.recv(_READ_SIZE)
                    if self._on_data is not None:
                        self._on_data(data)
        except SSL.Error as error:
            _logger.debug("DTLS datagram ignored: %s", _describe(error))
        self._flush()
        if self.state == "connected" and self._connection.get_shutdown() & SSL.RECEIVED_SHUTDOWN:
            self.state = "closed"
            self._on_closed()


class _Handshake(RTCDtlsTransport):
    """aiortc's transport for as long as it takes to agree on keys."""

    def __init__(
        self,
        certificate: Certificate,
        role: Literal["client", "server"],
        connection: SSL.Connection,
        link: DatagramLink,
    ) -> None:
        super().__init__(cast("RTCIceTransport", link), [certificate])
        self.keys: SrtpKeys | None = None
        self.failure = ""
        self._set_role(role)
        self._link = link
        self._connection = self._ssl = connection
        if role == "server":
            connection.set_accept_state()
        else:
            connection.set_connect_state()
        self._newest = b""
        self._repeats: tuple[float, ...] = ()

    async def start(self, remoteParameters: RTCDtlsParameters) -> None:  # noqa: N803 - aiortc's name
        """aiortc's contract: never raises for the peer's faults, the outcome is in `state`."""
        self._set_state(State.CONNECTING)
        await self._do_handshake()
        if self._state is State.CONNECTING:
            self._validate_peer_identity(remoteParameters)
        if self._state is State.CONNECTING:
            self._setup_srtp()
        if self._state is State.CONNECTING:
            self._set_state(State.CONNECTED)

    async def _do_handshake(self) -> None:
        try:
            while not self.encrypted:
                try:
                    self._connection.do_handshake()
                except SSL.WantReadError:
                    self._flush()
                    await self._recv_next()
                else:
                    self.encrypted = True
        except SSL.Error as error:
            self._fail(_describe(error))
        except ConnectionError:
            self._fail("the session was closed")
        self._flush()

    async def _recv_next(self) -> None:
        timer = self._connection.DTLSv1_get_timeout()
        repeat = self._repeats[0] if self._repeats else None
        waits = [seconds for seconds in (timer, repeat) if seconds is not None]
        try:
            async with asyncio.timeout(min(waits, default=None)):
                datagram = await self._link._recv()
        except TimeoutError:
            if repeat is not None and (timer is None or repeat < timer):
                self._repeats = self._repeats[1:]
                self._link.send(self._newest)
            else:
                self._connection.DTLSv1_handle_timeout()
                self._flush()
            return
        self._connection.bio_write(datagram)

    def _validate_peer_identity(self, remoteParameters: RTCDtlsParameters) -> None:  # noqa: N803 - aiortc's name
        super()._validate_peer_identity(remoteParameters)
        if self._state is State.FAILED:
            self.failure = "the peer's certificate does not match the fingerprint of its SDP"

    def _setup_srtp(self) -> None:
        negotiated = self._connection.get_selected_srtp_profile()
        profile = next((profile for profile in PROFILES if profile.openssl_profile == negotiated), None)
        if profile is None:
            self._fail("no SRTP profile in common")
            return
        material = self._connection.export_keying_material(EXPORTER_LABEL, profile.material_length)
        self.keys = SrtpKeys.from_material(profile, material, server=self._role == "server")

    async def _write_ssl(self) -> None:
        self._flush()

    def _flush(self) -> None:
        if flight := _flight(self._connection):
            self._link.send(flight)
            self._newest, self._repeats = flight, _REPEATS

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self._set_state(State.FAILED)


def _flight(connection: SSL.Connection) -> bytes:
    """What OpenSSL wants to send, if anything."""
    try:
        return connection.bio_read(_READ_SIZE)
    except SSL.WantReadError:
        return b""


def _describe(error: SSL.Error) -> str:
    """OpenSSL's reasons (library, function, reason) without its numbers."""
    reasons = [entry[2] for entry in error.args[0]] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(reasons) or type(error).__name__
