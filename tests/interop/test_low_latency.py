"""A recording that is watched while it is made, well within the segment in the making: numbers of pictures tell it."""

from __future__ import annotations

import asyncio
import re
import statistics
from typing import TYPE_CHECKING
from urllib.parse import quote

import aiohttp
from playwright.async_api import expect

from tests.gateway import running_gateway
from tests.interop.peers import Picture, publishing
from tests.interop.test_pages import open_page
from tests.interop.test_periods import WATCH, WITHIN_MS, seen, started
from tests.recorder.published import Client
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from aiortc import RTCPeerConnection
    from playwright.async_api import Browser

SEGMENT_SECONDS = 6
CHUNKS = 4
"""That a segment in the making is read in, at least: it has twelve."""
LOOKS = 12
LIMIT = SEGMENT_SECONDS * 0.9


def published(connection: RTCPeerConnection) -> int:
    """The number of the picture that the publisher sends now."""
    (picture,) = [it.sender.track for it in connection.getTransceivers() if isinstance(it.sender.track, Picture)]
    return picture.count


async def in_the_making(client: Client, directory: str) -> str | None:
    """The name of the video's newest segment, once there are two."""
    try:
        manifest = (await client.object(f"{directory}/manifest.mpd")).decode()
    except aiohttp.ClientResponseError:  # there is none yet
        return None
    video = manifest[: manifest.index("</AdaptationSet>")]
    count = sum(1 + int(repeat or 0) for repeat in re.findall(r'<S [^>]*?(?:r="(\d+)")?/>', video))
    return f"{directory}/v_seg_{count:04}.m4s" if count > 1 else None


async def test_chromium_is_well_within_the_segment_in_the_making(tmp_path: Path, chromium: Browser) -> None:
    config = (
        f"[store]\npath = '{tmp_path}/live777.db'\n"
        f"[recorder]\nsegment_seconds = {SEGMENT_SECONDS}\nlow_latency = true\n"
        f"[recorder.storage]\nroot = '{tmp_path}/storage'\n"
    )
    async with (
        running_gateway(tmp_path, config=config) as gateway,
        aiohttp.ClientSession() as session,
        publishing(f"{gateway.url}/whip/cam", codec="H264") as publisher,
    ):
        client = Client(gateway, session)
        directory = (await eventually(lambda: started(client)))["record_dir"]
        name = await eventually(lambda: in_the_making(client, directory))
        manifest = (await client.object(f"{directory}/manifest.mpd")).decode()
        assert 'availabilityTimeComplete="false"' in manifest
        assert f'availabilityTimeOffset="{SEGMENT_SECONDS - 0.5:g}"' in manifest

        # The object is sent as it is made.
        loop = asyncio.get_running_loop()
        async with session.get(f"{gateway.url}/api/record/object/{name}") as response:
            assert response.headers.get("Transfer-Encoding") == "chunked"
            arrivals = [loop.time() async for _ in response.content.iter_any()]
        assert len(arrivals) >= CHUNKS
        assert arrivals[-1] - arrivals[0] > 1

        mpd = quote(f"{directory}/manifest.mpd", safe="")
        page, errors = await open_page(chromium, f"{gateway.url}/tools/dash.html?mpd={mpd}&autoplay&muted")
        player = page.locator("dash-player")
        await expect(player).to_have_attribute("data-state", "playing", timeout=WITHIN_MS)
        await player.evaluate(WATCH)
        # A busy machine stalls the player, which then catches up little by little.
        behind: list[float] = []
        while len(behind) < LOOKS or (statistics.median(behind[-LOOKS:]) >= LIMIT and len(behind) < 6 * LOOKS):
            await asyncio.sleep(0.5)
            shown = await seen(player)
            behind.append((published(publisher) - shown[-1][2]) / 30)
        looks = behind[-LOOKS:]
        print(f"{statistics.median(looks):.2f} s behind the publisher, {min(looks):.2f} to {max(looks):.2f}")
        assert statistics.median(looks) < LIMIT, behind
        numbers = [number for _, _, number in shown]
        assert numbers == sorted(numbers)
        assert errors == []
