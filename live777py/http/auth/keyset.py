"""A JSON web key set (RFC 7517) as keys that can verify, each by one algorithm.

The algorithm belongs to the key and never to the token, so that a token cannot choose how it is checked (RFC 8725
section 3.1). What cannot be used is left out: symmetric keys, keys for encryption, RSA keys under 2048 bits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

MAX_BYTES: Final = 64 * 1024
MAX_KEYS: Final = 32
MIN_RSA_BITS: Final = 2048

_PUBLIC_MEMBERS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_ALGORITHMS: Final[dict[tuple[str, str | None], tuple[str, ...]]] = {
    ("RSA", None): ("RS256", "PS256"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""By key type and curve. The first is the key's where it does not say `alg`."""
ASYMMETRIC: Final = frozenset(name for names in _ALGORITHMS.values() for name in names)


@dataclass(frozen=True, kw_only=True)
class VerificationKey:
    kid: str | None
    algorithm: str
    key: PublicKeyTypes


@dataclass(frozen=True)
class KeySet:
    keys: tuple[VerificationKey, ...] = ()

    def find(self, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
        """The keys that may have signed: the one that is named, or every one of the algorithm if none is."""
        return tuple(key for key in self.keys if key.algorithm == algorithm and kid in {None, key.kid})


def parse_key_set(text: bytes) -> KeySet:
    """Raises ValueError if it is no key set, or one without a usable key."""
    if len(text) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise ValueError(f'it has no list "keys" of at most {MAX_KEYS}')
    keys = tuple(key for entry in entries if isinstance(entry, dict) and (key := _usable(entry)) is not None)
    if not keys:
        raise ValueError("it has no key that can be used")
    return KeySet(keys)


def _usable(entry: dict[str, Any]) -> VerificationKey | None:
    kty, kid, operations = entry.get("kty"), entry.get("kid"), entry.get("key_ops", ["verify"])
    if not isinstance(kty, str) or kty not in _PUBLIC_MEMBERS or not isinstance(kid, str | None):
        return None
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    curve = entry.get("crv") if kty != "RSA" else None
    known = _ALGORITHMS.get((kty, curve), ()) if isinstance(curve, str | None) else ()
    algorithm = entry.get("alg", known[0] if known else None)
    if algorithm not in known:
        return None
    # Private members stay behind: this side only verifies.
    public = {name: entry[name] for name in ("kty", *_PUBLIC_MEMBERS[kty]) if name in entry}
    try:
        key = jwt.PyJWK(public, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        return None
    return VerificationKey(kid=kid, algorithm=algorithm, key=key)
