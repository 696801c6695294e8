"""LiveKit tokens at /whip, /whep and /session, and LiveKit's own /whip/v1."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from live777py.app import build_doors
from live777py.config import parse
from live777py.http.forwarding import FORWARDER, Forwarder
from live777py.http.keys import NODES, STREAMS
from live777py.streams.participant import Participant, Permission
from tests.fakes.streams import FakeStreams
from tests.http.doors import OFFER, SDP, STATIC_TOKEN
from tests.livekit.tokens import CONFIG, IDENTITY, ROOM, joining, token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import ClientResponse, web

    from live777py.streams.views import StreamView
    from tests.http.doors import Door
    from tests.livekit.doors import LiveKitDoor, OpenLiveKit

FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
CANDIDATE = "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n"
AUTH = f'{CONFIG}[auth]\ntokens = ["{STATIC_TOKEN}"]\nsecret = "secret"\n'
BOTH = pytest.mark.parametrize("config", [CONFIG, AUTH], ids=["open", "auth"])


async def ask(door: LiveKitDoor, method: str, path: str, bearer: str | None, **options: Any) -> ClientResponse:
    headers = {**SDP, **options.pop("headers", {})}
    return await door.call(path, verb=method, bearer=bearer, headers=headers, data=OFFER, **options)


@BOTH
@pytest.mark.parametrize(
    ("path", "grants", "status"),
    [
        (f"/whip/{ROOM}", {}, 201),
        (f"/whip/{IDENTITY}@{ROOM}", {}, 201),
        (f"/whip/bob@{ROOM}", {}, 403),
        ("/whip/other", {}, 403),
        (f"/whip/{IDENTITY}@other", {}, 403),
        (f"/whip/{IDENTITY}", {}, 403),
        (f"/whip/{ROOM}", {"canPublish": False}, 403),
        (f"/whip/{ROOM}", {"canSubscribe": False}, 201),
        (f"/whip/{ROOM}", {"roomJoin": False}, 403),
        (f"/whip/{ROOM}", {"room": ""}, 403),
        (f"/whep/{ROOM}", {}, 201),
        (f"/whep/{IDENTITY}@{ROOM}", {}, 201),
        (f"/whep/bob@{ROOM}", {}, 201),
        (f"/whep/a@b@{ROOM}", {}, 201),
        ("/whep/other", {}, 403),
        (f"/whep/{ROOM}@other", {}, 403),
        (f"/whep/x{ROOM}", {}, 403),
        (f"/whep/{ROOM}", {"canSubscribe": False}, 403),
        (f"/whep/{ROOM}", {"canPublish": False}, 201),
        (f"/whep/{ROOM}", {"roomJoin": False, "roomAdmin": True}, 403),
    ],
)
async def test_where_a_token_is_good(
    open_livekit: OpenLiveKit, config: str, path: str, grants: dict[str, Any], status: int
) -> None:
    door = await open_livekit(config)
    response = await ask(door, "POST", path, joining(**grants))
    assert response.status == status
    clients = door.door.streams.clients
    if status == 201:
        (client,) = clients
        assert client.participant is not None
        assert (client.participant.room, client.participant.identity) == (ROOM, IDENTITY)
    else:
        assert clients == []


async def test_a_room_whose_name_holds_an_at_sign_is_not_another_room(open_livekit: OpenLiveKit) -> None:
    """`a@b` is a stream of room `b`: a token for a room of that name would be one for another's streams."""
    door = await open_livekit()
    assert (await ask(door, "POST", "/whep/a@b", joining(room="a@b"))).status == 403
    assert (await ask(door, "POST", "/whip/a@b", joining(room="a@b"))).status == 403


