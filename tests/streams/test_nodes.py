"""Streams pulled from one gateway and pushed to the next, with real media, all of them in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from live777py.app import build_app
from live777py.config import parse
from live777py.errors import Conflict, UpstreamError
from live777py.http.keys import STREAMS
from live777py.media import native
from live777py.outbound import Endpoint
from live777py.streams.clients import Client
from live777py.streams.layers import LayerChoice
from live777py.streams.manager import StreamManager
from tests import simulcast
from tests.fakes import media as fake_media
from tests.fakes.remote import watch
from tests.interop.checks import assert_moves_on, assert_quadrants
from tests.interop.peers import Viewed, counter_of, playing, publishing, quadrants_of
from tests.light import LightPeer
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Start = Callable[..., Awaitable["Node"]]

pytestmark = [
    pytest.mark.usefixtures("loopback_candidates"),
    pytest.mark.skipif(
        native.Engine is fake_media.Engine,  # type: ignore[comparison-overlap]
        reason="the media engine is not built: make ext",
    ),
]


class Node:
    def __init__(self, app: web.Application, server: TestServer) -> None:
        streams = app[STREAMS]
        assert isinstance(streams, StreamManager)
        self.manager = streams
        self.url = str(server.make_url("")).rstrip("/")

    def whip(self, stream: str) -> Endpoint:
        return Endpoint.parse(f"{self.url}/whip/{stream}")

    def whep(self, stream: str) -> Endpoint:
        return Endpoint.parse(f"{self.url}/whep/{stream}")

    async def listed(self) -> dict[str, Any]:
        async with aiohttp.ClientSession() as client, client.get(f"{self.url}/api/streams/") as response:
            return {stream["id"]: stream for stream in await response.json()}

    async def seen_layers(self, stream: str) -> bool:
        """Every layer of the publisher has been measured."""
        await self.manager._sampler.refresh()
        publisher = self.manager._registry.publisher(self.manager._registry.streams[stream])
        if publisher is None or publisher.layers is None:
            return False
        return all(layer.active and layer.width and layer.bitrate for layer in publisher.layers.views(None))

    def live(self, stream: str, side: str = "subscribe") -> list[str]:
        """The sessions that are not closed."""
        for view in self.manager.streams():
            if view.id == stream:
                sessions = view.subscribe.sessions if side == "subscribe" else view.publish.sessions
                return [session.id for session in sessions if session.state != "closed"]
        return []


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    servers: list[TestServer] = []

    async def start_it(config: str = "") -> Node:
        app = build_app(parse(f'[webrtc]\nice_udp_addrs = ["127.0.0.1:0"]\n{config}', {}))
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        return Node(app, server)

    yield start_it
    for server in reversed(servers):
        await server.close()


async def assert_is_seen(viewer: Viewed, *, frames: int = 20) -> None:
    images = await viewer.frames(frames)
    assert_moves_on([counter_of(image) for image in images], at_least=frames // 2)
    assert_quadrants(quadrants_of(images[-1]))


async def assert_is_seen_again(viewer: Viewed) -> None:
    """From another source: that begins with its newest key frame, which may be older than what was seen last."""
    viewer.images.clear()
    images = await viewer.frames(30)
    counters = [counter_of(image) for image in images]
    begin = next((place for place in range(1, len(counters)) if counters[place] < counters[place - 1]), 0)
    assert_moves_on(counters[begin:], at_least=10)
    assert_quadrants(quadrants_of(images[-1]))


async def test_two_hops(start: Start) -> None:
    a, b, c = await start(), await start(), await start()
    async with publishing(f"{a.url}/whip/s"):
        await b.manager.pull("s", a.whep("s"))
        session = await b.manager.push("s", c.whip("copy"))
        async with playing(f"{c.url}/whep/copy") as viewer:
            await assert_is_seen(viewer)
        (pushed,) = [view for view in b.manager.stream("s").subscribe.sessions if view.id == session]
        assert pushed.state == "connected"
        await b.manager.delete("s")
        assert a.live("s") == []
        assert c.live("copy", "publish") == []


async def test_the_streams_of_one_node_that_pulls_from_and_pushes_to_itself(start: Start) -> None:
    """The example of Live777's documentation: who names whom."""
    node = await start()
    async with publishing(f"{node.url}/whip/web-0"), playing(f"{node.url}/whep/web-0") as viewer:
        await node.manager.pull("pull", node.whep("web-0"))
        await node.manager.push("web-0", node.whip("push"))
        async with playing(f"{node.url}/whep/push") as pushed, playing(f"{node.url}/whep/pull") as pulled:
            await assert_is_seen(pushed)
            await assert_is_seen(pulled)
        streams = await node.listed()
        assert set(streams) == {"push", "pull", "web-0"}
        plays = {session["id"]: session for session in streams["web-0"]["subscribe"]["sessions"]}
        (push,) = streams["push"]["publish"]["sessions"]
        (pull,) = streams["pull"]["publish"]["sessions"]
        assert "cascade" not in push
        assert set(pull["cascade"]) == {"sourceUrl", "sessionUrl"}
        assert pull["cascade"]["sourceUrl"] == f"{node.url}/whep/web-0"
        played = pull["cascade"]["sessionUrl"].removeprefix(f"{node.url}/session/web-0/")
        assert "cascade" not in plays.pop(played)
        assert "cascade" not in plays.pop(viewer.session.rpartition("/")[2])
        (sent,) = plays.values()
        assert sent["cascade"] == {
            "targetUrl": f"{node.url}/whip/push",
            "sessionUrl": f"{node.url}/session/push/{push['id']}",
        }
        counts = node.manager.counts()
        assert (counts.publishers, counts.reforwards) == (3, 1)


