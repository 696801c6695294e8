"""/api/record/object: the stored objects of recordings, as DASH and HLS players read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from live777py.errors import NotFound
from live777py.http.auth import Access
from live777py.http.keys import CONFIG, RECORDER, RECORDINGS, STORAGE, THUMBNAILS
from live777py.http.ranges import not_modified, wanted_range
from live777py.http.resource import Content, Operation, Resource
from live777py.http.sending import send, send_head, unchanged
from live777py.recorder import names
from live777py.recorder.index import record_id
from live777py.storage import StoragePath

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from live777py.http.ranges import ByteRange
    from live777py.storage import Entry, Object, Storage

SIGNED_SECONDS: Final = 600
"""How long a player may read from the address that it is sent to."""

_IMMUTABLE: Final = "private, max-age=31536000, immutable"
_FRESH: Final = "private, no-cache"


async def read(request: web.Request) -> web.StreamResponse:
    storage = request.app[STORAGE]
    path = _path(request)
    if (making := request.app[RECORDER].live.read(path)) is not None:
        return await _send_live(request, path, making)
    entry = await _entry(request, path)
    caching = {"Cache-Control": _IMMUTABLE if _is_final(path) else _FRESH}
    if not_modified(request.headers, entry):
        return unchanged(entry, caching)
    if request.method == "HEAD":
        return await send_head(request, entry, caching)
    part = wanted_range(request.headers, entry)
    # A manifest names its segments relative to where it was read, and those need a signature of their own.
    if request.app[CONFIG].current.recorder.signed_redirect and _is_media(path):
        address = await storage.presign(path, SIGNED_SECONDS)
        if address is not None:
            return web.Response(status=307, headers={"Location": address, "Cache-Control": "no-store"})
    found, part = await _open(storage, entry, part)
    async with found:
        return await send(request, found.entry, part, found, caching)


async def stream_of(request: web.Request) -> str | None:
    """The owner by the index; of what it has been told to forget, the directory that it gives each stream says it."""
    path = _path(request)
    owner = await request.app[RECORDINGS].owner(path)
    if owner is None and len(path.segments) == 3 and record_id(path.segments[1]):
        return path.segments[0]
    return owner


def _path(request: web.Request) -> StoragePath:
    """Raises BadRequest for what no object can be called."""
    return StoragePath(request.match_info["path"])


def _is_final(path: StoragePath) -> bool:
    """A directory that is named for a time is not used again, and what is written once stays as it is."""
    return path.parent is not None and bool(record_id(path.parent)) and _is_media(path)


def _is_media(path: StoragePath) -> bool:
    """A segment or an init segment: manifests, playlists and everything else may change."""
    return names.parse(path.name) is not None


async def _entry(request: web.Request, path: StoragePath) -> Entry:
    """Raises NotFound. The picture of a recording is made when it is asked for the first time."""
    storage = request.app[STORAGE]
    try:
        return await storage.head(path)
    except NotFound:
        if path.name != names.THUMBNAIL or path.parent is None:
            raise
    await request.app[THUMBNAILS].of_recording(path.parent)
    return await storage.head(path)


async def _open(storage: Storage, entry: Entry, part: ByteRange | None) -> tuple[Object, ByteRange | None]:
    """If the object has been replaced since the look at `entry`, it is all of it, whatever part was wanted."""
    if part is not None:
        found = await storage.get(entry.path, start=part.start, end=part.end)
        if found.entry.etag == entry.etag:
            return found, part
        async with found:
            pass
    return await storage.get(entry.path), None


async def _send_live(request: web.Request, path: StoragePath, chunks: AsyncIterator[bytes]) -> web.StreamResponse:
    """What there is of a segment, and the rest as it is made (low latency): its length is not known yet."""
    response = web.StreamResponse(headers={"Content-Type": path.content_type, "Cache-Control": _FRESH})
    await response.prepare(request)
    if request.method != "HEAD":
        async for chunk in chunks:
            await response.write(chunk)
        await response.write_eof()
    return response


_BYTES: Final = Content(media_type="application/octet-stream")

RESOURCE = Resource(
    path="/api/record/object/{path...}",
    stream_of=stream_of,
    operations={
        "GET": Operation(
            summary="An object of a recording, or a range of it; the token is of the stream that was recorded",
            handler=read,
            access=Access.PLAY_BACK,
            answers={200: _BYTES, 206: _BYTES, 304: None, 307: None},
            problems=(404, 416, 503),
        )
    },
)
