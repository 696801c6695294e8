"""One recording's files, its row in the index, and what is told of it."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from live777py import log
from live777py.errors import StorageError, StoreError
from live777py.recorder.index import Recording as Row
from live777py.recorder.index import RecordKey, Written, record_id
from live777py.recorder.made import ChunkMade, PeriodBegan, SamplesTaken, SegmentMade
from live777py.recorder.manifest import write_manifest
from live777py.recorder.names import MANIFEST, MASTER_PLAYLIST, init_name, segment_name
from live777py.recorder.playlist import write_playlists
from live777py.recorder.presentation import Presentation
from live777py.streams.events import RecordingEnded, RecordingStarted, SegmentWritten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from live777py.recorder.made import Made
    from live777py.recorder.muxer import Sample
    from live777py.recorder.parts import Parts
    from live777py.recorder.recording import RecordingSettings
    from live777py.storage import StoragePath
    from live777py.streams.events import RecordingEndReason

COMPLETE: Final[frozenset[RecordingEndReason]] = frozenset(
    {"stopped", "publisher-left", "stream-deleted", "rotated", "shutdown"}
)
"""Ends as they are meant to be."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a recording is. `record` is its Unix time, whatever the directory is called."""

    stream: str
    record: str
    directory: StoragePath

    @property
    def record_id(self) -> str:
        return record_id(self.directory)

    @property
    def mpd_path(self) -> StoragePath:
        return self.directory / MANIFEST


