"""Tokens, claims, scopes, and whose session it is."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from typing import TYPE_CHECKING

import jwt
import pytest

from live777py.config import AuthConfig
from live777py.errors import Unauthorized
from live777py.http.auth import Access, AccessRequest, Authenticator, Mode, Principal, SessionOwners
from live777py.http.door import RESOURCES
from tests.fakes.streams import FakeStreams
from tests.http.doors import AUTH, OFFER, SDP, SECRET, STATIC_TOKEN, Door, OpenDoor, bearer, scoped
from tests.http.routes import ADMIN, PUBLIC, READ, ROUTES, WRITE, Needs, at, guarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import ClientResponse

OUTSIDE = [
    ("GET", "/metrics", 200),
    ("GET", "/api/info", 200),
    ("OPTIONS", "/whip/cam", 200),
    ("OPTIONS", "/session/cam/x", 200),
    ("GET", "/whip/cam", 204),
    ("HEAD", "/whep/cam", 200),
    ("GET", "/nothing", 404),
    ("PUT", "/whip/cam", 405),
]


@pytest.mark.parametrize(("method", "path", "status"), OUTSIDE)
async def test_outside_of_auth(open_door: OpenDoor, method: str, path: str, status: int) -> None:
    door = await open_door(AUTH)
    assert (await door.ask(method, path)).status == status


def test_every_operation_has_a_row() -> None:
    """Whoever adds a route says in tests/http/routes.py who may use it."""
    served = {
        (method, resource.path): operation.access
        for resource in RESOURCES
        for method, operation in resource.operations.items()
    }
    assert set(ROUTES) == set(served)
    for route, access in served.items():
        assert (access is Access.PUBLIC) is (ROUTES[route] is PUBLIC), route


async def ask(door: Door, method: str, path: str, needs: Needs, headers: dict[str, str]) -> ClientResponse:
    return await door.ask(method, at(path), data=needs.body, headers={**needs.headers, **headers})


@pytest.mark.parametrize(("method", "path", "needs"), guarded())
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Basic c3RhdGljLXRva2Vu",
        f"Token {STATIC_TOKEN}",
        STATIC_TOKEN,
        "Bearer ü",
    ],
)
async def test_without_a_credential_nothing_is_done(
    open_door: OpenDoor, method: str, path: str, needs: Needs, authorization: str | None
) -> None:
    door = await open_door(AUTH)
    response = await ask(door, method, path, needs, {} if authorization is None else {"Authorization": authorization})
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.content_type == "application/problem+json"
    assert door.streams.streams() == []


@pytest.mark.parametrize("credential", [bearer(STATIC_TOKEN), bearer("second"), scoped("*", 0), scoped("*", 7)])
@pytest.mark.parametrize(("method", "path", "needs"), guarded())
async def test_static_tokens_and_the_star_pass_everywhere(
    open_door: OpenDoor, method: str, path: str, needs: Needs, credential: dict[str, str]
) -> None:
    door = await open_door(AUTH)
    assert (await ask(door, method, path, needs, credential)).status not in {401, 403}


async def test_the_scheme_is_case_insensitive(open_door: OpenDoor) -> None:
    door = await open_door(AUTH)
    headers = {"Authorization": f"bEaReR   {STATIC_TOKEN}"}
    assert (await door.ask("GET", "/api/streams/", headers=headers)).status == 200


@pytest.mark.parametrize("mode", range(8))
@pytest.mark.parametrize(("method", "path", "needs"), guarded())
async def test_scoped_tokens(open_door: OpenDoor, method: str, path: str, needs: Needs, mode: int) -> None:
    door = await open_door(AUTH)
    response = await ask(door, method, path, needs, scoped("cam", mode))
    allowed = needs.mode is not None and (needs.mode == 0 or bool(mode & needs.mode))
    assert (response.status != 403) is allowed
    assert response.status != 401
    if needs.session:
        assert response.status == 404
    if not allowed:
        assert (await response.json())["detail"] == "this token does not allow that"


@pytest.mark.parametrize("stream", ["other", "", "CAM", "cam/", "ca"])
@pytest.mark.parametrize(("method", "path", "needs"), guarded())
async def test_a_token_of_another_stream_opens_nothing(
    open_door: OpenDoor, method: str, path: str, needs: Needs, stream: str
) -> None:
    door = await open_door(AUTH)
    assert (await ask(door, method, path, needs, scoped(stream))).status == 403


async def test_a_scope_is_compared_with_the_decoded_name(open_door: OpenDoor) -> None:
    door = await open_door(AUTH)
    assert (await door.publish("gr%C3%B6%C3%9Fe", **scoped("größe", WRITE))).status == 201


def _unsigned(claims: dict[str, object]) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def _bad_tokens() -> Iterator[tuple[str, str]]:
    now = int(time.time())
    good = {"id": "*", "mode": 7, "exp": now + 600}
    key = SECRET.encode().ljust(64, b"\0")
    yield "expired", scoped("*", exp=now - 61)["Authorization"]
    yield "other secret", scoped("*", secret="other")["Authorization"]
    yield "empty secret", scoped("*", secret="")["Authorization"]
    yield "no id", "Bearer " + jwt.encode({"mode": 7, "exp": now + 600}, key)
    yield "no mode", "Bearer " + jwt.encode({"id": "*", "exp": now + 600}, key)
    yield "no exp", "Bearer " + jwt.encode({"id": "*", "mode": 7}, key)
    yield "id is a number", "Bearer " + jwt.encode({**good, "id": 1}, key)
    yield "mode is a word", "Bearer " + jwt.encode({**good, "mode": "7"}, key)
    yield "mode is true", "Bearer " + jwt.encode({**good, "mode": True}, key)
    yield "mode is large", "Bearer " + jwt.encode({**good, "mode": 256}, key)
    yield "mode is negative", "Bearer " + jwt.encode({**good, "mode": -1}, key)
    yield "exp is a word", "Bearer " + jwt.encode({**good, "exp": "soon"}, key)
    yield "not yet", "Bearer " + jwt.encode({**good, "nbf": now + 600}, key)
    yield "other audience", "Bearer " + jwt.encode({**good, "aud": "else"}, key)
    yield "HS512", "Bearer " + jwt.encode(good, key, algorithm="HS512")
    yield "none", f"Bearer {_unsigned(good)}"
    yield "not a JWT", "Bearer a.b.c"


@pytest.mark.parametrize(("_case", "authorization"), list(_bad_tokens()), ids=lambda value: str(value)[:20])
async def test_tokens_that_are_not_valid(open_door: OpenDoor, _case: str, authorization: str) -> None:
    door = await open_door(AUTH)
    response = await door.ask("GET", "/api/streams/", headers={"Authorization": authorization})
    assert response.status == 401


async def test_a_credential_of_any_bytes_is_refused(open_door: OpenDoor) -> None:
    door = await open_door(AUTH)
    reader, writer = await asyncio.open_connection("127.0.0.1", door.client.port)
    writer.write(b"GET /api/streams HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff.\xfe.\x80\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
    writer.close()
    await writer.wait_closed()


async def test_a_minute_of_leeway(open_door: OpenDoor) -> None:
    door = await open_door(AUTH)
    headers = scoped("*", exp=int(time.time()) - 30)
    assert (await door.ask("GET", "/api/streams/", headers=headers)).status == 200


async def test_live777s_test_vector() -> None:
    """A token whose parts were put together by hand: no library agrees with itself here."""
    authenticator = Authenticator(AuthConfig(secret="<jwt_secret>", tokens=("x",)), SessionOwners())
    token = jwt.encode({"id": "777", "exp": 4_102_444_800, "mode": 7}, b"<jwt_secret>".ljust(40, b"\0"))
    principal = await authenticator.admit(_see("777", token))
    assert (principal.stream, principal.mode) == ("777", Mode.READ | Mode.WRITE | Mode.ADMIN)


@pytest.mark.parametrize("config", ["", f'[auth]\nsecret = "{SECRET}"\n'])
async def test_without_static_tokens_auth_is_off(open_door: OpenDoor, config: str) -> None:
    door = await open_door(config)
    assert (await door.publish()).status == 201
    assert (await door.ask("GET", "/api/streams/")).status == 200
    assert (await door.ask("DELETE", "/api/streams/cam", headers=bearer("whatever"))).status == 204


async def test_without_a_secret_no_jwt_is_accepted() -> None:
    authenticator = Authenticator(AuthConfig(tokens=("x",)), SessionOwners())
    for key in (b"", b"\0" * 32):
        with pytest.raises(Unauthorized):
            await authenticator.admit(_see("cam", _signed_with(key)))


def _see(stream: str, token: str) -> AccessRequest:
    return AccessRequest(authorization=f"Bearer {token}", access=Access.SEE_STREAM, stream=stream)


def _signed_with(key: bytes) -> str:
    return jwt.encode({"id": "*", "exp": 4_102_444_800, "mode": 7}, key or b"\0" * 64)


# Sessions


SESSION_CASES = [
    # who made it, who asks, a publishing session?, may it
    ("alice", "alice", False, True),
    ("alice", "alice", True, True),
    ("alice", "bob-r", False, False),
    ("alice", "bob-r", True, False),
    ("alice", "bob-w", False, False),
    ("alice", "bob-w", True, True),
    ("alice", "bob-x", False, True),
    ("alice", "bob-x", True, True),
    ("alice", "star", True, True),
    ("static", "bob-r", False, False),
    ("static", "bob-w", True, True),
]


OF_EVERY_SESSION = [row for row in guarded(lambda needs: needs.session) if not row[1].endswith("/events")]
"""A publisher's session has no events, whoever asks."""


