"""The identity of the process."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from live777py.rtc.certificate import Certificate


def test_the_key_is_p256_and_the_fingerprint_is_as_sdp_writes_it() -> None:
    certificate = Certificate.generate()
    public = certificate._cert.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.name == "secp256r1"
    assert certificate.fingerprint[0] == "sha-256"
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", certificate.fingerprint[1])


def test_one_context_serves_every_session() -> None:
    certificate = Certificate.generate()
    assert certificate._create_ssl_context([]) is certificate._create_ssl_context([]) is certificate.context


def test_two_processes_are_two_identities() -> None:
    assert Certificate.generate().fingerprint != Certificate.generate().fingerprint


def test_a_client_is_asked_for_signatures_that_every_stack_can_read() -> None:
    """Pion takes a certificate request with one that it does not know for none at all."""
    client, server = (SSL.Connection(Certificate.generate().context) for _ in range(2))
    client.set_connect_state()
    server.set_accept_state()
    for sender, receiver in ((client, server), (server, client)):
        with pytest.raises(SSL.WantReadError):
            sender.do_handshake()
        flight = sender.bio_read(65536)
        receiver.bio_write(flight)
    schemes = [int.from_bytes(pair) for pair in _certificate_request(flight)]
    assert schemes == [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0603, 0x0806, 0x0601]


def _certificate_request(flight: bytes) -> list[bytes]:
    """The signature schemes of RFC 5246 section 7.4.4 in a flight of records (RFC 6347 section 4.3.1)."""
    while flight:
        length = int.from_bytes(flight[11:13])
        record, flight = flight[13 : 13 + length], flight[13 + length :]
        if record[0] == 13:
            body = record[12:]
            types = body[0]
            size = int.from_bytes(body[1 + types : 3 + types])
            schemes = body[3 + types : 3 + types + size]
            return [schemes[at : at + 2] for at in range(0, size, 2)]
    raise AssertionError("no certificate was asked for")
