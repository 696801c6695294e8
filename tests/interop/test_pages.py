"""The gateway's pages and elements as people use them: publish in the browser, watch, sign in, embed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, expect

from tests.gateway import free_port, running_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, ConsoleMessage, Locator

    from tests.gateway import Gateway

WITHIN_MS = 20_000
DESCRIPTOR = "dependency-descriptor-rtp-header-extension"
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


def row(page: Page, name: str) -> Locator:
    """The stream in the dashboard's table."""
    return page.get_by_role("row", name=f"Stream {name}", exact=True)


async def publish(page: Page, name: str, source: str = "Test pattern") -> None:
    await page.get_by_role("textbox", name="Stream name").fill(name)
    await page.get_by_role("button", name=source).click()
    await page.get_by_role("button", name="Start publishing").click()
    await expect(page.locator("whip-publisher")).to_have_attribute("data-state", "live", timeout=WITHIN_MS)


@pytest.mark.parametrize("source", ["Camera", "Screen", "Test pattern"])
async def test_publish_and_play_in_one_page(gateway: Gateway, chromium: Browser, source: str) -> None:
    page, errors = await open_page(chromium, gateway.url)
    await publish(page, "mine", source)
    stream = row(page, "mine")
    await expect(stream.get_by_text("Live", exact=True)).to_be_visible(timeout=WITHIN_MS)
    await stream.get_by_role("button", name="Play", exact=True).click()
    await assert_decodes(page.locator("whep-player"))
    await stream.get_by_role("button", name="Close").click()
    await page.get_by_role("button", name="Stop publishing").click()
    await expect(stream).to_have_count(0, timeout=WITHIN_MS)
    assert errors == []


@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264", "AV1"])
async def test_the_chosen_codec_is_sent(gateway: Gateway, chromium: Browser, codec: str) -> None:
    page, errors = await open_page(chromium, gateway.url)
    await page.get_by_label("Video codec").select_option(codec)
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


async def test_the_player_offers_to_get_fewer_layers_of_av1(gateway: Gateway, chromium: Browser) -> None:
    """Chromium leaves the dependency descriptor out of an offer unless it is asked for."""
    viewer = await chromium.new_page()
    async with viewer.expect_request("**/whep/layers") as request:
        await viewer.goto(f"{gateway.url}/tools/player.html?id=layers&autoplay&muted")
    offer = (await request.value).post_data
    assert offer is not None
    _, audio, video = offer.split("m=")
    assert DESCRIPTOR not in audio
    assert DESCRIPTOR in video


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
    stream = row(page, "doomed")
    await stream.get_by_role("button", name="Details of doomed").click()
    await page.get_by_role("button", name="Destroy the stream").click()
    await page.get_by_role("button", name="Destroy for everybody").click()
    await expect(page.locator("whip-publisher")).to_have_attribute("data-state", "ended", timeout=WITHIN_MS)
    await expect(stream).to_have_count(0, timeout=WITHIN_MS)


async def test_a_client_is_kicked_and_the_last_one_is_the_publisher(gateway: Gateway, chromium: Browser) -> None:
    page, _ = await open_page(chromium, gateway.url)
    await publish(page, "show")
    viewer, _ = await open_page(chromium, f"{gateway.url}/tools/player.html?id=show&autoplay&muted")
    await assert_decodes(viewer.locator("whep-player"))
    await expect(row(page, "show").get_by_role("cell").nth(1)).to_have_text("1", timeout=WITHIN_MS)
    await page.get_by_role("button", name="Clients of show").click()
    clients = page.get_by_role("dialog", name="Clients")
    await clients.get_by_role("button", name="Kick viewer").click()
    await expect(viewer.locator("whep-player")).to_have_attribute("data-state", "ended", timeout=WITHIN_MS)
    await expect(clients.get_by_role("row", name="Viewer")).to_contain_text("closed", timeout=WITHIN_MS)
    await clients.get_by_role("row", name="Publisher").get_by_role("button", name="Kick").click()
    await clients.get_by_role("button", name="End the stream").click()
    await expect(page.locator("whip-publisher")).to_have_attribute("data-state", "ended", timeout=WITHIN_MS)


