"""The first picture of an encoder that ignores requests for key frames, in Chromium: with and without the cache."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.gateway import running_gateway
from tests.interop.chromium import chromium_browser
from tests.interop.conftest import with_client
from tests.interop.programs import OPUS, TEST_PICTURE, TEST_TONE, ffmpeg_publisher, gstreamer_publisher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.interop.conftest import Page

JOIN = Path(__file__).with_name("join.js").read_text()
# A key frame every four seconds.
H264 = (
    *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline", "-bf", "0"),
    *("-g", "120", "-b:v", "2400k", "-maxrate", "2400k", "-bufsize", "2400k"),
)
SMALL_PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30")


@dataclass(frozen=True, kw_only=True)
class Join:
    """Milliseconds from the POST to the first picture; freezes within 5 s; milliseconds behind a viewer who was there
    before, 5 s after joining (None: no picture in common)."""

    first: float
    freezes: int
    frozen: float
    behind: float | None


@contextlib.asynccontextmanager
async def watched_page(directory: Path, publisher: str, *, cache: bool, large: bool) -> AsyncIterator[tuple[Page, str]]:
    """A page with one viewer who has been there for a while, and the URL to join at."""
    environment = {} if cache else {"LIVE777_WEBRTC_GOP_CACHE_BYTES": "0"}
    async with running_gateway(directory, environment=environment) as gateway, chromium_browser() as browser:
        whip, whep = f"{gateway.url}/whip/instant", f"{gateway.url}/whep/instant"
        inputs = (*(TEST_PICTURE if large else SMALL_PICTURE), *TEST_TONE)
        published = (
            ffmpeg_publisher(whip, inputs=inputs, options=(*H264, *OPUS))
            if publisher == "H264"
            else gstreamer_publisher(whip, "vp8-deaf", "opus")
        )
        async with published:
            page: Page = await with_client(await browser.new_page(), gateway)
            await page.evaluate(f"() => {{ {JOIN} }}")
            await page.evaluate("(url) => instant.reference(url)", whep)
            yield page, whep


async def joins(page: Page, url: str, count: int, seconds: float) -> list[Join]:
    """At phases of the group of pictures that are spread evenly, whatever the time that each takes."""
    results: list[dict[str, Any]] = []
    for index in range(count):
        results.append(await page.evaluate("(o) => instant.join(o)", {"url": url, "ms": seconds * 1000}))
        await asyncio.sleep((index * 4 / count + 0.37) % 1)
    return [Join(**result) for result in results]


def summary(results: list[Join]) -> str:
    first = sorted(join.first for join in results)
    behind = [join.behind for join in results if join.behind is not None]
    return (
        f"n {len(results)} first median {statistics.median(first):.0f} p95 {first[int(len(first) * 0.95)]:.0f} "
        f"max {first[-1]:.0f} ms | joins with a freeze {sum(join.freezes > 0 for join in results)} "
        f"longest {max(join.frozen for join in results):.0f} ms | behind median "
        f"{statistics.median(behind) if behind else float('nan'):.0f} max {max(behind, default=float('nan')):.0f} ms "
        f"({len(behind)} compared)"
    )


async def test_the_first_picture_comes_at_once(tmp_path: Path) -> None:
    measured = {}
    for cache in (True, False):
        directory = tmp_path / str(cache)
        directory.mkdir()
        async with watched_page(directory, "H264", cache=cache, large=False) as (page, url):
            measured[cache] = await joins(page, url, 5, 2)
        print(cache, summary(measured[cache]))
    first = {cache: statistics.median(join.first for join in results) for cache, results in measured.items()}
    assert first[True] < first[False] / 3, first


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("publisher", ["H264", "VP8"])
async def test_thirty_joins(tmp_path: Path, publisher: str) -> None:
    async with watched_page(tmp_path, publisher, cache=True, large=True) as (page, url):
        results = await joins(page, url, 30, 5)
    print(publisher, summary(results))
    first = sorted(join.first for join in results)
    assert statistics.median(first) <= 150
    assert first[28] <= 300
    assert sum(join.freezes > 0 for join in results) <= 1
    assert all(join.behind is None or join.behind <= 150 for join in results)
