"""Key sets: which keys are used, which tokens they let in, and the tricks that have been played on such libraries."""

from __future__ import annotations

import base64
import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from live777py.config import AuthConfig, parse
from live777py.errors import ConfigError, Unauthorized
from live777py.http.auth import Access, AccessRequest, Authenticator, Mode, Principal, SessionOwners
from live777py.http.auth.keyset import MAX_BYTES, parse_key_set
from tests.http.doors import SECRET
from tests.http.signers import KINDS, good, key_set, signed_by_hmac, signer, unsigned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path


def request_with(token: str, stream: str = "cam") -> AccessRequest:
    return AccessRequest(authorization=f"Bearer {token}", access=Access.SEE_STREAM, stream=stream)


async def holder(config: AuthConfig, token: str) -> Principal:
    authenticator = Authenticator(config, SessionOwners())
    try:
        return await authenticator.admit(request_with(token))
    finally:
        await authenticator.close()


@pytest.fixture
def key_file(tmp_path: Path) -> Callable[..., AuthConfig]:
    """The configuration with a key set in a file."""

    def write(*keys: dict[str, Any], **config: Any) -> AuthConfig:
        path = tmp_path / "keys.json"
        path.write_text(key_set(*keys))
        return AuthConfig(jwks=str(path), **config)

    return write


# Tokens that are good


@pytest.mark.parametrize("algorithm", KINDS)
@pytest.mark.parametrize("kid", ["k1", None])
async def test_every_algorithm(key_file: Callable[..., AuthConfig], algorithm: str, kid: str | None) -> None:
    mine = signer(algorithm, kid)
    config = key_file(mine.jwk(), *(signer(other, "other", number=1).jwk() for other in KINDS))
    principal = await holder(config, mine.token(id="cam", mode=6))
    assert (principal.stream, principal.mode) == ("cam", Mode.READ | Mode.WRITE)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384", "EdDSA"])
async def test_a_key_that_does_not_say_its_algorithm(key_file: Callable[..., AuthConfig], algorithm: str) -> None:
    mine = signer(algorithm)
    config = key_file(mine.jwk(alg=None, use=None, key_ops=None))
    assert (await holder(config, mine.token())).stream is None


async def test_without_a_kid_every_key_of_the_algorithm_is_tried(key_file: Callable[..., AuthConfig]) -> None:
    config = key_file(*(signer("ES256", f"k{number}", number=number).jwk() for number in range(3)))
    assert (await holder(config, signer("ES256", None, number=2).token())).stream is None


async def test_a_private_key_in_a_key_set_verifies_and_no_more(key_file: Callable[..., AuthConfig]) -> None:
    mine = signer("ES256")
    config = key_file(mine.jwk(d=base64.urlsafe_b64encode(b"\1" * 32).decode()))
    assert (await holder(config, mine.token())).stream is None


async def test_the_secret_works_beside_a_key_set(key_file: Callable[..., AuthConfig]) -> None:
    config = key_file(signer("RS256").jwk(), secret=SECRET)
    for token in (signed_by_hmac(SECRET.encode(), good()), signer("RS256").token()):
        assert (await holder(config, token)).stream is None


@pytest.mark.parametrize("algorithm", ["HS256", "RS256"])
@pytest.mark.parametrize(
    ("config", "claims", "valid"),
    [
        ({}, {}, True),
        ({}, {"aud": "gateway"}, False),
        ({"audience": "gateway"}, {"aud": "gateway"}, True),
        ({"audience": "gateway"}, {"aud": ["else", "gateway"]}, True),
        ({"audience": "gateway"}, {"aud": "else"}, False),
        ({"audience": "gateway"}, {"aud": []}, False),
        ({"audience": "gateway"}, {"aud": {"gateway": 1}}, False),
        ({"audience": "gateway"}, {}, False),
        ({"issuer": "https://id"}, {"iss": "https://id"}, True),
        ({"issuer": "https://id"}, {"iss": "https://id.example"}, False),
        ({"issuer": "https://id"}, {"iss": ["https://id"]}, False),
        ({"issuer": "https://id"}, {}, False),
    ],
)
async def test_audience_and_issuer(
    key_file: Callable[..., AuthConfig], algorithm: str, config: dict[str, str], claims: dict[str, Any], valid: bool
) -> None:
    settings = key_file(signer("RS256").jwk(), secret=SECRET, **config)
    token = signed_by_hmac(SECRET.encode(), good(**claims)) if algorithm == "HS256" else signer("RS256").token(**claims)
    if valid:
        assert (await holder(settings, token)).stream is None
    else:
        with pytest.raises(Unauthorized):
            await holder(settings, token)


