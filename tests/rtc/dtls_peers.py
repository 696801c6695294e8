"""Two ends of DTLS on one event loop, with a line between them that can be cut; and certificates of other kinds."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

from live777py.rtc.certificate import Certificate
from live777py.rtc.dtls import DtlsTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from live777py.rtc.srtp import SrtpKeys

TIMEOUT = 10.0


def rsa_certificate() -> Certificate:
    """As GStreamer 1.22 makes them."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rsa")])
    now = dt.datetime.now(tz=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return Certificate(key=key, cert=certificate)  # type: ignore[arg-type]


def restricted(certificate: Certificate, *, profiles: bytes) -> Certificate:
    """The same certificate for a peer that knows only these SRTP profiles; it takes part in one test alone."""
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    context.use_certificate(certificate._cert)
    context.use_privatekey(certificate._key)
    context.set_tlsext_use_srtp(profiles)
    certificate.__dict__["context"] = context
    return certificate


class Line:
    """`server` and `client` hear each other. `deliver` is asked, by sender and number, whether a datagram arrives."""

    def __init__(self, server: Certificate, client: Certificate) -> None:
        self.deliver: Callable[[str, int], bool] = lambda _sender, _number: True
        self.sent: list[tuple[str, bytes]] = []
        self.closed: list[str] = []
        self.heard: dict[str, list[bytes]] = {"server": [], "client": []}
        self.ended = asyncio.Event()
        self.server = self._end("server", server)
        self.client = self._end("client", client)
        self._certificates = {"server": server, "client": client}

    async def connect(
        self,
        *,
        server_expects: list[tuple[str, str]] | None = None,
        client_expects: list[tuple[str, str]] | None = None,
    ) -> tuple[SrtpKeys | BaseException, SrtpKeys | BaseException]:
        async with asyncio.timeout(TIMEOUT):
            return await asyncio.gather(
                self.server.connect(server_expects or [self._certificates["client"].fingerprint]),
                self.client.connect(client_expects or [self._certificates["server"].fingerprint]),
                return_exceptions=True,
            )

    def _end(self, role: Literal["client", "server"], certificate: Certificate) -> DtlsTransport:
        def send(datagram: bytes) -> None:
            number = sum(sender == role for sender, _ in self.sent)
            self.sent.append((role, datagram))
            other = self.client if role == "server" else self.server
            if self.deliver(role, number):
                asyncio.get_running_loop().call_soon(other.datagram_received, datagram)

        def closed() -> None:
            self.closed.append(role)
            self.ended.set()

        return DtlsTransport(certificate, role=role, send=send, on_closed=closed, on_data=self.heard[role].append)
