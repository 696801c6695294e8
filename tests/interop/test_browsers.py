"""Browsers publish every codec that they can encode; browsers play it: decoded, in order, the right picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interop.checks import assert_sees_the_picture, wait_until
from tests.interop.conftest import with_client
from tests.interop.firefox import firefox_page

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.gateway import Gateway


@pytest.mark.live777_case(12)
@pytest.mark.parametrize(
    ("codec", "profile"),
    [("VP8", None), ("VP9", "profile-id=0"), ("H264", "42001f"), ("H264", "4d001f"), ("AV1", None)],
)
async def test_chromium_publishes_and_chromium_plays(
    gateway: Gateway, chromium: Browser, codec: str, profile: str | None
) -> None:
    publisher = await with_client(await chromium.new_page(), gateway)
    viewer = await with_client(await chromium.new_page(), gateway)
    await publisher.evaluate(
        "(o) => t.publish(o)", {"url": f"{gateway.url}/whip/show", "video": codec, "profile": profile}
    )
    await viewer.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/show"})
    stats = await assert_sees_the_picture(viewer)
    video = stats["inbound-rtp video"]
    assert stats["codecs"][video["codecId"]].lower() == f"video/{codec}".lower()
    stream = await gateway.stream("show")
    assert stream is not None
    assert codec.lower() in {entry["codec"] for entry in stream["codecs"]}
    assert stream["publish"]["sessions"][0]["state"] == "connected"


async def test_firefox_publishes_vp8_and_both_browsers_play(
    gateway_beyond_loopback: Gateway, chromium: Browser
) -> None:
    gateway = gateway_beyond_loopback
    async with firefox_page() as publisher, firefox_page() as viewer:
        await with_client(publisher, gateway)
        await with_client(viewer, gateway)
        other = await with_client(await chromium.new_page(), gateway)
        await publisher.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/fox", "video": "VP8"})
        await viewer.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/fox"})
        await other.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/fox"})
        await assert_sees_the_picture(other)
        await assert_sees_the_picture(viewer)


async def test_firefox_plays_what_chromium_publishes(gateway_beyond_loopback: Gateway, chromium: Browser) -> None:
    gateway = gateway_beyond_loopback
    publisher = await with_client(await chromium.new_page(), gateway)
    await publisher.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/show", "video": "VP8"})
    async with firefox_page() as viewer:
        await with_client(viewer, gateway)
        await viewer.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/show"})
        await assert_sees_the_picture(viewer)


@pytest.mark.parametrize("second", ["VP8", "VP9"])
async def test_a_publisher_who_comes_back_keeps_its_viewers(gateway: Gateway, chromium: Browser, second: str) -> None:
    viewer = await with_client(await chromium.new_page(), gateway)
    first = await with_client(await chromium.new_page(), gateway)
    await first.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/again", "video": "VP8"})
    session = await viewer.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/again"})
    await assert_sees_the_picture(viewer)
    await first.close()
    returned = await with_client(await chromium.new_page(), gateway)
    await wait_until(
        returned,
        "fetch('/api/streams/again').then((r) => r.json())"
        ".then((s) => !s.publish.sessions.some((p) => p.state === 'connected'))",
        within=40,
    )
    await returned.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/again", "video": second})
    await viewer.evaluate("() => { t.counters().length = 0 }")
    await assert_sees_the_picture(viewer)
    stream = await gateway.stream("again")
    assert stream is not None
    alive = [s["id"] for s in stream["subscribe"]["sessions"] if s["state"] == "connected"]
    assert alive == [session.rsplit("/", 1)[1]]


async def test_a_viewer_without_the_codec_gets_an_offer(gateway_beyond_loopback: Gateway, chromium: Browser) -> None:
    gateway = gateway_beyond_loopback
    publisher = await with_client(await chromium.new_page(), gateway)
    await publisher.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/show", "video": "H264"})
    async with firefox_page() as viewer:
        await with_client(viewer, gateway)
        with pytest.raises(RuntimeError, match=r"^Error: 406 v=0"):
            await viewer.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/show"})
        stream = await gateway.stream("show")
        assert stream is not None
        assert stream["subscribe"]["sessions"] == []


async def test_a_chromium_publisher_ramps_up(gateway: Gateway, chromium: Browser) -> None:
    """Transport-wide feedback lets the sender leave its 300 kbit/s start far behind."""
    publisher = await with_client(await chromium.new_page(), gateway)
    await publisher.evaluate(
        "(o) => t.publish(o)",
        {"url": f"{gateway.url}/whip/ramp", "video": "VP8", "width": 1280, "height": 720, "bitrate": 4_000_000},
    )
    await wait_until(
        publisher,
        "t.publisherStats().then((s) => s['outbound-rtp video'].targetBitrate >= 2500000)",
        within=60,
    )
