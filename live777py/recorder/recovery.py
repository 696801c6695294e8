"""Recordings that the end of the process before has cut off: repaired from their files, one after the other."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from live777py import log
from live777py.errors import Live777Error, NotFound, StorageError, StorageUnavailable
from live777py.recorder.files import StoredFiles
from live777py.recorder.index import Written
from live777py.recorder.muxer import segment_of
from live777py.recorder.names import MANIFEST, init_name, parse
from live777py.recorder.reading import Damaged, read_init
from live777py.recorder.repair import repair
from live777py.storage import StoragePath

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from live777py.recorder.index import Recording
    from live777py.recorder.journal import Journal, Leftover, RecordingJournal
    from live777py.recorder.parts import Index
    from live777py.recorder.presentation import Presentation
    from live777py.storage import Storage

REASON: Final = "interrupted"
FIRST_RETRY: Final = 1.0
LONGEST_RETRY: Final = 60.0
"""Seconds between two looks at a storage that is away."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _CutOff:
    """`recording` is its row, unless that says already that it is over."""

    directory: StoragePath
    started: float
    recording: Recording | None


async def recover(
    storage: Storage, index: Index, journal: Journal, cut_off: Sequence[Recording], leftovers: Iterable[Leftover]
) -> None:
    """Those that the index has as running, and those whose end could not be written, as on a full disk.

    A storage that is away is waited for. What cannot be repaired for another reason is tried again at the next start.
    """
    waiting = [_CutOff(StoragePath(row.directory), row.start_us / 1e6, row) for row in cut_off]
    known = {it.directory for it in waiting}
    waiting += [_CutOff(it.directory, it.modified, None) for it in leftovers if it.directory not in known]
    delay = FIRST_RETRY
    while waiting:
        waiting = [it for it in waiting if not await _is_settled(storage, index, journal, it)]
        if waiting:
            _logger.warning("%d recordings are to be repaired, again in %.0f s", len(waiting), delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_RETRY)


async def _is_settled(storage: Storage, index: Index, journal: Journal, it: _CutOff) -> bool:
    """False: it is to be tried again."""
    logger = log.bind(_logger, stream=it.recording.stream) if it.recording else _logger
    try:
        presentation = await _repair(storage, journal.of(it.directory), it.directory, it.started)
        if it.recording is not None:
            await _end(index, it.recording, presentation)
        await _forget(journal, it.directory)
    except StorageUnavailable:
        return False
    except Live777Error as error:
        logger.error("%s was cut off and is not repaired: %s", it.directory, error.detail)  # noqa: TRY400
    else:
        logger.info("%s was cut off after %.1f s and is repaired", it.directory, float(presentation.duration))
    return True


async def _repair(storage: Storage, journal: RecordingJournal, directory: StoragePath, started: float) -> Presentation:
    try:
        await _restore(storage, journal, directory)
    except OSError as error:
        raise StorageError(f"its journal cannot be read: {error.strerror}") from None
    repaired = await repair(StoredFiles(storage, directory), started=started)
    if repaired.presentation.bytes:
        for name in sorted(repaired.texts, key=lambda name: name == MANIFEST):
            await storage.put(directory / name, repaired.texts[name])
    return repaired.presentation


async def _restore(storage: Storage, journal: RecordingJournal, directory: StoragePath) -> None:
    """Segments that were in the making. Done twice, it does nothing the second time. Raises OSError."""
    files = StoredFiles(storage, directory)
    for name in await journal.names():
        found = parse(name)
        samples = await journal.read(name)
        if found is None or found.number is None or not samples:
            continue
        try:
            await storage.head(directory / name)
        except NotFound:
            try:
                init = await files.read(init_name(found.kind, found.period, found.container))
                configuration = read_init(init, found)
            except (NotFound, Damaged):
                continue
            segment = segment_of(configuration, found.number, samples)
            await storage.put(directory / name, segment.data)
        await journal.remove(name)


async def _forget(journal: Journal, directory: StoragePath) -> None:
    try:
        await journal.of(directory).forget()
    except OSError as error:
        raise StorageError(f"its journal cannot be removed: {error.strerror}") from None


async def _end(index: Index, recording: Recording, presentation: Presentation) -> None:
    duration = float(float(presentation.duration))
    tracks = [track for period in presentation.periods for track in period.tracks.values()]
    codecs = tuple(dict.fromkeys(track.configuration.codecs for track in tracks))
    written = Written(duration_ms=int(duration * 1000), bytes=presentation.bytes, codecs=codecs)
    end_us = min(recording.start_us + round(duration * 1e6), time.time_ns() // 1000)
    await index.end(recording.key, "Completed", written, end_us=end_us, reason=REASON)
