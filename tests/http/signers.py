"""Key pairs of every kind, their JSON web keys, and tokens that they sign."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Signer:
    algorithm: str
    key: PrivateKey
    kid: str | None = "k1"

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """A member whose value is None is left out."""
        public = self.key.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            members = RSAAlgorithm.to_jwk(public, as_dict=True)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            members = ECAlgorithm.to_jwk(public, as_dict=True)
        else:
            members = OKPAlgorithm.to_jwk(public, as_dict=True)
        members = {**members, "kid": self.kid, "alg": self.algorithm, "use": "sig", "key_ops": ["verify"], **changes}
        return {name: value for name, value in members.items() if value is not None}

    def token(self, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        named = {"kid": self.kid} if self.kid is not None else {}
        payload = json.dumps(good(**claims)).encode()
        return jwt.PyJWS().encode(payload, self.key, algorithm=self.algorithm, headers={**named, **(headers or {})})

    @property
    def pem(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def good(**changes: Any) -> dict[str, Any]:
    """Claims of who may do everything; one that is None is left out."""
    claims = {"id": "*", "mode": 7, "exp": int(time.time()) + 600, **changes}
    return {name: value for name, value in claims.items() if value is not None}


@cache
def _key(kind: str, number: int) -> PrivateKey:
    """Made once for all tests; `number` tells keys of one kind apart."""
    match kind:
        case "RSA":
            return rsa.generate_private_key(65537, 2048)
        case "RSA-1024":
            return rsa.generate_private_key(65537, 1024)  # noqa: S505 (what must be refused)
        case "P-256":
            return ec.generate_private_key(ec.SECP256R1())
        case "P-384":
            return ec.generate_private_key(ec.SECP384R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


KINDS = {"RS256": "RSA", "PS256": "RSA", "ES256": "P-256", "ES384": "P-384", "EdDSA": "Ed25519"}


def signer(algorithm: str, kid: str | None = "k1", *, number: int = 0, kind: str | None = None) -> Signer:
    return Signer(algorithm, _key(kind or KINDS[algorithm], number), kid)


def key_set(*keys: dict[str, Any]) -> str:
    return json.dumps({"keys": keys})


def signed_by_hmac(key: bytes, claims: dict[str, Any], **header: Any) -> str:
    """By hand: no library signs with what looks like a public key."""
    parts = [_base64(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "HS256", **header}, claims)]
    code = hmac.HMAC(key, hashes.SHA256())
    code.update(".".join(parts).encode())
    return ".".join([*parts, _base64(code.finalize())])


def unsigned(claims: dict[str, Any], **header: Any) -> str:
    return (
        ".".join(_base64(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "none", **header}, claims)) + "."
    )


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
