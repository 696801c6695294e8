"""Segments in the making, on the disk: what a process that dies has of them, and the space to end a recording in.

A segment reaches the storage when it is whole. Until then its samples are appended to a file beside the storage every
two seconds; the next start makes a segment of them. They are not brought to the disk (fsync): that is for a process
that dies, not for a machine. What is kept is the recorder's own format, read by the same version that wrote it or a
newer.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from live777py.recorder.muxer import Sample
from live777py.storage import StoragePath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

T = TypeVar("T")

_THREADS: Final = 2
_MARKER: Final = "recording"
"""The directory of the recording, then zeros: the reserve. Locked as long as the recording runs."""
_RESERVE: Final = 64 << 10
_RECORD: Final = struct.Struct(">qI?")
_MOST_PIECES: Final = 1000
"""Of one `writev`; Linux takes 1024."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """The directory of a recording that was not ended properly, and when its journal was last written to."""

    directory: StoragePath
    modified: float


class Journal:
    """Of all recordings. `root` is on the file system that recordings fill, and is no object of the storage."""

    def __init__(self, root: Path, *, executor: Executor | None = None) -> None:
        self._root = root
        self._executor = executor or ThreadPoolExecutor(_THREADS, thread_name_prefix="journal")

    def of(self, directory: StoragePath) -> RecordingJournal:
        name = hashlib.sha256(directory.encode()).hexdigest()[:32]
        return RecordingJournal(directory, self._root / name, self._executor)

    async def leftovers(self) -> list[Leftover]:
        """Of recordings that no process is making."""
        return await _run(self._executor, self._leftovers)

    def _leftovers(self) -> list[Leftover]:
        found = []
        for marker in self._root.glob(f"*/{_MARKER}"):
            with contextlib.suppress(OSError), marker.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                directory = StoragePath(file.read(1024).split(b"\0", 1)[0].decode())
                found.append(Leftover(directory, os.fstat(file.fileno()).st_mtime))
        return found

    def close(self) -> None:
        self._executor.shutdown(wait=False)


class RecordingJournal:
    """Of one recording: `begin`, `write` as often as samples come, `release` before its last texts are written, and
    `forget` after them. Every method raises OSError.
    """

    def __init__(self, directory: StoragePath, path: Path, executor: Executor) -> None:
        self._directory = directory
        self._path = path
        self._executor = executor
        self._marker: int | None = None
        self._reserved = 0
        self._incomplete: set[str] = set()
        """Segments of which samples could not be written: nothing more is."""

    async def begin(self) -> None:
        """Anew, with some space in reserve."""
        await _run(self._executor, self._begin)

    async def reserve(self, size: int) -> None:
        """At least so many bytes for texts that are to be replaced."""
        if self._marker is not None and size > self._reserved:
            await _run(self._executor, self._reserve, 2 * size)

    async def write(self, taken: Mapping[str, Sequence[Sample]], *, stored: Iterable[str]) -> None:
        """Samples of segments in the making, by name; and which segments are in the storage by now."""
        if self._marker is not None:
            await _run(self._executor, self._write, taken, list(stored))

    async def release(self) -> None:
        """The space; there is no segment in the making any more. It is still known that the recording has to end."""
        if self._marker is not None:
            await _run(self._executor, self._release)

    async def forget(self) -> None:
        """The recording has ended as it should."""
        await _run(self._executor, self._forget)

    def close(self) -> None:
        """As it is: the next start sees to it."""
        if self._marker is not None:
            os.close(self._marker)
            self._marker = None

    async def names(self) -> list[str]:
        """Of the segments that were in the making."""
        return await _run(self._executor, self._names)

    async def read(self, name: str) -> list[Sample]:
        """As many as are there as a whole."""
        return await _run(self._executor, self._read, name)

    async def remove(self, name: str) -> None:
        await _run(self._executor, partial((self._path / name).unlink, missing_ok=True))

    def _begin(self) -> None:
        self._forget()
        self._path.mkdir(mode=0o700, parents=True)
        marker = os.open(self._path / _MARKER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._marker = marker
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(marker, self._directory.encode() + b"\0")
        self._reserve(_RESERVE)

    def _reserve(self, size: int) -> None:
        if self._marker is not None:
            os.posix_fallocate(self._marker, 0, size)
            self._reserved = size

    def _write(self, taken: Mapping[str, Sequence[Sample]], stored: Sequence[str]) -> None:
        for name in stored:
            (self._path / name).unlink(missing_ok=True)
            self._incomplete.discard(name)
        for name, samples in taken.items():
            if name in self._incomplete:
                continue
            try:
                self._append(self._path / name, samples)
            except OSError:
                self._incomplete.add(name)
                raise

    def _append(self, path: Path, samples: Sequence[Sample]) -> None:
        pieces = [
            piece
            for sample in samples
            for piece in (_RECORD.pack(sample.time, len(sample.data), sample.key), sample.data)
        ]
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for first in range(0, len(pieces), _MOST_PIECES):
                some = pieces[first : first + _MOST_PIECES]
                written = os.writev(file, some)
                if written < sum(map(len, some)):
                    _write_all(file, b"".join(some)[written:])
        finally:
            os.close(file)

    def _release(self) -> None:
        for name in self._names():
            (self._path / name).unlink(missing_ok=True)
        if self._marker is not None:
            os.ftruncate(self._marker, len(self._directory.encode()) + 1)

    def _forget(self) -> None:
        self.close()
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._path)

    def _names(self) -> list[str]:
        try:
            return sorted(file.name for file in self._path.iterdir() if file.name != _MARKER)
        except FileNotFoundError:
            return []

    def _read(self, name: str) -> list[Sample]:
        data = memoryview((self._path / name).read_bytes())
        samples = []
        while len(data) >= _RECORD.size:
            time, size, key = _RECORD.unpack_from(data)
            end = _RECORD.size + size
            if len(data) < end:
                break
            samples.append(Sample(time, key, bytes(data[_RECORD.size : end])))
            data = data[end:]
        return samples


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


async def _run(executor: Executor, work: Callable[..., T], *arguments: object) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, work, *arguments)
