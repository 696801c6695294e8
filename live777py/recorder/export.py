"""The index as a file of JSON lines in Live777's form, for programs that read that: written anew after changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from live777py.errors import StartError, StorageError, StoreError
from live777py.recorder.takeover import ACKED, IndexLine, read_index

if TYPE_CHECKING:
    from pathlib import Path

    from live777py.recorder.index import Recording, RecordingIndex
    from live777py.storage import Storage

INTERVAL: Final = 1.0
"""Seconds between two writings at least."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """`node_alias` is in every line."""

    path: Path
    node_alias: str | None


class IndexExport:
    """Usage: `await start()` before the first recording, `await stop()`. Without settings nothing is written."""

    def __init__(self, index: RecordingIndex, storage: Storage, settings: ExportSettings | None) -> None:
        self._index = index
        self._storage = storage
        self._settings = settings
        self._changed = asyncio.Event()
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        index.on_change(self._changed.set)

    async def start(self) -> None:
        """An index that is empty takes over what the file says."""
        settings = self._settings
        if settings is None:
            return
        try:
            if not await self._index.all() and (known := await read_index(settings.path, self._storage)):
                await self._index.take_over(known)
                _logger.info("%s: %d recordings are in the index now", settings.path, len(known))
        except (StartError, StorageError, StoreError) as error:
            _logger.error("recorder.index_path: %s", error.detail)  # noqa: TRY400 (nothing to trace)
            self._settings = None
            return
        self._changed.set()
        self._task = asyncio.create_task(self._run(settings), name="index export")

    async def stop(self) -> None:
        """What has changed last is in the file then."""
        if self._task is not None:
            # What is being written is not cut off: it has been told what to write.
            self._stopped.set()
            self._changed.set()
            await self._task
        if self._settings is not None and self._changed.is_set():
            await self._write(self._settings)

    async def _run(self, settings: ExportSettings) -> None:
        while not self._stopped.is_set():
            await self._changed.wait()
            await self._write(settings)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL):
                    await self._stopped.wait()

    async def _write(self, settings: ExportSettings) -> None:
        self._changed.clear()
        try:
            lines = [_line(recording, settings.node_alias) for recording in await self._index.all()]
            await asyncio.to_thread(
                _replace, settings.path, b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
            )
        except StoreError as error:
            _logger.error("recorder.index_path: %s", error.detail)  # noqa: TRY400 (nothing to trace)
        except OSError as error:
            _logger.error("recorder.index_path: cannot write %s: %s", settings.path, error.strerror)  # noqa: TRY400


def _line(recording: Recording, node_alias: str | None) -> IndexLine:
    return IndexLine(
        record=recording.record,
        stream=recording.stream,
        record_dir=recording.directory,
        mpd_path=recording.mpd_path,
        start_ts=recording.start_us,
        end_ts=recording.end_us,
        duration_ms=None if recording.active else recording.duration_ms,
        status=ACKED if recording.acked else recording.status,
        node_alias=node_alias,
        updated_at=recording.updated_us,
    )


def _replace(path: Path, content: bytes) -> None:
    """Readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
