"""Access tokens: who signed them, when, for what, and where they stand."""

from __future__ import annotations

import base64
import hmac
import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.livekit_server import KEY, KEYS, SECRET, livekit_server, token
from tests.fakes.remote import offer, watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.conformance.conftest import Gateway
    from tests.conformance.livekit_server import LiveKitServer

LIST = "/twirp/livekit.RoomService/ListRooms"
LEEWAY = 60


def signed(*, key: str = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """Of who may list rooms and join one; a claim that is None is left out."""
    now = int(time.time())
    video = {"roomList": True, "roomJoin": True, "room": "show", "roomAdmin": True, "roomCreate": True}
    payload = {"iss": KEY, "sub": "alice", "nbf": now, "exp": now + 600, "video": video, **claims}
    present = {name: value for name, value in payload.items() if value is not None}
    return encoded(json.dumps(present).encode(), key, algorithm, headers)


def encoded(payload: bytes, key: str = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None) -> str:
    """By hand: no library signs what is wrong."""
    head = json.dumps({"alg": algorithm, "typ": "JWT", **(headers or {})}).encode()
    text = f"{_base64(head)}.{_base64(payload)}"
    digest = hmac.digest(key.encode(), text.encode(), f"sha{algorithm[2:]}")
    return f"{text}.{_base64(digest)}"


def unsigned() -> str:
    head = b'{"alg":"none","typ":"JWT"}'
    return f"{_base64(head)}.{signed().split('.')[1]}."


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


BAD: dict[str, Callable[[], str]] = {
    "signed with another secret": lambda: signed(key=SECRET[::-1]),
    "not signed": unsigned,
    "a signature cut off": lambda: signed().rpartition(".")[0] + ".",
    "of an unknown key": lambda: signed(iss="unknown"),
    "of no key": lambda: signed(iss=None),
    "expired": lambda: signed(exp=int(time.time()) - LEEWAY - 5),
    "without an end": lambda: signed(exp=None),
    "of the future": lambda: signed(nbf=int(time.time()) + LEEWAY + 30),
    "another algorithm": lambda: signed(algorithm="HS512"),
    "a kid that is a path": lambda: signed(key="", headers={"kid": "../../dev/null"}),
    "a key of its own": lambda: signed(
        key="own", headers={"jwk": {"kty": "oct", "k": "b3du"}, "jku": "http://127.0.0.1:1/"}
    ),
    "an end in words": lambda: signed(exp="tomorrow"),
    "claims that are a list": lambda: encoded(b"[]"),
    "no JSON": lambda: encoded(b"\xff"),
    "no token": lambda: "abc",
    "empty parts": lambda: "..",
}
"""Bad by themselves, whatever they are used for."""


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_token_is_good_nowhere(start: Callable[[str], Awaitable[Gateway]], kind: str) -> None:
    """S11, on every door of a gateway that lets nobody in without one."""
    gateway = await start(KEYS + '[auth]\ntokens = ["of an operator"]\n')
    async with livekit_server(gateway.url) as livekit:
        await assert_good_nowhere(livekit, BAD[kind]())


async def assert_good_nowhere(livekit: LiveKitServer, bad: str) -> None:
    authorization = f"Bearer {bad}"
    calls = [
        ("RoomService", "CreateRoom"),
        ("RoomService", "ListRooms"),
        ("RoomService", "ListParticipants"),
        ("RoomService", "SendData"),
        ("AgentDispatchService", "ListDispatch"),
        ("Egress", "ListEgress"),
        ("Ingress", "ListIngress"),
        ("SIP", "ListSIPInboundTrunk"),
    ]
    for service, method in calls:
        answer = await livekit.call(method, '{"room":"show","name":"show"}', bad, service=service)
        assert answer.status == 401, (service, method)
        assert json.loads(answer.body)["code"] == "unauthenticated"
        assert answer.headers["content-type"] == "application/json"
        assert bad not in answer.text or len(bad) < 4
    for path in ("/whip/v1", "/whip/show", "/whip/alice@show"):
        answer = await livekit.ask(
            "POST", path, offer("opus"), Content_Type="application/sdp", Authorization=authorization
        )
        assert answer.status in {401, 403}, path
    answer = await livekit.ask(
        "POST", "/whep/show", watch("opus"), Content_Type="application/sdp", Authorization=authorization
    )
    assert answer.status in {401, 403}
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    answer = await livekit.ask(
        "GET", "/agent", Authorization=authorization, Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==", **upgrade
    )
    assert answer.status in {401, 403}
    for path in ("/api/streams/", "/api/sse/streams", "/session/show/x"):
        assert (await livekit.ask("GET", path, Authorization=authorization)).status in {401, 403, 405}, path
    assert (await livekit.ask("GET", "/api/streams/", Authorization="Bearer of an operator")).text == "[]"


OPEN = re.compile(r"/metrics/?|/api/(info|docs|openapi\.json)/?|/wh[ie]p/show/?")
"""To be read by everybody."""


async def test_no_route_is_forgotten(start: Callable[[str], Awaitable[Gateway]]) -> None:
    """Whatever else there is: a token of ours that has expired is refused, or nothing is there to ask for."""
    gateway = await start(KEYS + '[auth]\ntokens = ["of an operator"]\n')
    bearer, refused = f"Bearer {BAD['expired']()}", 0
    for method, path in sorted(gateway.routes()):
        if method == "OPTIONS":
            continue
        body = "{}" if method in {"PATCH", "POST", "PUT"} else None
        answer = await gateway.ask(method, path, body, Authorization=bearer, Content_Type="application/json")
        is_open = method in {"GET", "HEAD"} and OPEN.fullmatch(path)
        assert answer.status in ({200, 204} if is_open else {401, 404, 405}), (method, path)
        refused += answer.status == 401
    assert refused > 40


@pytest.mark.parametrize(
    "claims",
    [
        {"nbf": None},
        {"jti": "alice", "sub": None},
        {"aud": "somebody else"},
        {"kind": "", "name": "", "metadata": "", "sha256": "", "roomConfig": {}, "sip": {"admin": False}},
        {"video": {"roomList": True, "canPublishSources": [], "canPublish": None, "unknown": 1}},
        {"attributes": {"a": "b"}, "inference": {"perform": True}, "unknown": [1]},
    ],
)
async def test_a_token_that_is_good(livekit: LiveKitServer, claims: dict[str, Any]) -> None:
    """Among them as .NET's SDK writes them, with empty texts."""
    answer = await livekit.call("ListRooms", "{}", signed(**claims))
    assert (answer.status, answer.body) == (200, b'{"rooms":[]}')


@pytest.mark.parametrize(("claim", "seconds"), [("exp", -LEEWAY // 2), ("nbf", LEEWAY // 2), ("iat", 0)])
async def test_times_have_a_leeway(livekit: LiveKitServer, claim: str, seconds: int) -> None:
    claims: dict[str, Any] = {claim: int(time.time()) + seconds}
    assert (await livekit.call("ListRooms", "{}", signed(**claims))).status == 200


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        ("bearer {}", "invalid authorization header. Must start with Bearer "),
        ("Basic {}", "invalid authorization header. Must start with Bearer "),
        ("{}", "invalid authorization header. Must start with Bearer "),
        ("Bearer abc", "invalid authorization token"),
        ("Bearer ", "invalid authorization header. Must start with Bearer "),
    ],
)
async def test_how_a_header_is_refused(livekit: LiveKitServer, authorization: str, message: str) -> None:
    headers = {"Content_Type": "application/json", "Authorization": authorization.format(signed())}
    answer = await livekit.ask("POST", LIST, "{}", **headers)
    assert answer.status == 401
    error = json.loads(answer.body)
    assert error["code"] == "unauthenticated"
    assert error["msg"].startswith(message.strip())


async def test_a_token_in_the_query_counts_without_a_header(livekit: LiveKitServer) -> None:
    path = f"{LIST}?access_token={signed()}"
    assert (await livekit.ask("POST", path, "{}", Content_Type="application/json")).status == 200
    answer = await livekit.ask("POST", path, "{}", Content_Type="application/json", Authorization="Bearer abc")
    assert answer.status == 401


ROOM_ADMIN = ["ListParticipants", "GetParticipant", "RemoveParticipant", "UpdateParticipant", "UpdateRoomMetadata"]
ROOM_ADMIN += ["MutePublishedTrack", "UpdateSubscriptions", "SendData", "PerformRpc"]


@pytest.mark.parametrize(
    ("service", "method"),
    [
        *(("RoomService", method) for method in ROOM_ADMIN),
        *(("AgentDispatchService", method) for method in ("CreateDispatch", "ListDispatch", "DeleteDispatch")),
    ],
)
async def test_an_admin_is_one_of_that_room(livekit: LiveKitServer, service: str, method: str) -> None:
    body = (
        '{"room":"show","identity":"x","track_sid":"x","dispatch_id":"x","destination_identity":"x","agent_name":"x"}'
    )
    for grants in (
        {"room_admin": True, "room": "other"},
        {"room_admin": True, "room": ""},
        {"room": "show"},
        {"room_create": True, "room_list": True, "room_record": True, "room": "show"},
    ):
        answer = await livekit.call(method, body, token(**grants), service=service)
        assert (answer.status, answer.body) == (401, b'{"code":"unauthenticated","msg":"permissions denied"}')


@pytest.mark.parametrize(
    ("grants", "path", "status"),
    [
        ({"room_join": True, "room": "show"}, "/whip/v1", 201),
        ({"room_join": True, "room": "show"}, "/whip/show", 201),
        ({"room_join": True, "room": "show"}, "/whip/alice@show", 201),
        ({"room_join": True, "room": "show"}, "/whep/show", 201),
        ({"room_join": True, "room": "show"}, "/whep/bob@show", 201),
        ({"room_join": True, "room": "show"}, "/whip/bob@show", 403),
        ({"room_join": True, "room": "show"}, "/whip/other", 403),
        ({"room_join": True, "room": "show"}, "/whip/alice@other", 403),
        ({"room_join": True, "room": "show"}, "/whep/other", 403),
        ({"room_join": True, "room": "show", "can_publish": False}, "/whip/v1", 403),
        ({"room_join": True, "room": "show", "can_publish": False}, "/whip/show", 403),
        ({"room_join": True, "room": "show", "can_publish": False}, "/whep/show", 201),
        ({"room_join": True, "room": "show", "can_subscribe": False}, "/whep/show", 403),
        ({"room_join": True, "room": "show", "can_subscribe": False}, "/whip/show", 201),
        ({"room": "show"}, "/whip/v1", 401),
        ({"room": "show"}, "/whip/show", 403),
        ({"room_admin": True, "room": "show"}, "/whep/show", 403),
        ({"room_create": True}, "/whip/show", 403),
    ],
)
async def test_what_a_token_opens(livekit: LiveKitServer, grants: dict[str, Any], path: str, status: int) -> None:
    sdp = watch("opus", "vp8") if path.startswith("/whep") else offer("opus", "vp8")
    authorization = f"Bearer {token('alice', **grants)}"
    answer = await livekit.ask("POST", path, sdp, Content_Type="application/sdp", Authorization=authorization)
    assert answer.status == status or {answer.status, status} == {401, 403}, answer.text


@pytest.mark.parametrize(
    "claims", [{"sub": None}, {"sub": ""}, {"video": {"roomJoin": True}}, {"video": {"roomJoin": True, "room": ""}}]
)
async def test_who_joins_has_an_identity_and_a_room(livekit: LiveKitServer, claims: dict[str, Any]) -> None:
    bearer = f"Bearer {signed(**claims)}"
    for path in ("/whip/v1", "/whip/show", "/whep/show"):
        answer = await livekit.ask("POST", path, offer("opus"), Content_Type="application/sdp", Authorization=bearer)
        assert answer.status in {400, 401, 403}, path


async def test_sources_that_may_not_be_published(livekit: LiveKitServer) -> None:
    """The answer refuses their m-section, or all is refused; either way they do not arrive."""
    bearer = f"Bearer {token('alice', room_join=True, room='show', can_publish_sources=['microphone'])}"
    answer = await livekit.ask(
        "POST", "/whip/v1", offer("opus", "vp8"), Content_Type="application/sdp", Authorization=bearer
    )
    if answer.status == 201:
        assert "m=video 0 " in answer.text
        assert "m=audio 9 " in answer.text
    else:
        assert answer.status == 403
    answer = await livekit.ask("POST", "/whip/v1", offer("vp8"), Content_Type="application/sdp", Authorization=bearer)
    assert answer.status in {403, 422}


async def test_the_session_belongs_to_its_token(livekit: LiveKitServer) -> None:
    alice = await livekit.join("show", "alice")
    for stranger in (token("bob", room_join=True, room="show"), token("alice", room_join=True, room="other")):
        answer = await livekit.ask("DELETE", alice.location, Authorization=f"Bearer {stranger}", If_Match=alice.etag)
        assert answer.status in {401, 403, 404}
    own = f"Bearer {token('alice', room_join=True, room='show')}"
    answer = await livekit.ask("DELETE", alice.location, Authorization=own, If_Match=alice.etag)
    assert answer.status in {200, 204}
