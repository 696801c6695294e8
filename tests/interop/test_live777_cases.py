"""Those of Live777's own black-box cases that need real media, by the numbers of `tests/conformance/test_cases.py`."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.gateway import free_port, running_gateway
from tests.interop.checks import assert_moves_on, assert_sees_the_picture, wait_until
from tests.interop.conftest import with_client
from tests.interop.peers import counter_of, playing, publishing
from tests.interop.programs import ffmpeg_publisher
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.async_api import Browser

    from tests.gateway import Gateway

STATS = ("bytes", "packets", "bitrate")


@pytest.mark.live777_case(5)
async def test_a_publisher_is_connected(gateway: Gateway, chromium: Browser) -> None:
    publisher = await with_client(await chromium.new_page(), gateway)
    await publisher.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/cam"})

    async def connected() -> bool:
        stream = await gateway.stream("cam")
        return stream is not None and [s["state"] for s in stream["publish"]["sessions"]] == ["connected"]

    await eventually(connected)


@pytest.mark.live777_case(6)
@pytest.mark.usefixtures("loopback_candidates")
async def test_media_is_counted(gateway: Gateway) -> None:
    async with publishing(f"{gateway.url}/whip/cam"), playing(f"{gateway.url}/whep/cam") as viewer:
        await viewer.frames(30)

        async def counted() -> dict[str, Any] | None:
            stream = await gateway.stream("cam")
            assert stream is not None
            sides = [stream["stats"][side] for side in ("publish", "subscribe")]
            return stream if all(side[name] > 0 for side in sides for name in STATS) else None

        stream = await eventually(counted)
        assert stream["statsScope"] == "node"
        for side in ("publish", "subscribe"):
            (session,) = stream[side]["sessions"]
            assert all(session["stats"][name] > 0 for name in STATS)
        assert all(count > 0 for count in (await _rtp_bytes(gateway)).values())


@pytest.mark.live777_case(7)
@pytest.mark.usefixtures("loopback_candidates")
async def test_counters_stay_monotonic_while_sessions_come_and_go(gateway: Gateway) -> None:
    async def until(condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async def asked() -> dict[str, Any] | None:
            stream = await gateway.stream("cam")
            return stream if stream is not None and condition(stream) else None

        return await eventually(asked)

    async with contextlib.AsyncExitStack() as publisher_stack:
        publisher = await publisher_stack.enter_async_context(publishing(f"{gateway.url}/whip/cam"))
        async with playing(f"{gateway.url}/whep/cam") as viewer:
            await viewer.frames(10)
            first_id = viewer.session.rpartition("/")[2]
            before = await until(lambda stream: stream["stats"]["subscribe"]["bytes"] > 0)
        after = await until(lambda stream: stream["subscribe"]["sessions"][0]["state"] == "closed")
        (gone,) = after["subscribe"]["sessions"]
        assert gone["id"] == first_id
        assert gone["leaveAt"] > 0
        assert gone["stats"]["bytes"] > 0
        assert gone["stats"]["bitrate"] == 0
        assert after["stats"]["subscribe"]["bytes"] >= before["stats"]["subscribe"]["bytes"]

        async with playing(f"{gateway.url}/whep/cam") as viewer:
            await viewer.frames(10)
            grown = await until(lambda stream: stream["stats"]["subscribe"]["bytes"] > gone["stats"]["bytes"])
            assert {session["state"] for session in grown["subscribe"]["sessions"]} == {"connected", "closed"}

        for transceiver in publisher.getTransceivers():
            transceiver.sender.replaceTrack(None)
        silent = await until(lambda stream: stream["stats"]["publish"]["bitrate"] == 0)
        assert silent["publish"]["sessions"][0]["state"] == "connected"
        counted = await _rtp_bytes(gateway)
    assert await gateway.stream("cam") is None
    assert all(count >= counted[direction] for direction, count in (await _rtp_bytes(gateway)).items())

    async with publishing(f"{gateway.url}/whip/cam"):
        again = await until(lambda stream: stream["stats"]["publish"]["bytes"] > 0)
        assert again["stats"]["subscribe"] == {"bytes": 0, "packets": 0, "bitrate": 0}
        assert again["publish"]["sessions"][0]["id"] != silent["publish"]["sessions"][0]["id"]
        assert again["createdAt"] > silent["createdAt"]


async def _rtp_bytes(gateway: Gateway) -> dict[str, float]:
    """By direction; these never fall, whatever becomes of streams."""
    async with aiohttp.ClientSession() as client, client.get(f"{gateway.url}/metrics") as response:
        text = await response.text()
    return {way: float(value) for way, value in re.findall(r'live777_rtp_bytes_total\{direction="(\w+)"\} (\S+)', text)}


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
