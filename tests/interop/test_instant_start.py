"""The first picture of an encoder that ignores requests for key frames: how soon, how smooth, and how far behind those
who have been there from the start; with and without the cache, over a free link and a narrow one."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.gateway import running_gateway
from tests.interop.chromium import chromium_browser
from tests.interop.conftest import with_client
from tests.interop.firefox import firefox_page
from tests.interop.network import ADDRESS, GATEWAY, firewall
from tests.interop.programs import OPUS, TEST_TONE, ffmpeg_publisher, gstreamer_publisher
from tests.interop.shaping import narrow
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from tests.interop.conftest import Page

    Browser = Callable[[], contextlib.AbstractAsyncContextManager[Page]]

JOIN = Path(__file__).with_name("join.js").read_text()
GOP_SECONDS: Final = 4
INPUTS = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", *TEST_TONE)
H264 = (
    *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline", "-bf", "0"),
    *("-g", "120", "-b:v", "1200k", "-maxrate", "1200k", "-bufsize", "1200k", *OPUS),
)
OFF = {"LIVE777_WEBRTC_GOP_CACHE_BYTES": "0"}


@dataclass(frozen=True, kw_only=True)
class Join:
    """Milliseconds from the POST to the first picture; freezes since, and how many the viewer had meanwhile who has
    been there from the start; milliseconds behind that one in the last second (None: no picture in common)."""

    first: float
    freezes: int
    others: int
    behind: float | None


@dataclass(frozen=True, kw_only=True)
class Scene:
    """`staying` shows the stream all the time, `joining` is where others come and go."""

    staying: Page
    joining: Page
    url: str

    async def join(self, seconds: float) -> Join:
        result = await self.joining.evaluate("(o) => instant.join(o)", {"url": self.url, "ms": seconds * 1000})
        pictures: list[tuple[int | None, float]] = result["pictures"]
        seen: list[tuple[int | None, float]] = await self.staying.evaluate("(t) => instant.seen(t)", pictures[0][1])
        freezes = _freezes(pictures) if result["freezes"] is None else result["freezes"]
        return Join(first=result["first"], freezes=freezes, others=_freezes(seen), behind=_behind(pictures, seen))

    async def bitrate(self) -> float:
        """Of the stream, sound and RTP headers included, over two groups of pictures; bits per second."""
        before = await self.staying.evaluate("() => instant.received()")
        await asyncio.sleep(2 * GOP_SECONDS)
        after = await self.staying.evaluate("() => instant.received()")
        return float((after["bytes"] - before["bytes"]) * 8000 / (after["at"] - before["at"]))

    async def key_frame(self) -> None:
        """Until the one who stays has seen another key frame."""
        known = await self.staying.evaluate("() => instant.keyFrames()")

        async def another() -> bool:
            return bool(await self.staying.evaluate("() => instant.keyFrames()") > known)

        await eventually(another)


def _freezes(pictures: Sequence[tuple[int | None, float]]) -> int:
    """As freezeCount of W3C webrtc-stats counts them."""
    shown = [at for _, at in pictures]
    gaps = [after - before for before, after in itertools.pairwise(shown)]
    count = 0
    for index, gap in enumerate(gaps):
        usual = statistics.fmean(gaps[max(0, index - 30) : index]) if index else gap
        count += gap > max(3 * usual, usual + 150)
    return count


def _behind(pictures: Sequence[tuple[int | None, float]], seen: Sequence[tuple[int | None, float]]) -> float | None:
    since, before = pictures[-1][1] - 1000, dict(seen)
    late = [at - before[stamp] for stamp, at in pictures if at > since and stamp is not None and stamp in before]
    return statistics.median(late) if late else None


async def _with_viewers(page: Page) -> Page:
    await page.evaluate(f"() => {{ {JOIN} }}")
    return page


async def _watched(staying: Page, joining: Page, url: str) -> Scene:
    async with asyncio.timeout(30):
        await staying.evaluate("(url) => instant.stay(url)", url)
    return Scene(staying=staying, joining=joining, url=url)


@contextlib.asynccontextmanager
async def _publisher(codec: str, url: str) -> AsyncIterator[None]:
    published = (
        ffmpeg_publisher(url, inputs=INPUTS, options=H264)
        if codec == "H264"
        else gstreamer_publisher(url, "vp8-deaf", "opus")
    )
    async with published:
        yield


@contextlib.asynccontextmanager
async def _chromium_page() -> AsyncIterator[Page]:
    async with chromium_browser() as browser:
        yield await browser.new_page()


@contextlib.asynccontextmanager
async def _free(
    directory: Path, codec: str, environment: dict[str, str] | None = None, *, address: str = ADDRESS, browser: Browser
) -> AsyncIterator[Scene]:
    """All in one page, and no link between."""
    environment = {"LIVE777_WEBRTC_ICE_UDP_ADDRS": f"{address}:0", **(environment or {})}
    async with running_gateway(directory, environment=environment) as gateway, browser() as page:
        url = f"{gateway.url}/whep/instant"
        async with _publisher(codec, f"{gateway.url}/whip/instant"):
            await _with_viewers(await with_client(page, gateway))
            yield await _watched(page, page, url)


@contextlib.asynccontextmanager
async def _narrow(directory: Path, codec: str, environment: dict[str, str] | None = None) -> AsyncIterator[Scene]:
    """Those who join are behind a link of twice the stream's bitrate; who stays is not."""
    environment = {"LIVE777_WEBRTC_ICE_UDP_ADDRS": f"{GATEWAY}:0", **(environment or {})}
    with firewall() as link:
        async with contextlib.AsyncExitStack() as stack:
            gateway = await stack.enter_async_context(
                running_gateway(directory, address="0.0.0.0", environment=environment)
            )
            near = f"http://{GATEWAY}:{gateway.url.rpartition(':')[2]}"
            await stack.enter_async_context(_publisher(codec, f"{near}/whip/instant"))
            pages = []
            for place in (contextlib.nullcontext(), link.entered()):
                with place:
                    browser = await stack.enter_async_context(chromium_browser())
                page = await browser.new_page()
                await page.goto(f"{near}/metrics")
                pages.append(await _with_viewers(page))
            scene = await _watched(pages[0], pages[1], f"{near}/whep/instant")
            bitrate = await scene.bitrate()
            narrow("door", 2 * bitrate)
            print(f"a link of {2 * bitrate / 1e6:.2f} Mbit/s")
            yield scene