async def test_the_subjects_of_two_authorities_are_two_people(key_file: Callable[..., AuthConfig]) -> None:
    config = key_file(signer("RS256").jwk(), secret=SECRET)
    claims: dict[str, Any] = {"id": "cam", "sub": "alice"}
    tokens = [
        signer("RS256").token(**claims),
        signer("RS256").token(**claims, iss="https://id"),
        signed_by_hmac(SECRET.encode(), good(**claims)),
        signer("RS256").token(**claims, jti="of another day"),
    ]
    identities = [(await holder(config, token)).identity for token in tokens]
    assert len(set(identities[:3])) == 3
    assert identities[3] == identities[0]


# Tokens that are not


def _tricks() -> Iterator[tuple[str, str]]:
    mine, now = signer("RS256"), int(time.time())
    yield "no exp", mine.token(exp=None)
    yield "exp of a minute and a second ago", mine.token(exp=now - 61)
    yield "nbf in the future", mine.token(nbf=now + 600)
    yield "iat in the future", mine.token(iat=now + 600)
    yield "no id", mine.token(id=None)
    yield "no mode", mine.token(mode=None)
    yield "mode is true", mine.token(mode=True)
    yield "signed by another key under the same kid", signer("RS256", number=1).token()
    yield "kid of nobody", signer("RS256", "k2").token()
    yield "kid of a key for another algorithm", signer("ES256", "k1").token()
    yield "PS256 with a key for RS256", signer("PS256").token()
    yield "ES256 without kid, no such key", signer("ES256", None).token()
    for name, kid in {
        "path": "../../../../dev/null",
        "statement": "' UNION SELECT 'x",
        "command": "$(touch x)",
        "empty": "",
        "long": "k" * 5000,
    }.items():
        yield f"kid is a {name}", signer("RS256", kid).token()
        yield f"kid is a {name}, HS256 with nothing", signed_by_hmac(b"", good(), kid=kid)
    for name in ("jku", "x5u"):
        yield f"{name} names the key", signer("RS256", None, number=1).token({name: "http://127.0.0.1:1/keys.json"})
    yield "jwk is the key", signer("RS256", None, number=1).token({"jwk": signer("RS256", number=1).jwk()})
    yield "an extension that must be understood", mine.token({"crit": ["exp"], "exp": 1})
    for name in ("none", "None", "nOnE", "NONE", ""):
        yield f"alg {name}", unsigned(good(), alg=name, kid="k1")
    yield "no alg", unsigned(good(), alg=None, kid="k1")
    yield "alg is a list", unsigned(good(), alg=["RS256"], kid="k1")
    yield "signature cut off", mine.token().rpartition(".")[0] + "."
    yield "kid is a number", unsigned(good(), alg="RS256", kid=1)
    yield "longer than any token", mine.token(more="x" * 10_000)
    pem = mine.pem
    public = {
        "PEM": pem,
        "PEM without its end of line": pem.rstrip(),
        "PEM with DOS line ends": pem.replace(b"\n", b"\r\n"),
        "PEM after a blank": b" " + pem,
        "PEM in one line": pem.replace(b"\n", b""),
        "PEM with doubled line ends": pem.replace(b"\n", b"\n\n"),
        "PEM with tabs": pem.replace(b"-----BEGIN PUBLIC", b"-----BEGIN\tPUBLIC"),
        "DER": base64.b64decode(b"".join(pem.splitlines()[1:-1])),
        "JWK": json.dumps(mine.jwk()).encode(),
        "modulus": str(mine.jwk()["n"]).encode(),
        "nothing": b"",
        "zeros": bytes(32),
    }
    for name, key in public.items():
        yield f"HS256 with the public key: {name}", signed_by_hmac(key, good(), kid="k1")
        yield f"the same, without kid: {name}", signed_by_hmac(key, good())


