"""What the player makes of the gateway's events: whether there is a publisher, which layers, and where to go on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Page, expect

from tests import redis_server
from tests.gateway import running_gateway
from tests.interop.nodes import CAMERA, OBS
from tests.interop.obs import SIZES, obs_publishing
from tests.interop.programs import ffmpeg_publisher
from tests.interop.test_pages import WITHIN_MS, assert_decodes, open_page
from tests.redis_server import RedisServer
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, Locator

    from tests.gateway import Gateway


async def test_the_player_says_that_the_publisher_is_away(gateway: Gateway, chromium: Browser) -> None:
    """It is killed, and says no goodbye."""
    page, errors = await open_page(chromium, f"{gateway.url}/tools/player.html?id=cam&autoplay&muted&controls")
    player = page.locator("whep-player")
    await expect(player).to_have_attribute("data-state", "waiting", timeout=WITHIN_MS)
    assert await live(player) is None, "nobody has been there yet"
    offline = page.get_by_text("OFFLINE", exact=True)
    async with ffmpeg_publisher(f"{gateway.url}/whip/cam", inputs=CAMERA, options=OBS) as process:
        await assert_decodes(player)
        assert await live(player) is True
        await expect(page.get_by_text("LIVE", exact=True)).to_be_visible()
        process.kill()
    await expect(offline).to_be_visible(timeout=WITHIN_MS)
    await expect(player).to_have_attribute("data-state", "waiting")
    assert await live(player) is False
    async with ffmpeg_publisher(f"{gateway.url}/whip/cam", inputs=CAMERA, options=OBS) as process:
        await assert_decodes(player)
        await expect(offline).to_have_count(0)
        process.kill()
    assert errors == []


async def live(player: Locator) -> bool | None:
    answer: bool | None = await player.evaluate("(player) => player.live")
    return answer


async def test_the_player_hears_of_layers_that_come_later(gateway: Gateway, chromium: Browser) -> None:
    page, errors = await open_page(chromium, f"{gateway.url}/tools/player.html?id=obs&autoplay&muted&controls")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url.rpartition('/')[2]}"))
    player = page.locator("whep-player")
    await expect(player).to_have_attribute("data-state", "waiting", timeout=WITHIN_MS)
    async with obs_publishing(f"{gateway.url}/whip/obs"):
        await assert_decodes(player)
        choice = page.get_by_role("combobox", name="Quality")
        for width, height in SIZES.values():
            option = choice.get_by_role("option", name=re.compile(rf"^{width}.{height} "))
            await expect(option).to_be_enabled(timeout=WITHIN_MS)
        await expect(choice).to_have_value("")
        await choice.select_option("2")
        await width_is(page, SIZES["2"][0])
        await choice.select_option("")
        await width_is(page, SIZES["0"][0])
        await expect(choice.get_by_role("option", name=f"Auto ({SIZES['0'][1]}p)")).to_have_count(1)
    assert "GET layer" not in asked
    assert errors == []


async def width_is(page: Page, width: int) -> None:
    await page.wait_for_function(
        "([player, width]) => player.video.videoWidth === width",
        arg=[await page.locator("whep-player").element_handle(), width],
    )


async def test_of_many_players_in_a_page_some_are_told(gateway: Gateway, chromium: Browser) -> None:
    """A browser has six connections to an origin: all play, whether or not they hear of the stream."""
    async with ffmpeg_publisher(f"{gateway.url}/whip/wall", inputs=CAMERA, options=OBS):
        page, _ = await open_page(chromium, f"{gateway.url}/api/info")
        await page.evaluate(
            """async (url) => {
                await import(url);
                document.body.innerHTML = "<whep-player stream=wall autoplay muted></whep-player>".repeat(7);
            }""",
            f"{gateway.url}/embed.js",
        )
        players = [page.locator("whep-player").nth(number) for number in range(7)]
        for player in players:
            await assert_decodes(player, 5)
        assert sorted([str(await live(player)) for player in players]) == ["None"] * 4 + ["True"] * 3


async def test_the_player_goes_on_where_it_is_sent(tmp_path: Path, chromium: Browser) -> None:
    """One of two nodes is stopped; the publisher has gone to the other one."""
    if not redis_server.available():
        pytest.skip("redis-server is not installed")
    async with RedisServer(tmp_path) as redis:
        config = f'cors = true\n[cluster]\nredis_url = "{redis.url}"\nwhep = "redirect"\nheartbeat_ms = 200\n'
        store = '[store]\npath = "{}"\n'
        async with running_gateway(tmp_path, config=config + store.format(tmp_path / "b.db")) as b:
            async with running_gateway(tmp_path, config=config + store.format(tmp_path / "a.db")) as a:
                await b.logged("is there")
                page, _ = await open_page(chromium, f"{b.url}/api/info")
                await page.evaluate(
                    """async ([script, endpoint]) => {
                        await import(script);
                        document.body.innerHTML = "<whep-player autoplay muted></whep-player>";
                        const player = document.querySelector("whep-player");
                        player.addEventListener("session", ({ detail }) => (player.title = detail.url));
                        player.src = endpoint;
                        player.play();
                    }""",
                    [f"{b.url}/embed.js", f"{a.url}/whep/show"],
                )
                player = page.locator("whep-player")
                async with ffmpeg_publisher(f"{a.url}/whip/show", inputs=CAMERA, options=OBS) as process:
                    await assert_decodes(player)
                    assert await live(player) is True
                    process.kill()
                assert await a.terminate() == 0

            async def moved() -> bool:
                return (await player.get_attribute("title") or "").startswith(f"{b.url}/session/show/")

            await eventually(moved)
            async with ffmpeg_publisher(f"{b.url}/whip/show", inputs=CAMERA, options=OBS) as process:
                await assert_decodes(player)
                process.kill()