async def joins(scene: Scene, count: int, seconds: float) -> list[Join]:
    """At phases of the group of pictures that are spread evenly; every third follows the one before, for a join takes a
    group and a third of one."""
    clock = asyncio.get_running_loop().time
    await scene.key_frame()
    key_frame = clock()
    results = []
    for index in range(count):
        phase = GOP_SECONDS * (index % 3 / 3 + index // 3 / count)
        await asyncio.sleep((phase - (clock() - key_frame)) % GOP_SECONDS)
        results.append(await scene.join(seconds))
    return results


def summary(name: str, results: Sequence[Join]) -> str:
    first = sorted(join.first for join in results)
    behind = [join.behind for join in results if join.behind is not None]
    alone = sum(join.freezes > 0 and join.others == 0 for join in results)
    slow = [join for join in results if join.first > 300 or join.freezes or (join.behind or 0) > 150]
    return (
        f"{name}: {len(results)} joins | first picture median {statistics.median(first):.0f}, p95 {_p95(first):.0f}, "
        f"max {first[-1]:.0f} ms | joins with a freeze {sum(join.freezes > 0 for join in results)}, "
        f"of its own {alone}; the other viewer meanwhile {sum(join.others > 0 for join in results)} | behind it median "
        f"{statistics.median(behind) if behind else float('nan'):.0f}, max {max(behind, default=float('nan')):.0f} ms"
        + "".join(f"\n  {join}" for join in slow)
    )


def _p95(ordered: Sequence[float]) -> float:
    return ordered[int(len(ordered) * 0.95)]


def _median(results: Sequence[Join]) -> float:
    return statistics.median(join.first for join in results)


def assert_instant(results: Sequence[Join], *, median: float, p95: float) -> None:
    """What a machine with time to spare shows: freezes that the other viewer shares are the machine's."""
    assert _median(results) <= median
    assert _p95(sorted(join.first for join in results)) <= p95
    assert sum(join.freezes > 0 and join.others == 0 for join in results) <= len(results) / 20
    assert all(join.behind is None or join.behind <= 150 for join in results)


async def test_the_first_picture_comes_at_once(tmp_path: Path) -> None:
    """Also right after a key frame, when it takes the longest without the cache."""
    (tmp_path / "off").mkdir()
    place = functools.partial(_free, codec="H264", address="127.0.0.1", browser=_chromium_page)
    async with place(tmp_path) as scene, place(tmp_path / "off", environment=OFF) as other:
        await other.key_frame()
        late, *cached = await asyncio.gather(other.join(0), scene.join(2))
        cached += [await scene.join(1), await scene.join(1)]
    print(summary("cached", cached), summary("not cached", [late]), sep="\n")
    assert late.first > 1000
    assert _median(cached) < late.first / 3


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("own_network")
@pytest.mark.parametrize(
    ("browser", "codec"), [(_chromium_page, "H264"), (_chromium_page, "VP8"), (firefox_page, "VP8")]
)
async def test_thirty_joins(tmp_path: Path, browser: Browser, codec: str) -> None:
    async with _free(tmp_path, codec, browser=browser) as scene:
        results = await joins(scene, 30, 5)
    print(summary(f"{codec}, {browser.__name__}", results))
    assert_instant(results, median=150, p95=300)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("own_network")
@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_thirty_joins_over_a_link_of_twice_the_bitrate(tmp_path: Path, codec: str) -> None:
    async with _narrow(tmp_path, codec) as scene:
        results = await joins(scene, 30, 5)
    print(summary(f"{codec}, narrow", results))
    assert_instant(results, median=250, p95=300)


@pytest.mark.slow
@pytest.mark.usefixtures("own_network")
@pytest.mark.parametrize("place", [functools.partial(_free, browser=_chromium_page), _narrow], ids=["free", "narrow"])
async def test_without_the_cache_it_takes_seconds(
    tmp_path: Path, place: Callable[..., contextlib.AbstractAsyncContextManager[Scene]]
) -> None:
    async with place(tmp_path, "H264", environment=OFF) as scene:
        results = await joins(scene, 8, 1)
    print(summary("not cached", results))
    assert _median(results) > 1000
