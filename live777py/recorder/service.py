"""The owner of all recordings: begun and ended by the API, by pattern, and by what happens to the streams."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from live777py import log
from live777py.errors import Conflict, Live777Error, StoreError, Unavailable
from live777py.recorder.live import LiveSegments
from live777py.recorder.parts import Counts, Parts
from live777py.recorder.recovery import recover
from live777py.recorder.session import RecordingSession
from live777py.streams.events import PublishStarted, StreamDeleted

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from live777py.recorder.journal import Journal
    from live777py.recorder.parts import Index, Streams, Taps
    from live777py.recorder.settings import RecorderSettings
    from live777py.recorder.writer import Place
    from live777py.storage import Storage, StoragePath
    from live777py.streams.bus import Subscription
    from live777py.streams.events import RecordingEndReason

THREADS: Final = 2
"""That make segments: they hold the interpreter while they do."""
CAPACITY: Final = 65_536
"""Events that may wait."""
STOP_GRACE: Final = 5.0
"""Seconds in which recordings are brought to their end with the process."""
LAST_GRACE: Final = 1.0
"""Seconds for those that were given up."""

_logger = logging.getLogger(__name__)


class _Running:
    """`begun` is done when the recording has its place, or has failed to get one; `run` when it is over."""

    def __init__(self, session: RecordingSession, begun: asyncio.Task[None]) -> None:
        self.session = session
        self.begun = begun
        self.run: asyncio.Task[None] | None = None


class RecorderService:
    """Usage: `service = RecorderService(...)`, `await service.open()` ... `await service.close()` before the streams.

    Recordings do not wait for each other: there is no lock over several of them.
    """

    def __init__(
        self,
        streams: Streams,
        taps: Taps,
        storage: Storage,
        index: Index,
        settings: RecorderSettings,
        *,
        journal: Journal,
        pool: Executor | None = None,
    ) -> None:
        self.counts = Counts()
        self.live = LiveSegments()
        """Segments in the making, for `GET` of one that is not in the storage yet."""
        self._streams = streams
        self._settings = settings
        self._pool = pool or ThreadPoolExecutor(THREADS, thread_name_prefix="recorder")
        self._journal = journal
        self._parts = Parts(
            streams=streams,
            taps=taps,
            storage=storage,
            index=index,
            pool=self._pool,
            counts=self.counts,
            live=self.live,
            journal=self._journal,
        )
        self._running: dict[str, _Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[None] | None = None
        self._recovering: asyncio.Task[None] | None = None
        self._closing = False

    async def open(self) -> None:
        """What was cut off is repaired meanwhile. A store that cannot be read is an error in the log."""
        await self._recover()
        self._reader = asyncio.create_task(self._follow(self._streams.bus.subscribe(capacity=CAPACITY)))
        self._record_published()

    async def close(self) -> None:
        """End every recording: manifests are `static` then, or there was no time for it."""
        self._closing = True
        for task in (self._reader, self._recovering):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        for running in self._running.values():
            running.session.end("shutdown")
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_GRACE)
            if late:
                _logger.error("%d recordings were not brought to their end within %.0f s", len(late), STOP_GRACE)
                for task in late:
                    task.cancel()
                await asyncio.wait(late, timeout=LAST_GRACE)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def reconfigure(self, settings: RecorderSettings) -> None:
        """For the recordings that begin from now on; a stream that is to be recorded by now begins at once."""
        self._settings = settings
        self._record_published()

    async def _recover(self) -> None:
        try:
            cut_off = await self._parts.index.active()
        except StoreError as error:
            _logger.error("%s", error.detail)  # noqa: TRY400 (nothing to trace)
        else:
            leftovers = await self._journal.leftovers()
            work = recover(self._parts.storage, self._parts.index, self._journal, cut_off, leftovers)
            self._recovering = asyncio.create_task(work, name="repair of recordings")

    # The API

    async def start(self, stream: str, base_dir: StoragePath | None = None) -> Place:
        """Record it, or tell where it is being recorded. Raises NotFound, and Conflict without a publisher or for a
        directory that is taken."""
        running = self._current(stream)
        if running is None:
            if self._closing:
                raise Unavailable("the gateway is shutting down", retry_after=5)
            if not self._streams.published_tracks(stream):
                raise Conflict(f"nobody publishes stream '{stream}'")
            running = self._begin(stream, base_dir)
        # Who gives up waiting does not take it from those who wait as well.
        await asyncio.shield(running.begun)
        place = running.session.place
        if place is None:
            raise Conflict("the recording has been ended")
        return place

    def recording(self, stream: str) -> bool:
        return self._current(stream) is not None

    async def stop(self, stream: str, reason: RecordingEndReason = "stopped") -> None:
        """Returns when the last segment and the manifest are in the storage, or if nothing is being recorded."""
        running = self._running.get(stream)
        if running is None:
            return
        running.session.end(reason)
        if running.run is not None:
            await asyncio.shield(running.run)

    # What happens to the streams

    async def _follow(self, events: Subscription) -> None:
        missed = 0
        with events:
            async for event in events:
                match event:
                    case PublishStarted(stream=stream):
                        self._published(stream)
                    case StreamDeleted(stream=stream) if stream in self._running:
                        self._running[stream].session.deleted()
                if events.missed != missed:
                    missed = events.missed
                    self._record_published()

    def _record_published(self) -> None:
        """Without an event that says who is published."""
        for view in self._streams.streams():
            publishers = [session for session in view.publish.sessions if not session.relay]
            if any(session.state in {"connected", "disconnected"} for session in publishers):
                self._published(view.id)

    def _current(self, stream: str) -> _Running | None:
        """Not one that is only being brought to its end."""
        running = self._running.get(stream)
        return None if running is None or running.session.ending else running

    def _published(self, stream: str) -> None:
        running = self._current(stream)
        if running is not None:
            running.session.published()
        elif self._settings.is_auto(stream) and not self._closing:
            self._begin(stream, None)

    def _begin(self, stream: str, directory: StoragePath | None) -> _Running:
        session = RecordingSession(stream, self._parts, self._settings)
        begun = asyncio.create_task(session.begin(directory), name=f"recording of {stream}: beginning")
        running = self._running[stream] = _Running(session, begun)
        running.run = asyncio.create_task(self._run(stream, running), name=f"recording of {stream}")
        self._tasks.add(running.run)
        running.run.add_done_callback(self._tasks.discard)
        return running

    async def _run(self, stream: str, running: _Running) -> None:
        try:
            await running.begun
            await running.session.run()
        except Live777Error as error:
            log.bind(_logger, stream=stream).warning("not recorded: %s", error.detail)
        finally:
            if self._running.get(stream) is running:
                del self._running[stream]
