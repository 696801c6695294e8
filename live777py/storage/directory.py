"""A directory tree that no name leads out of: every step is taken from an open directory and follows no symbolic link.

Blocking; the names of stored objects never reach the kernel as one path.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from live777py.errors import NotFound, StorageError, StorageFull
from live777py.storage.path import PARTIAL, StoragePath, is_storage_path
from live777py.storage.storage import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from live777py.storage.storage import Chunk

_ABANDONED: Final = 3600.0
"""Seconds after which a partial file has lost its writer: other processes may write to the same tree."""
_RACES: Final = 5
"""How often a directory may vanish (`delete_tree` removes empty ones) between its making and the file in it."""

_numbers = itertools.count()


class Directory:
    """`root` is made when something is written; it may itself be a symbolic link. Every method raises StorageError."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(
        self, path: StoragePath, chunks: Sequence[Chunk], *, modified_ns: int | None = None, durable: bool = True
    ) -> Entry:
        """All or nothing, and `durable`. `modified_ns` is Unix time; None is now."""
        with _told(path, writing=True):
            for race in itertools.count(1):
                try:
                    return self._write(path, chunks, modified_ns, durable=durable)
                except FileNotFoundError:
                    if race == _RACES:
                        raise
        raise AssertionError

    def open(self, path: StoragePath) -> tuple[int, Entry]:
        """A file descriptor that the caller closes. Raises NotFound."""
        with _told(path), self._opened(path.segments[:-1]) as directory:
            # A FIFO that somebody put there must not hold up the thread.
            file = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                os.close(file)
                raise NotFound(f"no object {path}")
            return file, _entry(path, status)

    def status(self, path: StoragePath) -> Entry:
        """Raises NotFound."""
        file, entry = self.open(path)
        os.close(file)
        return entry

    def walk(self, below: StoragePath | None = None, *, abandoned: float = _ABANDONED) -> Iterator[Entry]:
        """In no order, without names that no object can have.

        Partial files that are older than `abandoned` seconds are removed on the way.
        """
        before = time.time() - abandoned
        try:
            with _told(below), self._opened(below.segments if below else []) as directory:
                yield from _walk(directory, f"{below}/" if below else "", before)
        except NotFound:
            return

    def delete(self, path: StoragePath) -> None:
        """With the directories that are then empty. After a crash of the machine it may be back."""
        with contextlib.suppress(NotFound), _told(path):
            with self._opened(path.segments[:-1]) as directory:
                os.unlink(path.name, dir_fd=directory)
            self._prune(path.segments[:-1])

    def delete_tree(self, below: StoragePath) -> None:
        """With all directories in it, and those above it that are then empty."""
        with contextlib.suppress(NotFound), _told(below):
            with self._opened(below.segments) as directory:
                _empty(directory)
            self._prune(below.segments)

    def _prune(self, segments: Sequence[str]) -> None:
        """The directory and those above it, as far as they are empty."""
        for depth in range(len(segments) - 1, -1, -1):
            with self._opened(segments[:depth]) as above:
                try:
                    os.rmdir(segments[depth], dir_fd=above)
                except OSError as error:
                    if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY}:
                        return
                    raise

    def _write(self, path: StoragePath, chunks: Sequence[Chunk], modified_ns: int | None, *, durable: bool) -> Entry:
        with self._opened(path.segments[:-1], make=True) as directory:
            partial = f"{PARTIAL}{os.getpid()}-{next(_numbers)}"
            file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=directory)
            try:
                with open(file, "wb") as writer:  # noqa: PTH123 (a descriptor)
                    writer.writelines(chunks)
                    writer.flush()
                    if modified_ns is not None:
                        os.utime(file, ns=(modified_ns, modified_ns))
                    if durable:
                        os.fsync(file)
                    status = os.fstat(file)
                os.rename(partial, path.name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(partial, dir_fd=directory)
                raise
            if durable:
                os.fsync(directory)
        return _entry(path, status)

    @contextmanager
    def _opened(self, segments: Sequence[str], *, make: bool = False) -> Iterator[int]:
        if make and not self._root.is_dir():
            self._root.mkdir(parents=True, exist_ok=True)
            _sync(self._root.parent)
        current = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for segment in segments:
                below = _step(current, segment, make=make)
                os.close(current)
                current = below
            yield current
        finally:
            os.close(current)


def _sync(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _step(directory: int, segment: str, *, make: bool) -> int:
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(segment, dir_fd=directory)
            os.fsync(directory)
    return os.open(segment, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)


def _walk(directory: int, prefix: str, abandoned: float) -> Iterator[Entry]:
    with os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    below = _step(directory, entry.name, make=False)
                    try:
                        yield from _walk(below, f"{prefix}{entry.name}/", abandoned)
                    finally:
                        os.close(below)
                elif entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    if entry.name.startswith(PARTIAL):
                        if status.st_mtime < abandoned:
                            os.unlink(entry.name, dir_fd=directory)
                    elif is_storage_path(prefix + entry.name):
                        yield _entry(StoragePath(prefix + entry.name), status)


def _empty(directory: int) -> None:
    with os.scandir(directory) as entries:
        for entry in list(entries):
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    below = _step(directory, entry.name, make=False)
                    try:
                        _empty(below)
                    finally:
                        os.close(below)
                    with contextlib.suppress(OSError):  # somebody writes into it again
                        os.rmdir(entry.name, dir_fd=directory)
                else:
                    os.unlink(entry.name, dir_fd=directory)
    os.fsync(directory)


def _entry(path: StoragePath, status: os.stat_result) -> Entry:
    # The clock of files stands still for milliseconds; a replaced object is another inode.
    return Entry(
        path=path,
        size=status.st_size,
        modified=status.st_mtime,
        etag=f'"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"',
    )


@contextmanager
def _told(path: StoragePath | None, *, writing: bool = False) -> Iterator[None]:
    """OSError in our words; the root of the storage is nobody else's business."""
    try:
        yield
    except OSError as error:
        name = path or "the storage"
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(f"{name}: no space left on the disk") from None
        # ELOOP and ENOTDIR: a symbolic link, or a file where a directory should be.
        if not writing and error.errno in {errno.ENOENT, errno.ELOOP, errno.ENOTDIR}:
            raise NotFound(f"no object {name}") from None
        raise StorageError(f"{name}: {error.strerror}") from None