@pytest.mark.parametrize("secret", ["", SECRET])
@pytest.mark.parametrize(("_trick", "token"), list(_tricks()), ids=lambda value: str(value)[:50])
async def test_tricks(key_file: Callable[..., AuthConfig], _trick: str, token: str, secret: str) -> None:
    """CVE-2022-29217, CVE-2026-48523, CVE-2026-102268; RFC 8725 section 2."""
    with pytest.raises(Unauthorized):
        await holder(key_file(signer("RS256").jwk(), secret=secret), token)


@pytest.mark.parametrize("algorithm", KINDS)
async def test_a_signature_for_one_algorithm_is_none_for_another(
    key_file: Callable[..., AuthConfig], algorithm: str
) -> None:
    """The whole set is of the token's own key pairs; only the algorithm that each key is for differs."""
    claims, mine = good(), signer(algorithm)
    others = [name for name in KINDS if name != algorithm]
    for other in others:
        config = key_file(*(signer(name).jwk() for name in KINDS if name != algorithm), secret=SECRET)
        head, payload, signature = mine.token(**claims).split(".")
        header = json.loads(base64.urlsafe_b64decode(head + "=="))
        forged = base64.urlsafe_b64encode(json.dumps({**header, "alg": other}).encode()).decode().rstrip("=")
        for token in (f"{head}.{payload}.{signature}", f"{forged}.{payload}.{signature}"):
            with pytest.raises(Unauthorized):
                await holder(config, token)


async def test_a_token_for_the_secret_does_not_pass_where_only_keys_are_set(
    key_file: Callable[..., AuthConfig],
) -> None:
    for key in (SECRET.encode(), b""):
        with pytest.raises(Unauthorized):
            await holder(key_file(signer("RS256").jwk()), signed_by_hmac(key, good()))


async def test_a_key_pair_is_of_no_use_where_only_the_secret_is_set() -> None:
    with pytest.raises(Unauthorized):
        await holder(AuthConfig(secret=SECRET, tokens=("x",)), signer("RS256").token())


@pytest.mark.parametrize(
    "text",
    [
        signer("RS256").pem.decode(),
        signer("RS256").pem.decode().replace("BEGIN PUBLIC", "BEGIN  PUBLIC"),
        signer("RS256").pem.decode().replace("-----BEGIN", "----- BEGIN"),
        "\n " + signer("RS256").pem.decode(),
        json.dumps(signer("RS256").jwk()),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA",
    ],
    ids=["PEM", "two blanks", "a blank more", "blanks before", "JWK", "ssh"],
)
def test_a_public_key_is_no_secret(text: str) -> None:
    with pytest.raises(ConfigError, match=r"auth\.secret: expected a secret"):
        parse(f"[auth]\nsecret = {json.dumps(text)}\n", {})


# Key sets

_RSA = signer("RS256").jwk()
_EC = signer("ES256").jwk()
_OKP = signer("EdDSA").jwk()

