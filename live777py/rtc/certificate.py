"""The gateway's DTLS identity: one certificate and one OpenSSL context for all sessions of the process."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from typing import TYPE_CHECKING, Final

from aiortc.rtcdtlstransport import RTCCertificate, certificate_digest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from OpenSSL._util import lib

from live777py.errors import StartError
from live777py.rtc.srtp import PROFILES

if TYPE_CHECKING:
    from aiortc.rtcdtlstransport import SRTPProtectionProfile

_LIFETIME: Final = dt.timedelta(days=3650)  # peers look at the fingerprint; a gateway may run for years
_COMMON_NAME: Final = "live777py"

# RFC 8827 section 6.5 asks for ECDHE-ECDSA. Our own key is ECDSA, so the RSA rows count only where we are the DTLS
# client of a peer that signs with RSA (GStreamer, or any certificate given to FFmpeg, the server by default).
_CIPHERS: Final = b":".join(
    (
        b"ECDHE-ECDSA-AES128-GCM-SHA256",
        b"ECDHE-RSA-AES128-GCM-SHA256",
        b"ECDHE-ECDSA-CHACHA20-POLY1305",
        b"ECDHE-RSA-CHACHA20-POLY1305",
        b"ECDHE-ECDSA-AES256-GCM-SHA384",
        b"ECDHE-RSA-AES256-GCM-SHA384",
        b"ECDHE-ECDSA-AES128-SHA",
        b"ECDHE-RSA-AES128-SHA",
        b"ECDHE-ECDSA-AES256-SHA",
        b"ECDHE-RSA-AES256-SHA",
    )
)

# Those of browsers. OpenSSL's own list has some that Pion (dtls 3.1) cannot read, which then waits for ever.
_SIGNATURES: Final = b":".join(
    (
        b"ecdsa_secp256r1_sha256",
        b"rsa_pss_rsae_sha256",
        b"rsa_pkcs1_sha256",
        b"ecdsa_secp384r1_sha384",
        b"rsa_pss_rsae_sha384",
        b"rsa_pkcs1_sha384",
        b"ecdsa_secp521r1_sha512",
        b"rsa_pss_rsae_sha512",
        b"rsa_pkcs1_sha512",
    )
)


class Certificate(RTCCertificate):
    """A self-signed P-256 certificate. Build one with `Certificate.generate()` and share it."""

    @classmethod
    def generate(cls) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, _COMMON_NAME)])
        now = dt.datetime.now(tz=dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + _LIFETIME)
            .sign(key, hashes.SHA256())
        )
        return cls(key=key, cert=certificate)

    @cached_property
    def fingerprint(self) -> tuple[str, str]:
        """Hash name and value, as `a=fingerprint` writes them."""
        return "sha-256", certificate_digest(self._cert, "sha-256")

    @cached_property
    def context(self) -> SSL.Context:
        """Settings of every handshake. Peers are known by fingerprint alone, which the transport checks."""
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_max_proto_version(_DTLS_1_2)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
        # A cached session would keep the peer's certificate long after the peer has left.
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept_any)
        context.use_certificate(self._cert)
        context.use_privatekey(self._key)
        context.set_cipher_list(_CIPHERS)
        _set_signatures(context)
        context.set_tlsext_use_srtp(b":".join(profile.openssl_profile for profile in PROFILES))
        return context

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        """aiortc asks for a context per session; building one costs more than half a handshake's arithmetic."""
        del srtp_profiles
        return self.context


_DTLS_1_2: Final = 0xFEFD


def _set_signatures(context: SSL.Context) -> None:
    """pyOpenSSL has no method for it."""
    if lib.SSL_CTX_set1_sigalgs_list(context._context, _SIGNATURES) != 1:
        raise StartError("OpenSSL knows none of the signature algorithms of DTLS")


def _accept_any(connection: SSL.Connection, certificate: object, error: int, depth: int, ok: int) -> bool:
    del connection, certificate, error, depth, ok
    return True