async def test_streams_are_made_filtered_and_destroyed(tmp_path: Path, chromium: Browser) -> None:
    config = "[strategy]\nauto_create_whip = false\nauto_create_whep = false\n[stream.studio]\n"
    async with running_gateway(tmp_path, config=config) as gateway:
        page, _ = await open_page(chromium, gateway.url)
        await expect(row(page, "studio").get_by_text("config")).to_be_visible(timeout=WITHIN_MS)
        dialog = page.get_by_role("dialog", name="New stream")
        for name, outcome in [("stage 1", "made"), ("studio", "refused")]:
            await page.get_by_role("button", name="New stream").click()
            await dialog.get_by_label("Stream name").fill(name)
            await dialog.get_by_role("button", name="Create").click()
            if outcome == "made":
                await expect(row(page, name).get_by_text("Standby")).to_be_visible(timeout=WITHIN_MS)
            else:
                await expect(dialog.get_by_role("alert")).to_contain_text("config")
                await dialog.get_by_role("button", name="Cancel").click()
        await page.get_by_label("Filter streams").fill("STAGE")
        await expect(row(page, "studio")).to_have_count(0)
        await row(page, "stage 1").get_by_role("button", name="Details").click()
        await page.get_by_role("button", name="Destroy the stream").click()
        await page.get_by_role("button", name="Destroy for everybody").click()
        await expect(page.get_by_text("No stream is called like")).to_be_visible(timeout=WITHIN_MS)


async def test_the_dashboard_cascades(gateway: Gateway, chromium: Browser) -> None:
    """What the dialog sends, and what the gateway says when the other server is not there."""
    page, _ = await open_page(chromium, gateway.url)
    await page.get_by_role("button", name="Pull", exact=True).click()
    dialog = page.get_by_role("dialog", name="Cascade")
    await dialog.get_by_label("Stream name").fill("mirror")
    await dialog.get_by_label("WHEP URL to pull from").fill("http://127.0.0.1:9/whep/origin")
    await dialog.get_by_label("Token of the other server").fill("secret")
    async with page.expect_request("**/api/cascade/mirror") as asked:
        await dialog.get_by_role("button", name="Pull", exact=True).last.click()
    request = await asked.value
    assert request.post_data_json == {"token": "Bearer secret", "sourceUrl": "http://127.0.0.1:9/whep/origin"}
    await expect(dialog.get_by_role("alert")).to_be_visible(timeout=WITHIN_MS)
    await dialog.get_by_role("button", name="Cancel").click()

    await publish(page, "mine")
    await page.get_by_role("button", name="Cascade mine").click()
    await dialog.get_by_label("WHIP URL to push to").fill(f"{gateway.url}/whip/copy")
    await dialog.get_by_role("button", name="Push", exact=True).click()
    await expect(dialog).to_be_hidden(timeout=WITHIN_MS)
    await expect(row(page, "mine").get_by_text("pushed")).to_be_visible(timeout=WITHIN_MS)
    await row(page, "copy").get_by_role("button", name="Play").click()
    await assert_decodes(page.locator("whep-player"))


async def test_a_thousand_streams_stay_usable(tmp_path: Path, chromium: Browser) -> None:
    config = "".join(f"[stream.camera-{number}]\n" for number in range(1000))
    async with running_gateway(tmp_path, config=config) as gateway:
        page, errors = await open_page(chromium, gateway.url)
        await expect(row(page, "camera-7")).to_be_visible(timeout=WITHIN_MS)
        assert await page.get_by_role("row", name="Stream camera").count() == 200
        await page.get_by_label("Filter streams").fill("camera-99")
        await expect(row(page, "camera-999")).to_be_visible()
        await expect(page.get_by_role("row", name="Stream camera")).to_have_count(11)
        assert errors == []


async def test_plots_grow_while_a_stream_is_looked_at(gateway: Gateway, chromium: Browser) -> None:
    page, errors = await open_page(chromium, gateway.url)
    await publish(page, "plotted")
    await row(page, "plotted").get_by_role("button", name="Details").click()
    await expect(page.locator("time-plot canvas")).to_have_count(3, timeout=WITHIN_MS)
    await expect(page.locator("time-plot").first).to_contain_text("in ")
    await page.wait_for_function(
        """() => {
            const table = document.querySelector("gateway-home").shadowRoot.querySelector("stream-table");
            const { series } = table.shadowRoot.querySelector("stream-panel");
            return series?.incoming.filter((rate) => rate > 0).length >= 2;
        }""",
        timeout=WITHIN_MS,
    )
    await expect(page.locator("time-plot").nth(1)).to_contain_text("0.0 %")
    assert errors == []


