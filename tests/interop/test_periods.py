"""A publisher that leaves and is back with another resolution: one recording of two Periods, played in every way."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
from typing import TYPE_CHECKING, Any

import aiohttp
import av
import numpy as np
from playwright.async_api import expect

from tests.gateway import running_gateway
from tests.interop.peers import counter_of, picture
from tests.interop.programs import OPUS, ffmpeg, ffmpeg_publisher, running
from tests.interop.test_pages import open_page
from tests.interop.test_recordings_page import card
from tests.recorder.encoded import ffmpeg as encode
from tests.recorder.published import Client, camera, of_files
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Locator

    from tests.gateway import Gateway

SIZES = ((640, 360), (320, 180))
SECONDS = 30
AWAY = 5
WITHIN_MS = 30_000
AGAIN = 0.1
"""Seconds of pictures, three, that may be shown twice."""
Shown = tuple[int, float, int]
"""Width, media time in seconds and number of a picture."""

# What is on the screen: size, media time and number of the picture.
WATCH = """(player) => {
    const seen = (window.seen = []);
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const { video } = player;
    const note = (_now, { width, height, mediaTime }) => {
        canvas.canvas.width = width;
        canvas.canvas.height = height;
        canvas.drawImage(video, 0, 0);
        const block = width / 16;
        const row = canvas.getImageData(0, height / 2, width, 1).data;
        let number = 0;
        for (let bit = 0; bit < 16; bit++) {
            const at = 4 * Math.floor(bit * block + block / 2);
            if (row[at] + row[at + 1] + row[at + 2] > 384) number |= 1 << bit;
        }
        seen.push([width, mediaTime, number]);
        video.requestVideoFrameCallback(note);
    };
    video.requestVideoFrameCallback(note);
}"""


def numbered(path: Path, width: int, height: int) -> Path:
    """Half a minute whose pictures have their numbers in them, with a key frame each second."""
    raw = b"".join(picture(number, width, height).tobytes() for number in range(SECONDS * 30))
    data = encode(
        *f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r 30 -i pipe:0 -f lavfi -i sine=d={SECONDS}".split(),
        *["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30"],
        *(*OPUS, "-f", "matroska", "-"),
        stdin=raw,
    )
    path.write_bytes(data)
    return path


@contextlib.asynccontextmanager
async def publishing(gateway: Gateway, file: Path) -> AsyncIterator[None]:
    url = f"{gateway.url}/whip/cam"
    async with ffmpeg_publisher(url, inputs=("-i", str(file)), options=("-c", "copy")):
        yield


async def seen(player: Locator) -> list[Shown]:
    return [tuple(each) for each in await player.evaluate("() => window.seen")]


def onward(shown: list[Shown]) -> list[Shown]:
    """Without what was on the screen before: where dash.js seeks to the place that it has reached (over a gap, into the
    next Period), Chromium shows the picture of that place, and may already have shown the one after it."""
    furthest = -1.0
    fresh = []
    for each in shown:
        assert each[1] > furthest - AGAIN, shown
        if each[1] > furthest:
            fresh.append(each)
            furthest = each[1]
    return fresh


def assert_no_hole(shown: list[Shown]) -> None:
    """A loaded machine may leave pictures out; where time jumps, media are missing."""
    times = [at for _, at, _ in onward(shown)]
    assert max(np.diff(times)) < 1, times


async def test_a_publisher_is_back_with_another_size(tmp_path: Path, chromium: Browser) -> None:
    files = [await asyncio.to_thread(numbered, tmp_path / f"{width}.mkv", width, height) for width, height in SIZES]
    config = of_files(tmp_path, f"root = '{tmp_path}/storage'\n", "resume_seconds = 30\n")
    async with running_gateway(tmp_path, config=config) as gateway, aiohttp.ClientSession() as session:
        client = Client(gateway, session)
        async with publishing(gateway, files[0]):
            place = await eventually(lambda: started(client))
            viewer, errors = await open_page(chromium, f"{gateway.url}/recordings.html")
            await card(viewer, "cam").get_by_role("button", name="Play", exact=True).click()
            player = viewer.locator("dash-player")
            await expect(player).to_have_attribute("data-state", "playing", timeout=WITHIN_MS)
            await player.evaluate(WATCH)
            await eventually(lambda: reaches(gateway, 8))
            await follow_live_by_ffmpeg(gateway, place["record_dir"])
        await asyncio.sleep(AWAY)
        first = await recorded(gateway)
        async with publishing(gateway, files[1]):
            # Who watches goes on with the second Period as it is made.
            await eventually(lambda: shows(player, SIZES[1][0]), within=30)
            await eventually(lambda: reaches(gateway, first + 6))
            await client.stop("cam")
        await expect(player).to_have_attribute("data-state", "ended", timeout=WITHIN_MS)
        assert_no_hole(await seen(player))

        directory = place["record_dir"]
        manifest = (await client.object(f"{directory}/manifest.mpd")).decode()
        assert manifest.count("<Period ") == 2
        sizes = re.findall(r'width="(\d+)" height="(\d+)"', manifest)
        assert [(int(width), int(height)) for width, height in sizes] == [*SIZES]
        await plays_through(player)
        await expect(card(viewer, "cam").locator("img")).to_be_visible()
        assert [line for line in errors if "404" not in line] == []

        assert_every_picture(await client.get(f"/api/playback/cam/{place['record_id']}.mp4"))
        playlist = (await client.object(f"{directory}/video.m3u8")).decode()
        assert playlist.count("#EXT-X-DISCONTINUITY\n") == 1
        assert playlist.endswith("#EXT-X-ENDLIST\n")
        assert_every_picture(*[await hls(client, directory, period) for period in ("v", "v1")])
        await reads_hls(gateway, directory)


async def test_a_recording_that_has_just_begun_is_sought_in(tmp_path: Path, chromium: Browser) -> None:
    config = of_files(tmp_path, f"root = '{tmp_path}/storage'\n")
    async with running_gateway(tmp_path, config=config) as gateway, aiohttp.ClientSession() as session:
        client = Client(gateway, session)
        async with camera(f"{gateway.url}/whip/cam"):
            await eventually(lambda: started(client))
            viewer, _ = await open_page(chromium, f"{gateway.url}/recordings.html")
            await card(viewer, "cam").get_by_role("button", name="Play", exact=True).click()
            player = viewer.locator("dash-player")
            await expect(player).to_have_attribute("data-state", "playing", timeout=WITHIN_MS)
            await eventually(lambda: reaches(gateway, 6))
            await back_and_to_the_live_edge(player)


async def back_and_to_the_live_edge(player: Locator) -> None:
    """All that was recorded so far can be sought in. A busy machine looks at the position too late, and dash.js seeks
    as well, over gaps: the viewer's place is among those that were sought, and playing goes on."""
    position = player.get_by_role("slider", name="Position")
    # The player's manifest may be older than the gateway's.
    await eventually(lambda: position.evaluate("({ max }) => max >= 5"), within=30)
    await player.evaluate(
        """({ video }) => {
            window.sought = [];
            video.addEventListener("seeking", () => window.sought.push(video.currentTime));
        }"""
    )
    await position.press("Home")
    await eventually(lambda: arrived(player, "at < 0.1"), within=30)
    await expect(player).to_have_attribute("data-state", "playing", timeout=WITHIN_MS)
    await player.evaluate("() => (window.sought = [])")
    await player.get_by_role("button", name="To the live edge").click()
    await eventually(lambda: arrived(player, "at > 1"), within=30)
    await expect(player).to_have_attribute("data-state", "playing", timeout=WITHIN_MS)


