"""A recording as one file, made while it is sent."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from aiohttp import web

from live777py.errors import Unavailable
from live777py.http.auth import Access
from live777py.http.keys import RECORDINGS, STORAGE, STREAM
from live777py.http.ranges import not_modified, wanted_range
from live777py.http.resource import Content, Operation, Resource
from live777py.http.sending import send, send_head, unchanged
from live777py.recorder.files import StoredFiles
from live777py.recorder.index import RecordKey
from live777py.recorder.remux import remux
from live777py.storage import Entry, StoragePath

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from live777py.recorder.index import Recording
    from live777py.recorder.remux import OneFile

MAX_DOWNLOADS: Final = 8
"""At a time: each holds the index of its file in memory."""
BUSY_RETRY: Final = 10
"""Seconds after which to ask again."""


class Downloads:
    """How many there are. The index of a long recording takes a while to read: one at a time is made."""

    def __init__(self) -> None:
        self._running = 0
        self._making = asyncio.Lock()

    @asynccontextmanager
    async def open(self, request: web.Request, recording: Recording) -> AsyncIterator[OneFile]:
        """Raises Unavailable, and as `remux`."""
        if self._running >= MAX_DOWNLOADS:
            raise Unavailable("too many recordings are being downloaded", retry_after=BUSY_RETRY)
        self._running += 1
        try:
            async with self._making:
                file = await remux(StoredFiles(request.app[STORAGE], StoragePath(recording.directory)))
            yield file
        finally:
            self._running -= 1


DOWNLOADS: Final = web.AppKey("downloads", Downloads)


async def read(request: web.Request) -> web.StreamResponse:
    recording = await request.app[RECORDINGS].find(RecordKey(request[STREAM], request.match_info["record"]))
    async with request.app[DOWNLOADS].open(request, recording) as file:
        entry = _entry(recording, file)
        name = f"{recording.stream}-{recording.record}.{file.content_type.rpartition('/')[2]}"
        headers = {
            "Content-Type": file.content_type,
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "Cache-Control": "private, no-cache",
        }
        if not_modified(request.headers, entry):
            return unchanged(entry, headers)
        if request.method == "HEAD":
            return await send_head(request, entry, headers)
        part = wanted_range(request.headers, entry)
        chunks = file.read() if part is None else file.read(part.start, part.end)
        return await send(request, entry, part, chunks, headers)


def _entry(recording: Recording, file: OneFile) -> Entry:
    """The file as if it were stored. What has been recorded stays; more makes it longer."""
    modified_us = recording.updated_us if recording.end_us is None else recording.end_us
    return Entry(
        path=StoragePath(f"{recording.directory}/{recording.record}.mp4"),
        size=file.size,
        modified=modified_us / 1_000_000,
        etag=f'"{recording.start_us:x}-{file.size:x}"',
    )


_FILE: Final = Content(media_type="video/mp4")

RESOURCE = Resource(
    path="/api/playback/{stream}/{record}.mp4",
    operations={
        "GET": Operation(
            summary="A recording as one MP4 file, or WebM if its video is VP8; a range of it too",
            handler=read,
            access=Access.PLAY_BACK,
            answers={200: _FILE, 206: _FILE, 304: None},
            problems=(404, 416, 503),
        )
    },
)
