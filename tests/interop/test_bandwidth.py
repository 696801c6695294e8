"""Which layer a viewer gets whose link becomes narrow and wide again: the best that the link carries, and no freeze."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import pytest

from tests.gateway import running_gateway
from tests.interop.chromium import chromium_browser
from tests.interop.conftest import load_client
from tests.interop.firefox import firefox_page
from tests.interop.network import GATEWAY, firewall
from tests.interop.obs import obs_publishing
from tests.interop.shaping import narrow, widen
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from tests.interop.conftest import Page

FOLLOW = Path(__file__).with_name("follow.js").read_text()
LINKS: Final = (2_500_000, 700_000, 250_000, None)
"""Bit/s, one after the other; None carries everything."""
SECONDS: Final = 16
"""Of each."""
DOWN_WITHIN, UP_WITHIN, LONGEST_FREEZE = 3.0, 10.0, 1.0
SIZES: Final = {"0": (960, 540), "1": (480, 270), "2": (240, 136)}
BITRATES: Final = {"0": 1_800_000, "1": 450_000, "2": 130_000}
"""Of the layers as OBS sends them."""
SIMULCAST: Final = [
    {"rid": "l", "scaleResolutionDownBy": 4, "maxBitrate": 130_000},
    {"rid": "m", "scaleResolutionDownBy": 2, "maxBitrate": 400_000},
    {"rid": "h", "scaleResolutionDownBy": 1, "maxBitrate": 1_500_000},
]
SVC: Final = [{"scalabilityMode": "L3T3", "maxBitrate": 1_500_000}]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a viewer saw of one link. Seconds from the change of the link: until the last picture that was wider than
    what it got in the end, and until the last one of any other width."""

    link: int | None
    width: int
    left: float
    settled: float
    freeze: float
    bitrate: float
    pictures: float
    """In a second, at the end."""
    widths: list[tuple[float, int]]
    """Each one, and when it began."""


@dataclass(frozen=True, kw_only=True)
class Viewing:
    page: Page
    session: str

    async def step(self, link: int | None, seconds: float = SECONDS) -> Step:
        began = await self.page.evaluate("() => follow.now()")
        if link is None:
            widen("door")
        else:
            narrow("door", link)
        await asyncio.sleep(seconds - 4)
        before = await self.page.evaluate("() => follow.inbound()")
        await asyncio.sleep(4)
        after = await self.page.evaluate("() => follow.inbound()")
        pictures = [(at - began, width) for at, width in await self.page.evaluate("() => follow.pictures()")]
        seen = [(at / 1000, width) for at, width in pictures if at >= -200]
        width = seen[-1][1]
        return Step(
            link=link,
            width=width,
            left=max((at for at, other in seen if other > width), default=0),
            settled=max((at for at, other in seen if other != width), default=0),
            freeze=max(after - before for (before, _), (after, _) in itertools.pairwise([*seen, (seconds, 0)])),
            bitrate=2 * sum(after[kind]["bytesReceived"] - before[kind]["bytesReceived"] for kind in before),
            pictures=sum(at > seconds - 4 for at, _ in seen) / 4,
            widths=[next(group) for _, group in itertools.groupby(seen, key=lambda one: one[1])],
        )

    async def choose(self, rid: str) -> None:
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{self.session}/layer", json={"encodingId": rid}) as response,
        ):
            assert response.status == 200, await response.text()

    async def shows(self, width: int) -> None:
        """The last twenty pictures were so wide."""

        async def all_of_them() -> bool:
            pictures = await self.page.evaluate("() => follow.pictures().slice(-20)")
            return len(pictures) == 20 and {wide for _, wide in pictures} == {width}

        await eventually(all_of_them, within=30)


async def _client(page: Page, url: str) -> Page:
    await page.goto(f"{url}/metrics")
    await page.evaluate(f"() => {{ {FOLLOW} }}")
    return page


@contextlib.asynccontextmanager
async def _obs(url: str, _options: Any) -> AsyncIterator[None]:
    async with obs_publishing(f"{url}/whip/cam", sizes=SIZES, bitrates=BITRATES, key_frame_interval=60):
        yield


@contextlib.asynccontextmanager
async def _chromium(url: str, options: dict[str, Any]) -> AsyncIterator[None]:
    async with chromium_browser() as browser:
        page = await browser.new_page()
        await _publish(page, url, options)
        yield


@contextlib.asynccontextmanager
async def _firefox(url: str, options: dict[str, Any]) -> AsyncIterator[None]:
    async with firefox_page() as page:
        await _publish(page, url, options)
        yield


async def _publish(page: Page, url: str, options: dict[str, Any]) -> None:
    await page.goto(f"{url}/metrics")
    await load_client(page)
    size = {"width": 960, "height": 540, "fps": 20, "busy": 300}
    await page.evaluate("(o) => t.publish(o)", {"url": f"{url}/whip/cam", **size, **options})


