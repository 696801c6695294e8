"""Those of Live777's own black-box cases that need real media, by the numbers of `tests/conformance/test_cases.py`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.gateway import free_port, running_gateway
from tests.interop.checks import assert_moves_on, assert_sees_the_picture, wait_until
from tests.interop.conftest import with_client
from tests.interop.peers import counter_of, playing, publishing
from tests.interop.programs import ffmpeg_publisher
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

    from tests.gateway import Gateway


@pytest.mark.live777_case(5)
async def test_a_publisher_is_connected(gateway: Gateway, chromium: Browser) -> None:
    publisher = await with_client(await chromium.new_page(), gateway)
    await publisher.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/cam"})

    async def connected() -> bool:
        stream = await gateway.stream("cam")
        return stream is not None and [s["state"] for s in stream["publish"]["sessions"]] == ["connected"]

    await eventually(connected)


@pytest.mark.live777_case(9)
async def test_a_viewer_before_a_vp9_publisher(gateway: Gateway, chromium: Browser) -> None:
    viewer = await with_client(await chromium.new_page(), gateway)
    await viewer.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/early"})
    publisher = await with_client(await chromium.new_page(), gateway)
    await publisher.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/early", "video": "VP9"})
    await wait_until(viewer, "t.counters().length > 0", within=10)
    await assert_sees_the_picture(viewer)


@pytest.mark.live777_case(11)
@pytest.mark.usefixtures("loopback_candidates")
async def test_several_publishers_and_several_viewers(gateway: Gateway) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for name in ("load-0", "load-1"):
            await stack.enter_async_context(publishing(f"{gateway.url}/whip/{name}"))
        viewers = [
            await stack.enter_async_context(playing(f"{gateway.url}/whep/{name}"))
            for name in ("load-0", "load-0", "load-1")
        ]
        for viewer in viewers:
            images = await viewer.frames(60)
            assert_moves_on([counter_of(image) for image in images], at_least=50)
            assert viewer.audio_level > 0.1


@pytest.mark.live777_case(11)
@pytest.mark.usefixtures("loopback_candidates")
async def test_a_gateway_that_is_not_there() -> None:
    with pytest.raises(aiohttp.ClientConnectorError):
        async with playing(f"http://127.0.0.1:{free_port()}/whep/load"):
            pytest.fail("nobody listens")


@pytest.mark.live777_case(12)
async def test_media_over_ipv6(tmp_path: Path, chromium: Browser) -> None:
    environment = {"LIVE777_WEBRTC_ICE_UDP_ADDRS": "[::1]:0"}
    async with running_gateway(tmp_path, environment=environment) as gateway:
        viewer = await with_client(await chromium.new_page(), gateway)
        async with ffmpeg_publisher(f"{gateway.url}/whip/six"):
            await viewer.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/six"})
            await wait_until(viewer, "t.width() === 1280", within=30)
            await wait_until(viewer, "t.viewerStats().then((s) => s['inbound-rtp video'].framesDecoded >= 60)")
            assert (await viewer.evaluate("() => t.viewerPair()"))["remote"] == "::1"
