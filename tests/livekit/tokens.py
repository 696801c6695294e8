"""Tokens: one that may do everything, and bad ones of every kind."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY: Final = "APItest"
SECRET: Final = "0123456789abcdef0123456789abcdef-test"
CONFIG: Final = f'[livekit.keys]\n{KEY} = "{SECRET}"\nother = "{"another-secret-" * 3}"\n'
ROOM: Final = "show"
IDENTITY: Final = "alice"
ALL_GRANTS: Final = {
    "roomCreate": True,
    "roomList": True,
    "roomRecord": True,
    "roomAdmin": True,
    "roomJoin": True,
    "ingressAdmin": True,
    "room": ROOM,
}


def claims(**changes: Any) -> dict[str, Any]:
    """Those of a token that is good for a day, since tables are made before the first test; None takes one away."""
    now = int(time.time())
    whole = {
        "iss": KEY,
        "sub": IDENTITY,
        "nbf": now,
        "exp": now + 86_400,
        "video": ALL_GRANTS,
        "sip": {"admin": True, "call": True},
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def sign(payload: dict[str, Any], *, secret: str = SECRET, **header: Any) -> str:
    return jwt.encode(payload, secret, algorithm="HS256", headers=header or None)


def token(**changes: Any) -> str:
    return sign(claims(**changes))


def joining(*, identity: str = IDENTITY, room: str = ROOM, **grants: Any) -> str:
    """Of a participant."""
    return token(sub=identity, video={"roomJoin": True, "room": room, **grants})


def by_hand(header: dict[str, Any] | str, payload: dict[str, Any] | str, *, secret: str | bytes = SECRET) -> str:
    """Signed with HMAC-SHA-256 whatever the header says."""
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, payload)]
    signed = ".".join(_base64(part.encode()) for part in parts)
    key = secret.encode() if isinstance(secret, str) else secret
    return f"{signed}.{_base64(hmac.digest(key, signed.encode(), hashlib.sha256))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_HS256: Final = {"alg": "HS256", "typ": "JWT"}
_FAR: Final = 10**10


def bad_tokens() -> dict[str, str]:
    """By what is wrong with them."""
    now = int(time.time())
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    good = token()
    head, body, signature = good.split(".")
    other_body = _base64(json.dumps(claims(sub="mallory")).encode())
    return {
        "not a token": "hello",
        "two parts": f"{head}.{body}",
        "four parts": f"{good}.{signature}",
        "empty parts": "..",
        "not base64": "!.!.!",
        "header is no JSON": by_hand("hello", claims()),
        "header is a list": by_hand("[]", claims()),
        "claims are no JSON": by_hand(_HS256, "hello"),
        "claims are a list": by_hand(_HS256, "[]"),
        "not ASCII": "\u0661" + good,
        "too long": token(metadata="x" * 40_000),
        "no signature": f"{head}.{body}.",
        "signature of another": f"{head}.{other_body}.{signature}",
        "wrong secret": sign(claims(), secret="x" * 40),
        "secret of another key": sign(claims(iss="other")),
        "secret is empty": by_hand(_HS256, claims(), secret=""),
        "alg none": by_hand({"alg": "none"}, claims()).rpartition(".")[0] + ".",
        "alg None": by_hand({"alg": "None"}, claims()),
        "alg missing": by_hand({"typ": "JWT"}, claims()),
        "alg is a number": by_hand({"alg": 1}, claims()),
        "alg HS512": jwt.encode(claims(), SECRET * 2, algorithm="HS512"),
        "alg HS384 with the same secret": jwt.encode(claims(), SECRET * 2, algorithm="HS384"),
        "alg RS256": jwt.encode(claims(), private, algorithm="RS256"),
        "HS256 with a public key": by_hand(_HS256, claims(), secret=public),
        "RS256 said, HMAC with the public key": by_hand({"alg": "RS256"}, claims(), secret=public),
        "kid is a path, signed with nothing": by_hand({**_HS256, "kid": "/dev/null"}, claims(), secret=""),
        "kid is SQL": by_hand({**_HS256, "kid": "' UNION SELECT 'x"}, claims(), secret="x"),
        "jku": by_hand({**_HS256, "jku": "http://127.0.0.1:9/keys"}, claims(), secret="x" * 32),
        "x5u": by_hand({**_HS256, "x5u": "http://127.0.0.1:9/key"}, claims(), secret="x" * 32),
        "jwk of its own": by_hand(
            {**_HS256, "jwk": {"kty": "oct", "k": _base64(b"x" * 32)}}, claims(), secret="x" * 32
        ),
        "crit": by_hand({**_HS256, "crit": ["exp"]}, claims()),
        "b64 false": by_hand({**_HS256, "b64": False, "crit": ["b64"]}, claims()),
        "unknown key": token(iss="APInobody"),
        "no key": token(iss=None),
        "key is a number": by_hand(_HS256, {**claims(), "iss": 1}),
        "key is a list": by_hand(_HS256, {**claims(), "iss": [KEY]}),
        "expired": token(exp=now - 61),
        "no exp": token(exp=None),
        "exp is text": by_hand(_HS256, {**claims(), "exp": "tomorrow"}),
        "exp is a huge number": by_hand(_HS256, {**claims(), "exp": 10**400}),
        "exp is not a number": by_hand(_HS256, json.dumps({**claims(), "exp": float("nan")})),
        "exp is true": by_hand(_HS256, {**claims(), "exp": True}),
        "exp is negative": token(exp=-1),
        "nbf in the future": token(nbf=now + 86_400),
        "nbf far in the future": token(nbf=_FAR),
        "iat in the future": token(iat=now + 86_400),
        "nbf is text": by_hand(_HS256, {**claims(), "nbf": "now"}),
        "sub is a number": by_hand(_HS256, {**claims(), "sub": 7}),
        "video is a list": token(video=[]),
        "video is text": token(video="roomAdmin"),
        "roomAdmin is text": token(video={**ALL_GRANTS, "roomAdmin": "true"}),
        "roomAdmin is 1": token(video={**ALL_GRANTS, "roomAdmin": 1}),
        "room is a number": token(video={**ALL_GRANTS, "room": 1}),
        "canPublishSources is text": token(video={**ALL_GRANTS, "canPublishSources": "camera"}),
        "attributes are numbers": token(attributes={"a": 1}),
        "metadata is an object": token(metadata={"a": 1}),
    }
