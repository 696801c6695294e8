"""Verifying a JSON web token and reading its claims.

The header's `alg` only chooses between the shared secret and the key set; `kid` is compared with our own keys' and
means nothing else. `jku`, `x5u`, `jwk` and `x5c` are never looked at (RFC 8725 section 3.10).
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import jwt

from live777py.http.auth.access import Mode, Principal
from live777py.http.auth.keyset import ASYMMETRIC

if TYPE_CHECKING:
    from collections.abc import Iterable

    from live777py.config import AuthConfig
    from live777py.http.auth.jwks import KeySource

LEEWAY: Final = 60
"""Seconds by which a token may be out of date."""
MAX_TOKEN: Final = 8192
"""Characters. One with a page of claims has some 2000."""

_SYMMETRIC: Final = "HS256"
_ANY_STREAM: Final = "*"


class TokenVerifier:
    """`key_source` is None without `auth.jwks`."""

    def __init__(self, config: AuthConfig, key_source: KeySource | None) -> None:
        # RFC 2104 section 2: a short HMAC key means the same with zeros behind it, and PyJWT does not warn about it.
        self._secret = config.secret.encode().ljust(32, b"\0") if config.secret else None
        self._key_source = key_source
        self._audience = config.audience or None
        self._issuer = config.issuer or None

    async def principal(self, token: str) -> Principal | None:
        """None for a token that is not valid."""
        if not token.isascii() or len(token) > MAX_TOKEN:
            return None
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            return None
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm == _SYMMETRIC and self._secret is not None:
            return self._verified(token, _SYMMETRIC, [self._secret])
        if isinstance(algorithm, str) and algorithm in ASYMMETRIC and self._key_source is not None:
            found = await self._key_source.find(kid, algorithm)
            return self._verified(token, algorithm, [entry.key for entry in found])
        return None

    def _verified(self, token: str, algorithm: str, keys: Iterable[Any]) -> Principal | None:
        required = ["id", "exp", "mode", *(["aud"] if self._audience else []), *(["iss"] if self._issuer else [])]
        for key in keys:
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key,
                    algorithms=[algorithm],
                    leeway=LEEWAY,
                    audience=self._audience,
                    issuer=self._issuer,
                    options={"require": required},
                )
            except jwt.PyJWTError:
                continue
            return _principal(token, algorithm, claims)
        return None


def _principal(token: str, algorithm: str, claims: dict[str, Any]) -> Principal | None:
    stream, mode = claims["id"], claims["mode"]
    if not isinstance(stream, str) or type(mode) is not int or not 0 <= mode <= 255:
        return None
    identity = token
    if subject := claims.get("sub"):
        # One who has two tokens is one person only where the same authority says so.
        identity = json.dumps(["sub", algorithm == _SYMMETRIC, claims.get("iss"), stream, subject])
    return Principal(stream=None if stream == _ANY_STREAM else stream, mode=Mode(mode & 7), identity=digest(identity))


def is_json_web_token(token: str) -> bool:
    """Whether it has the shape of one; a static token may be any text."""
    try:
        jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        return False
    return True


def digest(text: str) -> bytes:
    """What identifies a holder without being of use to anybody else."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
