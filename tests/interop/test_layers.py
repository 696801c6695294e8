"""Simulcast from browsers and OBS: layers are listed, and a switch shows another size at once and nothing broken."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.interop.checks import assert_quadrants, wait_until
from tests.interop.conftest import with_client
from tests.interop.firefox import firefox_page
from tests.interop.obs import FPS, SECONDS, SIZES, obs_publishing
from tests.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.gateway import Gateway
    from tests.interop.conftest import Page

SWITCH_WITHIN = 1.0
WIDTH, HEIGHT = 960, 540
SIMULCAST = [
    {"rid": "l", "scaleResolutionDownBy": 4, "maxBitrate": 150_000},
    {"rid": "m", "scaleResolutionDownBy": 2, "maxBitrate": 500_000},
    {"rid": "h", "scaleResolutionDownBy": 1, "maxBitrate": 1_500_000},
]
PUBLISH = {
    "video": "VP8", "audio": False, "width": WIDTH, "height": HEIGHT, "fps": 20, "encodings": SIMULCAST,
}  # fmt: skip
BROWSER_SIZES = {"h": (WIDTH, HEIGHT), "m": (WIDTH // 2, HEIGHT // 2), "l": (WIDTH // 4, HEIGHT // 4)}


class Viewer:
    """A page that plays, and its session's layers."""

    def __init__(self, page: Page, session: str) -> None:
        self.page = page
        self._url = f"{session}/layer"

    async def layers(self) -> list[dict[str, Any]]:
        async with aiohttp.ClientSession() as client, client.get(self._url) as response:
            assert response.status == 200
            answer: list[dict[str, Any]] = await response.json()
            return answer

    async def listed(self, sizes: dict[str, tuple[int, int]]) -> None:
        """All of them flow, best first, with the sizes that were measured."""

        async def all_of_them() -> bool:
            layers = await self.layers()
            measured = [(layer["encodingId"], layer["width"], layer["height"]) for layer in layers]
            flows = all(layer["active"] and layer["bitrate"] > 0 for layer in layers)
            return flows and measured == [(rid, *size) for rid, size in sizes.items()]

        try:
            await eventually(all_of_them, within=40)
        except TimeoutError:
            pytest.fail(f"{await self.layers()} are not {sizes}")

    async def switch(self, rid: str | None, width: int) -> float:
        """Ask for a layer, None for the best; the seconds until a picture of its width."""
        asked = await self.page.evaluate(
            """async ({ url, rid }) => {
                const asked = performance.now();
                const response = await fetch(url, rid === null ? { method: "DELETE" } : {
                    method: "POST", body: JSON.stringify({ encodingId: rid }),
                    headers: { "Content-Type": "application/json" },
                });
                if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
                return asked;
            }""",
            {"url": self._url, "rid": rid},
        )
        shown = await wait_until(
            self.page, f"t.frames().find((f) => f.at > {asked} && f.width === {width})?.at", within=10
        )
        return float(shown - asked) / 1000


async def watching(gateway: Gateway, page: Page, stream: str, sizes: dict[str, tuple[int, int]]) -> Viewer:
    """A viewer who sees the best layer, as all do at first."""
    session = await page.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/{stream}", "kinds": ["video"]})
    best = next(iter(sizes.values()))[0]
    await wait_until(page, f"t.counters().length > 10 && t.width() === {best}", within=40)
    await page.evaluate("t.inspect()")
    viewer = Viewer(page, session)
    await viewer.listed(sizes)
    return viewer


async def assert_switches(viewer: Viewer, sizes: dict[str, tuple[int, int]], *, period: int = 2**16) -> None:
    """From layer to layer and back to the best. The pictures are counted modulo `period`."""
    best, middle, small = sizes
    took = {}
    for rid in (small, best, middle, None):
        width = sizes[rid or best][0]
        took[rid] = await viewer.switch(rid, width)
        selected = [layer["encodingId"] for layer in await viewer.layers() if layer["selected"]]
        assert selected == [rid or best]
        count = len(await viewer.page.evaluate("t.frames()"))
        await wait_until(viewer.page, f"t.frames().length > {count + 10}")
    assert max(took.values()) < SWITCH_WITHIN, took
    frames = await viewer.page.evaluate("t.frames()")
    for frame in frames:
        assert_quadrants(frame["quadrants"])
    assert {frame["width"] for frame in frames} == {width for width, _ in sizes.values()}
    counts = [frame["count"] for frame in frames]
    back = [(before, after) for before, after in pairwise(counts) if (after - before) % period > period // 2]
    assert back == [], "pictures from the past"


async def test_layers_of_chromium(gateway: Gateway, chromium: Browser) -> None:
    publisher = await with_client(await chromium.new_page(), gateway)
    page = await with_client(await chromium.new_page(), gateway)
    await publisher.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/cam", **PUBLISH})
    viewer = await watching(gateway, page, "cam", BROWSER_SIZES)
    await assert_switches(viewer, BROWSER_SIZES)


async def test_layers_of_firefox(gateway_beyond_loopback: Gateway, chromium: Browser) -> None:
    gateway = gateway_beyond_loopback
    page = await with_client(await chromium.new_page(), gateway)
    async with firefox_page() as publisher:
        await with_client(publisher, gateway)
        await publisher.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/fox", **PUBLISH})
        viewer = await watching(gateway, page, "fox", BROWSER_SIZES)
        await assert_switches(viewer, BROWSER_SIZES)


async def test_layers_of_obs(gateway: Gateway, chromium: Browser) -> None:
    page = await with_client(await chromium.new_page(), gateway)
    async with obs_publishing(f"{gateway.url}/whip/obs"):
        viewer = await watching(gateway, page, "obs", SIZES)
        await assert_switches(viewer, SIZES, period=SECONDS * FPS)
