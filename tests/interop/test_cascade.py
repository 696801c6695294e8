"""Three nodes: A is published to, B pulls from A and pushes to C, a browser plays from C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.gateway import Gateway, free_port, running_gateway
from tests.http.doors import scoped
from tests.interop.arrivals import noting, percentile
from tests.interop.checks import wait_until
from tests.interop.conftest import with_client
from tests.interop.nodes import CAMERA, HOP_MS, OBS, connected, live, publisher, pulls_and_pushes
from tests.interop.peers import playing
from tests.interop.programs import ffmpeg_publisher
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

    from playwright.async_api import Browser, Page

FIRST_FRAME_MS = 1000
RETURN_SECONDS = 5
FORGOTTEN_SECONDS = 40


async def ask(gateway: Gateway, method: str, path: str, json: object = None) -> int:
    async with aiohttp.ClientSession() as client, client.request(method, gateway.url + path, json=json) as response:
        await response.read()
        return response.status


@contextlib.asynccontextmanager
async def chain(directory: Path) -> AsyncIterator[tuple[Gateway, Gateway, Gateway]]:
    """A, B and C with the stream on its way through them."""
    async with (
        running_gateway(directory) as a,
        running_gateway(directory) as c,
        publisher(a),
        running_gateway(directory, config=pulls_and_pushes(a, c)) as b,
    ):
        await eventually(lambda: connected(c))
        yield a, b, c


async def first_frame(browser: Browser, gateway: Gateway) -> tuple[Page, float]:
    page = await with_client(await browser.new_page(), gateway)
    await page.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/cam"})
    return page, await wait_until(page, "t.firstFrame()")


async def assert_first_frame_is_soon(browser: Browser, gateway: Gateway) -> None:
    """The best of three: other programs share this machine, and what they take is not the gateways'."""
    seen = []
    for _ in range(3):
        page, milliseconds = await first_frame(browser, gateway)
        await page.close()
        seen.append(milliseconds)
    assert min(seen) < FIRST_FRAME_MS, seen


async def assert_hops_are_short(*gateways: Gateway) -> None:
    async with contextlib.AsyncExitStack() as stack:
        notes = [await stack.enter_async_context(noting(f"{gateway.url}/whep/cam")) for gateway in gateways]
        await eventually(lambda: _all_have(notes, 200), within=30)
        for note in notes:
            note.clear()  # each was shown what had been before it came
        await eventually(lambda: _all_have(notes, 300), within=30)
    for before, after in pairwise(notes):
        assert percentile(after.later_than(before), 0.95) < HOP_MS


async def _all_have(notes: list[Any], count: int) -> bool:
    return len(set.intersection(*(set(arrivals) for arrivals in notes))) >= count


@pytest.mark.live777_case(12)
async def test_by_configuration(tmp_path: Path, chromium: Browser) -> None:
    async with chain(tmp_path) as (a, b, c):
        await assert_first_frame_is_soon(chromium, c)
        await assert_hops_are_short(a, b, c)
        ((pulled,), viewers), ((published,), _) = await live(b), await live(c)
        (pushed,) = (viewer for viewer in viewers if "cascade" in viewer)
        watched = pulled["cascade"]["sessionUrl"].rpartition("/")[2]
        assert pulled["id"] == "virtual-source"
        assert watched in {viewer["id"] for viewer in (await live(a))[1]}
        assert pulled["cascade"] == {
            "sourceUrl": f"{a.url}/whep/cam",
            "sessionUrl": f"{a.url}/session/cam/{watched}",
        }
        assert pushed["cascade"] == {
            "targetUrl": f"{c.url}/whip/cam",
            "sessionUrl": f"{c.url}/session/cam/{published['id']}",
        }
        assert await b.get("/api/sources") == {
            "sources": [{"id": "cam", "stream_id": "cam", "source_type": "whep", "state": "Connected"}]
        }
        await b.terminate()
        await eventually(lambda: _gone(a, watched), within=3)
        await eventually(lambda: _gone(c, published["id"]), within=3)


async def _gone(gateway: Gateway, session: str) -> bool:
    return all(one["id"] != session for side in await live(gateway) for one in side)


async def _live_counts(gateway: Gateway, publishers: int, viewers: int) -> bool:
    found = await live(gateway)
    return (len(found[0]), len(found[1])) == (publishers, viewers)


