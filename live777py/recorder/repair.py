"""A recording whose process died: its manifest and playlists are written anew, from the segments that are there.

The segments tell all by themselves. Of the old texts only the wall clock is taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from live777py.recorder.manifest import write_manifest
from live777py.recorder.names import MANIFEST, PLAYLISTS, init_name
from live777py.recorder.playlist import write_playlists
from live777py.recorder.presentation import Period, Presentation, Track
from live777py.recorder.recorded import read_recording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from live777py.recorder.files import Files
    from live777py.recorder.recorded import RecordedPeriod

_DATE: Final = re.compile(rb'#EXT-X-MAP:URI="([^"]+)"\n#EXT-X-PROGRAM-DATE-TIME:(\S+)\n')
_STARTED: Final = re.compile(rb'availabilityStartTime="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Repaired:
    presentation: Presentation
    """Finished."""
    texts: Mapping[str, bytes]
    """Manifest and playlists, by name: to be written."""
    dropped: tuple[str, ...]
    """Files that are damaged, or whose init segment is: the texts do not name them."""


async def repair(files: Files, *, started: float, segment_seconds: float = 10.0) -> Repaired:
    """`started` is unix seconds, for what the old manifest does not tell. Nothing is written. Raises StorageError.

    Without a segment that can be played the presentation has no Period.
    """
    sizes = await files.sizes()
    recorded, damaged = await read_recording(files, sizes)
    presentation = Presentation(await _started(files, sizes, started), segment_seconds, finished=True)
    clocks = await _clocks(files, sizes)
    origins: dict[int, float] = {}
    """Unix seconds at zero of a Period's media time."""
    for period in recorded:
        origin = _origin(period, clocks)
        if origin is not None:
            origins.setdefault(period.number, origin)
        presentation.periods.append(_period(period, origins.get(period.number, presentation.started)))
    texts = {MANIFEST: write_manifest(presentation, published=started), **write_playlists(presentation)}
    return Repaired(presentation, texts, tuple(damaged))


def _origin(period: RecordedPeriod, clocks: Mapping[str, float]) -> float | None:
    for kind, track in period.tracks.items():
        clock = clocks.get(init_name(kind, period.number, track.configuration.container))
        if clock is not None:
            return clock - float(track.start_of(track.segments[0]))
    return None


def _period(recorded: RecordedPeriod, origin: float) -> Period:
    start = recorded.media_start
    period = Period(recorded.number, start, origin + float(start), {})
    for kind, it in recorded.tracks.items():
        track = period.tracks[kind] = Track(it.configuration, first_number=it.segments[0].number)
        for segment in it.segments:
            samples = segment.samples
            track.segments.append(samples.time, segment.ticks, segment.size, key=bool(samples.keys[0]))
    return period


async def _started(files: Files, sizes: Mapping[str, int], otherwise: float) -> float:
    found = _STARTED.search(await files.read(MANIFEST)) if MANIFEST in sizes else None
    return (_unix(found[1]) if found else None) or otherwise


async def _clocks(files: Files, sizes: Mapping[str, int]) -> dict[str, float]:
    """Unix seconds at the first segment behind each init segment, as the old playlists have them."""
    clocks: dict[str, float] = {}
    for name in PLAYLISTS.values():
        if name not in sizes:
            continue
        for found in _DATE.finditer(await files.read(name)):
            clock = _unix(found[2])
            if clock is not None:
                clocks.setdefault(found[1].decode("latin-1"), clock)
    return clocks


def _unix(date: bytes) -> float | None:
    try:
        return datetime.fromisoformat(date.decode()).timestamp()
    except ValueError:
        return None