def _holder(name: str) -> dict[str, str]:
    if name == "static":
        return bearer(STATIC_TOKEN)
    if name == "star":
        return scoped("*")
    holder, _, bits = name.partition("-")
    return scoped("cam", {"r": READ, "w": WRITE, "x": ADMIN, "": READ | WRITE}[bits], sub=holder)


@pytest.mark.parametrize(("maker", "asker", "publisher", "allowed"), SESSION_CASES)
@pytest.mark.parametrize(("method", "path", "needs"), OF_EVERY_SESSION)
async def test_whose_session_it_is(
    open_door: OpenDoor,
    maker: str,
    asker: str,
    publisher: bool,
    allowed: bool,
    method: str,
    path: str,
    needs: Needs,
) -> None:
    """What another's session answers is what none answers, to the byte."""
    door = await open_door(AUTH)
    made = await (door.publish if publisher else door.play)("cam", **_holder(maker))
    session = made.headers["Location"].rpartition("/")[2]
    headers = {**needs.headers, **_holder(asker)}
    response = await door.ask(method, at(path, session=session), data=needs.body, headers=headers)
    assert (response.status != 404) is allowed
    unknown = await door.ask(method, at(path), data=needs.body, headers=headers)
    assert unknown.status == 404
    if not allowed:
        assert await unknown.read() == await response.read()


