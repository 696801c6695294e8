"""Recordings that are made in no time, as HTTP sees them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from live777py.errors import Conflict
from live777py.recorder.index import Recording, RecordingIndex, RecordKey, Written
from live777py.recorder.live import LiveSegments
from live777py.storage import StoragePath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live777py.storage import Storage

NAMES = ("manifest.mpd", "v_init.m4s", "v_seg_0001.m4s", "a_init.m4s")
WRITTEN = Written(duration_ms=10_000, bytes=3000, codecs=("avc1.42e01f", "opus"))


@dataclass(frozen=True, kw_only=True)
class Started:
    directory: str


class FakeRecorder:
    """`published` are the streams that somebody publishes; `failure` is raised by every start."""

    def __init__(self, index: RecordingIndex, storage: Storage) -> None:
        self.published = {"cam"}
        self.live = LiveSegments()
        self.failure: Exception | None = None
        self._index = index
        self._storage = storage
        self._active: dict[str, Recording] = {}

    async def start(self, stream: str, base_dir: StoragePath | None) -> Started:
        if self.failure is not None:
            raise self.failure
        if stream not in self.published:
            raise Conflict("nobody publishes the stream")
        if stream not in self._active:
            record = str(int(time.time()))
            recording = Recording(
                stream=stream,
                record=record,
                directory=base_dir or f"{stream}/{record}",
                start_us=int(record) * 1_000_000,
            )
            await self._index.begin(recording)
            self._active[stream] = recording
        return Started(directory=self._active[stream].directory)

    def recording(self, stream: str) -> bool:
        return stream in self._active

    async def stop(self, stream: str) -> None:
        if recording := self._active.pop(stream, None):
            await self.end(recording.key)

    async def end(self, key: RecordKey) -> None:
        await self._index.end(key, "Completed", WRITTEN, end_us=1_718_200_010_000_000, reason="stopped")

    async def made(
        self,
        stream: str = "cam",
        record: str = "1718200000",
        directory: str | None = None,
        *,
        names: Sequence[str] = NAMES,
    ) -> Recording:
        """A recording that has ended, with objects of 1000 bytes."""
        place = StoragePath(directory or f"{stream}/{record}")
        recording = Recording(stream=stream, record=record, directory=place, start_us=int(record) * 1_000_000)
        await self._index.begin(recording)
        for name in names:
            await self._storage.put(place / name, bytes(range(256)) * 3 + bytes(232))
        await self.end(recording.key)
        return await self._index.find(recording.key)
