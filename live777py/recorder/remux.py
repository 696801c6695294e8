"""A recording as one file, made while it is sent: an MP4 with its index in front, or WebM if all its video is VP8.

Nothing is transcoded. What is held in memory is the index (some MB for an hour) and one segment.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from live777py.errors import NotFound
from live777py.recorder.recorded import read_recording
from live777py.recorder.remux_mp4 import mp4_parts
from live777py.recorder.remux_webm import webm_parts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from live777py.recorder.files import Files


class Part(Protocol):
    """Bytes of the file that lie side by side."""

    @property
    def size(self) -> int: ...

    def pieces(self, files: Files, start: int, end: int) -> AsyncIterator[bytes]:
        """From `start` to before `end`, which are within the part. Raises StorageError."""


@dataclass(frozen=True, slots=True)
class OneFile:
    """Of `size` bytes. It stays what it is while the recording goes on."""

    content_type: str
    size: int
    _files: Files
    _parts: Sequence[Part]

    async def read(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Bytes from `start` to before `end`, in pieces. Raises StorageError."""
        end = self.size if end is None else min(end, self.size)
        at = 0
        for part in self._parts:
            begin, stop = max(start - at, 0), min(end - at, part.size)
            if begin < stop:
                async for piece in part.pieces(self._files, begin, stop):
                    yield piece
            at += part.size


async def remux(files: Files) -> OneFile:
    """What there is of a recording by now. Raises NotFound if that is nothing, StorageError."""
    periods, _ = await read_recording(files, await files.sizes())
    if not periods:
        raise NotFound("nothing of this recording can be played")
    video = [period.tracks["video"].configuration for period in periods if "video" in period.tracks]
    webm = bool(video) and all(it.container == "webm" for it in video)
    parts = await asyncio.to_thread(webm_parts if webm else mp4_parts, periods)
    kind = "video" if video else "audio"
    return OneFile(f"{kind}/{'webm' if webm else 'mp4'}", sum(part.size for part in parts), files, parts)
