"""FFmpeg, GStreamer and aiortc against the gateway, as a user runs them."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.gateway import running_gateway
from tests.interop.checks import assert_moves_on, assert_quadrants, assert_sees_the_picture, wait_until
from tests.interop.conftest import load_client, with_client
from tests.interop.peers import counter_of, playing, publishing, quadrants_of
from tests.interop.programs import TEST_PICTURE, ffmpeg, ffmpeg_publisher, gstreamer_player, gstreamer_publisher

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

    from tests.gateway import Gateway

# SMPTE bars at 75 %: grey, yellow, cyan, green, magenta, red, blue from left to right.
SMPTE_BARS = ((191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191))


def likeness(one: list[int], other: np.ndarray) -> float:
    """Correlation of two grey thumbnails: 1 is the same picture, 0 an unrelated one."""
    return float(np.corrcoef(np.asarray(one, float), other.astype(float).ravel())[0, 1])


def reference_thumbnail() -> np.ndarray:
    """FFmpeg's own test picture, made small by FFmpeg."""
    command = [
        *(ffmpeg(), "-v", "error", *TEST_PICTURE, "-frames:v", "1", "-vf", "scale=32:18:flags=area,format=gray"),
        *("-f", "rawvideo", "-"),
    ]
    raw = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=30).stdout
    return np.frombuffer(raw, np.uint8).reshape(18, 32)


@pytest.mark.parametrize("active", [False, True], ids=["passive", "active"])
async def test_the_first_minute(gateway: Gateway, chromium: Browser, active: bool) -> None:
    """The README's FFmpeg line publishes; the gateway's own player page decodes 30 frames a second, with sound."""
    async with ffmpeg_publisher(f"{gateway.url}/whip/demo", active=active):
        page = await chromium.new_page()
        await page.goto(f"{gateway.url}/tools/player.html?id=demo&autoplay&muted")
        await load_client(page)
        await wait_until(page, "t.find('video')?.videoWidth === 1280", within=30)
        frames = (
            "t.find('video').getVideoPlaybackQuality().totalVideoFrames"
            " - t.find('video').getVideoPlaybackQuality().droppedVideoFrames"
        )
        # A busy machine slows the encoder and the browser alike: one stretch in time is enough.
        rates: list[float] = []
        while len(rates) < 5 and not (rates and 27 <= rates[-1] <= 33):
            began = await page.evaluate(f"() => [{frames}, performance.now()]")
            await wait_until(page, f"{frames} >= {began[0] + 90}", within=20)
            ended = await page.evaluate(f"() => [{frames}, performance.now()]")
            rates.append((ended[0] - began[0]) * 1000 / (ended[1] - began[1]))
        assert 27 <= rates[-1] <= 33, rates
        assert likeness(await page.evaluate("() => t.thumbnail('video')"), reference_thumbnail()) > 0.8
        # Chromium measures what it plays: a muted player has no energy.
        await page.evaluate("() => { t.find('whep-player').muted = false; }")
        await wait_until(page, "(t.find('whep-player').stats()).then((s) => s.audioEnergy > 0.001)")


@pytest.mark.parametrize("codec", ["vp8", "h264"])
async def test_gstreamer_publishes(gateway_beyond_loopback: Gateway, chromium: Browser, codec: str) -> None:
    gateway = gateway_beyond_loopback
    viewer = await with_client(await chromium.new_page(), gateway)
    async with gstreamer_publisher(f"{gateway.url}/whip/gst", codec, "opus"):
        await viewer.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/gst"})
        await wait_until(viewer, "t.counters().length >= 50")
        bars = await viewer.evaluate(
            """() => { const c = t.find('video'); const k = document.createElement('canvas');
            Object.assign(k, {width: 70, height: 3}); const x = k.getContext('2d'); x.imageSmoothingQuality = 'high';
            x.drawImage(c, 0, 0, c.videoWidth, c.videoHeight * 0.6, 0, 0, 70, 3);
            return Array.from({length: 7}, (_, i) => [...x.getImageData(10 * i + 5, 1, 1, 1).data].slice(0, 3)); }"""
        )
        assert_quadrants(bars, SMPTE_BARS)
        await wait_until(viewer, "t.viewerStats().then((s) => s['inbound-rtp audio'].totalAudioEnergy > 0.001)")