class RecordingWriter:
    """`await begin()`, `await write(...)` as often as something was made, `await end(reason)`."""

    def __init__(self, parts: Parts, place: Place, settings: RecordingSettings) -> None:
        self.place = place
        self._parts = parts
        self._told_directory = str(place.directory)
        """For events: programs are told of them in JSON, which knows no kinds of `str`."""
        self._key = RecordKey(place.stream, place.record)
        self._presentation = Presentation(time.time(), settings.segment_seconds, settings.chunk_seconds)
        self._master: bytes | None = None
        """The playlist of playlists as it was written last: it hardly ever changes."""
        self._clocks_kept = 0
        """Periods that durable playlists name."""
        self._live: set[StoragePath] = set()
        self._journal_failed = False
        self._journal = parts.journal.of(place.directory)
        self._log = log.bind(_logger, stream=place.stream)

    async def begin(self) -> None:
        """Raises Conflict where there is a recording already, and StoreError."""
        place = self.place
        start = round(self._presentation.started * 1_000_000)
        await self._parts.index.begin(
            Row(stream=place.stream, record=place.record, directory=place.directory, start_us=start)
        )
        with self._journaling():
            await self._journal.begin()
        self._parts.counts.active += 1
        self._parts.streams.bus.publish(RecordingStarted(stream=place.stream, directory=self._told_directory))
        self._log.info("recording to %s", place.directory)

    async def write(self, made: Iterable[Made]) -> None:
        """Segments before the manifest that names them. Raises StorageError."""
        changed = False
        stored: list[str] = []
        taken: dict[str, Sequence[Sample]] = {}
        for item in made:
            match item:
                case PeriodBegan():
                    await self._begin_period(item)
                case SegmentMade():
                    stored.append(await self._write_segment(item))
                    changed = True
                case SamplesTaken():
                    taken[self._path(item).name] = item.samples
                case ChunkMade():
                    changed |= self._add_chunk(item)
        if taken or stored:
            with self._journaling():
                await self._journal.write(taken, stored=stored)
        if changed:
            await self._write_manifest()
            if self._presentation.bytes:
                await self._tell_index()

    async def end(self, reason: RecordingEndReason) -> None:
        """Whatever fails, it is over."""
        self._presentation.finished = True
        with self._journaling():
            await self._journal.release()
        try:
            if self._presentation.bytes:
                await self._write_manifest()
        except StorageError as error:
            why = error.detail
            self._log.error("the manifest of %s is finished at the next start: %s", self.place.directory, why)
        else:
            with self._journaling():
                await self._journal.forget()
        try:
            await self._parts.index.end(
                self._key,
                "Completed" if reason in COMPLETE else "Failed",
                self._written(),
                end_us=time.time_ns() // 1000,
                reason=reason,
            )
        except StoreError as error:
            self._log.error("%s", error.detail)
        self.abandon(reason)

    def abandon(self, reason: RecordingEndReason) -> None:
        """Without a word to the storage and the index: the next start finds it unfinished, and repairs it."""
        self._journal.close()
        for path in self._live:
            self._parts.live.complete(path)
        duration = float(self._presentation.duration)
        self._parts.counts.active -= 1
        self._parts.counts.ended[reason] += 1
        self._parts.streams.bus.publish(
            RecordingEnded(stream=self.place.stream, directory=self._told_directory, reason=reason, duration=duration)
        )
        level = logging.INFO if reason in COMPLETE else logging.ERROR
        self._log.log(level, "recording to %s ended after %.1f s: %s", self.place.directory, duration, reason)

    async def _begin_period(self, began: PeriodBegan) -> None:
        if not self._presentation.periods:
            self._presentation.started = time.time()
        configurations = [track.configuration for track in began.tracks]
        self._presentation.begin_period(began.start, began.wallclock, *configurations)
        for track in began.tracks:
            name = init_name(track.kind, began.number, track.configuration.container)
            await self._parts.storage.put(self.place.directory / name, track.init)

    async def _write_segment(self, made: SegmentMade) -> str:
        path = self._path(made)
        segment = made.segment
        await self._parts.storage.put(path, segment.data)
        self._parts.live.complete(path)
        self._live.discard(path)
        track = self._presentation.periods[-1].tracks[made.kind]
        track.pending = None
        track.segments.append(segment.time, segment.ticks, len(segment.data), key=segment.key)
        self._parts.counts.segments += 1
        self._parts.counts.bytes += len(segment.data)
        self._parts.streams.bus.publish(
            SegmentWritten(
                stream=self.place.stream,
                directory=self._told_directory,
                path=str(path),
                start=float(segment.start),
                duration=float(segment.duration),
                size=len(segment.data),
            )
        )
        return path.name

    def _add_chunk(self, made: ChunkMade) -> bool:
        """Whether the manifest is to name another segment."""
        path = self._path(made)
        self._live.add(path)
        if not self._parts.live.add(path, made.chunk.data):
            return False
        wanted = round(Fraction(self._presentation.segment_seconds) * made.chunk.timescale)
        self._presentation.periods[-1].tracks[made.kind].pending = (made.chunk.time, wanted)
        return True

    def _path(self, made: SegmentMade | ChunkMade | SamplesTaken) -> StoragePath:
        track = self._presentation.periods[-1].tracks[made.kind]
        return self.place.directory / segment_name(made.kind, made.period, made.number, track.configuration.container)

    async def _write_manifest(self) -> None:
        # While it goes on they are written again and again, and the repair makes them from the segments. What only they
        # tell is the wall clock of a Period: its first ones are durable.
        periods = sum(period.duration > 0 for period in self._presentation.periods)
        durable = self._presentation.finished or periods > self._clocks_kept
        playlists = write_playlists(self._presentation)
        manifest = write_manifest(self._presentation, published=time.time())
        with self._journaling():
            await self._journal.reserve(len(manifest) + sum(map(len, playlists.values())))
        if playlists.get(MASTER_PLAYLIST) == self._master:
            playlists.pop(MASTER_PLAYLIST, None)
        for name, playlist in playlists.items():
            await self._parts.storage.put(self.place.directory / name, playlist, durable=durable)
        self._master = playlists.get(MASTER_PLAYLIST, self._master)
        await self._parts.storage.put(self.place.mpd_path, manifest, durable=durable)
        self._clocks_kept = periods

    @contextmanager
    def _journaling(self) -> Iterator[None]:
        """The recording does not end with a fault of its journal."""
        try:
            yield
        except OSError as error:
            if not self._journal_failed:
                self._journal_failed = True
                why = error.strerror
                self._log.warning("a crash would cost the last segment of %s: %s", self.place.directory, why)

    async def _tell_index(self) -> None:
        """The recording does not end with a fault of the index: it can be made anew from the files."""
        try:
            await self._parts.index.written(self._key, self._written())
        except StoreError as error:
            self._log.error("%s", error.detail)

    def _written(self) -> Written:
        tracks = [track for period in self._presentation.periods for track in period.tracks.values()]
        codecs = tuple(dict.fromkeys(track.configuration.codecs for track in tracks if track.segments.count))
        return Written(
            duration_ms=int(self._presentation.duration * 1000), bytes=self._presentation.bytes, codecs=codecs
        )
