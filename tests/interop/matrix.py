"""The cases of `make interop`: what each client does with a gateway, and what is looked at."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import av

from live777py.loadtest.run import Plan, run
from tests.interop import bundle
from tests.interop.checks import assert_moves_on, assert_quadrants, assert_sees_the_picture, wait_until
from tests.interop.chromium import chromium_browser
from tests.interop.conftest import with_client
from tests.interop.firefox import firefox_page
from tests.interop.janus import janus_server
from tests.interop.obs import SIZES, obs_publishing
from tests.interop.peers import counter_of, playing, publishing, quadrants_of
from tests.interop.programs import (
    H264,
    OPUS,
    TEST_PICTURE,
    TEST_TONE,
    ffmpeg,
    ffmpeg_publisher,
    gstreamer_player,
    gstreamer_publisher,
)
from tests.interop.test_go import built
from tests.interop.test_programs import SMPTE_BARS
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from live777py.loadtest.clip import VideoCodec
    from tests.gateway import Gateway
    from tests.interop.clients import Client

BOTH: Final = "publishes and plays"
PUBLISHES: Final = "publishes"
PLAYS: Final = "plays"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A gateway in a network of its own, whose one address beside loopback is `address`."""

    gateway: Gateway
    directory: Path
    address: str

    @property
    def whip(self) -> str:
        return f"{self.gateway.url}/whip/cam"

    @property
    def whep(self) -> str:
        return f"{self.gateway.url}/whep/cam"

    @contextlib.asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        async with chromium_browser() as browser:
            yield await with_client(await browser.new_page(), self.gateway)


@dataclass(frozen=True, kw_only=True)
class Case:
    client: Client
    direction: str
    codecs: str
    run: Callable[[Scene], Awaitable[None]]
    works: str = "works"
    """What the table says of it."""

    def __str__(self) -> str:
        return "-".join(f"{self.client.name} {self.direction} {self.codecs}".replace(",", "").split())


# Browsers


def chromium(codec: str, profile: str | None = None) -> Callable[[Scene], Awaitable[None]]:
    async def both(scene: Scene) -> None:
        async with chromium_browser() as browser:
            await _published(browser, scene, codec, profile)
            viewer = await with_client(await browser.new_page(), scene.gateway)
            await viewer.evaluate("(o) => t.play(o)", {"url": scene.whep})
            await assert_sees_the_picture(viewer)

    return both


def firefox_publishes(codec: str) -> Callable[[Scene], Awaitable[None]]:
    async def publishes(scene: Scene) -> None:
        async with firefox_page() as publisher, scene.page() as viewer:
            await with_client(publisher, scene.gateway)
            await publisher.evaluate("(o) => t.publish(o)", {"url": scene.whip, "video": codec})
            await viewer.evaluate("(o) => t.play(o)", {"url": scene.whep})
            await assert_sees_the_picture(viewer)

    return publishes


def firefox_plays(codec: str) -> Callable[[Scene], Awaitable[None]]:
    async def plays(scene: Scene) -> None:
        async with chromium_browser() as browser, firefox_page() as viewer:
            await _published(browser, scene, codec)
            await with_client(viewer, scene.gateway)
            await viewer.evaluate("(o) => t.play(o)", {"url": scene.whep})
            await assert_sees_the_picture(viewer)

    return plays


async def _published(browser: Browser, scene: Scene, codec: str, profile: str | None = None) -> None:
    page = await with_client(await browser.new_page(), scene.gateway)
    await page.evaluate("(o) => t.publish(o)", {"url": scene.whip, "video": codec, "profile": profile})


# Browser clients from npm

_VIDEO_AND_SOUND: Final = """
    const stream = t.picture({});
    const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
    stream.addTrack(microphone.getAudioTracks()[0]);
"""


