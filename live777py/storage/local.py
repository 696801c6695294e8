"""Objects as files of a directory."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from live777py.errors import StorageError
from live777py.storage.directory import Directory
from live777py.storage.ranges import clip
from live777py.storage.storage import Entry, Object, opened, pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from live777py.storage.path import StoragePath
    from live777py.storage.storage import Data

T = TypeVar("T")

_THREADS: Final = 4
_CHUNK: Final = 256 * 1024


class LocalStorage:
    """All file I/O is in a few threads of its own. Content types follow from the names (`StoragePath.content_type`)."""

    def __init__(self, root: Path) -> None:
        self._directory = Directory(root)
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="storage")

    async def put(self, path: StoragePath, data: Data, *, durable: bool = True) -> None:
        await self._run(partial(self._directory.write, path, pieces(data), durable=durable))

    async def get(self, path: StoragePath, *, start: int = 0, end: int | None = None) -> Object:
        return await opened(self._executor, partial(open_file, self._directory, self._executor, path, start, end))

    async def head(self, path: StoragePath) -> Entry:
        return await self._run(self._directory.status, path)

    async def list(self, prefix: StoragePath | None = None) -> list[Entry]:
        return await self._run(lambda: sorted(self._directory.walk(prefix), key=lambda entry: entry.path))

    async def delete(self, path: StoragePath) -> None:
        await self._run(self._directory.delete, path)

    async def delete_prefix(self, prefix: StoragePath) -> None:
        await self._run(self._directory.delete_tree, prefix)

    async def presign(self, path: StoragePath, seconds: int) -> str | None:  # noqa: ARG002
        return None

    async def close(self) -> None:
        await asyncio.to_thread(self._executor.shutdown)

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)


def open_file(
    directory: Directory, executor: ThreadPoolExecutor, path: StoragePath, start: int, end: int | None
) -> Object:
    """Blocking. Raises NotFound, RangeNotSatisfiable."""
    file, entry = directory.open(path)
    try:
        start, end = clip(entry, start, end)
    except BaseException:
        os.close(file)
        raise
    return Object(
        entry,
        start=start,
        end=end,
        chunks=_chunks(file, start, end),
        close=partial(os.close, file),
        executor=executor,
    )


def _chunks(file: int, start: int, end: int) -> Iterator[bytes]:
    while start < end:
        try:
            chunk = os.pread(file, min(_CHUNK, end - start), start)
        except OSError as error:
            raise StorageError(f"reading failed: {error.strerror}") from None
        if not chunk:
            raise StorageError("the file has become shorter")
        start += len(chunk)
        yield chunk
