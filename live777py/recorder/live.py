"""Segments that are still being made, for players that do not wait for their end (low latency)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from live777py.storage import StoragePath


class _LiveSegment:
    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.complete = False
        self.changed = asyncio.Event()

    def change(self) -> None:
        """Whoever waits looks again."""
        self.changed.set()
        self.changed = asyncio.Event()


class LiveSegments:
    """By path; one is gone when it is in the storage, whoever reads it then still gets all of it."""

    def __init__(self) -> None:
        self._segments: dict[StoragePath, _LiveSegment] = {}

    def __len__(self) -> int:
        return len(self._segments)

    def add(self, path: StoragePath, chunk: bytes) -> bool:
        """Whether it is the first one."""
        known = path in self._segments
        segment = self._segments.setdefault(path, _LiveSegment())
        segment.chunks.append(chunk)
        segment.change()
        return not known

    def complete(self, path: StoragePath) -> None:
        """All of it has been added, or no more will be."""
        segment = self._segments.pop(path, None)
        if segment is not None:
            segment.complete = True
            segment.change()

    def read(self, path: StoragePath) -> AsyncIterator[bytes] | None:
        """What there is, then the rest as it is made; None for what is not being made."""
        segment = self._segments.get(path)
        return None if segment is None else _chunks(segment)


async def _chunks(segment: _LiveSegment) -> AsyncIterator[bytes]:
    sent = 0
    while True:
        changed = segment.changed
        for chunk in segment.chunks[sent:]:
            sent += 1
            yield chunk
        if sent < len(segment.chunks):
            continue
        if segment.complete:
            return
        await changed.wait()
