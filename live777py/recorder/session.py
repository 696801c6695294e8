"""A stream that is being recorded: its taps are read, a pool makes segments of the frames, a writer stores them.

Reading never waits for writing. What waits to be written is bounded; where that is not enough the recording ends.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Final, ParamSpec

from live777py import log
from live777py.errors import Conflict, NotFound, StorageError, StorageFull, StoreError, Unavailable
from live777py.media.engine import CommandError, EngineGone
from live777py.recorder.index import RecordTaken
from live777py.recorder.made import Rotated, SegmentMade
from live777py.recorder.recording import Recording
from live777py.recorder.writer import Place, RecordingWriter
from live777py.storage import StoragePath

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from live777py.recorder.frames import Frame
    from live777py.recorder.made import Made
    from live777py.recorder.parts import Parts, Tap
    from live777py.recorder.settings import RecorderSettings
    from live777py.rtc.parameters import Kind
    from live777py.streams.events import RecordingEndReason

PACE: Final = 2.0
"""Seconds between two looks at the taps at most: frames are cheaper by the dozen, and a process that dies loses as
much. A segment has four of them."""
LOW_LATENCY_PACE: Final = 0.1
PAST: Final = 1.0
"""Seconds before it that a recording begins at most: a publisher that heeds no request has sent its key frame by then,
and the next one is a minute away."""
LAST_LOOK: Final = 0.15
"""Seconds that a tap is given at the end for what has come in since the last look."""
MOST_WAITING: Final = 64 << 20
"""Bytes of segments that wait to be written."""

_SECONDS_AHEAD: Final = 3
"""How far a recording is named after the future at most."""

P = ParamSpec("P")

_logger = logging.getLogger(__name__)


class RecordingSession:
    """`await begin(place)`, then `run()` in a task until it ends: by `end`, or by itself."""

    def __init__(self, stream: str, parts: Parts, settings: RecorderSettings) -> None:
        self.stream = stream
        self.place: Place | None = None
        """None before it has begun; another one after each rotation."""
        self._parts = parts
        self._settings = settings
        self._recording = Recording(settings.recording)
        self._writer: RecordingWriter | None = None
        self._reason: RecordingEndReason | None = None
        self._ended = asyncio.Event()
        """Somebody, or something, wants it to end."""
        self._published = asyncio.Event()
        self._deleted = False
        self._inbox: list[tuple[Kind, Sequence[Frame]]] = []
        self._outbox: asyncio.Queue[list[Made] | None] = asyncio.Queue()
        self._waiting = 0
        self._dropped = 0
        self._counted = 0
        self._failed = False
        self._log = log.bind(_logger, stream=stream)

    async def begin(self, directory: StoragePath | None) -> None:
        """In that directory, or one named after the stream and the time. Raises Conflict, StoreError, BadRequest,
        Unavailable."""
        self._writer = await self._open(directory)
        self.place = self._writer.place

    @property
    def ending(self) -> bool:
        return self._ended.is_set()

    def end(self, reason: RecordingEndReason) -> None:
        """The first reason counts."""
        if self._reason is None:
            self._reason = reason
            self._ended.set()

    def published(self) -> None:
        """Somebody publishes the stream."""
        self._deleted = False
        self._published.set()

    def deleted(self) -> None:
        """The stream is. Its publisher may come back and make it anew."""
        self._deleted = True

    async def run(self) -> None:
        writing = asyncio.create_task(self._write(), name=f"recording of {self.stream}: writing")
        writing.add_done_callback(lambda _: self.end("failed"))
        try:
            await self._follow_publishers()
        finally:
            self.end("failed")
            self._outbox.put_nowait(None)
            try:
                await writing
            except BaseException:
                self._abandon()
                raise
            await self._close()

    async def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None and self._reason is not None:
            await writer.end(self._reason)

    def _abandon(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None and self._reason is not None:
            writer.abandon(self._reason)

    # From the taps to segments

    async def _follow_publishers(self) -> None:
        while not self._ended.is_set():
            self._published.clear()
            if tracks := self._tracks():
                await self._record(tracks)
            if not self._ended.is_set():
                await self._wait_for_publisher()

    def _tracks(self) -> dict[Kind, int]:
        """The first of each kind."""
        try:
            published = self._parts.streams.published_tracks(self.stream)
        except NotFound:
            return {}
        tracks: dict[Kind, int] = {}
        for media, track in published:
            tracks.setdefault(media.kind, track)
        return tracks

    async def _wait_for_publisher(self) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (self._published, self._ended)]
        done, _ = await asyncio.wait(waits, timeout=self._settings.resume_seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if not done:
            self.end("stream-deleted" if self._deleted else "publisher-left")

    async def _record(self, tracks: dict[Kind, int]) -> None:
        """One publisher, until it has left or the recording is to end."""
        async with AsyncExitStack() as stack:
            taps = {kind: tap for kind, track in tracks.items() if (tap := await self._open_tap(stack, kind, track))}
            if not taps:
                return
            self._recording.begin(taps)
            open_ = dict(taps)
            while open_ and not self._ended.is_set():
                await self._pause()
                open_ = {kind: tap for kind, tap in open_.items() if self._look(kind, tap)}
                await self._feed()
                if "video" in taps and self._recording.key_frame_due(self._now()):
                    self._parts.taps.request_key_frame(taps["video"].track)
            for kind, tap in taps.items():
                await self._look_once_more(kind, tap)
                self._dropped += tap.dropped
            await self._feed()
        self._put(await self._in_pool(self._recording.end, self._now()))

    async def _open_tap(self, stack: AsyncExitStack, kind: Kind, track: int) -> Tap | None:
        try:
            return await stack.enter_async_context(self._parts.taps.tap(track, past=PAST))
        except (CommandError, EngineGone) as error:
            # The publisher has gone in this moment, or sends what cannot be recorded.
            self._log.warning("%s cannot be recorded: %s", kind, error.detail)
            return None

    def _look(self, kind: Kind, tap: Tap) -> bool:
        """False at its end."""
        frames = tap.take()
        if frames:
            self._inbox.append((kind, frames))
        return frames is not None

    async def _look_once_more(self, kind: Kind, tap: Tap) -> None:
        with suppress(TimeoutError, StopAsyncIteration):
            async with asyncio.timeout(LAST_LOOK):
                self._inbox.append((kind, await anext(tap)))

    @property
    def _pace(self) -> float:
        return LOW_LATENCY_PACE if self._settings.low_latency else min(PACE, self._settings.segment_seconds / 4)

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pace):
                await self._ended.wait()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _feed(self) -> None:
        frames, self._inbox = self._inbox, []
        self._put(await self._in_pool(self._advance, frames, self._now()))
        dropped = self._recording.dropped + self._dropped
        self._parts.counts.dropped += dropped - self._counted
        self._counted = dropped

    def _advance(self, frames: list[tuple[Kind, Sequence[Frame]]], now: float) -> list[Made]:
        return [*self._recording.feed(frames, now), *self._recording.in_the_making()]

    async def _in_pool(self, work: Callable[P, list[Made]], *arguments: P.args, **options: P.kwargs) -> list[Made]:
        return await asyncio.get_running_loop().run_in_executor(
            self._parts.pool, functools.partial(work, *arguments, **options)
        )

    # From segments to files

    def _put(self, made: list[Made]) -> None:
        if not made:
            return
        self._waiting += _size(made)
        self._outbox.put_nowait(made)
        if self._waiting > MOST_WAITING:
            self._log.error("%d bytes wait to be written", self._waiting)
            self.end("storage-slow")

    async def _write(self) -> None:
        while (made := await self._outbox.get()) is not None:
            if not self._failed:
                try:
                    await self._store(made)
                except (StorageError, StoreError, Conflict, Unavailable) as error:
                    self._failed = True
                    self._log.error("%s", error.detail)
                    self.end("storage-full" if isinstance(error, StorageFull) else "storage-failed")
            self._waiting -= _size(made)

    async def _store(self, made: list[Made]) -> None:
        part: list[Made] = []
        for item in made:
            if isinstance(item, Rotated):
                await self._rotate(part)
                part = []
            else:
                part.append(item)
        if self._writer is not None:
            await self._writer.write(part)

    async def _rotate(self, last: list[Made]) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                await writer.write(last)
            finally:
                await writer.end("rotated")
        await self.begin(None)

    async def _open(self, directory: StoragePath | None) -> RecordingWriter:
        """In a second of its own, where one that was ended a moment ago has the name."""
        second = int(time.time())
        while True:
            record = f"{second:010}"
            place = Place(self.stream, record, directory or StoragePath(f"{self.stream}/{record}"))
            writer = RecordingWriter(self._parts, place, self._settings.recording)
            try:
                await writer.begin()
            except RecordTaken:
                second += 1
                if second > time.time() + _SECONDS_AHEAD:
                    raise Unavailable("recordings of the stream begin too often", retry_after=1) from None
            else:
                return writer


def _size(made: list[Made]) -> int:
    return sum(len(item.segment.data) for item in made if isinstance(item, SegmentMade))