@pytest.mark.live777_case(12)
@pytest.mark.parametrize(
    "codecs",
    [
        ("vp9",), ("h265",), ("g722",), ("pcmu",),
        ("vp8", "opus"), ("h264", "opus"), ("h264", "g722"), ("h265", "opus"),
    ],
    ids="+".join,
)  # fmt: skip
async def test_gstreamer_publishes_and_plays(gateway_beyond_loopback: Gateway, codecs: tuple[str, ...]) -> None:
    gateway = gateway_beyond_loopback
    expected = {"frames" if codec in {"vp8", "vp9", "h264", "h265"} else "samples" for codec in codecs}
    async with (
        gstreamer_publisher(f"{gateway.url}/whip/gst", *codecs),
        gstreamer_player(f"{gateway.url}/whep/gst", *codecs) as told,
        asyncio.timeout(60),
    ):
        async for facts in told:
            if facts.get("frames", 0) >= 50:
                assert facts["size"] == [640, 360]
                assert_quadrants(facts["bars"], SMPTE_BARS)
                expected.discard("frames")
            if facts.get("samples", 0) >= 8000 and facts["level"] > 0.5:
                expected.discard("samples")
            if not expected:
                return
    pytest.fail("the player ended")


@pytest.mark.live777_case(12)
async def test_4k(gateway_beyond_loopback: Gateway) -> None:
    gateway = gateway_beyond_loopback
    async with (
        gstreamer_publisher(f"{gateway.url}/whip/big", "vp9", size="3840x2160"),
        gstreamer_player(f"{gateway.url}/whep/big", "vp9") as told,
        asyncio.timeout(90),
    ):
        async for facts in told:
            if facts["frames"] >= 10:
                assert facts["size"] == [3840, 2160]
                assert_quadrants(facts["bars"], SMPTE_BARS)
                return
    pytest.fail("the player ended")


@pytest.mark.usefixtures("loopback_candidates")
@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_aiortc_publishes_and_plays(gateway: Gateway, codec: str) -> None:
    async with publishing(f"{gateway.url}/whip/rtc", codec=codec), playing(f"{gateway.url}/whep/rtc") as viewed:
        images = await viewed.frames(60)
        assert_moves_on([counter_of(image) for image in images], at_least=50)
        assert_quadrants(quadrants_of(images[-1]))
        assert viewed.audio_level > 0.1


@pytest.mark.usefixtures("loopback_candidates")
async def test_chromium_publishes_and_aiortc_plays(gateway: Gateway, chromium: Browser) -> None:
    publisher = await with_client(await chromium.new_page(), gateway)
    await publisher.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/show", "video": "VP8"})
    async with playing(f"{gateway.url}/whep/show") as viewed:
        images = await viewed.frames(60)
        assert_moves_on([counter_of(image) for image in images], at_least=20)
        assert_quadrants(quadrants_of(images[-1]))


@pytest.mark.usefixtures("loopback_candidates")
async def test_aiortc_publishes_and_chromium_plays(gateway: Gateway, chromium: Browser) -> None:
    viewer = await with_client(await chromium.new_page(), gateway)
    async with publishing(f"{gateway.url}/whip/rtc"):
        await viewer.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/rtc"})
        await assert_sees_the_picture(viewer)


@pytest.mark.usefixtures("loopback_candidates")
async def test_a_gateway_with_full_ice(tmp_path: Path, chromium: Browser) -> None:
    """`webrtc.ice_lite = false`: the gateway checks back, and every client that plays or publishes answers."""
    async with running_gateway(tmp_path, config="[webrtc]\nice_lite = false\n") as gateway:
        viewer = await with_client(await chromium.new_page(), gateway)
        async with publishing(f"{gateway.url}/whip/rtc"), playing(f"{gateway.url}/whep/rtc") as viewed:
            await viewer.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/rtc"})
            await viewed.frames(30)
            await assert_sees_the_picture(viewer)
        async with ffmpeg_publisher(f"{gateway.url}/whip/demo"):
            other = await with_client(await chromium.new_page(), gateway)
            await other.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/demo"})
            await wait_until(other, "t.find('video')?.videoWidth === 1280", within=30)