def medooze(package: str) -> Callable[[Scene], Awaitable[None]]:
    """whip-whep, and Live777's fork of it."""

    async def both(scene: Scene) -> None:
        exports = [f'export {{ {name}Client }} from "{package}/{name.lower()}.js";' for name in ("WHIP", "WHEP")]
        script = await bundle.bundled(scene.directory, *exports)
        async with chromium_browser() as browser:
            publisher = await with_client(await browser.new_page(), scene.gateway)
            viewer = await with_client(await browser.new_page(), scene.gateway)
            for page in (publisher, viewer):
                await page.evaluate(f"() => {{ {script}; window.npm = npm; }}")
            await publisher.evaluate(
                f"""async (url) => {{ {_VIDEO_AND_SOUND}
                const connection = new RTCPeerConnection();
                for (const track of stream.getTracks()) connection.addTransceiver(track, {{ direction: "sendonly" }});
                window.whip = new npm.WHIPClient();
                await whip.publish(connection, url);
                await t.connected(connection); }}""",
                scene.whip,
            )
            await viewer.evaluate(
                """async (url) => { window.whep = new npm.WHEPClient();
                await t.view((connection) => whep.view(connection, url)); }""",
                scene.whep,
            )
            await assert_sees_the_picture(viewer)
            await viewer.evaluate("() => whep.stop()")
            await publisher.evaluate("() => whip.stop()")
            await eventually(lambda: _gone(scene.gateway))

    return both


async def eyevinn_publishes(scene: Scene) -> None:
    script = await bundle.bundled(scene.directory, 'export { WHIPClient } from "@eyevinn/whip-web-client";')
    async with chromium_browser() as browser:
        publisher = await with_client(await browser.new_page(), scene.gateway)
        viewer = await with_client(await browser.new_page(), scene.gateway)
        await publisher.evaluate(f"() => {{ {script}; window.npm = npm; }}")
        await publisher.evaluate(
            f"""async (url) => {{ {_VIDEO_AND_SOUND}
            window.whip = new npm.WHIPClient({{ endpoint: url, opts: {{ iceServers: [] }} }});
            await whip.setIceServersFromEndpoint();
            await whip.ingest(stream); }}""",
            scene.whip,
        )
        await viewer.evaluate("(o) => t.play(o)", {"url": scene.whep})
        await assert_sees_the_picture(viewer)
        await publisher.evaluate("() => whip.destroy()")
        await eventually(lambda: _gone(scene.gateway))


async def eyevinn_plays(scene: Scene) -> None:
    script = await bundle.bundled(scene.directory, 'export { WebRTCPlayer } from "@eyevinn/webrtc-player";')
    async with chromium_browser() as browser:
        await _published(browser, scene, "VP8")
        viewer = await with_client(await browser.new_page(), scene.gateway)
        await viewer.evaluate(f"() => {{ {script}; window.npm = npm; }}")
        await viewer.evaluate(
            """async (url) => { const video = document.createElement("video");
            Object.assign(video, { autoplay: true, playsInline: true, id: "screen" });
            document.body.append(video);
            const player = (window.player = new npm.WebRTCPlayer({ video, type: "whep", iceServers: [] }));
            await player.load(new URL(url)); }""",
            scene.whep,
        )
        await wait_until(viewer, "t.find('#screen').getVideoPlaybackQuality().totalVideoFrames >= 60")
        assert await viewer.evaluate("() => t.find('#screen').videoWidth") == 640


async def _gone(gateway: Gateway) -> bool:
    return await gateway.stream("cam") is None


# Programs


def ffmpeg_publishes(
    *, active: bool = False, video: bool = True, sound: bool = True
) -> Callable[[Scene], Awaitable[None]]:
    async def publishes(scene: Scene) -> None:
        inputs = (*(TEST_PICTURE if video else ()), *(TEST_TONE if sound else ()))
        options = (*(H264 if video else ()), *(OPUS if sound else ()))
        async with ffmpeg_publisher(scene.whip, inputs=inputs, options=options, active=active), scene.page() as viewer:
            await viewer.evaluate("(o) => t.play(o)", {"url": scene.whep})
            if video:
                await wait_until(viewer, "t.find('video')?.videoWidth === 1280 && t.counters().length >= 60", within=60)
            if sound:
                await wait_until(
                    viewer,
                    "t.viewerStats().then((s) => s['inbound-rtp audio']?.totalAudioEnergy > 0.001)",
                    within=60,
                )

    return publishes