async def test_by_the_api(tmp_path: Path, chromium: Browser) -> None:
    async with (
        running_gateway(tmp_path) as a,
        running_gateway(tmp_path) as b,
        running_gateway(tmp_path) as c,
        publisher(a),
    ):
        assert await ask(b, "POST", "/api/cascade/cam", {"sourceUrl": f"{a.url}/whep/cam"}) == 200
        assert await ask(b, "POST", "/api/cascade/cam", {"sourceUrl": f"{a.url}/whep/cam"}) == 409
        await eventually(lambda: connected(b))
        assert await ask(b, "POST", "/api/cascade/cam", {"targetUrl": f"{c.url}/whip/cam"}) == 200
        await eventually(lambda: connected(c))
        await assert_first_frame_is_soon(chromium, c)
        await assert_hops_are_short(a, b, c)
        ((pulled,), viewers), ((published,), _) = await live(b), await live(c)
        (pushed,) = (viewer for viewer in viewers if "cascade" in viewer)
        watched = pulled["cascade"]["sessionUrl"].rpartition("/")[2]
        assert await ask(b, "DELETE", f"/session/cam/{pushed['id']}") == 204
        await eventually(lambda: _gone(c, published["id"]), within=3)
        assert await connected(b)
        assert await ask(b, "DELETE", f"/session/cam/{pulled['id']}") == 204
        await eventually(lambda: _gone(a, watched), within=3)
        assert await b.stream("cam") is None


@pytest.mark.parametrize(
    "forgotten", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["returns", "and is forgotten"]
)
async def test_b_is_killed_and_comes_back(tmp_path: Path, chromium: Browser, *, forgotten: bool) -> None:
    """Its sessions from before end with the consent that they were given, half a minute later (RFC 7675)."""
    async with running_gateway(tmp_path) as a, running_gateway(tmp_path) as c, publisher(a):
        port, config = free_port(), pulls_and_pushes(a, c)
        async with running_gateway(tmp_path, config=config, port=port) as b:
            await eventually(lambda: connected(c))
            page, _ = await first_frame(chromium, c)
            session = (await live(c))[1][0]["id"]
            b.process.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            await wait_until(page, "t.quietFor(1000)", within=5)
        async with running_gateway(tmp_path, config=config, port=port):
            await page.evaluate("() => { t.counters().length = 0 }")
            await wait_until(page, "t.counters().length > 15", within=RETURN_SECONDS)
            if forgotten:
                remaining = FORGOTTEN_SECONDS - (time.monotonic() - killed)
                await eventually(lambda: _live_counts(a, 1, 1), within=remaining)
                await eventually(lambda: _live_counts(c, 1, 1), within=remaining)
            assert [viewer["id"] for viewer in (await live(c))[1]] == [session]
            await page.evaluate("() => { t.counters().length = 0 }")
            await wait_until(page, "t.counters().length > 30")


async def test_a_is_killed_and_comes_back(tmp_path: Path, chromium: Browser) -> None:
    """B gives the source up when nothing is heard of it, and does not wait for the end of consent."""
    port = free_port()
    async with contextlib.AsyncExitStack() as later:
        async with running_gateway(tmp_path, port=port) as a, publisher(a):
            config = f'[[stream.cam.sources]]\nurl = "{a.url.replace("http", "whep")}/whep/cam"\n'
            b = await later.enter_async_context(running_gateway(tmp_path, config=config))
            await eventually(lambda: connected(b))
            page, _ = await first_frame(chromium, b)
            session = (await live(b))[1][0]["id"]
            a.process.send_signal(signal.SIGKILL)
            await wait_until(page, "t.quietFor(1000)", within=5)
        a = await later.enter_async_context(running_gateway(tmp_path, port=port))
        await later.enter_async_context(publisher(a))
        await page.evaluate("() => { t.counters().length = 0 }")
        await wait_until(page, "t.counters().length > 15", within=20)
        assert [viewer["id"] for viewer in (await live(b))[1]] == [session]


async def _is(asked: Awaitable[object], expected: object) -> bool:
    return await asked == expected


async def _ended(asked: Awaitable[list[str]]) -> bool:
    return set(await asked) <= {"closed"}


LAYERS = [{"rid": rid, "scaleResolutionDownBy": scale} for rid, scale in (("q", 4), ("h", 2), ("f", 1))]


