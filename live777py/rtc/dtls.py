"""DTLS of one session: aiortc's transport over datagrams that the engine carries. No media passes here.

Three things differ from `RTCDtlsTransport`: the keys are handed out instead of used, a lost flight is repeated within
a tenth of a second (OpenSSL's own timer is one second), and after the handshake no task waits: the owner passes each
datagram to `datagram_received`.
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
_READ_SIZE: Final = 2048

_logger = logging.getLogger(__name__)


class DtlsError(Exception):
    """The handshake failed; the text says how and names no address or key."""


class DatagramLink:
    """What aiortc takes for an ICE transport: a short queue in, a function out."""

    role = "controlled"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._output = send
        self._queue: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    def send(self, datagram: bytes) -> None:
        if not self._closed:
            self._output(datagram)

    def feed(self, datagram: bytes) -> None:
        if len(self._queue) < _MAX_QUEUE:
            self._queue.append(datagram)
            self._wake()

    def close(self) -> None:
        self._closed = True
        self._wake()

    async def _recv(self) -> bytes:
        while not self._queue:
            if self._closed:
                raise ConnectionError
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._queue.pop(0)

    async def _send(self, datagram: bytes) -> None:
        if self._closed:
            raise ConnectionError
        self._output(datagram)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class DtlsTransport(RTCDtlsTransport):
    """Usage: `keys = await transport.connect(fingerprints)`, `datagram_received` for each datagram, `shutdown()`."""

    def __init__(
        self,
        certificate: Certificate,
        *,
        role: Literal["client", "server"],
        send: Callable[[bytes], None],
        on_closed: Callable[[], None],
    ) -> None:
        """`on_closed` is called once if the peer ends the connection (close_notify or a fatal alert)."""
        self._link = DatagramLink(send)
        super().__init__(cast("RTCIceTransport", self._link), [certificate])
        del self._rtp_router, self._rtp_header_extensions_map  # several kB for each session, and no RTP comes here
        self._set_role(role)
        self._connection = self._ssl = SSL.Connection(certificate.context)
        if role == "server":
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()
        self._on_closed = on_closed
        self._keys: SrtpKeys | None = None
        self._failure = ""
        self._flight = b""
        self._repeats: tuple[float, ...] = ()

    async def connect(self, fingerprints: Sequence[tuple[str, str]]) -> SrtpKeys:
        """Handshake, and check the peer's certificate against all fingerprints whose hash we know. Raises `DtlsError`.

        It waits for a silent peer until it is cancelled or `shutdown` is called.
        """
        await self.start(
            RTCDtlsParameters(
                fingerprints=[RTCDtlsFingerprint(algorithm=name, value=value) for name, value in fingerprints]
            )
        )
        keys, self._keys = self._keys, None
        if keys is None:
            raise DtlsError(self._failure)
        return keys

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

    def datagram_received(self, datagram: bytes) -> None:
        if self._state is State.CONNECTED:
            self._read(datagram)
        elif datagram:
            self._link.feed(datagram)

    def shutdown(self) -> None:
        """Tell the peer (close_notify) and forget the connection; idempotent."""
        if self.encrypted and self._state is not State.CLOSED:
            with contextlib.suppress(SSL.Error):
                self._connection.shutdown()
            self._flush()
        self._link.close()
        self._set_state(State.CLOSED)

    async def stop(self) -> None:
        self.shutdown()

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
        self._flight, self._repeats = b"", ()

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
                self._link.send(self._flight)
            else:
                self._connection.DTLSv1_handle_timeout()
                self._flush()
            return
        self._connection.bio_write(datagram)

    def _validate_peer_identity(self, remoteParameters: RTCDtlsParameters) -> None:  # noqa: N803 - aiortc's name
        super()._validate_peer_identity(remoteParameters)
        if self._state is State.FAILED:
            self._failure = "the peer's certificate does not match the fingerprint of its SDP"

    def _setup_srtp(self) -> None:
        negotiated = self._connection.get_selected_srtp_profile()
        profile = next((profile for profile in PROFILES if profile.openssl_profile == negotiated), None)
        if profile is None:
            self._fail("no SRTP profile in common")
            return
        material = self._connection.export_keying_material(EXPORTER_LABEL, profile.material_length)
        self._keys = SrtpKeys.from_material(profile, material, server=self._role == "server")

    async def _write_ssl(self) -> None:
        self._flush()

    def _flush(self) -> None:
        try:
            flight = self._connection.bio_read(_READ_SIZE)
        except SSL.WantReadError:
            return
        self._link.send(flight)
        if not self.encrypted:
            self._flight, self._repeats = flight, _REPEATS

    def _read(self, datagram: bytes) -> None:
        """After the handshake: a repeated last flight, an alert, or data for which there is no channel."""
        self._connection.bio_write(datagram)
        try:
            self._connection.recv(_READ_SIZE)
        except SSL.Error as error:
            _logger.debug("DTLS datagram ignored: %s", _describe(error))
        self._flush()
        if self._connection.get_shutdown() & SSL.RECEIVED_SHUTDOWN:
            self._set_state(State.CLOSED)
            self._on_closed()

    def _fail(self, reason: str) -> None:
        self._failure = reason
        if self._state is not State.CLOSED:
            self._set_state(State.FAILED)


def _describe(error: SSL.Error) -> str:
    """OpenSSL's reasons (library, function, reason) without its numbers."""
    reasons = [entry[2] for entry in error.args[0]] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(reasons) or type(error).__name__