@BOTH
async def test_a_session_belongs_to_its_participant(open_livekit: OpenLiveKit, config: str) -> None:
    """Also by a newer token of the same; not to another of the room, and not to one of the same name elsewhere."""
    door = await open_livekit(config)
    streams = door.door.streams
    for path in (f"/whip/{ROOM}", f"/whep/{ROOM}"):
        made = await ask(door, "POST", path, joining(canPublishData=True))
        location = made.headers["Location"]
        trickled = {"verb": "PATCH", "headers": FRAGMENT, "data": CANDIDATE}
        assert (await door.call(location, bearer=joining(identity="bob"), **trickled)).status == 404
        assert (await door.call(location, bearer=joining(identity="bob"), verb="DELETE")).status == 404
        assert (await door.call(location, bearer=joining(room="other"), **trickled)).status == 403
        assert (
            await door.call(location, bearer=token(video={"roomAdmin": True, "room": ROOM}), verb="DELETE")
        ).status == 403
        assert (await door.call(location, bearer=joining(), **trickled)).status == 204
        assert (await door.call(location, bearer=joining(), verb="GET")).status == 204
        assert (await door.call(location, bearer=joining(), verb="DELETE")).status == 204
    assert len(streams.fragments) == 2


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/streams/"),
        ("POST", f"/api/streams/{ROOM}"),
        ("DELETE", f"/api/streams/{ROOM}"),
        ("POST", "/api/config/reload"),
        ("POST", f"/api/cascade/{ROOM}"),
        ("POST", f"/api/record/{ROOM}"),
    ],
)
@BOTH
async def test_what_a_participant_may_not(open_livekit: OpenLiveKit, config: str, method: str, path: str) -> None:
    door = await open_livekit(config)
    assert (await ask(door, method, path, joining())).status == 403


async def test_other_tokens_are_as_good_as_before(open_livekit: OpenLiveKit) -> None:
    import jwt

    door = await open_livekit(AUTH)
    live777 = jwt.encode({"id": ROOM, "exp": 10**10, "mode": 7}, "secret".ljust(32, "\0"), algorithm="HS256")
    for bearer, status in ((STATIC_TOKEN, 201), (live777, 201), (None, 401), ("nonsense", 401)):
        assert (await ask(door, "POST", f"/whep/{ROOM}", bearer)).status == status
    assert [client.participant for client in door.door.streams.clients] == [None, None]


async def test_without_authentication_a_token_is_not_needed(open_livekit: OpenLiveKit) -> None:
    """One that is given must be good, if it is a JSON web token at all: it says who comes."""
    import jwt

    door = await open_livekit(f'{CONFIG}[auth]\nsecret = "secret"\n')
    live777 = jwt.encode({"id": "*", "exp": 10**10, "mode": 7}, "secret".ljust(32, "\0"), algorithm="HS256")
    foreign = token(iss="APInobody")
    for bearer, status in ((None, 201), ("some text", 201), (live777, 201), (foreign, 401), (joining(), 201)):
        assert (await ask(door, "POST", f"/whep/{ROOM}", bearer)).status == status
    assert [client.participant is not None for client in door.door.streams.clients] == [False, False, False, True]