async def test_what_survives_a_hop(tmp_path: Path, chromium: Browser) -> None:
    """A push carries every layer, a pull the best one; both carry data channels, both ways."""
    async with running_gateway(tmp_path) as a, running_gateway(tmp_path) as b, running_gateway(tmp_path) as c:
        camera = await with_client(await chromium.new_page(), a)
        size = {"width": 960, "height": 540, "fps": 10, "video": "VP8", "channels": [{"label": "chat"}]}
        await camera.evaluate("(o) => t.publish(o)", {"url": f"{a.url}/whip/cam", "encodings": LAYERS, **size})
        viewer = await with_client(await chromium.new_page(), a)
        location = await viewer.evaluate("(o) => t.play(o)", {"url": f"{a.url}/whep/cam"})
        await eventually(lambda: _layers(a, location, 3))
        assert await ask(b, "POST", "/api/cascade/cam", {"sourceUrl": f"{a.url}/whep/cam"}) == 200
        assert await ask(a, "POST", "/api/cascade/cam", {"targetUrl": f"{c.url}/whip/cam"}) == 200
        for node, layers in ((b, 0), (c, 3)):
            await eventually(partial(connected, node))
            page = await with_client(await chromium.new_page(), node)
            location = await page.evaluate(
                "(o) => t.play(o)", {"url": f"{node.url}/whep/cam", "channels": [{"label": "chat"}]}
            )
            await wait_until(page, "t.width() === 960")
            await eventually(partial(_layers, node, location, layers))
            await camera.evaluate("(m) => t.say('publisher', 'chat', m)", "to all")
            await wait_until(page, "t.heard('viewer').splice(0).join() === 'chat,to all'")
            await page.evaluate("(m) => t.say('viewer', 'chat', m)", "to the camera")
            await wait_until(camera, "t.heard('publisher').splice(0).join() === 'chat,to the camera'")
            if layers:
                assert await ask(node, "POST", location.removeprefix(node.url) + "/layer", {"encodingId": "q"}) == 200
                await wait_until(page, "t.width() === 240")


async def _layers(gateway: Gateway, location: str, count: int) -> bool:
    """Layers are listed when something has been heard of them; without simulcast there are none to list."""
    async with aiohttp.ClientSession() as client, client.get(location + "/layer") as response:
        found = await response.json() if response.status == 200 else []
    return len([layer for layer in found if layer["active"]]) == count


async def test_tokens(tmp_path: Path) -> None:
    """Of both neighbours, in the URL and in the request; no log has them."""
    upstream = '[auth]\ntokens = ["hunter-admin"]\nsecret = "hunter-secret"\n'
    token = scoped("cam", 6, secret="hunter-secret")["Authorization"].split()[1]
    admin = {"Authorization": "Bearer hunter-admin"}
    async with running_gateway(tmp_path, config=upstream) as a:
        config = (
            f'[[stream.cam.sources]]\nurl = "{a.url.replace("http://", f"whep://{token}@")}/whep/cam"\n'
            f'[[stream.cam.targets]]\nurl = "{a.url.replace("http://", "whip://hunter-admin@")}/whip/copy"\n'
            f'[[stream.stranger.sources]]\nurl = "{a.url.replace("http://", "whep://hunter-guess@")}/whep/cam"\n'
        )
        url = a.url.replace("http://", "http://hunter-user@")
        async with (
            aiohttp.ClientSession(headers=admin) as client,
            running_gateway(tmp_path, config=config) as b,
            ffmpeg_publisher(f"{a.url}/whip/cam", inputs=CAMERA, options=OBS, token=token),
        ):

            async def states() -> list[str]:
                async with client.get(f"{a.url}/api/streams/copy") as response:
                    view = await response.json() if response.status == 200 else {"publish": {"sessions": []}}
                return [session["state"] for session in view["publish"]["sessions"]]

            await eventually(lambda: _is(states(), ["connected"]))
            sources = {source["id"]: source["state"] for source in (await b.get("/api/sources"))["sources"]}
            assert sources == {"cam": "Connected", "stranger": "Error"}
            assert await ask(b, "POST", "/api/cascade/x", {"sourceUrl": f"{url}/whep/cam", "token": "hunter-no"}) == 502
            said = str(await b.get("/api/streams/"))
            await b.terminate()
            await eventually(lambda: _ended(states()))
    for text in ("\n".join(a.log), "\n".join(b.log), said):
        assert "hunter" not in text
        assert token not in text