def gstreamer(*codecs: str) -> Callable[[Scene], Awaitable[None]]:
    async def both(scene: Scene) -> None:
        expected = {"samples" if codec in {"opus", "g722", "pcmu"} else "frames" for codec in codecs}
        async with (
            gstreamer_publisher(scene.whip, *codecs),
            gstreamer_player(scene.whep, *codecs) as told,
            asyncio.timeout(90),
        ):
            async for facts in told:
                if facts.get("frames", 0) >= 50:
                    assert_quadrants(facts["bars"], SMPTE_BARS)
                    expected.discard("frames")
                if facts.get("samples", 0) >= 8000 and facts["level"] > 0.5:
                    expected.discard("samples")
                if not expected:
                    return
        raise AssertionError("the player has ended")

    return both


def aiortc(codec: str) -> Callable[[Scene], Awaitable[None]]:
    async def both(scene: Scene) -> None:
        async with publishing(scene.whip, codec=codec), playing(scene.whep) as viewed:
            images = await viewed.frames(60, within=60)
            assert_moves_on([counter_of(image) for image in images], at_least=40)
            assert_quadrants(quadrants_of(images[-1]))
            assert viewed.audio_level > 0.1

    return both


async def obs(scene: Scene) -> None:
    width, _ = SIZES["0"]
    async with obs_publishing(scene.whip), scene.page() as viewer:
        await viewer.evaluate("(o) => t.play(o)", {"url": scene.whep})
        await wait_until(viewer, f"t.width() === {width} && t.counters().length >= 60", within=60)
        assert_quadrants(await viewer.evaluate("() => t.quadrants()"))


async def pion_publishes(scene: Scene) -> None:
    program, clip = await built(scene.directory, "pion"), scene.directory / "clip.ivf"
    encoding = await asyncio.create_subprocess_exec(
        *(ffmpeg(), "-loglevel", "error", *TEST_PICTURE, "-t", "2", "-vf", "scale=640:360"),
        *("-c:v", "libvpx", "-deadline", "realtime", "-g", "30", str(clip)),
    )
    assert await encoding.wait() == 0
    async with _pion(program, "publish", scene.whip, clip), scene.page() as viewer:
        await viewer.evaluate("(o) => t.play(o)", {"url": scene.whep})
        await wait_until(viewer, "t.width() === 640 && t.counters().length >= 60", within=60)


async def pion_plays(scene: Scene) -> None:
    program, clip = await built(scene.directory, "pion"), scene.directory / "seen.ivf"
    async with publishing(scene.whip, codec="VP8"), _pion(program, "play", scene.whep, clip):

        async def enough() -> bool:
            return clip.exists() and clip.stat().st_size > 300_000

        await eventually(enough, within=60)
    with av.open(clip) as container:
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert_moves_on([counter_of(image) for image in images], at_least=20)
    assert_quadrants(quadrants_of(images[-1]))


@contextlib.asynccontextmanager
async def _pion(program: Path, mode: str, url: str, clip: Path) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(program, mode, url, clip, stdin=asyncio.subprocess.PIPE)
    try:
        yield
    finally:
        await process.communicate(b"")  # its input ends
    assert process.returncode == 0


# Servers, of the client peer


def janus_is_published_to(codec: VideoCodec) -> Callable[[Scene], Awaitable[None]]:
    async def published(scene: Scene) -> None:
        async with janus_server(scene.directory, codec) as server:
            over = asyncio.Event()
            plan = Plan(
                mode="whip", url=server.whip, sessions=1, seconds=60.0, ramp=0.0, codec=codec, bind=(scene.address,)
            )
            publishing = asyncio.create_task(run(plan, over))

            async def enough() -> bool:
                return server.video.most >= 200 and server.audio.most >= 100

            await eventually(enough, within=60)
            over.set()
            report = await publishing
            assert report.failures == {}, report
            assert len(server.video.payloads) >= 100

    return published


async def janus_is_played_from(scene: Scene) -> None:
    """Its streaming plugin answers our offer with an offer, which no client of an answer takes."""
    async with janus_server(scene.directory) as server:
        plan = Plan(mode="whep", url=server.whep, sessions=1, seconds=1.0, ramp=0.0, bind=(scene.address,))
        [reason] = (await run(plan, asyncio.Event())).failures
        assert "there is no usable a=setup" in reason