async def test_what_reaches_the_streams(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    bearer = token(
        sub="bob",
        name="Bob",
        metadata="m",
        attributes={"a": "b"},
        video={"roomJoin": True, "room": ROOM, "canPublishSources": ["microphone"], "hidden": True},
    )
    assert (await ask(door, "POST", f"/whip/{ROOM}", bearer)).status == 201
    (client,) = door.door.streams.clients
    assert client.participant is not None
    assert client.participant.issued_at is not None
    assert client.participant == Participant(
        room=ROOM,
        identity="bob",
        name="Bob",
        metadata="m",
        attributes={"a": "b"},
        permission=Permission(can_publish_sources=frozenset({"microphone"}), hidden=True),
        issued_at=client.participant.issued_at,
    )


async def publish(door: LiveKitDoor, bearer: str | None = None, **headers: str) -> ClientResponse:
    return await ask(door, "POST", "/whip/v1", bearer or joining(), headers=headers)


def publisher(door: Door, stream: str) -> str:
    (session,) = door.streams.stream(stream).publish.sessions
    return session.id


async def test_whip_v1_publishes_as_the_token_says(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit(f'{CONFIG}[[ice_servers]]\nurls = ["stun:stun.example.org"]\n')
    response = await publish(door)
    assert response.status == 201
    assert response.content_type == "application/sdp"
    assert response.headers["Location"].startswith("/whip/v1/PA_")
    assert response.headers["ETag"].startswith('"')
    assert response.headers["Accept-Patch"] == FRAGMENT["Content-Type"]
    assert response.headers["Link"] == '<stun:stun.example.org>; rel="ice-server"'
    assert publisher(door.door, f"{IDENTITY}@{ROOM}")
    (client,) = door.door.streams.clients
    assert client.participant is not None
    assert client.loopback


async def test_whip_v1_the_token_may_be_in_the_query(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    assert (await ask(door, "POST", f"/whip/v1?access_token={joining()}", None)).status == 201


@pytest.mark.parametrize(
    ("if_match", "status"), [(None, 428), ('"other"', 412), ("", 412), ("*", 204), ('"*"', 204), ("ETAG", 204)]
)
async def test_whip_v1_is_strict_about_etags(open_livekit: OpenLiveKit, if_match: str | None, status: int) -> None:
    door = await open_livekit()
    made = await publish(door)
    headers = {} if if_match is None else {"If-Match": made.headers["ETag"] if if_match == "ETAG" else if_match}
    response = await door.call(
        made.headers["Location"], verb="PATCH", bearer=joining(), headers={**FRAGMENT, **headers}, data=CANDIDATE
    )
    assert response.status == status
    assert len(door.door.streams.fragments) == (status == 204)
    if status != 204:
        assert response.headers["Content-Type"] == "application/json"
        assert set(json.loads(await response.text())) == {"error"}


async def test_whip_v1_restarts_ice(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    made = await publish(door)
    location, restart = made.headers["Location"], "a=ice-ufrag:new\r\na=ice-pwd:new\r\n"
    options: dict[str, Any] = {"verb": "PATCH", "bearer": joining(), "data": restart}
    assert (await door.call(location, headers=FRAGMENT, **options)).status == 428
    for if_match in ("*", made.headers["ETag"]):
        response = await door.call(location, headers={**FRAGMENT, "If-Match": if_match}, **options)
        assert (response.status, response.headers["Content-Type"]) == (200, FRAGMENT["Content-Type"])
        assert (response.headers["ETag"], await response.text()) == ('"restarted"', "a=ice-ufrag:ours\r\n")


async def test_whip_v1_a_session_ends(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    location = (await publish(door)).headers["Location"]
    stranger = joining(identity="bob")
    assert (await door.call(location, verb="GET", bearer=stranger)).status == 404
    assert (await door.call(location, verb="DELETE", bearer=stranger)).status == 404
    assert (await door.call(location, verb="DELETE", bearer=None)).status == 401
    assert (await door.call("/whip/v1/PA_other", verb="DELETE", bearer=joining())).status == 404
    assert (await door.call(location, verb="GET", bearer=joining())).status == 204
    assert (await door.call(location, verb="DELETE", bearer=joining())).status == 200
    assert (await door.call(location, verb="GET", bearer=joining())).status == 404
    assert (await door.call(location, verb="DELETE", bearer=joining())).status == 404
    assert door.door.streams.streams() == []


async def test_whip_v1_each_session_has_an_address_of_its_own(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    first = await publish(door)
    assert (await door.call(first.headers["Location"], verb="DELETE", bearer=joining())).status == 200
    second = await publish(door)
    other = await publish(door, joining(identity="bob"))
    for name in ("Location", "ETag"):
        assert len({made.headers[name] for made in (first, second, other)}) == 3


@pytest.mark.parametrize(
    ("bearer", "headers", "status"),
    [
        (None, {}, 401),
        ("x", {}, 401),
        (joining(roomJoin=False), {}, 403),
        (token(video=None), {}, 403),
        (joining(room=""), {}, 403),
        (joining(identity=""), {}, 403),
        (joining(canPublish=False), {}, 403),
        (joining(identity="a/b"), {}, 400),
        (joining(room="a/b"), {}, 400),
        (joining(identity="x" * 300), {}, 400),
        (joining(), {"Content-Type": "text/plain"}, 415),
    ],
)
async def test_whip_v1_refusals(
    open_livekit: OpenLiveKit, bearer: str | None, headers: dict[str, str], status: int
) -> None:
    door = await open_livekit()
    response = await ask(door, "POST", "/whip/v1", bearer, headers=headers)
    assert response.status == status
    assert response.headers["Content-Type"] == "application/json"
    assert set(json.loads(await response.text())) == {"error"}
    assert ("WWW-Authenticate" in response.headers) == (status == 401)
    assert door.door.streams.offers == []


async def test_whip_v1_a_body_that_is_none(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    for body, status in ((b"\xff", 400), (b"hello", 400), (b"v=0" + b"x" * 300_000, 413)):
        response = await door.call("/whip/v1", bearer=joining(), headers=SDP, data=body)
        assert response.status == status


@pytest.mark.parametrize(
    ("path", "allow", "header"),
    [
        ("/whip/v1", "OPTIONS, POST", ("Accept-Post", "application/sdp")),
        ("/whip/v1/", "OPTIONS, POST", ("Accept-Post", "application/sdp")),
        ("/whip/v1/PA_1", "DELETE, GET, OPTIONS, PATCH", ("Accept-Patch", FRAGMENT["Content-Type"])),
    ],
)
async def test_whip_v1_methods(open_livekit: OpenLiveKit, path: str, allow: str, header: tuple[str, str]) -> None:
    door = await open_livekit()
    options = await door.call(path, verb="OPTIONS", bearer=None)
    assert options.status == 200
    assert options.headers["Allow"] == allow
    assert options.headers[header[0]] == header[1]
    refused = await door.call(path, verb="PUT", bearer=None)
    assert refused.status == 405
    assert refused.headers["Allow"] == allow


class FakeNodes:
    """Every stream is published at `other`, the URL of another node."""

    def __init__(self) -> None:
        self.other: str | None = None

    async def streams(self, name: str = "") -> list[StreamView]:
        raise NotImplementedError(name)

    def place_of_stream(self, stream: str) -> str | None:
        assert stream == f"{IDENTITY}@{ROOM}"
        return self.other

    async def place_of_session(self, stream: str, session: str) -> str | None:
        raise NotImplementedError(stream, session)

    def way_out(self, stream: str) -> str | None:
        raise NotImplementedError(stream)

    async def token(self, stream: str) -> str:
        return f"node for {stream}"

    async def is_node(self, token: str, stream: str | None) -> bool:
        return token == f"node for {stream}"


@asynccontextmanager
async def node(nodes: FakeNodes) -> AsyncIterator[tuple[TestClient[web.Request, web.Application], FakeStreams]]:
    app = build_doors(parse(CONFIG, {}))
    streams = app[STREAMS] = FakeStreams()
    app[NODES] = nodes
    forwarder = app[FORWARDER] = Forwarder(nodes)
    async with TestClient(TestServer(app)) as client:
        yield client, streams
    await forwarder.close()


async def test_whip_v1_a_session_of_another_node() -> None:
    """Asked for here, it is found there; and nobody is sent in circles."""
    here, there = FakeNodes(), FakeNodes()
    async with node(here) as (near, _), node(there) as (far, streams):
        here.other, there.other = (str(client.make_url("")).rstrip("/") for client in (far, near))
        bearer = {"Authorization": f"Bearer {joining()}"}
        made = await far.post("/whip/v1", data=OFFER, headers={**SDP, **bearer})
        path, match = made.headers["Location"], {"If-Match": made.headers["ETag"]}
        trickled = await near.patch(path, headers={**FRAGMENT, **match, **bearer}, data=CANDIDATE)
        assert trickled.status == 204
        assert len(streams.fragments) == 1
        assert (await near.get(path, headers=bearer)).status == 204
        assert (await near.get(path, headers={"Authorization": "Bearer x"})).status == 401
        assert (await near.delete(path, headers=bearer)).status == 200
        assert streams.streams() == []
        assert (await near.delete(path, headers=bearer)).status == 404


async def test_whip_v1_is_limited(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit(f"{CONFIG}[http]\nrate_limit = 1\n")
    bearers = [joining(identity=str(number)) for number in range(12)]
    answers = [await publish(door, bearer, **{"X-Forwarded-For": "192.0.2.1"}) for bearer in bearers]
    assert [answer.status for answer in answers] == [201] * 10 + [429] * 2
    assert set(json.loads(await answers[-1].text())) == {"error"}