async def test_publisher_and_player_come_back_after_the_gateway(tmp_path: Path, chromium: Browser) -> None:
    """A clean stop ends every session by DTLS; that is no reason to stay away."""
    port = free_port()
    async with running_gateway(tmp_path, port=port) as gateway:
        page, _ = await open_page(chromium, gateway.url)
        await publish(page, "steady")
        viewer, _ = await open_page(chromium, f"{gateway.url}/tools/player.html?id=steady&autoplay&muted&reconnect=500")
        player = viewer.locator("whep-player")
        await assert_decodes(player)
        assert await gateway.terminate() == 0
    await expect(page.locator("whip-publisher")).to_have_attribute("data-state", "connecting", timeout=WITHIN_MS)
    await expect(page.get_by_role("alert").first).to_contain_text("not up to date", timeout=WITHIN_MS)
    async with running_gateway(tmp_path, port=port):
        await expect(page.locator("whip-publisher")).to_have_attribute("data-state", "live", timeout=WITHIN_MS)
        await assert_decodes(player)
        await expect(row(page, "steady").get_by_text("Live", exact=True)).to_be_visible(timeout=WITHIN_MS)


async def test_the_statistics_of_the_player_tell_the_latency(gateway: Gateway, chromium: Browser) -> None:
    page, _ = await open_page(chromium, gateway.url)
    await page.get_by_label("Size").select_option("640x360")
    await publish(page, "clock")
    viewer, errors = await open_page(chromium, f"{gateway.url}/tools/player.html?id=clock&autoplay&muted&controls")
    player = viewer.locator("whep-player")
    await assert_decodes(player)
    await player.click(button="right")
    statistics = viewer.get_by_role("region", name="Statistics")
    for fact in ("360 at", "Opus", "NACK", "127.0.0.1", "Latency"):
        await expect(statistics).to_contain_text(fact, timeout=WITHIN_MS)
    assert 0 < await player.evaluate("(player) => player.latency") < 5_000
    assert errors == []