async def arrived(player: Locator, place: str) -> bool:
    """`place` is said of `at`, seconds."""
    there = f"({{ video }}) => !video.seeking && window.sought.some((at) => {place})"
    return bool(await player.evaluate(there))


async def started(client: Client) -> dict[str, Any] | None:
    with contextlib.suppress(aiohttp.ClientResponseError):
        return await client.start("cam")
    return None


async def recorded(gateway: Gateway) -> float:
    """Seconds."""
    (row,) = await gateway.get("/api/playback/cam")
    return float(row["duration_ms"]) / 1000


async def reaches(gateway: Gateway, seconds: float) -> bool:
    return await recorded(gateway) >= seconds


async def shows(player: Locator, width: int) -> bool:
    return (await seen(player))[-1][0] == width


async def plays_through(player: Locator) -> None:
    """From the first picture to the last one, of both sizes."""
    await player.get_by_role("button", name="Play again").click()
    await expect(player).to_have_attribute("data-state", "playing", timeout=WITHIN_MS)
    await player.evaluate(WATCH)
    await expect(player).to_have_attribute("data-state", "ended", timeout=WITHIN_MS)
    shown = await seen(player)
    assert_no_hole(shown)
    shown = onward(shown)
    widths = [width for width, _, _ in shown]
    assert widths == sorted(widths, reverse=True)
    assert set(widths) == {width for width, _ in SIZES}
    for width, _ in SIZES:
        numbers = [number for at, _, number in shown if at == width]
        assert numbers == sorted(numbers), shown
    assert shown[0][1] < 1
    assert await player.evaluate("(player) => player.video.duration - player.video.currentTime") < 0.1


def assert_every_picture(*files: bytes) -> None:
    """In each size the numbers go on by one."""
    numbers: dict[int, list[int]] = {width: [] for width, _ in SIZES}
    for data in files:
        with av.open(io.BytesIO(data), "r") as container:
            for frame in container.decode(video=0):
                numbers[frame.width].append(counter_of(frame.to_ndarray(format="rgb24")))
    for some in numbers.values():
        assert len(some) >= 5 * 30
        assert some == list(range(some[0], some[0] + len(some)))


async def hls(client: Client, directory: str, prefix: str) -> bytes:
    """One Period's segments, as the playlist names them."""
    playlist = (await client.object(f"{directory}/video.m3u8")).decode()
    names = re.findall(rf"^{prefix}_seg_\d+\.m4s$", playlist, flags=re.MULTILINE)
    assert f'#EXT-X-MAP:URI="{prefix}_init.m4s"' in playlist
    return b"".join([await client.object(f"{directory}/{name}") for name in (f"{prefix}_init.m4s", *names)])


async def reads_hls(gateway: Gateway, directory: str) -> None:
    """FFmpeg follows the discontinuity."""
    url = f"{gateway.url}/api/record/object/{directory}/master.m3u8"
    command = (ffmpeg(), "-v", "info", "-nostdin", "-i", url, "-map", "0:v", "-f", "null", "-")
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, log = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, log.decode()
    frames = [int(count) for count in re.findall(r"frame= *(\d+)", log.decode())]
    assert frames[-1] >= 13 * 30


async def follow_live_by_ffmpeg(gateway: Gateway, directory: str) -> None:
    """While it is made, from its beginning on, and more than there was of it when the reader came."""
    frames = round(await recorded(gateway) * 30) + 60
    url = f"{gateway.url}/api/record/object/{directory}/master.m3u8"
    command = (ffmpeg(), "-v", "error", "-nostdin", "-live_start_index", "0", "-i", url, "-map", "0:v")
    async with running(*command, "-frames:v", str(frames), "-f", "null", "-") as process:
        assert await asyncio.wait_for(process.wait(), 20) == 0
