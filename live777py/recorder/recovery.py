"""Recordings that the end of the process before has cut off: repaired from their files, one after the other."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from live777py import log
from live777py.errors import Live777Error, NotFound, StorageError
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

_logger = logging.getLogger(__name__)


async def recover(
    storage: Storage, index: Index, journal: Journal, cut_off: Sequence[Recording], leftovers: Iterable[Leftover]
) -> None:
    """Those that the index has as running, and those whose end could not be written, as on a full disk.

    One that cannot be repaired now is tried again at the next start.
    """
    for recording in cut_off:
        logger = log.bind(_logger, stream=recording.stream)
        directory = StoragePath(recording.directory)
        try:
            presentation = await _repair(storage, journal.of(directory), directory, recording.start_us / 1e6)
            await _end(index, recording, presentation)
            await _forget(journal, directory)
        except Live777Error as error:
            why = error.detail
            logger.error("%s was cut off and is not repaired: %s", recording.directory, why)  # noqa: TRY400
        else:
            duration = float(presentation.duration)
            logger.info("%s was cut off after %.1f s and is repaired", recording.directory, duration)
    known = {recording.directory for recording in cut_off}
    for leftover in leftovers:
        if leftover.directory in known:
            continue
        try:
            await _repair(storage, journal.of(leftover.directory), leftover.directory, leftover.modified)
            await _forget(journal, leftover.directory)
        except Live777Error as error:
            _logger.error("%s is not finished: %s", leftover.directory, error.detail)  # noqa: TRY400


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
    duration = float(presentation.duration)
    tracks = [track for period in presentation.periods for track in period.tracks.values()]
    codecs = tuple(dict.fromkeys(track.configuration.codecs for track in tracks))
    written = Written(duration_ms=int(duration * 1000), bytes=presentation.bytes, codecs=codecs)
    end_us = min(recording.start_us + round(duration * 1e6), time.time_ns() // 1000)
    await index.end(recording.key, "Completed", written, end_us=end_us, reason=REASON)