UNUSABLE: dict[str, Any] = {
    "symmetric": {"kty": "oct", "k": "c2VjcmV0", "kid": "k1", "alg": "HS256"},
    "symmetric by another name": {**_RSA, "kty": "oct", "k": "c2VjcmV0"},
    "for HS256": {**_RSA, "alg": "HS256"},
    "for none": {**_RSA, "alg": "none"},
    "an RSA key for ES256": {**_RSA, "alg": "ES256"},
    "an EC key for RS256": {**_EC, "alg": "RS256"},
    "an EC key for the other curve": {**_EC, "alg": "ES384"},
    "an Ed25519 key for ES256": {**_OKP, "alg": "ES256"},
    "alg is a list": {**_RSA, "alg": ["RS256"]},
    "alg is null": {**_RSA, "alg": None},
    "for encryption": {**_RSA, "use": "enc"},
    "for wrapping": {**_RSA, "key_ops": ["wrapKey"]},
    "key_ops is a word": {**_RSA, "key_ops": "verify"},
    "kid is a number": {**_RSA, "kid": 1},
    "RSA, 1024 bits": signer("RS256", kind="RSA-1024").jwk(),
    "RSA without exponent": {name: value for name, value in _RSA.items() if name != "e"},
    "RSA, modulus is a number": {**_RSA, "n": 3},
    "RSA, modulus is no base64": {**_RSA, "n": "ü"},
    "RSA, exponent 1": {**_RSA, "e": "AQ"},
    "EC, not on the curve": {**_EC, "y": _EC["x"]},
    "EC, unknown curve": {**_EC, "crv": "P-999"},
    "EC, curve is a list": {**_EC, "crv": ["P-256"]},
    "EC, curve of bitcoin": {**_EC, "crv": "secp256k1"},
    "OKP, too short": {**_OKP, "x": "AAAA"},
    "OKP, X25519": {**_OKP, "crv": "X25519"},
    "no kty": {name: value for name, value in _RSA.items() if name != "kty"},
    "kty is a list": {**_RSA, "kty": ["RSA"]},
    "not an object": "RSA",
}


@pytest.mark.parametrize("entry", UNUSABLE.values(), ids=UNUSABLE)
def test_keys_that_are_not_used(entry: object) -> None:
    good_one = signer("ES384", "good").jwk()
    (kept,) = parse_key_set(json.dumps({"keys": [entry, good_one]}).encode()).keys
    assert kept.kid == "good"
    with pytest.raises(ValueError, match="no key that can be used"):
        parse_key_set(json.dumps({"keys": [entry]}).encode())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": []}',
        b"[" * 10_000,
        b'{"keys": [' + b"[" * 10_000 + b"]" * 10_000 + b"]}",
        json.dumps({"keys": [_EC] * 33}).encode(),
        json.dumps({"keys": [_EC], "more": "x" * MAX_BYTES}).encode(),
    ],
    ids=lambda text: repr(text[:16]),
)
def test_what_is_no_key_set(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"it (is not|has)"):
        parse_key_set(text)


# A file


@pytest.fixture
async def authenticator(key_file: Callable[..., AuthConfig]) -> AsyncIterator[Authenticator]:
    authenticator = Authenticator(key_file(signer("RS256").jwk()), SessionOwners())
    yield authenticator
    await authenticator.close()


async def test_a_file_is_read_again_when_it_has_changed(
    authenticator: Authenticator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path, old, new = tmp_path / "keys.json", signer("RS256"), signer("ES256")
    assert (await authenticator.admit(request_with(old.token()))).stream is None
    path.write_text(key_set(new.jwk()))
    os.utime(path, ns=(1, 1))
    assert (await authenticator.admit(request_with(new.token()))).stream is None
    with pytest.raises(Unauthorized):
        await authenticator.admit(request_with(old.token()))
    assert caplog.text.count("1 keys read") == 2


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("{"), lambda path: path.unlink()])
async def test_a_file_that_cannot_be_used_changes_nothing_and_is_said_once(
    authenticator: Authenticator, tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], object]
) -> None:
    token = signer("RS256").token()
    await authenticator.admit(request_with(token))
    spoil(tmp_path / "keys.json")
    for _ in range(3):
        assert (await authenticator.admit(request_with(token))).stream is None
    assert caplog.text.count("auth.jwks cannot be used") == 1


async def test_without_its_file_everybody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unauthorized):
        await holder(AuthConfig(jwks=str(tmp_path / "none.json")), signer("RS256").token())
