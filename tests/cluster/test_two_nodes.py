"""Two gateways of one cluster in this process, with peers that send no media."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import pytest
from aiohttp import web

from live777py.app import build_app
from live777py.config import parse
from live777py.http.keys import NODES, STREAMS
from live777py.rtc import client
from tests.fakes.remote import offer, watch
from tests.gateway import free_port
from tests.light import LightPeer
from tests.livekit.tokens import CONFIG, IDENTITY, ROOM, joining
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from live777py.cluster.service import Cluster
    from tests.redis_server import RedisServer

pytest.importorskip("live777py._media")

pytestmark = pytest.mark.usefixtures("no_wait_for_media")

SDP = {"Content-Type": "application/sdp"}


@pytest.fixture
def no_wait_for_media(monkeypatch: pytest.MonkeyPatch) -> None:
    """None comes."""
    monkeypatch.setattr(client, "MEDIA_TIMEOUT", 0.1)


@dataclass
class Node:
    url: str
    app: web.Application
    http: aiohttp.ClientSession
    peers: list[LightPeer] = field(default_factory=list)

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, str, dict[str, str]]:
        async with self.http.request(method, self.url + path, allow_redirects=False, **options) as response:
            return response.status, await response.text(), dict(response.headers)

    async def join(self, path: str, sdp: str) -> tuple[LightPeer, str]:
        """The peer, connected, and the path of its session."""
        status, text, headers = await self.ask("POST", path, data=sdp, headers=SDP)
        assert status == 201, text
        peer = LightPeer()
        self.peers.append(peer)
        await peer.connect(text)
        return peer, headers["Location"]

    async def publish(self, stream: str) -> tuple[LightPeer, str]:
        return await self.join(f"/whip/{stream}", offer("opus", "vp8"))

    async def play(self, stream: str) -> tuple[LightPeer, str]:
        return await self.join(f"/whep/{stream}", watch("opus", "vp8"))

    async def streams(self) -> list[dict[str, Any]]:
        async with self.http.get(self.url + "/api/streams/") as response:
            assert response.status == 200
            found: list[dict[str, Any]] = await response.json()
            return found

    async def shows(self, stream: str, publishers: int, viewers: int) -> bool:
        view = next((view for view in await self.streams() if view["id"] == stream), None)
        if view is None:
            return (publishers, viewers) == (0, 0)
        counts = [
            sum(session["state"] == "connected" for session in view[side]["sessions"])
            for side in ("publish", "subscribe")
        ]
        return counts == [publishers, viewers]

    def relays(self, stream: str) -> int:
        """Sessions with the other node."""
        views = [view for view in self.app[STREAMS].streams() if view.id == stream]
        return sum(
            bool(session.relay) and session.state == "connected"
            for view in views
            for session in (*view.publish.sessions, *view.subscribe.sessions)
        )


@contextlib.asynccontextmanager
async def running(directory: Path, redis: RedisServer, name: str, more: str = "") -> AsyncIterator[Node]:
    port = free_port()
    config = f"""
