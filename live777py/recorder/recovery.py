"""Recordings that the end of the process before has cut off: repaired from their files, one after the other."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from live777py import log
from live777py.errors import Live777Error
from live777py.recorder.files import StoredFiles
from live777py.recorder.index import Written
from live777py.recorder.names import MANIFEST
from live777py.recorder.repair import repair
from live777py.storage import StoragePath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live777py.recorder.index import Recording
    from live777py.recorder.parts import Index
    from live777py.storage import Storage

REASON = "interrupted"

_logger = logging.getLogger(__name__)


async def recover(storage: Storage, index: Index, cut_off: Sequence[Recording]) -> None:
    """One that cannot be repaired now is tried again at the next start."""
    for recording in cut_off:
        logger = log.bind(_logger, stream=recording.stream)
        try:
            duration = await _recover(storage, index, recording)
        except Live777Error as error:
            why = error.detail
            logger.error("%s was cut off and is not repaired: %s", recording.directory, why)  # noqa: TRY400
        else:
            logger.info("%s was cut off after %.1f s and is repaired", recording.directory, duration)


async def _recover(storage: Storage, index: Index, recording: Recording) -> float:
    directory = StoragePath(recording.directory)
    repaired = await repair(StoredFiles(storage, directory), started=recording.start_us / 1e6)
    presentation = repaired.presentation
    if presentation.bytes:
        for name in sorted(repaired.texts, key=lambda name: name == MANIFEST):
            await storage.put(directory / name, repaired.texts[name])
    duration = float(presentation.duration)
    tracks = [track for period in presentation.periods for track in period.tracks.values()]
    codecs = tuple(dict.fromkeys(track.configuration.codecs for track in tracks))
    written = Written(duration_ms=int(duration * 1000), bytes=presentation.bytes, codecs=codecs)
    end_us = min(recording.start_us + round(duration * 1e6), time.time_ns() // 1000)
    await index.end(recording.key, "Completed", written, end_us=end_us, reason=REASON)
    return duration
