"""Takes the screenshots of docs/images: a gateway of its own, streams published by Chromium, the pages as they are.

`make screenshots` runs it; it needs the built pages, Chromium and the packages of the test group.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp.test_utils import TestServer
from livekit import api
from playwright.async_api import expect

ROOT: Final = Path(__file__).parent.parent
IMAGES: Final = ROOT / "docs/images"
sys.path.insert(0, str(ROOT))

from tests.conformance.livekit_server import KEY, KEYS, SECRET, livekit_server, token  # noqa: E402
from tests.gateway import Gateway, running_gateway  # noqa: E402 (the tests are no installed package)
from tests.interop.chromium import chromium_browser  # noqa: E402
from tests.interop.recordings import Recording, RecordingServer, make_recording  # noqa: E402

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

CONFIG: Final = """\
[stream.camera-gate]
on_demand = true
[[stream.camera-gate.sources]]
url = "whep://127.0.0.1:1/whep/gate"

[stream.rehearsal]
"""
STANDUP: Final = "standup"
WIDTHS: Final = {1280: 860, 390: 844}
"""Width and height of the windows."""
SCHEMES: Final = ("light", "dark")
WITHIN_MS: Final = 60_000
HISTORY_SECONDS: Final = 75
LARGEST: Final = 150_000
"""Bytes of an image."""


async def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        config = f'{CONFIG}{KEYS}[store]\npath = "{directory}/store.db"\n'
        async with running_gateway(Path(directory), config=config) as gateway, chromium_browser() as browser:
            await publish(browser, gateway, "stage", 'source="pattern" size="640x360" codec="vp8"')
            await publish(browser, gateway, "lobby", 'source="camera" size="640x360" codec="h264"')
            await dashboard(browser, gateway)
            await player(browser, gateway)
            await debugger(browser, gateway)
            await rooms(browser, gateway)
            await recordings(browser, Path(directory))


async def publish(browser: Browser, gateway: Gateway, stream: str, attributes: str) -> None:
    """From a page that holds nothing else."""
    page = await browser.new_page()
    await page.goto(f"{gateway.url}/api/info")
    await page.evaluate(
        """async ([url, html]) => {
            await import(url);
            document.body.innerHTML = html;
        }""",
        [f"{gateway.url}/embed.js", f'<whip-publisher stream="{stream}" {attributes} autostart></whip-publisher>'],
    )
    await expect(page.locator("whip-publisher")).to_have_attribute("data-state", "live", timeout=WITHIN_MS)


async def dashboard(browser: Browser, gateway: Gateway) -> None:
    watching = [await playing(browser, f"{gateway.url}/tools/player.html?id=lobby&autoplay&muted") for _ in range(2)]
    page = await browser.new_page()
    await page.goto(gateway.url)
    await page.get_by_role("row", name="Stream stage").get_by_role("button", name="Play").click()
    await expect(page.locator("stream-panel whep-player")).to_have_attribute("data-state", "playing", timeout=WITHIN_MS)
    await page.wait_for_function(
        """(seconds) => {
            const panel = document.querySelector("gateway-home").shadowRoot.querySelector("stream-table").shadowRoot
                .querySelector("stream-panel");
            const at = panel.series?.at ?? [];
            return at.at(-1) - at[0] >= seconds;
        }""",
        arg=HISTORY_SECONDS,
        timeout=2 * WITHIN_MS,
    )
    await take(page, "dashboard")
    for viewer in (*watching, page):
        await viewer.close()


async def player(browser: Browser, gateway: Gateway) -> None:
    page = await playing(browser, f"{gateway.url}/tools/player.html?id=stage&autoplay&controls&muted")
    await page.keyboard.press("i")
    await expect(page.get_by_role("region", name="Statistics").get_by_text("Latency")).to_be_visible(timeout=WITHIN_MS)
    await page.wait_for_function(
        "(player) => player.reading.framesDecoded > 100", arg=await page.locator("whep-player").element_handle()
    )
    await page.get_by_role("button", name="Stop").hover()
    await take(page, "player", whole=False)
    await page.close()


async def debugger(browser: Browser, gateway: Gateway) -> None:
    page = await browser.new_page()
    await page.goto(f"{gateway.url}/tools/debugger.html?id=test&vcodec=vp8")
    await page.get_by_role("combobox", name="Layers").select_option("3")
    await page.get_by_role("button", name="Start publishing").click()
    await expect(page.locator("whip-publisher")).to_have_attribute("data-state", "live", timeout=WITHIN_MS)
    await page.get_by_role("button", name="Play", exact=True).first.click()
    await expect(page.locator("whep-player")).to_have_attribute("data-state", "playing", timeout=WITHIN_MS)
    await expect(page.get_by_label("Latency")).to_contain_text("ms", timeout=WITHIN_MS)
    for side, text in (("Publish", "Hello, viewers"), ("Play", "Hello, publisher")):
        section = page.get_by_role("region", name=side, exact=True)
        await section.get_by_label("Message", exact=True).fill(text)
        await section.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("log", name="messages").nth(1)).to_contain_text("← Hello")
    await page.get_by_role("button", name="Refresh").click()
    await expect(page.get_by_role("button", name="Medium")).to_be_visible(timeout=WITHIN_MS)
    await page.get_by_role("button", name="High").click()
    await page.wait_for_function(
        "(player) => player.video.videoWidth === 960", arg=await page.locator("whep-player").element_handle()
    )
    await take(page, "debugger")
    await page.close()


async def rooms(browser: Browser, gateway: Gateway) -> None:
    async with livekit_server(gateway.url) as livekit:
        metadata = '{"title": "Daily", "language": "en"}'
        await livekit.api.room.create_room(api.CreateRoomRequest(name=STANDUP, metadata=metadata, max_participants=12))
        await livekit.api.room.create_room(api.CreateRoomRequest(name="evening-show"))
        for identity, attributes in (
            ("alice", 'source="camera" size="640x360" codec="h264"'),
            ("bob", 'source="pattern" size="640x360" codec="vp8"'),
        ):
            bearer = token(identity, name=identity.capitalize(), room_join=True, room=STANDUP)
            await publish(browser, gateway, f"{identity}@{STANDUP}", f'{attributes} token="{bearer}"')
        await livekit.play(f"bob@{STANDUP}", identity="carol", room=STANDUP, can_publish=False)
        alice = await livekit.publisher(STANDUP, "alice")
        await livekit.api.room.update_participant(
            api.UpdateParticipantRequest(room=STANDUP, identity="alice", attributes={"seat": "12", "role": "host"})
        )
        await livekit.api.room.mute_published_track(
            api.MuteRoomTrackRequest(room=STANDUP, identity="alice", track_sid=alice[1].sid, muted=True)
        )
        page = await browser.new_page()
        await page.goto(f"{gateway.url}/rooms.html?room={STANDUP}")
        await page.get_by_label("Key", exact=True).fill(KEY)
        await page.get_by_label("Secret").fill(SECRET)
        await page.get_by_role("button", name="Continue").click()
        await expect(page.locator("participant-card")).to_have_count(3, timeout=WITHIN_MS)
        await expect(page.get_by_text("640").first).to_be_visible(timeout=WITHIN_MS)
        await take(page, "rooms")
        await page.get_by_role("button", name="Make token").click()
        await page.get_by_label("Identity").fill("dora")
        await page.get_by_role("dialog").get_by_role("button", name="Make token").click()
        await expect(page.get_by_role("status", name="The token")).to_be_visible()
        await take(page, "rooms-token", whole=False)
        await page.close()


async def recordings(browser: Browser, directory: Path) -> None:
    """Recordings of several days: those of a gateway that has just started would be of today."""
    await asyncio.to_thread(make_recording, directory / "media", seconds=12)
    now = time.time()
    made = [
        Recording("stage", now - 8, directory / "media", segments=4),
        *(
            Recording(name, now - days * 86400 - 7200, directory / "media")
            for days, name in enumerate(["stage", "lobby", "stage", "camera-gate"])
        ),
        Recording("lobby", now - 3600, directory / "media", status="Failed", reason="The disk is full."),
    ]
    async with TestServer(RecordingServer(made).app()) as server:
        page = await browser.new_page()
        await page.goto(str(server.make_url("/recordings.html")))
        cards = page.locator("recording-card")
        await expect(cards).to_have_count(len(made))
        # The pictures load when they come into sight, in every width.
        await page.set_viewport_size({"width": 1280, "height": 3000})
        await expect(page.locator("recording-card img")).to_have_count(len(made), timeout=WITHIN_MS)
        await cards.nth(2).get_by_role("button", name="Play", exact=True).click()
        await expect(page.locator("dash-player")).to_have_attribute("data-state", "playing", timeout=WITHIN_MS)
        await page.locator("dash-player").get_by_role("button", name="Pause (k)").click()
        await take(page, "recordings")
        await page.close()


async def playing(browser: Browser, url: str) -> Page:
    page = await browser.new_page()
    await page.goto(url)
    await expect(page.locator("whep-player")).to_have_attribute("data-state", "playing", timeout=WITHIN_MS)
    return page


async def take(page: Page, name: str, *, whole: bool = True) -> None:
    """The page in every width and colour scheme; `whole` reaches beyond the window."""
    devtools = await page.context.new_cdp_session(page)
    for width, height in WIDTHS.items():
        await page.set_viewport_size({"width": width, "height": height})
        if whole:
            height = await page.evaluate("() => document.documentElement.scrollHeight")  # noqa: PLW2901
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            # Two frames: layout, then the plots.
            await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
            options = {"format": "webp", "quality": 80, "captureBeyondViewport": whole, "clip": clip}
            image = base64.b64decode((await devtools.send("Page.captureScreenshot", options))["data"])
            if len(image) > LARGEST:
                sys.exit(f"{name} {width} {scheme} has {len(image)} bytes")
            (IMAGES / f"{name}-{width}-{scheme}.webp").write_bytes(image)
            print(f"{name}-{width}-{scheme}.webp {len(image) // 1000} kB")  # noqa: T201 (a script)


asyncio.run(main())
