"""A door of a cluster: what another node has is asked there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from live777py.errors import Elsewhere, StoreUnavailable
from live777py.http.forwarding import FORWARDED
from live777py.streams.events import StatsSampled
from tests.fakes.nodes import TOKEN, FakeNodes
from tests.gateway import free_port
from tests.http.doors import AUTH, FRAGMENT, SDP, STATIC_TOKEN, bearer, scoped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.http.doors import OpenDoor


class Other:
    """Another node: notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes, dict[str, str]]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.raw_path, await request.read(), dict(request.headers)))
        if request.path.endswith("/events/1"):
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Own": "x"})
            await response.prepare(request)
            await response.write(b"data: 1\n\n")
            await response.write(b"data: 2\n\n")
            return response
        return web.Response(status=418, text="from the other", headers={"ETag": '"1"', "Set-Cookie": "a=b"})


@pytest.fixture
async def other() -> AsyncIterator[Other]:
    other = Other()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", other.answer)
    async with TestServer(app) as server:
        other.url = str(server.make_url("")).rstrip("/")
        yield other


ELSEWHERE: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("GET", "/session/cam/far", {}),
    ("PATCH", "/session/cam/far", {"data": "a=candidate", "headers": FRAGMENT}),
    ("POST", "/session/cam/far/", {"json": {"kind": "audio", "enabled": False}}),
    ("DELETE", "/session/cam/far", {}),
    ("GET", "/session/cam/far/layer", {}),
    ("POST", "/session/cam/far/events", {"json": ["active"]}),
    ("GET", "/api/streams/cam/thumbnail.jpg?width=7", {}),
    ("POST", "/api/record/cam", {}),
    ("POST", "/api/cascade/cam", {"json": {"targetUrl": "http://x/whip/y"}}),
)


@pytest.mark.parametrize(("method", "path", "options"), ELSEWHERE, ids=lambda value: str(value)[:30])
async def test_the_node_that_has_it_is_asked(
    open_door: OpenDoor, other: Other, method: str, path: str, options: dict[str, Any]
) -> None:
    nodes = FakeNodes()
    nodes.sessions["cam", "far"] = nodes.publishers["cam"] = other.url
    door = await open_door(AUTH, nodes=nodes)
    headers = {**options.get("headers", {}), **bearer("whoever"), "If-Match": '"0"', "Cookie": "secret"}
    response = await door.ask(method, path, **{**options, "headers": headers})
    assert (response.status, await response.text()) == (418, "from the other")
    assert response.headers["ETag"] == '"1"'
    assert "Set-Cookie" not in response.headers
    ((asked, asked_path, _body, sent),) = other.asked
    assert (asked, asked_path) == (method, path)
    assert sent["Authorization"] == "Bearer whoever"
    assert sent["If-Match"] == '"0"'
    assert sent[FORWARDED] == f"{TOKEN}cam"
    assert sent["X-Forwarded-For"] == "127.0.0.1"
    assert "Cookie" not in sent


async def test_an_event_stream_comes_through(open_door: OpenDoor, other: Other) -> None:
    nodes = FakeNodes()
    nodes.sessions["cam", "far"] = other.url
    door = await open_door(nodes=nodes)
    async with door.client.get("/session/cam/far/events/1") as response:
        assert await response.text() == "data: 1\n\ndata: 2\n\n"
        assert response.content_type == "text/event-stream"
        assert "X-Own" not in response.headers


async def test_what_is_here_or_nowhere_is_answered_here(open_door: OpenDoor) -> None:
    door = await open_door(nodes=FakeNodes())
    location = (await door.publish()).headers["Location"]
    assert (await door.ask("GET", location)).status == 204
    assert (await door.ask("DELETE", location)).status == 204
    assert (await door.ask("DELETE", "/session/cam/nobody")).status == 404


async def test_what_a_node_asks_for_a_client_is_not_sent_on(open_door: OpenDoor, other: Other) -> None:
    nodes = FakeNodes()
    nodes.sessions["cam", "far"] = other.url
    door = await open_door(nodes=nodes)
    assert (await door.ask("DELETE", "/session/cam/far", headers={FORWARDED: f"{TOKEN}cam"})).status == 404
    assert other.asked == []
    assert (await door.ask("DELETE", "/session/cam/far", headers={FORWARDED: f"{TOKEN}other"})).status == 418


