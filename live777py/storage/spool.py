"""A disk before an object store: what is put is safe at once, and goes up when it can (docs/storage.md)."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final, Self, TypeVar

from live777py.errors import NotFound, SpoolFull, StartError, StorageError, StorageUnavailable
from live777py.storage.directory import Directory
from live777py.storage.kept import Kept
from live777py.storage.lane import Lane, Upload
from live777py.storage.local import open_file
from live777py.storage.ranges import clip
from live777py.storage.slots import Slots
from live777py.storage.storage import Entry, Object, opened, pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from live777py.storage.path import StoragePath
    from live777py.storage.storage import Chunk, Data, Storage

T = TypeVar("T")

_THREADS: Final = 4
_INDEX_RESERVE: Final = 16
"""One part in so many above the bound is for manifests and playlists, so that a recording can be ended properly."""
_CLOSE_GRACE: Final = 5.0
"""Seconds for the last uploads. What is not up then is at the next start."""
_TICK_NS: Final = 1000

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SpoolStatistics:
    """`failures` counts attempts, `refused` the objects that had no room."""

    queued_files: int
    queued_bytes: int
    uploaded_files: int
    uploaded_bytes: int
    failures: int
    refused: int


class Spool:
    """Usage: `await Spool.open(...)`; `close()` when nothing is put any more.

    `put` returns when the object is durable on the local disk. Objects of one directory go up in the order of the
    calls, a newer version of one that waits in place of the older one. The files are the queue: their names are the
    objects', their times the order. Reads find what waits as well as what is up, and manifests and playlists that went
    up a moment ago without asking the store.
    """

    def __init__(
        self, storage: Storage, directory: Path, lock: int, *, max_bytes: int, concurrency: int, random: Random
    ) -> None:
        self._storage = storage
        self._directory = Directory(directory / "objects")
        self._lock = lock
        self._max_bytes = max_bytes
        self._random = random
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="spool")
        self._slots = Slots(concurrency)
        self._kept = Kept()
        self._lanes: dict[str, Lane] = {}
        self._writes: set[asyncio.Task[None]] = set()
        self._last_ns = 0
        self._available = True
        self._recovered = asyncio.Event()
        """Lanes that wait for the store go on when it is set; another one is put in its place then."""
        self._empty = asyncio.Event()
        self._empty.set()
        self._files = 0
        self._bytes = 0
        self._uploaded_files = 0
        self._uploaded_bytes = 0
        self._failures = 0
        self._refused = 0

    @classmethod
    async def open(
        cls, storage: Storage, directory: Path, *, max_bytes: int, concurrency: int, random: Random | None = None
    ) -> Self:
        """With what a predecessor has left, which goes up first. Raises StartError."""
        random = random or Random()  # noqa: S311 (jitter)
        try:
            lock = await asyncio.to_thread(_take, directory)
        except OSError as error:
            why = "another process uses it" if isinstance(error, BlockingIOError) else error.strerror
            raise StartError(f"recorder.storage.spool_dir: cannot use {directory}: {why}") from None
        spool = cls(storage, directory, lock, max_bytes=max_bytes, concurrency=concurrency, random=random)
        try:
            await spool._recover()
        except StorageError as error:
            await spool.close()
            raise StartError(f"recorder.storage.spool_dir: cannot read {directory}: {error.detail}") from None
        return spool

    @property
    def statistics(self) -> SpoolStatistics:
        return SpoolStatistics(
            queued_files=self._files,
            queued_bytes=self._bytes,
            uploaded_files=self._uploaded_files,
            uploaded_bytes=self._uploaded_bytes,
            failures=self._failures,
            refused=self._refused,
        )

    async def put(self, path: StoragePath, data: Data, *, durable: bool = True) -> None:  # noqa: ARG002 (it always is)
        """Raises SpoolFull, StorageFull (of the local disk), StorageError."""
        chunks = pieces(data)
        size = sum(memoryview(chunk).nbytes for chunk in chunks)
        bound = self._max_bytes + (self._max_bytes // _INDEX_RESERVE if path.is_index else 0)
        if self._bytes + size > bound:
            self._refused += 1
            raise SpoolFull(f"{path}: {self._files} objects of {self._bytes} bytes wait for the object store")
        self._bytes += size
        # A caller that gives up does not stop the thread that writes.
        write = asyncio.create_task(self._write(path, chunks, size))
        self._writes.add(write)
        write.add_done_callback(self._written)
        await asyncio.shield(write)

    async def get(self, path: StoragePath, *, start: int = 0, end: int | None = None) -> Object:
        try:
            return await opened(self._executor, partial(open_file, self._directory, self._executor, path, start, end))
        except NotFound:
            kept = self._kept.get(path)
            if kept is not None:
                return _in_memory(*kept, start, end, self._executor)
            return await self._storage.get(path, start=start, end=end)

    async def head(self, path: StoragePath) -> Entry:
        try:
            return await self._run(self._directory.status, path)
        except NotFound:
            kept = self._kept.get(path)
            return await self._storage.head(path) if kept is None else kept[0]

    async def list(self, prefix: StoragePath | None = None) -> list[Entry]:
        """Raises StorageUnavailable although some objects are here: half a list would be taken for a whole one."""
        waiting = {entry.path: entry for entry in await self._run(self._walk, prefix)}
        entries = {entry.path: entry for entry in await self._storage.list(prefix)} | waiting
        return [entries[path] for path in sorted(entries)]

    async def delete(self, path: StoragePath) -> None:
        with self._lane(path.parent) as lane:
            async with lane.disk:
                self._forget(lane.remove(path))
                self._kept.forget(path)
                await self._run(self._directory.delete, path)
            if lane.current is not None and lane.current.entry.path == path:
                await lane.current.done.wait()
                self._kept.forget(path)
        await self._storage.delete(path)

    async def delete_prefix(self, prefix: StoragePath) -> None:
        for name in [name for name in self._lanes if name == prefix or name.startswith(f"{prefix}/")]:
            with self._lane(name) as lane:
                async with lane.disk:
                    for entry in lane.clear():
                        self._forget(entry)
                if lane.current is not None:
                    await lane.current.done.wait()
        self._kept.forget_below(prefix)
        await self._run(self._directory.delete_tree, prefix)
        await self._storage.delete_prefix(prefix)

    async def presign(self, path: StoragePath, seconds: int) -> str | None:
        """None, too, for what is still on the way."""
        try:
            await self._run(self._directory.status, path)
        except NotFound:
            return await self._storage.presign(path, seconds)
        return None

    async def drained(self) -> None:
        """When nothing waits any more."""
        await self._empty.wait()

    async def close(self) -> None:
        """Waits a little for the last uploads, unless the store is away. Nothing is lost by not waiting."""
        while self._writes:
            await asyncio.wait(set(self._writes))
        if self._available:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_GRACE):
                    await self._empty.wait()
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._storage.close()
        await asyncio.to_thread(self._executor.shutdown)
        os.close(self._lock)

    async def _recover(self) -> None:
        found = await self._run(self._walk, None, -math.inf)
        # Two files of one time can only be made by another program: manifests last.
        for entry in sorted(found, key=lambda entry: (entry.modified, entry.path.is_index)):
            self._last_ns = max(self._last_ns, int(entry.modified * 1e9) + _TICK_NS)
            self._bytes += entry.size
            with self._lane(entry.path.parent) as lane:
                self._enqueue(lane, entry)
        if found:
            _logger.info("%d objects of %d bytes wait for the object store", self._files, self._bytes)

    async def _write(self, path: StoragePath, chunks: Sequence[Chunk], size: int) -> None:
        try:
            with self._lane(path.parent) as lane:
                async with lane.disk:
                    # The order survives a restart in the files' times; a clock that is set back does not change it.
                    self._last_ns = max(self._last_ns + _TICK_NS, time.time_ns() // _TICK_NS * _TICK_NS)
                    write = partial(self._directory.write, path, chunks, modified_ns=self._last_ns)
                    self._enqueue(lane, await self._run(write))
        except StorageError:
            self._bytes -= size
            raise

    def _written(self, write: asyncio.Task[None]) -> None:
        self._writes.discard(write)
        if not write.cancelled():
            write.exception()

    def _enqueue(self, lane: Lane, entry: Entry) -> None:
        """Its bytes are counted already."""
        self._files += 1
        self._empty.clear()
        self._forget(lane.add(entry))
        if lane.task is None:
            lane.task = asyncio.create_task(self._drain(entry.path.parent or "", lane))

    async def _drain(self, name: str, lane: Lane) -> None:
        try:
            while (entry := lane.first()) is not None:
                try:
                    async with self._slots:
                        await self._upload(lane, entry)
                except StorageError as error:
                    await self._wait(lane, error)
        finally:
            lane.task = None
            self._tidy(name, lane)

    async def _upload(self, lane: Lane, entry: Entry) -> None:
        if not lane.holds(entry):
            return
        lane.current = Upload(entry)
        try:
            data = await self._run(self._read, entry)
            if data is not None:
                await self._storage.put(entry.path, data)
                if entry.path.is_index:
                    self._kept.add(entry, data)
                self._succeeded(lane, entry)
            # Under the lock: what is in the file now is what the lane holds.
            async with lane.disk:
                if lane.holds(entry):
                    await self._run(self._directory.delete, entry.path)
                    self._forget(lane.remove(entry.path))
        finally:
            lane.current.done.set()
            lane.current = None

    def _read(self, entry: Entry) -> bytes | None:
        """None if it is gone, or another version by now, which has a place of its own in the lane."""
        try:
            found = open_file(self._directory, self._executor, entry.path, 0, None)
        except NotFound:
            return None
        with contextlib.closing(found):
            return found.read_now() if found.entry == entry else None

    def _succeeded(self, lane: Lane, entry: Entry) -> None:
        self._uploaded_files += 1
        self._uploaded_bytes += entry.size
        lane.went_well()
        self._slots.went_well()
        if not self._available:
            self._available = True
            _logger.info("the object store is back; %d objects of %d bytes wait for it", self._files, self._bytes)
            self._recovered.set()
            self._recovered = asyncio.Event()

    async def _wait(self, lane: Lane, error: StorageError) -> None:
        """Until the object may be tried again. Nothing behind it in its lane overtakes it."""
        self._failures += 1
        delay = lane.delay(self._random)
        if not isinstance(error, StorageUnavailable):
            _logger.warning("an upload failed, again in %.1f s: %s", delay, error.detail)
            await asyncio.sleep(delay)
            return
        self._slots.failed()
        if self._available:
            self._available = False
            _logger.warning("%s; %d objects of %d bytes wait for it", error.detail, self._files, self._bytes)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._recovered.wait()

    def _forget(self, entry: Entry | None) -> None:
        """It waits no more."""
        if entry is not None:
            self._files -= 1
            self._bytes -= entry.size
            if self._files == 0:
                self._empty.set()

    @contextmanager
    def _lane(self, name: str | None) -> Iterator[Lane]:
        name = name or ""
        lane = self._lanes.setdefault(name, Lane())
        lane.users += 1
        try:
            yield lane
        finally:
            lane.users -= 1
            self._tidy(name, lane)

    def _tidy(self, name: str, lane: Lane) -> None:
        if not lane.users and not len(lane) and lane.task is None and self._lanes.get(name) is lane:
            del self._lanes[name]

    def _walk(self, prefix: StoragePath | None, abandoned: float = math.inf) -> Sequence[Entry]:
        return [*self._directory.walk(prefix, abandoned=abandoned)]

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)


def _in_memory(entry: Entry, data: bytes, start: int, end: int | None, executor: ThreadPoolExecutor) -> Object:
    """Raises RangeNotSatisfiable."""
    start, end = clip(entry, start, end)
    return Object(
        entry, start=start, end=end, chunks=iter([data[start:end]]), close=_nothing_to_close, executor=executor
    )


def _nothing_to_close() -> None:
    pass


def _take(directory: Path) -> int:
    """The lock of the directory, by a file descriptor. One process at a time: two would not know each other's order."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock
