"""Real encoders publish counted pictures and beeps, and a gateway records them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

from tests.gateway import running_gateway
from tests.interop.programs import gstreamer_clapper
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.interop.programs import Reports
    from tests.interop.recorded import Presented

FPS = 25
SEGMENT_SECONDS = 2
LIP_SYNC = 0.040
STRETCHED = 0.1
"""Seconds by which a recording may be longer or shorter than what was published: a clock that arrival tells is slow."""
ENCODER_LAG = {"VP9": 1.1}
"""Seconds by which the picture is late: sender reports alone tell. Without any, sound would be that much too late."""
BUSY_LAG = 0.5
"""Seconds by which a busy machine sends one kind later than the other: of that one so much is missing at the end."""


def config(directory: Path) -> str:
    return (
        f"[recorder]\nsegment_seconds = {SEGMENT_SECONDS}\n"
        f"[recorder.storage]\nroot = '{directory}/storage'\n[store]\npath = '{directory}/store.db'\n"
    )


@dataclass(frozen=True)
class Clapper:
    """The name of its stream, and what `gst_clapper.py` is told."""

    name: str
    codec: str
    reports: Reports = "true"


async def record(
    directory: Path, address: str, clappers: Sequence[Clapper], seconds: float
) -> tuple[dict[str, str], dict[str, bytes]]:
    """All streams at once, published to an address: the paths of their manifests by stream, and what these were in the
    middle of it."""
    paths: dict[str, str] = {}
    live: dict[str, bytes] = {}
    network = {"LIVE777_WEBRTC_ICE_UDP_ADDRS": f"{address}:0"}
    async with (
        running_gateway(directory, config=config(directory), environment=network) as gateway,
        aiohttp.ClientSession(gateway.url) as client,
        contextlib.AsyncExitStack() as publishers,
    ):
        for it in clappers:
            url = f"{gateway.url}/whip/{it.name}"
            await publishers.enter_async_context(gstreamer_clapper(url, it.codec.lower(), reports=it.reports))
        for name in [it.name for it in clappers]:

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


def end_lag(codec: str) -> float:
    """Seconds by which sound and picture may end apart."""
    return ENCODER_LAG.get(codec, 0.0) + BUSY_LAG


def assert_every_picture_with_its_sound(presented: Presented, codec: str, seconds: float) -> None:
    apart = presented.lip_sync(FPS)
    begins, ends = presented.sound
    counters, last = presented.counters, presented.pictures[-1][0]
    told = (
        f"{codec}: {len(counters)} pictures from {counters[0]}, {presented.duration:.3f} s; "
        f"sound from {begins:.3f} to {ends:.3f} s; {len(apart)} beeps late by "
        f"{min(apart, default=0) * 1000:.1f} to {max(apart, default=0) * 1000:.1f} ms"
    )
    print(told)
    assert counters == list(range(counters[0], counters[0] + len(counters))), told
    assert presented.periods == 1, told
    assert len(counters) >= (seconds - 0.5) * FPS, told
    assert len(apart) >= seconds - end_lag(codec) - 1, told
    assert max(map(abs, apart)) < LIP_SYNC, told
    # It lasts as long as what was published: nothing was stretched.
    assert abs((len(counters) - 1) / FPS - (last - presented.pictures[0][0])) < STRETCHED, told
    assert begins < presented.pictures[0][0] + LIP_SYNC, told
    assert abs(presented.sound_seconds - (ends - begins)) < STRETCHED, told
    assert abs(ends - last) < end_lag(codec), told
