"""Recordings of hours: what is kept in memory of them, and what each segment costs."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import TYPE_CHECKING

import pytest

from live777py.recorder.settings import RecorderSettings
from tests.recorder.sources import picture, sound
from tests.recorder.test_service import MPD, Rig, rig
from tests.virtual_time import run

if TYPE_CHECKING:
    from live777py.recorder.frames import Frame
    from live777py.rtc.parameters import Kind
    from tests.fakes.recorder import Publisher

HOUR = 3600
PICTURES = 5
"""A second, with a key frame every two."""
MOST_BLOCKS = 16
"""Objects of the interpreter that may be left of a segment: its times, and the events that the test has collected."""


def second(kind: Kind, at: int) -> list[Frame]:
    if kind == "video":
        numbers = range(at * PICTURES, (at + 1) * PICTURES)
        return [picture(number, number / PICTURES, key=number % (2 * PICTURES) == 0) for number in numbers]
    return [sound(number, number / 50) for number in range(at * 50, (at + 1) * 50)]


async def send(it: Rig, publisher: Publisher, begin: int, end: int) -> None:
    """Nothing of the objects is kept but the names."""
    for at in range(begin, end):
        await asyncio.sleep(1)
        for media, track in publisher.media:
            for tap in it.streams.taps[track]:
                tap.push(second(media.kind, at))
        it.storage.objects.clear()


def blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [("video", "audio"), ("video",), ("audio",)], ids="+".join)
def test_four_hours(kinds: tuple[Kind, ...]) -> None:
    """One period without a hole, and of a segment that has been written only its times are kept."""

    async def main() -> None:
        async with rig(RecorderSettings(segment_seconds=10, max_seconds=0)) as it:
            publisher = it.streams.publish("cam", *kinds)
            place = await it.service.start("cam")
            await send(it, publisher, 0, HOUR)
            before, segments = blocks(), it.service.counts.segments
            await send(it, publisher, HOUR, 4 * HOUR)
            kept, segments = blocks() - before, it.service.counts.segments - segments
            print(f"{kept} blocks are kept of {segments} segments")
            await it.service.stop("cam")
            assert segments >= 3 * 360 * len(kinds) - 2
            assert kept < MOST_BLOCKS * segments
            assert it.service.counts.dropped == 0
            (period,) = it.manifest(f"{place.directory}/manifest.mpd").iter(f"{MPD}Period")
            tracks = [
                sum(int(run.get("d", 0)) * (1 + int(run.get("r", 0))) for run in track.iter(f"{MPD}S"))
                / int(track.get("timescale", 0))
                for track in period.iter(f"{MPD}SegmentTemplate")
            ]
            assert tracks == [pytest.approx(4 * HOUR, abs=2) for _ in kinds]

    run(main())