async def test_who_says_falsely_to_be_a_node_is_limited_all_the_same(open_door: OpenDoor) -> None:
    door = await open_door("[http]\nrate_limit = 1\n", nodes=FakeNodes())
    forwarded = {"X-Forwarded-For": "192.0.2.1"}
    for token, expected in ((f"{TOKEN}cam", {404}), ("a guess", {404, 429})):
        answers = [
            (await door.ask("DELETE", "/session/cam/x", headers={**forwarded, FORWARDED: token})).status
            for _ in range(30)
        ]
        assert set(answers) == expected


async def test_a_node_that_does_not_answer(open_door: OpenDoor) -> None:
    nodes = FakeNodes()
    nodes.sessions["cam", "far"] = f"http://127.0.0.1:{free_port()}"
    door = await open_door(nodes=nodes)
    response = await door.ask("DELETE", "/session/cam/far")
    assert (response.status, response.headers["Retry-After"]) == (503, "2")
    assert "127.0.0.1" not in await response.text()


async def test_lists_are_of_all_nodes(open_door: OpenDoor) -> None:
    nodes = FakeNodes()
    door = await open_door(nodes=nodes)
    await door.publish("here")
    nodes.views = [*door.streams.streams()]
    await door.publish("not-listed")
    for path in ("/api/streams/", "/api/streams/?streams=here"):
        assert [view["id"] for view in await (await door.ask("GET", path)).json()] == ["here"]
    assert (await (await door.ask("GET", "/api/streams/here")).json())["id"] == "here"
    assert (await door.ask("GET", "/api/streams/nowhere")).status == 404


async def test_a_stream_of_another_node_is_not_made_again(open_door: OpenDoor) -> None:
    nodes = FakeNodes()
    nodes.publishers["cam"] = "http://b"
    door = await open_door(nodes=nodes)
    assert (await door.ask("POST", "/api/streams/cam")).status == 409
    assert (await door.ask("POST", "/api/streams/new")).status == 204


@pytest.mark.parametrize("path", ["/api/streams/", "/api/streams/cam", "/session/cam/x"])
async def test_without_redis_it_is_503(open_door: OpenDoor, path: str) -> None:
    nodes = FakeNodes()
    nodes.failure = StoreUnavailable("Redis is away")
    door = await open_door(nodes=nodes)
    response = await door.ask("GET", path)
    assert (response.status, response.headers["Retry-After"]) == (503, "5")
    assert (await response.json())["detail"] == "Redis is away"


async def test_a_redirect_keeps_the_query(open_door: OpenDoor) -> None:
    door = await open_door()
    door.streams.failure = Elsewhere("another node has it", url="http://b:7777/whep/c%C3%A4m")
    response = await door.ask("POST", "/whep/c%C3%A4m?a=b%20c", data="v=0", headers=SDP, allow_redirects=False)
    assert response.status == 307
    assert response.headers["Location"] == "http://b:7777/whep/c%C3%A4m?a=b%20c"


@pytest.mark.parametrize("config", ["", AUTH])
async def test_a_node_may_play_and_its_session_is_a_relay(open_door: OpenDoor, config: str) -> None:
    nodes = FakeNodes()
    door = await open_door(config, nodes=nodes)
    admin = bearer(STATIC_TOKEN) if config else {}
    await door.publish("cam", **admin)
    response = await door.play("cam", **bearer(f"{TOKEN}cam"))
    assert response.status == 201
    assert door.streams.clients[-1].relay
    location = response.headers["Location"]
    if config:
        assert (await door.ask("DELETE", location, headers=scoped("cam", 4))).status == 404
    assert (await door.ask("DELETE", location, headers=bearer(f"{TOKEN}cam"))).status == 204
    assert (await door.publish("cam", **bearer(f"{TOKEN}cam"))).status == 403
    assert (await door.play("cam", **admin)).status == 201
    assert not door.streams.clients[-1].relay


async def test_the_list_that_is_followed_is_of_all_nodes(open_door: OpenDoor) -> None:
    nodes = FakeNodes()
    door = await open_door(nodes=nodes)
    await door.publish("far")
    nodes.views = door.streams.streams()
    async with door.client.get("/api/sse/streams") as response, door.client.get("/api/sse/streams") as second:
        for each in (response, second):
            assert b'"id":"far"' in await each.content.readuntil(b"\n\n")
        nodes.failure = StoreUnavailable("Redis is away")
        door.streams.bus.publish(StatsSampled())
        nodes.failure, nodes.views = None, []
        door.streams.bus.publish(StatsSampled())
        assert await response.content.readuntil(b"\n\n") == b"data: []\n\n"