async def test_the_debugger_sends_simulcast_and_switches_layers(gateway: Gateway, chromium: Browser) -> None:
    page, _ = await open_page(chromium, f"{gateway.url}/tools/debugger.html?id=layers&vcodec=vp8&acodec=opus&qrfps=15")
    await page.get_by_role("combobox", name="Layers").select_option("3")
    await page.get_by_role("button", name="Start publishing").click()
    await expect(page.locator("whip-publisher")).to_have_attribute("data-state", "live", timeout=WITHIN_MS)
    assert "a=simulcast:send q;h;f" in await sdp(page, "Publish", "SDP offer")
    assert "a=simulcast:recv q;h;f" in await sdp(page, "Publish", "SDP answer")
    play = page.get_by_role("region", name="Play", exact=True)
    await play.get_by_role("button", name="Play", exact=True).first.click()
    player = page.locator("whep-player")
    await assert_decodes(player)
    await expect(page.get_by_label("Latency")).to_contain_text("ms", timeout=WITHIN_MS)
    await play.get_by_role("button", name="Refresh").click()
    for name, width in [("Low", 240), ("Medium", 480), ("High", 960), ("Auto", 960)]:
        await play.get_by_role("button", name=name).click()
        await expect(play.get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")
        await page.wait_for_function(
            "([player, width]) => player.video.videoWidth === width", arg=[await player.element_handle(), width]
        )
    await play.get_by_role("button", name="Stop video").click()
    await expect(player).to_have_attribute("data-state", "playing")
    await page.wait_for_function("(player) => player.reading.fps === 0", arg=await player.element_handle())
    await play.get_by_role("button", name="Resume video").click()
    await assert_decodes(player, 10)


async def test_the_player_offers_the_layers_of_simulcast(gateway: Gateway, chromium: Browser) -> None:
    page, _ = await open_page(chromium, f"{gateway.url}/tools/debugger.html?id=choice&vcodec=vp8&qrfps=15")
    await page.get_by_role("combobox", name="Layers").select_option("2")
    await page.get_by_role("button", name="Start publishing").click()
    await expect(page.locator("whip-publisher")).to_have_attribute("data-state", "live", timeout=WITHIN_MS)
    viewer, errors = await open_page(chromium, f"{gateway.url}/tools/player.html?id=choice&autoplay&muted&controls")
    player = viewer.locator("whep-player")
    await assert_decodes(player)
    for layer, width in [("h", 480), ("f", 960), ("", 960)]:
        await viewer.get_by_role("combobox", name="Quality").select_option(layer)
        await viewer.wait_for_function(
            "([player, width]) => player.video.videoWidth === width", arg=[await player.element_handle(), width]
        )
    assert errors == []


async def test_the_debugger_talks_by_data_channel(gateway: Gateway, chromium: Browser) -> None:
    page, _ = await open_page(chromium, f"{gateway.url}/tools/debugger.html?id=talk")
    sides = {name: page.get_by_role("region", name=name, exact=True) for name in ("Publish", "Play")}
    await sides["Play"].get_by_label("Message", exact=True).fill("too soon")
    await sides["Play"].get_by_role("button", name="Send").click()
    await expect(sides["Play"].get_by_role("alert")).to_contain_text("not open")
    await page.get_by_role("button", name="Start publishing").click()
    await sides["Play"].get_by_role("button", name="Play", exact=True).first.click()
    await assert_decodes(page.locator("whep-player"))
    for sender, receiver in (("Publish", "Play"), ("Play", "Publish")):
        await sides[sender].get_by_label("Message", exact=True).fill(f"<b>{sender}</b> söns")
        await sides[sender].get_by_role("button", name="Send").click()
        await expect(sides[receiver].get_by_role("log")).to_contain_text(f"← <b>{sender}</b> söns", timeout=WITHIN_MS)
    log = page.get_by_role("log", name="Event log")
    await expect(log).to_contain_text("/session/talk/")
    assert await page.evaluate("document.querySelector('stream-debugger').shadowRoot.querySelectorAll('b').length") == 0


async def sdp(page: Page, side: str, name: str) -> str:
    section = page.get_by_role("region", name=side, exact=True)
    return await section.locator("details", has_text=name).locator("pre").text_content() or ""


async def test_a_stream_name_is_only_text(gateway: Gateway, chromium: Browser) -> None:
    page, errors = await open_page(chromium, gateway.url)
    await publish(page, NAME)
    stream = row(page, NAME)
    await expect(stream.get_by_text(NAME, exact=True)).to_be_visible(timeout=WITHIN_MS)
    await stream.get_by_role("button", name=f"Details of {NAME}").click()
    await stream.get_by_role("button", name=f"Clients of {NAME}").click()
    await expect(page.get_by_role("heading", name=f"Clients of “{NAME}”")).to_be_visible()
    assert await page.locator("stream-table img, stream-panel img, dialog img").count() == 0
    assert await page.title() == "live777py"
    assert errors == []


async def test_signing_in(tmp_path: Path, chromium: Browser) -> None:
    async with running_gateway(tmp_path, config='[auth]\ntokens = ["secret"]\n') as gateway:
        page, _ = await open_page(chromium, gateway.url)
        dialog = page.get_by_role("dialog")
        for token, message in [("wrong", "asks for a token"), ("Bearer secret", "did not accept")]:
            await expect(dialog).to_contain_text(message, timeout=WITHIN_MS)
            await dialog.get_by_label("Token").fill(token)
            await page.keyboard.press("Enter")
        await expect(page.get_by_text("Nothing is live yet")).to_be_visible(timeout=WITHIN_MS)
        await publish(page, "guarded")
        await row(page, "guarded").get_by_role("button", name="Play", exact=True).click()
        await assert_decodes(page.locator("whep-player"))
        await page.get_by_role("button", name="Sign out").click()
        await expect(dialog).to_contain_text("asks for a token", timeout=WITHIN_MS)

        visitor, _ = await open_page(chromium, f"{gateway.url}/tools/player.html?id=guarded&autoplay&muted")
        await visitor.get_by_role("dialog").get_by_label("Token").fill("secret")
        await visitor.keyboard.press("Enter")
        await assert_decodes(visitor.locator("whep-player"))


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
    await second.get_by_role("textbox", name="Stream name").fill("taken")
    await second.get_by_role("button", name="Test pattern").click()
    await second.get_by_role("button", name="Start publishing").click()
    await expect(second.locator("whip-publisher")).to_have_attribute("data-state", "error", timeout=WITHIN_MS)
    await expect(second.get_by_role("alert")).to_contain_text("already")