async def test_the_same_token_is_its_own_witness(open_door: OpenDoor) -> None:
    door = await open_door(AUTH)
    mine, yours = scoped("cam", READ, jti="1"), scoped("cam", READ, jti="2")
    location = (await door.play("cam", **mine)).headers["Location"]
    assert (await door.ask("DELETE", location, headers=yours)).status == 404
    assert (await door.ask("DELETE", location, headers=mine)).status == 204


async def test_a_session_of_a_foreign_stream_is_forbidden(open_door: OpenDoor) -> None:
    door = await open_door(AUTH)
    location = (await door.play("cam", **scoped("cam"))).headers["Location"]
    for headers, status in (({}, 401), (scoped("other"), 403)):
        assert (await door.ask("DELETE", location, headers=headers)).status == status


def test_ended_sessions_are_forgotten() -> None:
    owners = SessionOwners()
    holder = Principal(stream="cam", mode=Mode.READ, identity=b"me")
    count = 0
    while not owners.full:
        owners.record(str(count), holder, publisher=False)
        count += 1
    owners.keep(["0", "1", "never recorded"])
    assert len(owners) == 2
    owners.check("0", holder)


async def test_who_waits_to_answer_an_offer_is_remembered(open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the table is gone through: the offer is no session yet."""
    monkeypatch.setattr(SessionOwners, "_MIN_LIMIT", 1)
    door = await open_door(AUTH)
    mine = scoped("cam", READ)
    offered = await door.ask("POST", "/whep/cam", headers=mine | {"Prefer": "counter-offer"})
    for _ in range(3):
        assert (await door.play("cam", **scoped("cam", READ))).status == 201
    answered = await door.ask(
        "PATCH", offered.headers["Location"], data="v=0 answer", headers=mine | {"Content-Type": "application/sdp"}
    )
    assert answered.status == 204


# Secrets


async def test_no_secret_is_said_or_logged(open_door: OpenDoor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    door = await open_door(AUTH, streams=FakeStreams())
    bodies = ""
    for headers in (bearer(STATIC_TOKEN), bearer("guess-of-a-token"), scoped("other")):
        for path in ("/whip/cam", "/whep/cam", "/session/cam/x"):
            response = await door.ask("POST", f"{path}?token=query-token", data=OFFER, headers={**SDP, **headers})
            bodies += await response.text() + str(response.headers)
    for secret in (STATIC_TOKEN, "guess-of-a-token", "query-token", "eyJ"):
        assert secret not in caplog.text
        assert secret not in bodies
    assert "POST /whip/cam 201" in caplog.text