async def test_a_reload_adds_a_target_and_takes_a_source_away(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as a, running_gateway(tmp_path) as c, publisher(a):
        both = pulls_and_pushes(a, c)
        source = both[: both.index("[[stream.cam.targets]]")]
        async with running_gateway(tmp_path, config=source) as b:
            await b.logged("connected to")
            (pulled,), _ = await live(b)
            b.configure(both)
            assert await ask(b, "POST", "/api/config/reload") == 200
            await eventually(lambda: connected(c))
            assert (await live(b))[0][0]["cascade"] == pulled["cascade"]
            assert await ask(b, "DELETE", "/api/sources/cam") == 409
            b.configure("")
            assert await ask(b, "POST", "/api/config/reload") == 200
            await eventually(lambda: _live_counts(c, 0, 0), within=5)
            await eventually(lambda: _live_counts(a, 1, 0), within=5)
            assert await b.get("/api/sources") == {"sources": []}


async def test_on_demand(tmp_path: Path) -> None:
    close_after = 1.5
    async with running_gateway(tmp_path) as a, publisher(a):
        config = (
            f"[stream.cam]\non_demand = true\non_demand_close_after_ms = {int(close_after * 1000)}\n"
            f'[[stream.cam.sources]]\nurl = "{a.url}/whep/cam"\n'
        )
        async with running_gateway(tmp_path, config=config) as b:
            await eventually(lambda: connected(a))
            view = await b.stream("cam")
            assert view is not None
            assert view["onDemand"]
            assert (await b.get("/api/sources"))["sources"][0]["state"] == "Disconnected"
            assert not any("/whep/cam" in line for line in a.log)
            async with playing(f"{b.url}/whep/cam") as viewer:
                await viewer.frames(10)
                await asyncio.wait_for(viewer.frames(int(close_after * 30) + 30), 20)
            left = time.monotonic()
            await eventually(lambda: _live_counts(a, 1, 0), within=close_after + 3)
            assert time.monotonic() - left >= close_after - 0.5
            await eventually(lambda: _live_counts(b, 0, 0), within=3)
            async with playing(f"{b.url}/whep/cam") as viewer:
                await viewer.frames(10)


async def test_the_example_of_the_api(tmp_path: Path) -> None:
    """Live777's own: web-0 is published; pull is pulled from it, push is what it is pushed to; all on one node."""
    async with running_gateway(tmp_path) as node, publisher(node, "web-0"), playing(f"{node.url}/whep/web-0") as viewer:
        await eventually(lambda: connected(node, "web-0"))
        assert await ask(node, "POST", "/api/cascade/pull", {"token": "", "sourceUrl": f"{node.url}/whep/web-0"}) == 200
        body = {"token": "", "sourceUrl": "", "targetUrl": f"{node.url}/whip/push"}
        assert await ask(node, "POST", "/api/cascade/web-0", body) == 200
        await eventually(lambda: connected(node, "push"))
        await eventually(lambda: connected(node, "pull"))
        streams = {stream["id"]: stream for stream in await node.get("/api/streams/")}
        assert set(streams) == {"push", "pull", "web-0"}
        for stream in streams.values():
            assert {"id", "createdAt", "publish", "subscribe"} <= set(stream)
            for side in ("publish", "subscribe"):
                assert set(stream[side]) == {"leaveAt", "sessions"}
                for session in stream[side]["sessions"]:
                    assert {"id", "createdAt", "state"} <= set(session)
                    assert session["state"] == "connected"
        ((pulled,), (pushed,)) = (streams[name]["publish"]["sessions"] for name in ("pull", "push"))
        viewers = {session["id"]: session for session in streams["web-0"]["subscribe"]["sessions"]}
        (pushing,) = (session for session in viewers.values() if "cascade" in session)
        assert "cascade" not in pushed
        assert pushing["cascade"] == {
            "targetUrl": f"{node.url}/whip/push",
            "sessionUrl": f"{node.url}/session/push/{pushed['id']}",
        }
        assert set(pulled["cascade"]) == {"sourceUrl", "sessionUrl"}
        assert pulled["cascade"]["sourceUrl"] == f"{node.url}/whep/web-0"
        upstream = pulled["cascade"]["sessionUrl"].removeprefix(f"{node.url}/session/web-0/")
        assert set(viewers) == {upstream, pushing["id"], viewer.session.rpartition("/")[2]}
        assert "cascade" not in viewers[upstream]
        for stream in ("push", "pull"):
            assert streams[stream]["publish"]["leaveAt"] == 0
            assert streams[stream]["subscribe"] == {"leaveAt": streams[stream]["createdAt"], "sessions": []}
        assert streams["web-0"]["publish"]["leaveAt"] == streams["web-0"]["subscribe"]["leaveAt"] == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"sourceUrl": "http://127.0.0.1:1/whep/x"}, 502),
        ({"sourceUrl": "http://169.254.169.254/latest/meta-data"}, 403),
        ({"sourceUrl": "http://[::ffff:169.254.169.254]/"}, 403),
        ({"sourceUrl": "http://0.0.0.0:7777/whep/x"}, 403),
        ({"sourceUrl": "file:///etc/passwd"}, 400),
        ({"sourceUrl": "whep://a", "targetUrl": "whip://b"}, 422),
        ({}, 422),
    ],
)
async def test_what_cannot_be_pulled(gateway: Gateway, body: dict[str, str], status: int) -> None:
    assert await ask(gateway, "POST", "/api/cascade/cam", body) == status
    assert await gateway.get("/api/streams/") == []