PUBLISHERS: Final[dict[str, tuple[Callable[..., contextlib.AbstractAsyncContextManager[None]], dict[str, Any]]]] = {
    "OBS": (_obs, {}),
    "Chromium": (_chromium, {"video": "VP8", "encodings": SIMULCAST}),
    "Firefox": (_firefox, {"video": "VP8", "encodings": SIMULCAST}),
    "VP9": (_chromium, {"video": "VP9", "encodings": SVC, "fps": 15, "busy": 100}),
    "AV1": (_chromium, {"video": "AV1", "encodings": SVC, "fps": 10, "busy": 60}),
}
"""AV1 of three sizes takes a core: an encoder that cannot keep up leaves out the largest."""


@contextlib.asynccontextmanager
async def watching(directory: Path, publisher: str, viewer: str = "Chromium") -> AsyncIterator[Viewing]:
    """A viewer behind a link of its own, who sees the best layer by now."""
    environment = {"LIVE777_WEBRTC_ICE_UDP_ADDRS": f"{GATEWAY}:0"}
    publishing, options = PUBLISHERS[publisher]
    with firewall() as link:
        async with contextlib.AsyncExitStack() as stack:
            enter = stack.enter_async_context
            gateway = await enter(running_gateway(directory, address="0.0.0.0", environment=environment))
            url = f"http://{GATEWAY}:{gateway.url.rpartition(':')[2]}"
            with link.entered():
                if viewer == "Firefox":
                    page: Page = await enter(firefox_page())
                else:
                    page = await (await enter(chromium_browser())).new_page()
            # Only loopback's pages may use the microphone.
            await enter(publishing(gateway.url, options))
            await _client(page, url)
            session = await page.evaluate(
                "(o) => follow.play(o)", {"url": f"{url}/whep/cam", "descriptor": publisher in ("VP9", "AV1")}
            )
            yield Viewing(page=page, session=session)


def show(name: str, steps: Sequence[Step]) -> None:
    for step in steps:
        link = "free" if step.link is None else f"{step.link / 1000:.0f} kbit/s"
        widths = ", ".join(f"{width} from {at:.1f} s" for at, width in step.widths)
        print(
            f"{name}, {link}: {step.width} wide, {step.bitrate / 1000:.0f} kbit/s, {step.pictures:.1f} pictures/s; "
            f"wider ones until {step.left:.2f} s, others until {step.settled:.2f} s; "
            f"longest freeze {step.freeze:.2f} s; {widths}"
        )


def assert_followed(steps: Sequence[Step]) -> None:
    for step, width in zip(steps, (960, 480, 240, 960), strict=True):
        assert step.width == width, step
        assert step.left <= DOWN_WITHIN, step
        assert step.settled <= UP_WITHIN, step
        assert step.freeze <= LONGEST_FREEZE, step


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("own_network")
@pytest.mark.parametrize(
    ("publisher", "viewer"),
    [
        ("OBS", "Chromium"), ("Chromium", "Firefox"), ("Chromium", "Chromium"), ("Firefox", "Chromium"),
        ("VP9", "Chromium"), ("AV1", "Chromium"),
    ],
)  # fmt: skip
async def test_the_layer_follows_the_link(tmp_path: Path, publisher: str, viewer: str) -> None:
    """Debian's Firefox has no H264, and no way to ask for the dependency descriptor of SVC."""
    async with watching(tmp_path, publisher, viewer) as viewing:
        await viewing.shows(960)
        steps = [await viewing.step(link) for link in LINKS]
    show(f"{publisher} in {viewer}", steps)
    assert_followed(steps)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.usefixtures("own_network")
async def test_a_layer_that_was_chosen_stays(tmp_path: Path) -> None:
    async with watching(tmp_path, "OBS") as viewing:
        await viewing.shows(960)
        await viewing.choose("1")
        await viewing.shows(480)
        steps = [await viewing.step(link, 8) for link in (250_000, None)]
    show("chosen", steps)
    assert [{width for _, width in step.widths} for step in steps] == [{480}, {480}]


@pytest.mark.slow
@pytest.mark.usefixtures("own_network")
@pytest.mark.parametrize("viewer", ["Chromium", "Firefox"])
async def test_browsers_take_transport_wide_feedback(tmp_path: Path, viewer: str) -> None:
    """The answer offers it, and the feedback comes: the gateway has an estimate."""
    async with watching(tmp_path, "Chromium", viewer) as viewing:
        answer = await viewing.page.evaluate("() => follow.answer()")
        sections = answer.split("m=")[1:]
        assert all("transport-wide-cc-extensions-01" in section for section in sections)
        assert all("transport-cc" in section.replace("transport-wide-cc", "") for section in sections)
        origin, stream = viewing.session.split("/session/")[0], "cam"

        async def estimated() -> bool:
            async with aiohttp.ClientSession() as client, client.get(f"{origin}/api/streams/") as response:
                streams: list[dict[str, Any]] = await response.json()
            sessions = next(one for one in streams if one["id"] == stream)["subscribe"]["sessions"]
            return any(session["stats"].get("availableBitrate") for session in sessions)

        await eventually(estimated, within=20)
