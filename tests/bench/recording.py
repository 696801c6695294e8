"""What recording costs: 100 streams of 2.5 Mbit/s H264 and Opus, before and while they are all recorded.

One gateway pushes ten publishers, an encoded file each, to ten streams of another, which records them to a directory.
Every recorded frame is looked up in that file afterwards, by its bytes: none is missing, none is there twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import tempfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
import av
import psutil

from live777py.recorder import names
from live777py.recorder.reading import read_init
from tests.bench.rig import allow_descriptors
from tests.bench.target import Target
from tests.gateway import Gateway, running_gateway
from tests.interop.programs import ffmpeg, ffmpeg_publisher
from tests.recorder.sources import samples
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

    from live777py.recorder.configuration import Kind

STREAMS: Final = 100
PUBLISHERS: Final = 10
APART: Final = 0.2
"""Seconds between two publishers, so that key frames do not come all at once: they are two seconds apart."""
SECONDS: Final = 30.0
"""Of each measurement."""
SETTLE: Final = 12.0
"""Seconds after which the first segments, of ten seconds, have been written."""
FILE_SECONDS: Final = 150
START_LIMIT: Final = 40.0
LIMIT: Final = 0.5
_KINDS: Final[tuple[Kind, ...]] = ("video", "audio")
SOURCE: Final = (
    *("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30,noise=alls=20:allf=t", "-f", "lavfi", "-i", "anoisesrc"),
    *(
        "-t",
        str(FILE_SECONDS),
        "-pix_fmt",
        "yuv420p",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-tune",
        "zerolatency",
    ),
    *("-b:v", "2.5M", "-minrate", "2.5M", "-maxrate", "2.5M", "-bufsize", "2.5M", "-g", "60"),
    *("-c:a", "libopus", "-b:a", "64k", "-ar", "48000", "-ac", "2"),
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """Percentages are of one core and for each stream; `alone` is what a stream costs that is not recorded."""

    streams: int
    mbit: float
    """Of one stream, as recorded."""
    alone_percent: float
    recorded_percent: float
    memory_kb: float
    """More than before the recording, for each stream."""
    frames: int
    lost: int
    """Frames that are not where they should be, and those that the recorder counted."""
    overflown: int
    """Datagrams that the kernel of this machine threw away: a media thread had to wait for a core too long."""

    @property
    def targets(self) -> tuple[Target, ...]:
        cost = self.recorded_percent - self.alone_percent
        return (
            Target(name="recording a stream, of a core", value=cost, limit=LIMIT, unit="%"),
            Target(name="frames lost", value=self.lost, limit=0),
        )

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    def as_table(self) -> str:
        return (
            f"{self.streams} streams of {self.mbit:.2f} Mbit/s: {self.alone_percent:.3f} % of a core each, "
            f"{self.recorded_percent:.3f} % while recorded, {self.memory_kb:.0f} kB each\n"
            f"{self.frames} frames were recorded, {self.lost} lost; the kernel threw {self.overflown} datagrams away"
        )


async def measure() -> Result:
    """Takes two minutes, and two gigabytes of disk."""
    allow_descriptors(STREAMS * 10)
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        file = directory / "source.mkv"
        await asyncio.to_thread(_encode, file)
        gateway = await stack.enter_async_context(running_gateway(directory, config=_recorder(directory)))
        sender = await stack.enter_async_context(running_gateway(directory, config=_targets(gateway)))
        for number in range(PUBLISHERS):
            url = f"{sender.url}/whip/source{number}"
            publisher = ffmpeg_publisher(url, inputs=("-i", str(file)), options=("-c", "copy"))
            await stack.enter_async_context(publisher)
            await asyncio.sleep(APART)
        client = await stack.enter_async_context(aiohttp.ClientSession(gateway.url))
        await eventually(lambda: _all_published(gateway), within=START_LIMIT)

        process = psutil.Process(gateway.pid)
        overflown = _overflown()
        alone = await _use(process)
        memory = process.memory_info().rss
        places = await asyncio.gather(*(_record(client, f"cam{number}") for number in range(STREAMS)))
        await asyncio.sleep(SETTLE)
        recorded = await _use(process)
        memory = process.memory_info().rss - memory
        dropped = await _dropped(client)
        overflown = _overflown() - overflown
        await asyncio.gather(*(_stop(client, f"cam{number}") for number in range(STREAMS)))

        tally = await asyncio.to_thread(_tally, file, [directory / "storage" / place for place in places])
    return Result(
        streams=STREAMS,
        mbit=tally.bytes * 8 / 1e6 / tally.seconds,
        alone_percent=alone / STREAMS,
        recorded_percent=recorded / STREAMS,
        memory_kb=memory / STREAMS / 1000,
        frames=tally.frames,
        lost=tally.astray + dropped,
        overflown=overflown,
    )


def _overflown() -> int:
    """RcvbufErrors of UDP (/proc/net/snmp)."""
    heads, values = (
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Udp:")
    )
    return int(dict(zip(heads, values, strict=True))["RcvbufErrors"])


def _encode(file: Path) -> None:
    subprocess.run([ffmpeg(), "-v", "error", "-nostdin", *SOURCE, file], check=True, timeout=100)


def _recorder(directory: Path) -> str:
    return f"[store]\npath = '{directory}/store.db'\n[recorder.storage]\nroot = '{directory}/storage'\n"


def _targets(gateway: Gateway) -> str:
    url = gateway.url.replace("http", "whip")
    return "".join(
        f'[[stream.source{number % PUBLISHERS}.targets]]\nurl = "{url}/whip/cam{number}"\n' for number in range(STREAMS)
    )


async def _all_published(gateway: Gateway) -> bool:
    streams = await gateway.get("/api/streams/")
    states = [session["state"] for stream in streams for session in stream["publish"]["sessions"]]
    return states.count("connected") == STREAMS


async def _use(process: psutil.Process) -> float:
    """Percent of a core."""
    loop = asyncio.get_running_loop()
    began, before = loop.time(), process.cpu_times()
    await asyncio.sleep(SECONDS)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) * 100 / (loop.time() - began)


async def _record(client: aiohttp.ClientSession, stream: str) -> str:
    """The directory."""
    async with client.post(f"/api/record/{stream}") as response:
        response.raise_for_status()
        return str((await response.json())["record_dir"])


async def _stop(client: aiohttp.ClientSession, stream: str) -> None:
    async with client.delete(f"/api/record/{stream}") as response:
        response.raise_for_status()


async def _dropped(client: aiohttp.ClientSession) -> int:
    name = "live777_recorder_frames_dropped_total "
    async with client.get("/metrics") as response:
        text = await response.text()
    return int(float(next(line for line in text.splitlines() if line.startswith(name)).removeprefix(name)))


# What was recorded


@dataclass
class Tally:
    frames: int = 0
    astray: int = 0
    bytes: int = 0
    seconds: float = 0.0
    """Of the longest track of each stream, together."""


def _tally(file: Path, places: list[Path]) -> Tally:
    sent = {kind: {mark: number for number, mark in enumerate(_sent(file, kind))} for kind in _KINDS}
    tally = Tally()
    for place in places:
        seconds = max(_tally_track(place, kind, sent[kind], tally) for kind in _KINDS)
        assert seconds > SECONDS + SETTLE / 2  # it begins at a key frame
        tally.seconds += seconds
    return tally


def _sent(file: Path, kind: Kind) -> list[int]:
    with av.open(str(file)) as container:
        stream = container.streams.video[0] if kind == "video" else container.streams.audio[0]
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
    # Matroska has H264 as MP4 has it.
    marks = [_mark(kind, packet) for packet in packets]
    assert len(set(marks)) == len(marks)
    return marks


def _mark(kind: Kind, data: bytes) -> int:
    """By what a frame is known again: parameter sets and the like may have come to it, or have been left out."""
    if kind == "audio":
        return zlib.crc32(data)
    mark, at = 0, 0
    while at < len(data):
        begin = at + 4
        at = begin + int.from_bytes(data[at:begin])
        if 1 <= data[begin] & 0x1F <= 5:  # a slice, H.264 table 7-1
            mark = zlib.crc32(data[begin:at], mark)
    return mark


def _tally_track(place: Path, kind: Kind, sent: Mapping[int, int], tally: Tally) -> float:
    """Seconds of the track."""
    init = names.parse(names.init_name(kind, 0, "mp4"))
    assert init is not None
    configuration = read_init((place / names.init_name(kind, 0, "mp4")).read_bytes(), init)
    due: int | None = None
    times = []
    assert not any(place.glob("*1_init.*")), "a second Period: a publisher was away for seconds"
    for segment in sorted(place.glob(f"{kind[0]}_seg_*.m4s")):
        data = segment.read_bytes()
        tally.bytes += len(data)
        for time, frame in samples(data, configuration):
            number = sent.get(_mark(kind, frame))
            if number is None or due not in {number, None}:
                tally.astray += 1
            due = None if number is None else number + 1
            times.append(time)
    tally.frames += len(times)
    return float(times[-1] - times[0])
