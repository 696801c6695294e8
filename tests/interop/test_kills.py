"""kill -9 in the middle of a recording: what the next start makes of it plays to within one segment of the kill."""

from __future__ import annotations

import asyncio
import io
import signal
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import aiohttp
import av
import pytest

from tests.gateway import running_gateway
from tests.interop.peers import Picture, counter_of, publishing
from tests.recorder import mpd
from tests.recorder.published import Client
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateway import Gateway

SEGMENT_SECONDS = 2
FPS = 30


@dataclass
class Played:
    counters: list[int]
    """Of all pictures, in order."""
    video_end: float
    audio_end: float
    """Seconds on the presentation's time line."""
    static: bool


async def _played(client: Client, directory: str) -> Played:
    """All that the manifest names, decoded to the end."""
    root, listed = mpd.read(await client.object(f"{directory}/manifest.mpd"))
    counters: list[int] = []
    ends = {}
    for letter in "va":
        segments = [segment for segment in listed if segment.name.startswith(letter)]
        names = [segments[0].init, *(segment.name for segment in segments)]
        data = b"".join([await client.object(f"{directory}/{name}") for name in names])
        with av.open(io.BytesIO(data), "r") as container:
            frames = list(container.decode(video=0) if letter == "v" else container.decode(audio=0))
        counters += [counter_of(it.to_ndarray(format="rgb24")) for it in frames if isinstance(it, av.VideoFrame)]
        ends[letter] = float(segments[-1].start + segments[-1].duration)
    return Played(counters, ends["v"], ends["a"], root.get("type") == "static")


async def _killed(gateway: Gateway, directory: Path, codec: str, seconds: float) -> tuple[str, int]:
    """The recording's directory, and the last picture that was published before the gateway was killed."""
    async with publishing(f"{gateway.url}/whip/cam", codec=codec, goodbye=False) as publisher:
        (picture,) = (it.sender.track for it in publisher.getTransceivers() if it.kind == "video")
        assert isinstance(picture, Picture)

        async def begun() -> str | None:
            sessions = (await gateway.get("/api/recordings?status=Active"))["sessions"]
            place = sessions[0]["mpd_path"].removesuffix("/manifest.mpd") if sessions else ""
            return place if list((directory / "storage" / place).glob("v_init.*")) else None

        place = await eventually(begun)
        await asyncio.sleep(seconds)  # a random point is a point in time
        gateway.process.send_signal(signal.SIGKILL)
        last = picture.count - 1
        await gateway.process.wait()
    return place, last


async def _kill_and_look(tmp_path: Path, codec: str, seconds: float) -> None:
    config = (
        f"[store]\npath = '{tmp_path}/store.db'\n"
        f"[recorder]\nsegment_seconds = {SEGMENT_SECONDS}\nauto_streams = ['cam']\n"
        f"[recorder.storage]\nroot = '{tmp_path}/storage'\n"
    )
    async with running_gateway(tmp_path, config=config) as gateway:
        place, last = await _killed(gateway, tmp_path, codec, seconds)
    async with running_gateway(tmp_path, config=config) as gateway, aiohttp.ClientSession() as session:
        await gateway.logged("is repaired")
        (row,) = (await gateway.get("/api/recordings"))["sessions"]
        played = await _played(Client(gateway, session), place)
    lost = (last - played.counters[-1]) / FPS
    print(f"{codec}, killed {seconds:.1f} s after the first init segment: {lost:.2f} s are lost")
    assert played.static
    assert played.counters == list(range(played.counters[0], played.counters[0] + len(played.counters)))
    assert lost < SEGMENT_SECONDS
    assert abs(played.video_end - played.audio_end) < 0.5
    assert (row["status"], row["reason"]) == ("Completed", "interrupted")
    assert abs(row["duration_ms"] / 1000 - max(played.video_end, played.audio_end)) < 0.01
    assert row["bytes"] == sum(file.stat().st_size for file in (tmp_path / "storage" / place).glob("*_seg_*"))
    assert not list((tmp_path / "storage").rglob(".partial-journal/*"))


@pytest.mark.parametrize(("codec", "seconds"), [("H264", 1.7), ("VP8", 2.9)])
async def test_two_kills(codec: str, seconds: float, tmp_path: Path) -> None:
    await _kill_and_look(tmp_path, codec, seconds)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_ten_kills(tmp_path: Path) -> None:
    random = Random()
    for number in range(10):
        directory = tmp_path / str(number)
        directory.mkdir()
        await _kill_and_look(directory, random.choice(["H264", "VP8"]), random.uniform(1, 12))
