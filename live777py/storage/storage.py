"""What every place of objects can do: a directory, a bucket, a bucket behind a spool."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor, Future

    from live777py.storage.path import StoragePath

Chunk: TypeAlias = bytes | bytearray | memoryview
Data: TypeAlias = Chunk | Sequence[Chunk]
"""The pieces of an object may stay apart: they are written one after the other, without being joined."""


def pieces(data: Data) -> Sequence[Chunk]:
    return (data,) if isinstance(data, bytes | bytearray | memoryview) else data


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """`modified` is in Unix seconds. `etag` has its quotes (RFC 9110 section 8.8.3); two equal ones are equal bytes."""

    path: StoragePath
    size: int
    modified: float
    etag: str

    @property
    def content_type(self) -> str:
        return self.path.content_type


class Object:
    """The bytes from `start` to before `end` of `entry`: one version of it, even if it is replaced meanwhile.

    Usage: `async with await storage.get(path) as found:` and then, once, `async for chunk in found` or
    `await found.read()`. Both raise StorageError if the rest cannot be had.
    """

    def __init__(
        self,
        entry: Entry,
        *,
        start: int,
        end: int,
        chunks: Iterator[bytes],
        close: Callable[[], None],
        executor: Executor,
    ) -> None:
        self.entry = entry
        self.start = start
        self.end = end
        self._chunks = chunks
        self._close = close
        self._executor = executor
        self._lock = threading.Lock()
        """A reader that was cancelled may still be reading in its thread."""

    def close(self) -> None:
        """Blocking; what `async with` does in a thread."""
        with self._lock:
            self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, self.close)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        chunk = await asyncio.get_running_loop().run_in_executor(self._executor, self._next)
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    def _next(self) -> bytes | None:
        with self._lock:
            return next(self._chunks, None)

    def read_now(self) -> bytes:
        """Blocking."""
        with self._lock:
            return b"".join(self._chunks)

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self])


async def opened(executor: Executor, open_object: Callable[[], Object]) -> Object:
    """What a thread of `executor` opens. If nobody waits for it any more, it is closed there."""
    opening = executor.submit(open_object)
    try:
        return await asyncio.wrap_future(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unwanted)
        raise


def _close_unwanted(opening: Future[Object]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class Storage(Protocol):
    """Every method raises StorageError or one of its kinds; none blocks the loop."""

    async def put(self, path: StoragePath, data: Data, *, durable: bool = True) -> None:
        """The object is complete or absent (or the one before), whatever fails, and durable when this returns.

        Not `durable`: a crash of the machine, not of the process, may leave anything at that path.

        Of two puts to one path at the same time either may win.
        """

    async def get(self, path: StoragePath, *, start: int = 0, end: int | None = None) -> Object:
        """Bytes from `start` to before `end`, at most to the end of the object.

        Raises NotFound, and RangeNotSatisfiable if there is no byte at a `start` other than 0.
        """

    async def head(self, path: StoragePath) -> Entry:
        """Raises NotFound."""

    async def list(self, prefix: StoragePath | None = None) -> list[Entry]:
        """All objects below the directory `prefix`, at any depth, sorted by path."""

    async def delete(self, path: StoragePath) -> None:
        """An absent object is no error."""

    async def delete_prefix(self, prefix: StoragePath) -> None:
        """All objects below the directory `prefix`, at any depth."""

    async def presign(self, path: StoragePath, seconds: int) -> str | None:
        """A URL that anybody may GET the object from for so long; None where there is no such thing."""

    async def close(self) -> None: ...
