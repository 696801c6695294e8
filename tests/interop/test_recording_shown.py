"""Real encoders publish every codec, the gateway records: each picture is there with its sound, and players play it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import pytest
import pytest_asyncio

from tests.gateway import Gateway, running_gateway
from tests.interop.chromium import chromium_browser
from tests.interop.clapped import Clapper, assert_every_picture_with_its_sound, config, end_lag, record
from tests.interop.network import network_namespace
from tests.interop.recorded import assert_decodes, assert_plays, download, probe
from tests.recorder import mpd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from xml.etree import ElementTree as ET

    from playwright.async_api import Browser

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SECONDS = [pytest.param(seconds, marks=pytest.mark.slow) for seconds in (8, 30)]
"""Six encoders and a gateway on one machine: what a busy one loses says nothing of the recorder."""
FFMPEG_NAMES = {"H264": "h264", "H265": "hevc", "VP8": "vp8", "VP9": "vp9", "AV1": "av1"}
DEFAULT_REPORTS = Clapper("H264-default-reports", "H264", "default")
"""Published with sender reports that contradict the packets."""
CLAPPERS = [*(Clapper(codec, codec) for codec in FFMPEG_NAMES), DEFAULT_REPORTS]
IN_CHROMIUM = {"H264", "VP8", "VP9", "AV1"}
"""Debian's build has no H265 decoder."""


@dataclass
class Shown:
    gateway: Gateway
    chromium: Browser
    seconds: int
    paths: dict[str, str]
    """Of the manifests, by stream."""
    live: dict[str, bytes]
    """What they were in the middle of it."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SECONDS)
async def shown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shown]:
    """All streams, recorded at once; and another gateway that has the recordings."""
    directory = tmp_path_factory.mktemp("shown")
    with network_namespace() as address:
        paths, live = await record(directory, address, CLAPPERS, request.param)
    async with running_gateway(directory, config=config(directory)) as gateway, chromium_browser() as chromium:
        yield Shown(gateway, chromium, request.param, paths, live)


@pytest.mark.parametrize("clapper", CLAPPERS, ids=lambda it: it.name)
async def test_every_picture_with_its_sound(shown: Shown, clapper: Clapper) -> None:
    presented = await download(shown.gateway, shown.paths[clapper.name])
    assert_every_picture_with_its_sound(presented, clapper.codec, shown.seconds)


@pytest.mark.parametrize("name", FFMPEG_NAMES)
async def test_ffprobe_and_ffmpeg_read_dash_and_hls(shown: Shown, name: str) -> None:
    presented = await download(shown.gateway, shown.paths[name])
    base = f"{shown.gateway.url}/api/record/object/{shown.paths[name].rsplit('/', 1)[0]}"
    for manifest in ("manifest.mpd", "master.m3u8"):
        probed = await probe(f"{base}/{manifest}")
        if (name, manifest) == ("VP8", "master.m3u8"):
            assert probed.codecs == {"audio": "opus"}, "HLS has no WebM"
        else:
            assert probed.codecs == {"video": FFMPEG_NAMES[name], "audio": "opus"}
            assert probed.sizes == {(320, 180)}
            with_sound = sum(at < presented.sound[1] for at, _ in presented.pictures)
            assert with_sound - 1 <= probed.packets["video"] <= len(presented.pictures)
        # FFmpeg's DASH demuxer ends with the shorter track.
        assert presented.sound_seconds - end_lag(name) < probed.packets["audio"] * 0.02 < presented.sound_seconds + 0.01
        await assert_decodes(f"{base}/{manifest}")


@pytest.mark.parametrize("name", FFMPEG_NAMES)
async def test_dash_js_plays_in_chromium(shown: Shown, name: str) -> None:
    duration, pictures, types = await _lengths_and_types(shown, name)
    page = await shown.chromium.new_page()
    supported = [await page.evaluate("(type) => MediaSource.isTypeSupported(type)", it) for it in types]
    await page.close()
    assert all(supported) == (name in IN_CHROMIUM), (types, supported)
    if not all(supported):
        return
    skip = 0 if shown.seconds > 20 else shown.seconds - 4
    widths = await assert_plays(
        shown.chromium, shown.gateway, shown.paths[name], duration=duration, pictures=pictures, skip=skip
    )
    assert widths == {320}


async def _lengths_and_types(shown: Shown, name: str) -> tuple[float, float, list[str]]:
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"{shown.gateway.url}/api/record/object/{shown.paths[name]}") as response,
    ):
        root, listed = mpd.read(await response.read())
    ends = {segment.name[0]: float(segment.start + segment.duration) for segment in listed}
    return max(ends.values()), ends["v"], _types(root)


def _types(root: ET.Element) -> list[str]:
    return [
        f'{adaptation.attrib["mimeType"]}; codecs="{representation.attrib["codecs"]}"'
        for adaptation in root.iter(f"{mpd.NAMESPACE}AdaptationSet")
        for representation in adaptation.iter(f"{mpd.NAMESPACE}Representation")
    ]


@pytest.mark.parametrize("name", FFMPEG_NAMES)
async def test_the_live_manifest_follows_the_schema(shown: Shown, name: str) -> None:
    root, listed = mpd.read(shown.live[name])
    assert root.get("type") == "dynamic"
    assert {segment.init[0] for segment in listed} == {"v", "a"}
