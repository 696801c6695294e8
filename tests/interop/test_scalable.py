"""Spatial and temporal layers of Chromium: each viewer gets those that it asks for, in one stream (SVC)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.interop.checks import assert_quadrants, wait_until
from tests.interop.conftest import with_client
from tests.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.gateway import Gateway
    from tests.interop.conftest import Page

# With less than 960 x 540 Chromium makes two spatial layers of VP9.
SMALL, LARGE = (640, 360), (960, 540)
FPS = 20
SHARES = [(0.1, 0.42), (0.3, 0.75), (0.75, 1.35)]
"""Of the pictures, by temporal layer: a quarter, a half, all."""


def publishing(url: str, codec: str, mode: str, size: tuple[int, int]) -> dict[str, Any]:
    encodings = [{"scalabilityMode": mode, "maxBitrate": 1_500_000}]
    return {
        "url": url, "video": codec, "audio": False, "width": size[0], "height": size[1], "fps": FPS,
        "encodings": encodings,
    }  # fmt: skip


async def choose(session: str, **layers: int) -> None:
    async with aiohttp.ClientSession() as client, client.post(f"{session}/layer", json=layers) as response:
        assert response.status == 200, await response.text()


async def layers_known(session: str, highest: int) -> None:
    """The gateway has measured the publisher's spatial layers."""

    async def known() -> bool:
        async with aiohttp.ClientSession() as client, client.get(f"{session}/layer") as response:
            if response.status != 200:
                return False
            listed: list[dict[str, Any]] = await response.json()
            return max((layer.get("spatialLayerId") or 0 for layer in listed), default=0) >= highest

    await eventually(known, within=30)


async def rate(page: Page, seconds: float = 2.0) -> float:
    """Pictures decoded in a second."""
    rate: float = await page.evaluate(
        """async (seconds) => {
            const decoded = async () => (await t.viewerStats())["inbound-rtp video"].framesDecoded;
            const [before, begun] = [await decoded(), performance.now()];
            await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
            return ((await decoded()) - before) / (performance.now() - begun) * 1000;
        }""",
        seconds,
    )
    return rate


async def assert_share(page: Page, session: str, temporal: int, **spatial: int) -> None:
    """A temporal layer has its share of the pictures, however many an encoder without a processor makes."""
    least, most = SHARES[temporal]
    seen: list[tuple[float, float]] = []

    async def flows() -> bool:
        await choose(session, temporalLayerId=2, **spatial)
        whole = await rate(page)
        await choose(session, temporalLayerId=temporal, **spatial)
        seen.append((whole, await rate(page)))
        return least * whole <= seen[-1][1] <= most * whole

    try:
        await eventually(flows, within=40)
    except TimeoutError:
        pytest.fail(f"layer {temporal}: of the pictures a second these were shown: {seen}")


async def assert_layers(page: Page, session: str, width: int, layers: int, choices: list[tuple[int, int]]) -> None:
    """Each choice of a spatial and a temporal layer shows its size and its share of the pictures."""
    for spatial, temporal in choices:
        shown = width >> (layers - 1 - spatial)
        await choose(session, spatialLayerId=spatial, temporalLayerId=temporal)
        await wait_until(page, f"t.width() === {shown}", within=15)
        await assert_share(page, session, temporal, spatialLayerId=spatial)
        assert await page.evaluate("() => t.width()") == shown
        assert_quadrants(await page.evaluate("() => t.quadrants()"))


async def watched(
    chromium: Browser,
    gateway: Gateway,
    codec: str,
    *,
    descriptor: bool = False,
    mode: str = "L3T3",
    size: tuple[int, int] = SMALL,
) -> tuple[Page, str]:
    publisher = await with_client(await chromium.new_page(), gateway)
    page = await with_client(await chromium.new_page(), gateway)
    await publisher.evaluate("(o) => t.publish(o)", publishing(f"{gateway.url}/whip/cam", codec, mode, size))
    options = {"url": f"{gateway.url}/whep/cam", "kinds": ["video"], "descriptor": descriptor}
    session = await page.evaluate("(o) => t.play(o)", options)
    await wait_until(page, f"t.counters().length > 10 && t.width() === {size[0]}", within=40)
    return page, session


async def test_layers_of_vp9(gateway: Gateway, chromium: Browser) -> None:
    page, session = await watched(chromium, gateway, "VP9")
    await layers_known(session, 1)
    await assert_layers(page, session, SMALL[0], 2, [(0, 2), (1, 0)])


@pytest.mark.slow
@pytest.mark.parametrize(("codec", "descriptor"), [("VP9", False), ("VP9", True), ("AV1", True)])
async def test_all_layers(gateway: Gateway, chromium: Browser, codec: str, descriptor: bool) -> None:
    page, session = await watched(chromium, gateway, codec, descriptor=descriptor, size=LARGE)
    await layers_known(session, 2)
    cells = [(spatial, temporal) for spatial in (2, 0, 1) for temporal in (2, 0, 1)]
    await assert_layers(page, session, LARGE[0], 3, [*cells, (2, 2)])


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264", "AV1"])
async def test_temporal_layers(gateway: Gateway, chromium: Browser, codec: str) -> None:
    page, session = await watched(chromium, gateway, codec, descriptor=codec == "AV1", mode="L1T3")
    await layers_known(session, 0)
    for temporal in (0, 2, 1, 2):
        await assert_share(page, session, temporal)


async def test_av1_without_the_descriptor_is_small(gateway: Gateway, chromium: Browser) -> None:
    """As Chromium plays unless a page asks for more: of several sizes it cannot decode but the smallest."""
    publisher = await with_client(await chromium.new_page(), gateway)
    page = await with_client(await chromium.new_page(), gateway)
    await publisher.evaluate("(o) => t.publish(o)", publishing(f"{gateway.url}/whip/cam", "AV1", "L3T3", SMALL))
    session = await page.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/cam", "kinds": ["video"]})
    await wait_until(page, f"t.counters().length > 10 && t.width() === {SMALL[0] // 2}", within=40)
    await layers_known(session, 1)
    await choose(session, spatialLayerId=1, temporalLayerId=2)
    assert await rate(page) > 0
    assert await page.evaluate("() => t.width()") == SMALL[0] // 2
