"""Objects in a bucket, by obstore.

Its synchronous functions in threads, not its coroutines: those call into the interpreter from threads of their own, and
abort the process when it ends right after a request (PyO3/pyo3-async-runtimes issue 40).
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import obstore
from obstore.exceptions import BaseError

from live777py.errors import NotFound, RangeNotSatisfiable, StorageError, StorageFull, StorageUnavailable
from live777py.storage.path import StoragePath, is_storage_path
from live777py.storage.ranges import clip
from live777py.storage.storage import Entry, Object, opened, pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from obstore import GetOptions, ObjectMeta

    from live777py.storage.bucket import Bucket
    from live777py.storage.storage import Data

T = TypeVar("T")

_READERS: Final = 4
_CHUNK: Final = 4 * 1024 * 1024
"""Bytes of one ranged request. Who reads slowly holds memory, no connection."""
_KEYS: Final = 1000

_STATUS: Final = re.compile(r"status code: (\d{3})\b")
_CODE: Final = re.compile(r"<Code>(\w{1,64})</Code>")
_BEHIND: Final = "Wanted range starting at"
"""obstore's words where a server does not answer 416 to a range behind the end, as Azure's emulator."""
_NO_BUCKET: Final = {"NoSuchBucket", "ContainerNotFound"}


class ObjectStorage:
    """Uploads have threads of their own: those that wait for a store which does not answer hold up no reader."""

    def __init__(self, bucket: Bucket, *, concurrency: int = 4) -> None:
        self._bucket = bucket
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="bucket")
        self._writers = ThreadPoolExecutor(concurrency, thread_name_prefix="upload")

    async def put(self, path: StoragePath, data: Data, *, durable: bool = True) -> None:  # noqa: ARG002 (it always is)
        await _run(self._writers, self._put, path, data)

    async def get(self, path: StoragePath, *, start: int = 0, end: int | None = None) -> Object:
        return await opened(self._readers, partial(self._open, path, start, end))

    async def head(self, path: StoragePath) -> Entry:
        return await _run(self._readers, self._head, path)

    async def list(self, prefix: StoragePath | None = None) -> list[Entry]:
        return list(await _run(self._readers, self._list, prefix))

    async def delete(self, path: StoragePath) -> None:
        await _run(self._writers, self._delete, [path], path)

    async def delete_prefix(self, prefix: StoragePath) -> None:
        await _run(self._writers, self._delete_prefix, prefix)

    async def presign(self, path: StoragePath, seconds: int) -> str | None:
        return await _run(self._readers, self._presign, path, seconds)

    async def close(self) -> None:
        """A request that nobody answers is not waited for."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._writers.shutdown(wait=False, cancel_futures=True)

    def _put(self, path: StoragePath, data: Data) -> None:
        attributes = {"Content-Type": path.content_type}
        try:
            obstore.put(self._bucket, path, b"".join(pieces(data)), attributes=attributes)
        except FileNotFoundError:
            raise StorageError(f"{path}: the bucket does not exist") from None
        except (BaseError, OSError) as error:
            raise _fault(path, error) from None

    def _open(self, path: StoragePath, start: int, end: int | None) -> Object:
        first = min(start + _CHUNK, _CHUNK + start if end is None else end)
        if first > start:
            entry, chunk = self._read(path, start, first, None)
        else:
            entry, chunk = self._head(path), b""
        start, end = clip(entry, start, end)
        return Object(
            entry,
            start=start,
            end=end,
            chunks=self._chunks(entry, chunk, start + len(chunk), end),
            close=_nothing_to_close,
            executor=self._readers,
        )

    def _chunks(self, entry: Entry, first: bytes, start: int, end: int) -> Iterator[bytes]:
        if first:
            yield first
        while start < end:
            _, chunk = self._read(entry.path, start, min(start + _CHUNK, end), entry.etag)
            start += len(chunk)
            yield chunk

    def _read(self, path: StoragePath, start: int, end: int, etag: str | None) -> tuple[Entry, bytes]:
        options: GetOptions = {"range": (start, end)}
        if etag is not None:
            options["if_match"] = etag
        try:
            found = obstore.get(self._bucket, path, options=options)
            return _entry(path, found.meta), bytes(found.bytes())
        except (BaseError, OSError) as error:
            if _status(error) != 416 and _BEHIND not in str(error):
                raise _fault(path, error) from None
        entry = self._head(path)
        if start:
            raise RangeNotSatisfiable(f"{path} has {entry.size} bytes", size=entry.size)
        return entry, b""

    def _head(self, path: StoragePath) -> Entry:
        try:
            return _entry(path, obstore.head(self._bucket, path))
        except (BaseError, OSError) as error:
            raise _fault(path, error) from None

    def _list(self, prefix: StoragePath | None) -> Sequence[Entry]:
        try:
            found = [each for chunk in obstore.list(self._bucket, prefix, chunk_size=_KEYS) for each in chunk]
        except (BaseError, OSError) as error:
            raise _fault(prefix, error) from None
        entries = [_entry(StoragePath(each["path"]), each) for each in found if is_storage_path(each["path"])]
        return sorted(entries, key=lambda entry: entry.path)

    def _delete_prefix(self, prefix: StoragePath) -> None:
        paths = [entry.path for entry in self._list(prefix)]
        for first in range(0, len(paths), _KEYS):
            self._delete(paths[first : first + _KEYS], prefix)

    def _delete(self, paths: Sequence[StoragePath], told: StoragePath) -> None:
        try:
            obstore.delete(self._bucket, paths)
        except FileNotFoundError as error:
            # Google and Azure say so of an absent object; of several they may have left others.
            if len(paths) > 1:
                for path in paths:
                    self._delete([path], told)
            elif _code(error) in _NO_BUCKET:
                raise _fault(told, error) from None
        except (BaseError, OSError) as error:
            raise _fault(told, error) from None

    def _presign(self, path: StoragePath, seconds: int) -> str | None:
        if self._bucket.config.get("skip_signature"):
            return None
        try:
            return obstore.sign(self._bucket, "GET", path, timedelta(seconds=seconds))
        except (BaseError, OSError) as error:
            raise _fault(path, error) from None


async def _run(executor: ThreadPoolExecutor, work: Callable[..., T], *arguments: object) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, work, *arguments)


def _entry(path: StoragePath, meta: ObjectMeta) -> Entry:
    modified = meta["last_modified"].timestamp()
    etag = meta["e_tag"] or f"{meta['size']:x}-{modified:.0f}"
    if not etag.endswith('"'):  # in Azure's lists
        etag = f'"{etag}"'
    return Entry(path=path, size=meta["size"], modified=modified, etag=etag)


def _nothing_to_close() -> None:
    pass


def _status(error: Exception) -> int | None:
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def _code(error: Exception) -> str | None:
    found = _CODE.search(str(error))
    return found[1] if found else None


def _fault(path: StoragePath | None, error: Exception) -> NotFound | StorageError:
    """In our words: those of the library hold addresses, account names and whatever the store has answered."""
    name = path or "the storage"
    status, code = _status(error), _code(error)
    if code in _NO_BUCKET:
        return StorageError(f"{name}: the bucket does not exist")
    if isinstance(error, FileNotFoundError):
        return NotFound(f"no object {name}")
    if status == 507:
        return StorageFull(f"{name}: the object store is full")
    if status is None or status in {408, 429} or status >= 500:
        why = "cannot be reached" if status is None else f"answers {status}"
        return StorageUnavailable(f"{name}: the object store {why}")
    return StorageError(f"{name}: the object store answers {code or status}")