[http]
listen = "127.0.0.1:{port}"
[webrtc]
ice_udp_addrs = ["127.0.0.1:0"]
[store]
path = "{directory}/{name}.db"
[cluster]
redis_url = "{redis.url}"
node_id = "{name}"
heartbeat_ms = 100
timeout_ms = 1000
{more}"""
    app = build_app(parse(config, {}))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with aiohttp.ClientSession() as http:
        node = Node(f"http://127.0.0.1:{port}", app, http)
        try:
            yield node
        finally:
            for peer in node.peers:
                peer.close()
            await runner.cleanup()


@contextlib.asynccontextmanager
async def two(directory: Path, redis: RedisServer, more: str = "") -> AsyncIterator[tuple[Node, Node]]:
    async with running(directory, redis, "a", more) as a, running(directory, redis, "b", more) as b:
        await eventually(lambda: see_each_other(a, b))
        yield a, b


async def see_each_other(*nodes: Node) -> bool:
    with contextlib.suppress(AssertionError):
        return all([await node.streams() == [] and len(cast("Cluster", node.app[NODES]).nodes) == 1 for node in nodes])
    return False


async def holds(node: Node, stream: str, *, at: Node | None) -> bool:
    return node.app[NODES].place_of_stream(stream) == (None if at is None else at.url)


async def test_a_stream_of_b_is_played_at_a(tmp_path: Path, server: RedisServer) -> None:
    async with two(tmp_path, server) as (a, b):
        publisher, session = await b.publish("cam")
        await eventually(lambda: holds(a, "cam", at=b))
        (first, _), (second, _) = await asyncio.gather(a.play("cam"), a.play("cam"))
        for node in (a, b):
            await eventually(partial(node.shows, "cam", 1, 2))
            assert node.relays("cam") == 1
        status, _, _ = await a.ask("GET", "/api/streams/nobody")
        assert status == 404
        assert (await a.ask("DELETE", session))[0] == 204
        await asyncio.wait_for(publisher.closed.wait(), 5)
        await eventually(lambda: a.shows("cam", 0, 2))
        await eventually(lambda: holds(a, "cam", at=None))
        assert not first.closed.is_set()

        _, session = await a.publish("cam")  # it may come back to another node
        await eventually(lambda: b.shows("cam", 1, 2))
        await eventually(lambda: holds(b, "cam", at=a))
        assert (await b.ask("DELETE", "/api/streams/cam"))[0] == 204
        await asyncio.wait_for(second.closed.wait(), 5)
        assert await a.streams() == []
        assert (await b.ask("DELETE", "/api/streams/cam"))[0] == 404


async def test_who_waits_at_a_is_served(tmp_path: Path, server: RedisServer) -> None:
    async with two(tmp_path, server) as (a, b):
        viewer, session = await a.play("cam")
        _, publishing = await b.publish("cam")
        await eventually(lambda: b.shows("cam", 1, 1))

        async def relayed() -> bool:
            return a.relays("cam") == b.relays("cam") == 1

        await eventually(relayed)
        assert (await a.ask("DELETE", publishing))[0] == 204
        await a.publish("cam")
        await eventually(lambda: b.shows("cam", 1, 1))
        assert (await b.ask("DELETE", session))[0] == 204
        await asyncio.wait_for(viewer.closed.wait(), 5)


@pytest.mark.parametrize("takeover", [False, True])
async def test_two_publishers(tmp_path: Path, server: RedisServer, takeover: bool) -> None:
    more = '[strategy]\non_publish_conflict = "takeover"\n' if takeover else ""
    async with two(tmp_path, server, more) as (a, b):
        publisher, _ = await b.publish("cam")
        status, _, headers = await a.ask("POST", "/whip/cam", data=offer("opus", "vp8"), headers=SDP)
        if takeover:
            assert status == 201
            await asyncio.wait_for(publisher.closed.wait(), 5)
        else:
            assert (status, headers["Retry-After"]) == (409, "1")
        assert (await a.ask("POST", "/api/streams/cam"))[0] == 409


async def test_who_is_not_let_in_holds_nothing(tmp_path: Path, server: RedisServer) -> None:
    async with two(tmp_path, server) as (a, b):
        assert (await a.ask("POST", "/whip/cam", data="v=0", headers=SDP))[0] == 400
        await eventually(lambda: holds(b, "cam", at=None))
        await b.publish("cam")
        await eventually(lambda: holds(a, "cam", at=b))


async def test_of_many_who_come_at_once_to_both_one_publishes(tmp_path: Path, server: RedisServer) -> None:
    async with two(tmp_path, server) as (a, b):
        answers = await asyncio.gather(
            *(node.ask("POST", "/whip/cam", data=offer("opus", "vp8"), headers=SDP) for node in (a, b) for _ in "1234")
        )
        assert sorted(status for status, _, _ in answers) == [201, *[409] * 7]


async def test_a_redirect(tmp_path: Path, server: RedisServer) -> None:
    async with two(tmp_path, server, 'whep = "redirect"\n') as (a, b):
        await b.publish("cam")
        await eventually(lambda: holds(a, "cam", at=b))
        status, _, headers = await a.ask("POST", "/whep/cam?x=1", data=watch("opus", "vp8"), headers=SDP)
        assert (status, headers["Location"]) == (307, f"{b.url}/whep/cam?x=1")
        await b.play("cam")


@pytest.mark.parametrize(("config", "url"), [('whep = "redirect"\n', "{a}/whep/cam%201"), ("", None)])
async def test_viewers_of_a_node_that_ends_are_told_where_to_go_on(
    tmp_path: Path, server: RedisServer, config: str, url: str | None
) -> None:
    """The URLs of nodes are for viewers only where they are redirected; else a balancer knows."""
    async with running(tmp_path, server, "a", config) as a, aiohttp.ClientSession() as http:
        async with running(tmp_path, server, "b", config) as b:
            await eventually(lambda: see_each_other(a, b))
            _, session = await b.play("cam%201")
            _, _, made = await b.ask("POST", f"{session}/events", json=["reconnect"])
            events = await http.get(b.url + made["Location"])
        assert await events.text() == event("reconnect", {} if url is None else {"url": url.format(a=a.url)})


def event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


async def test_a_session_of_livekits_whip_is_found_from_every_node(tmp_path: Path, server: RedisServer) -> None:
    async with two(tmp_path, server, CONFIG) as (a, b):
        bearer = {"Authorization": f"Bearer {joining()}"}
        path, stream = "/whip/v1", f"{IDENTITY}@{ROOM}"
        status, _, made = await b.ask("POST", path, data=offer("opus", "vp8"), headers={**SDP, **bearer})
        assert status == 201
        await eventually(lambda: holds(a, stream, at=b))
        for node in (a, b):
            assert (await node.ask("GET", made["Location"], headers=bearer))[0] == 204
        assert (await a.ask("DELETE", made["Location"], headers=bearer))[0] == 200
        assert (await b.ask("GET", made["Location"], headers=bearer))[0] == 404


async def test_a_node_that_goes_leaves_nothing(tmp_path: Path, server: RedisServer) -> None:
    async with running(tmp_path, server, "a") as a:
        async with running(tmp_path, server, "b") as b:
            await eventually(lambda: see_each_other(a, b))
            await b.publish("cam")
            viewer, _ = await a.play("cam")
            await eventually(lambda: a.shows("cam", 1, 1))
        await eventually(lambda: holds(a, "cam", at=None))
        await eventually(lambda: a.shows("cam", 0, 1))
        await a.publish("cam")
        assert not viewer.closed.is_set()
        await eventually(lambda: a.shows("cam", 1, 1))


async def test_a_relay_ends_when_nobody_watches(
    tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live777py.cluster.relays.IDLE", 0.1)
    async with two(tmp_path, server) as (a, b):
        await b.publish("cam")
        await eventually(lambda: holds(a, "cam", at=b))
        _, session = await a.play("cam")
        assert (await a.ask("DELETE", session))[0] == 204

        async def ended() -> bool:
            return a.relays("cam") == b.relays("cam") == 0

        await eventually(ended)
        assert [view.id for view in a.app[STREAMS].streams()] == []
        await eventually(lambda: a.shows("cam", 1, 0))


async def test_without_redis_what_is_here_is_played(tmp_path: Path, server: RedisServer) -> None:
    async with two(tmp_path, server) as (a, b):
        _, session = await a.publish("cam")
        await server.kill()

        async def away() -> bool:
            return (await a.ask("GET", "/api/streams/"))[0] == 503

        await eventually(away)
        await a.play("cam")
        assert (await a.ask("POST", "/whip/new", data=offer("opus", "vp8"), headers=SDP))[0] == 503
        assert (await b.ask("DELETE", session))[0] == 503
        await server.start()
        await eventually(lambda: shown(b))

        async def deleted() -> bool:
            status, _, _ = await b.ask("DELETE", session)
            assert status in {204, 503}
            return status == 204

        await eventually(deleted)


async def shown(node: Node) -> bool:
    with contextlib.suppress(AssertionError):
        return await node.shows("cam", 1, 1)
    return False
