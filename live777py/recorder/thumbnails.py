"""Thumbnails: of a stream as it is now, kept for some seconds; of a recording, made once and stored with it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from live777py.errors import NotFound, Unavailable
from live777py.recorder import pictures
from live777py.recorder.names import THUMBNAIL, SegmentName, parse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from live777py.recorder.frames import Frame
    from live777py.recorder.parts import Streams, Taps
    from live777py.storage import Entry, Storage, StoragePath

    T = TypeVar("T")

KEPT_SECONDS: Final = 10.0
"""For so long a picture of a stream is new enough. Where none is, the publisher is asked for a key frame."""
KEY_FRAME_SECONDS: Final = 5.0
"""How long to wait for one."""
MAX_MAKING: Final = 16
"""Pictures that are being made, or wait for it."""
MAX_KEPT: Final = 1000
BUSY_RETRY: Final = 2
"""Seconds after which to ask again."""

_FIRST_BYTES: Final = 4 << 20
"""Of a segment: where its first picture is."""


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """`made` is Unix time in seconds. `etag` has its quotes."""

    jpeg: bytes
    etag: str
    made: float


class Thumbnails:
    """One thread decodes. Whoever asks for what is being made waits for the same picture."""

    def __init__(self, streams: Streams, taps: Taps, storage: Storage) -> None:
        self._streams = streams
        self._taps = taps
        self._storage = storage
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="thumbnail")
        self._kept: dict[str, Thumbnail] = {}
        self._making: dict[str, asyncio.Task[Thumbnail]] = {}

    async def close(self) -> None:
        making = list(self._making.values())
        for task in making:
            task.cancel()
        await asyncio.gather(*making, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown)

    async def of_stream(self, stream: str) -> Thumbnail:
        """Raises NotFound without video, and Unavailable without a key frame or with too many others waiting."""
        kept = self._kept.get(stream)
        if kept is not None and time.time() - kept.made < KEPT_SECONDS:
            self._video_track(stream)
            return kept
        return await self._shared(stream, partial(self._make_live, stream))

    async def of_recording(self, directory: StoragePath) -> Thumbnail:
        """It is in the storage then. Raises NotFound where there is no video, or none yet, and Unavailable."""
        return await self._shared(f"/{directory}", partial(self._make_stored, directory))

    async def _shared(self, name: str, make: Callable[[], Awaitable[Thumbnail]]) -> Thumbnail:
        task = self._making.get(name)
        if task is None:
            if len(self._making) >= MAX_MAKING:
                raise Unavailable("too many pictures are being made", retry_after=BUSY_RETRY)

            async def run() -> Thumbnail:
                try:
                    return await make()
                finally:
                    del self._making[name]

            task = self._making[name] = asyncio.create_task(run(), name=f"thumbnail {name}")
            # Whoever waited for it may have left.
            task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(task)

    async def _make_live(self, stream: str) -> Thumbnail:
        frame = await self._key_frame(self._video_track(stream))
        jpeg = await self._in_thread(partial(pictures.of_key_frame, frame.codec, frame))
        thumbnail = _thumbnail(jpeg)
        self._keep(stream, thumbnail)
        return thumbnail

    def _video_track(self, stream: str) -> int:
        for media, track in self._streams.published_tracks(stream):
            if media.kind == "video":
                return track
        raise NotFound("the stream has no video")

    async def _key_frame(self, track: int) -> Frame:
        try:
            async with asyncio.timeout(KEY_FRAME_SECONDS), self._taps.tap(track, past=KEPT_SECONDS) as tap:
                async for frames in tap:
                    for frame in frames:
                        if frame.key_frame:
                            return frame
        except TimeoutError:
            raise Unavailable("the publisher sends no key frame", retry_after=BUSY_RETRY) from None
        raise NotFound("the publisher has gone")

    def _keep(self, stream: str, thumbnail: Thumbnail) -> None:
        self._kept.pop(stream, None)
        while self._kept:
            oldest, kept = next(iter(self._kept.items()))
            if thumbnail.made - kept.made < KEPT_SECONDS and len(self._kept) < MAX_KEPT:
                break
            del self._kept[oldest]
        self._kept[stream] = thumbnail

    async def _make_stored(self, directory: StoragePath) -> Thumbnail:
        init, segment = _first_video(await self._storage.list(directory), directory)
        data = [await self._read(init), await self._read(segment)]
        jpeg = await self._in_thread(partial(pictures.of_segment, *data))
        await self._storage.put(directory / THUMBNAIL, jpeg)
        return _thumbnail(jpeg)

    async def _read(self, entry: Entry) -> bytes:
        async with await self._storage.get(entry.path, end=min(entry.size, _FIRST_BYTES)) as found:
            return await found.read()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _first_video(entries: list[Entry], directory: StoragePath) -> tuple[Entry, Entry]:
    """The init segment and the first segment of the first Period with video. Raises NotFound."""
    inits: dict[int, Entry] = {}
    segments: list[tuple[SegmentName, Entry]] = []
    for entry in entries:
        name = parse(entry.path.name) if entry.path.parent == directory else None
        if name is None or name.kind != "video":
            continue
        if name.number is None:
            inits[name.period] = entry
        else:
            segments.append((name, entry))
    for name, entry in sorted(segments, key=lambda item: (item[0].period, item[0].number)):
        if name.period in inits:
            return inits[name.period], entry
    raise NotFound("there is no video yet")


def _thumbnail(jpeg: bytes) -> Thumbnail:
    digest = hashlib.blake2b(jpeg, digest_size=16).hexdigest()
    return Thumbnail(jpeg=jpeg, etag=f'"{digest}"', made=time.time())
