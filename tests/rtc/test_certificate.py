"""The identity of the process."""

from __future__ import annotations

import re

from cryptography.hazmat.primitives.asymmetric import ec

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