async def test_a_publisher_that_comes_back_is_seen_two_hops_away(start: Start) -> None:
    a, b, c = await start(), await start(), await start()
    async with publishing(f"{a.url}/whip/s"):
        await b.manager.pull("s", a.whep("s"))
        await b.manager.push("s", c.whip("s"))
        async with playing(f"{c.url}/whep/s") as viewer:
            await assert_is_seen(viewer)
            (session,) = b.live("s", "publish")
            await b.manager.stop_pull("s", session)
            await b.manager.pull("s", a.whep("s"))
            await assert_is_seen_again(viewer)
            assert len(b.live("s")) == len(c.live("s", "publish")) == 1, "the push has followed its publisher"


async def test_every_layer_is_pushed_and_can_be_chosen_elsewhere(start: Start) -> None:
    a, c = await start(), await start()
    published = await a.manager.publish("s", simulcast.OFFER, client=Client(loopback=True))
    async with simulcast.sending(published.sdp):
        await eventually(lambda: a.seen_layers("s"))
        await a.manager.push("s", c.whip("s"))
        viewer = LightPeer()
        answer = await c.manager.play("s", watch("vp8"), client=Client(loopback=True))
        await viewer.connect(answer.sdp)
        await eventually(lambda: c.seen_layers("s"))
        layers = c.manager.layers("s", answer.session)
        assert [layer.encoding_id for layer in layers] == list(simulcast.LAYERS)
        assert [(layer.width, layer.height) for layer in layers] == list(simulcast.LAYERS.values())
        for rid in ("2", "0", "1"):
            await c.manager.select_layer("s", answer.session, LayerChoice(rid=rid))

            async def switched(rid: str = rid) -> bool:
                return [layer.encoding_id for layer in c.manager.layers("s", answer.session) if layer.selected] == [rid]

            await eventually(switched)
        assert viewer.received > 0
        viewer.close()


async def test_what_another_gateway_refuses_is_told(start: Start) -> None:
    a, b = await start("[strategy]\nauto_create_whep = false\n"), await start()
    with pytest.raises(UpstreamError) as refused:
        await b.manager.pull("s", a.whep("s"))
    assert refused.value.answered == 404
    assert b.manager.streams() == []
    async with publishing(f"{b.url}/whip/s"), publishing(f"{a.url}/whip/s"):
        with pytest.raises(UpstreamError) as refused:
            await b.manager.push("s", a.whip("s"))
        assert refused.value.answered == 409
        assert refused.value.retry_after == 1


async def test_nothing_flows_until_somebody_watches(start: Start) -> None:
    a = await start()
    async with publishing(f"{a.url}/whip/s"):
        b = await start(
            "[stream.s]\non_demand = true\non_demand_close_after_ms = 300\n"
            f'[[stream.s.sources]]\nurl = "{a.url.replace("http", "whep", 1)}/whep/s"\n'
        )
        assert a.live("s") == []
        for _ in range(2):
            async with playing(f"{b.url}/whep/s") as viewer:
                assert b.live("s", "publish") == ["virtual-source"]
                assert len(a.live("s")) == 1
                await assert_is_seen(viewer)

            async def stopped() -> bool:
                return b.live("s", "publish") == a.live("s") == []

            await eventually(stopped)


# Loops: without a publisher at its beginning, what one viewer says would go round for ever.


async def test_a_stream_does_not_pull_itself(start: Start) -> None:
    node = await start()
    with pytest.raises(UpstreamError) as refused:
        await node.manager.pull("cam", node.whep("cam"))
    assert refused.value.answered == 409
    assert node.manager.streams() == []
    await node.manager.pull("copy", node.whep("cam"))


async def test_two_nodes_do_not_pull_from_each_other(start: Start) -> None:
    a, b, c = [await start() for _ in range(3)]
    await a.manager.pull("cam", b.whep("cam"))
    await b.manager.pull("cam", c.whep("cam"))
    for end in (a, b):
        with pytest.raises(UpstreamError) as refused:
            await c.manager.pull("cam", end.whep("cam"))
        assert refused.value.answered == 409
    await c.manager.pull("cam", a.whep("another"))


async def test_a_stream_is_not_pushed_to_where_it_is_pulled_from(start: Start) -> None:
    a, b = [await start() for _ in range(2)]
    await b.manager.pull("cam", a.whep("cam"))
    with pytest.raises(UpstreamError) as refused:
        await b.manager.push("cam", a.whip("cam"))
    assert refused.value.answered == 409
    await b.manager.push("cam", a.whip("copy"))
    assert a.live("cam", "publish") == []


async def test_a_stream_is_not_pulled_from_where_it_is_pushed_to(start: Start) -> None:
    a, b = [await start() for _ in range(2)]
    session = await b.manager.pull("cam", a.whep("origin"))
    await b.manager.push("cam", a.whip("cam"))
    await b.manager.stop_pull("cam", session)
    with pytest.raises(UpstreamError) as refused:
        await b.manager.pull("cam", a.whep("cam"))
    assert refused.value.answered == 409


async def test_an_on_demand_source_is_not_the_stream_itself(start: Start) -> None:
    """It is told so at once, and not when the time to wait is over."""
    node = await start("[stream.cam]\non_demand = true\n[[stream.cam.sources]]\nurl = 'whep://127.0.0.1:1/x'\n")
    stream = node.manager._registry.streams["cam"]
    client = Client(loopback=True, marks=frozenset({stream.mark}))
    with pytest.raises(Conflict):
        await node.manager.play("cam", watch("opus", "vp8"), client=client)
    assert stream.life.phase == "idle"
