"""Real encoders publish every codec, the gateway records: each picture is there with its sound, and players play it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import pytest
import pytest_asyncio

from tests.gateway import Gateway, running_gateway
from tests.interop.chromium import chromium_browser
from tests.interop.network import network_namespace
from tests.interop.programs import gstreamer_clapper
from tests.interop.recorded import assert_decodes, assert_plays, download, probe
from tests.recorder import mpd
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from xml.etree import ElementTree as ET

    from playwright.async_api import Browser

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SEGMENT_SECONDS = 2
LIP_SYNC = 0.040
FPS = 25
SECONDS = [pytest.param(seconds, marks=pytest.mark.slow) for seconds in (8, 30)]
"""Six encoders and a gateway on one machine: what a busy one loses says nothing of the recorder."""
FFMPEG_NAMES = {"H264": "h264", "H265": "hevc", "VP8": "vp8", "VP9": "vp9", "AV1": "av1"}
ENCODER_LAG = {"VP9": 1.1}
"""Seconds by which the picture is late: sender reports alone tell. Without any, sound would be that much too late."""
DEFAULT_REPORTS = "H264-default-reports"
"""Published with sender reports that contradict the packets."""
STREAMS = [*FFMPEG_NAMES, DEFAULT_REPORTS]
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


def config(directory: Path) -> str:
    return (
        f"[recorder]\nsegment_seconds = {SEGMENT_SECONDS}\n"
        f"[recorder.storage]\nroot = '{directory}/storage'\n[store]\npath = '{directory}/store.db'\n"
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SECONDS)
async def shown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shown]:
    """All streams, recorded at once; and another gateway that has the recordings."""
    directory = tmp_path_factory.mktemp("shown")
    with network_namespace() as address:
        paths, live = await _record(directory, address, request.param)
    async with running_gateway(directory, config=config(directory)) as gateway, chromium_browser() as chromium:
        yield Shown(gateway, chromium, request.param, paths, live)


async def _record(directory: Path, address: str, seconds: int) -> tuple[dict[str, str], dict[str, bytes]]:
    paths: dict[str, str] = {}
    live: dict[str, bytes] = {}
    network = {"LIVE777_WEBRTC_ICE_UDP_ADDRS": f"{address}:0"}
    async with (
        running_gateway(directory, config=config(directory), environment=network) as gateway,
        aiohttp.ClientSession(gateway.url) as client,
        contextlib.AsyncExitStack() as publishers,
    ):
        for name in STREAMS:
            codec, _, default = name.partition("-")
            url = f"{gateway.url}/whip/{name}"
            await publishers.enter_async_context(gstreamer_clapper(url, codec.lower(), true_reports=not default))
        for name in STREAMS:

            async def started(name: str = name) -> str | None:
                async with client.post(f"/api/record/{name}") as response:
                    return str((await response.json())["mpd_path"]) if response.status == 200 else None

            paths[name] = await eventually(started, within=30)
        for name, path in paths.items():

            async def enough(name: str = name, path: str = path) -> bool:
                entries = await gateway.get(f"/api/playback/{name}")
                return any(it["mpd_path"] == path and it["duration_ms"] >= seconds * 1000 for it in entries)

            await eventually(enough, within=seconds + 30)
            async with client.get(f"/api/record/object/{path}") as response:
                live[name] = await response.read()
            async with client.delete(f"/api/record/{name}") as response:
                assert response.status == 200
    return paths, live


def assert_gapless(counters: list[int]) -> None:
    assert counters, "no picture"
    assert counters == list(range(counters[0], counters[0] + len(counters)))


@pytest.mark.parametrize("name", STREAMS)
async def test_every_picture_with_its_sound(shown: Shown, name: str) -> None:
    presented = await download(shown.gateway, shown.paths[name])
    apart = presented.lip_sync(FPS)
    print(
        f"{name}: {len(presented.pictures)} pictures from {presented.counters[0]}, {presented.duration:.3f} s, "
        f"{presented.sound_seconds:.2f} s of sound, {len(apart)} beeps late by "
        f"{min(apart) * 1000:.1f} to {max(apart) * 1000:.1f} ms"
    )
    assert_gapless(presented.counters)
    assert presented.periods == 1
    assert len(presented.pictures) >= (shown.seconds - 0.5) * FPS
    assert len(apart) >= shown.seconds - 1
    assert max(map(abs, apart)) < LIP_SYNC
    # It lasts as long as what was published: nothing was stretched.
    assert abs(len(presented.pictures) / FPS - presented.pictures[-1][0] - 1 / FPS) < 0.1
    assert abs(presented.sound_seconds - presented.duration) < ENCODER_LAG.get(name, 0.1)


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
            assert (probed.packets["video"], probed.sizes) == (len(presented.pictures), {(320, 180)})
        # FFmpeg's DASH demuxer ends with the shorter track.
        lag = ENCODER_LAG.get(name, 0.1)
        assert presented.sound_seconds - lag < probed.packets["audio"] * 0.02 < presented.sound_seconds + 0.01
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
