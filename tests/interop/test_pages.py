"""The gateway's pages and elements as people use them: publish in the browser, watch, sign in, embed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, expect

from tests.gateway import running_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, ConsoleMessage, Locator

    from tests.gateway import Gateway

WITHIN_MS = 20_000
NAME = '<img src=x onerror="document.title=1"> & söns'


async def open_page(chromium: Browser, url: str) -> tuple[Page, list[str]]:
    """The page, and what its console says of errors: a Content-Security-Policy violation is one."""
    page = await chromium.new_page()
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(url)
    return page, errors


async def assert_decodes(player: Locator, frames: int = 30) -> None:
    await expect(player).to_have_attribute("data-state", "playing", timeout=WITHIN_MS)
    seen = "async (player) => (await player.stats())?.framesDecoded ?? 0"
    began = await player.evaluate(seen)
    while await player.evaluate(seen) < began + frames:
        await player.evaluate("(player) => new Promise((done) => player.addEventListener('stats', done, {once: true}))")


async def publish(page: Page, name: str, source: str = "Test pattern") -> None:
    await page.get_by_label("Stream name").fill(name)
    await page.get_by_role("button", name=source).click()
    await page.get_by_role("button", name="Start publishing").click()
    await expect(page.locator("whip-publisher")).to_have_attribute("data-state", "live", timeout=WITHIN_MS)


@pytest.mark.parametrize("source", ["Camera", "Screen", "Test pattern"])
async def test_publish_and_play_in_one_page(gateway: Gateway, chromium: Browser, source: str) -> None:
    page, errors = await open_page(chromium, gateway.url)
    await publish(page, "mine", source)
    card = page.get_by_role("article", name="Stream mine")
    await expect(card.get_by_text("Live", exact=True)).to_be_visible(timeout=WITHIN_MS)
    await card.get_by_role("button", name="Play", exact=True).click()
    await assert_decodes(page.locator("whep-player"))
    await card.get_by_role("button", name="Close").click()
    await page.get_by_role("button", name="Stop publishing").click()
    await expect(card).to_have_count(0, timeout=WITHIN_MS)
    assert errors == []


@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264", "AV1"])
async def test_the_chosen_codec_is_sent(gateway: Gateway, chromium: Browser, codec: str) -> None:
    page, errors = await open_page(chromium, gateway.url)
    await page.get_by_label("Codec").select_option(codec)
    await page.get_by_label("Size").select_option("640x360")
    await publish(page, "codec")
    viewer, _ = await open_page(chromium, f"{gateway.url}/tools/player.html?id=codec&autoplay&muted")
    await assert_decodes(viewer.locator("whep-player"))
    assert (
        await viewer.evaluate("async () => (await document.querySelector('whep-player').stats()).videoCodec") == codec
    )
    assert errors == []


async def test_a_viewer_outlives_its_publisher(gateway: Gateway, chromium: Browser) -> None:
    """The player comes first, waits, plays, waits when the publisher goes, and plays again."""
    viewer, _ = await open_page(chromium, f"{gateway.url}/tools/player.html?id=later&autoplay&muted&reconnect=200")
    player = viewer.locator("whep-player")
    await expect(player).to_have_attribute("data-state", "waiting", timeout=WITHIN_MS)
    page, _ = await open_page(chromium, gateway.url)
    for _round in range(2):
        await publish(page, "later")
        await assert_decodes(player)
        await page.get_by_role("button", name="Stop publishing").click()
        await expect(player).to_have_attribute("data-state", "waiting", timeout=WITHIN_MS)


async def test_the_keys_of_the_player_page_need_no_click(gateway: Gateway, chromium: Browser) -> None:
    viewer, _ = await open_page(chromium, f"{gateway.url}/tools/player.html?id=keys&autoplay&muted&controls")
    player = viewer.locator("whep-player")
    await expect(player).to_have_attribute("data-state", "waiting", timeout=WITHIN_MS)
    await viewer.keyboard.press("i")
    await expect(player).to_have_attribute("details", "")
    await viewer.keyboard.press("Tab")
    await viewer.keyboard.press("i")
    await expect(player).not_to_have_attribute("details", "")


async def test_a_stream_destroyed_from_the_list_stays_so(gateway: Gateway, chromium: Browser) -> None:
    page, _ = await open_page(chromium, gateway.url)
    await publish(page, "doomed")
    card = page.get_by_role("article", name="Stream doomed")
    await card.get_by_role("button", name="Destroy the stream").click()
    await card.get_by_role("button", name="Destroy for everybody").click()
    await expect(page.locator("whip-publisher")).to_have_attribute("data-state", "ended", timeout=WITHIN_MS)
    await expect(card).to_have_count(0, timeout=WITHIN_MS)


async def test_a_stream_name_is_only_text(gateway: Gateway, chromium: Browser) -> None:
    page, errors = await open_page(chromium, gateway.url)
    await publish(page, NAME)
    await expect(page.get_by_role("heading", name=NAME, exact=True)).to_be_visible(timeout=WITHIN_MS)
    assert await page.locator("stream-card img").count() == 0
    assert await page.title() == "live777py"
    assert errors == []


async def test_signing_in(tmp_path: Path, chromium: Browser) -> None:
    async with running_gateway(tmp_path, config='[auth]\ntokens = ["secret"]\n') as gateway:
        page, _ = await open_page(chromium, gateway.url)
        dialog = page.get_by_role("dialog")
        for token, message in [("wrong", "asks for a token"), ("Bearer secret", "did not accept")]:
            await expect(dialog).to_contain_text(message, timeout=WITHIN_MS)
            await page.get_by_label("Token").fill(token)
            await page.keyboard.press("Enter")
        await expect(page.get_by_text("Nothing is live yet")).to_be_visible(timeout=WITHIN_MS)
        await publish(page, "guarded")
        await page.get_by_role("article", name="Stream guarded").get_by_role("button", name="Play", exact=True).click()
        await assert_decodes(page.locator("whep-player"))


async def test_elements_embedded_by_another_site(tmp_path: Path, chromium: Browser) -> None:
    """One script tag; the styles of the site do not reach in."""
    async with running_gateway(tmp_path, config="cors = true\n") as gateway:
        html = f"""<!doctype html><style>video {{ display: none }}</style>
            <script type="module" src="{gateway.url}/embed.js"></script>
            <whip-publisher stream="shared" source="pattern" size="640x360" autostart></whip-publisher>
            <whep-player stream="shared" autoplay muted controls reconnect></whep-player>"""

        async def site(_request: web.Request) -> web.Response:
            return web.Response(text=html, content_type="text/html")

        application = web.Application()
        application.router.add_get("/", site)
        async with TestServer(application) as server:
            page = await chromium.new_page()
            await page.goto(str(server.make_url("/")))
            await assert_decodes(page.locator("whep-player"))
            await expect(page.locator("whep-player video")).to_be_visible()


async def test_a_refusal_is_shown_in_words(gateway: Gateway, chromium: Browser) -> None:
    first, _ = await open_page(chromium, gateway.url)
    await publish(first, "taken")
    second, _ = await open_page(chromium, gateway.url)
    await second.locator("whip-publisher").evaluate("(publisher) => publisher.removeAttribute('reconnect')")
    await second.get_by_label("Stream name").fill("taken")
    await second.get_by_role("button", name="Test pattern").click()
    await second.get_by_role("button", name="Start publishing").click()
    await expect(second.locator("whip-publisher")).to_have_attribute("data-state", "error", timeout=WITHIN_MS)
    await expect(second.get_by_role("alert")).to_contain_text("already")
