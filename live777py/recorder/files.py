"""The files of one recording, as those who read it again see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from live777py.storage import Storage, StoragePath


class Files(Protocol):
    async def sizes(self) -> Mapping[str, int]:
        """Bytes of each file, by name."""

    async def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Bytes from `start` to before `end`; fewer when the file is shorter. Raises StorageError."""


class StoredFiles:
    """Those of a directory of a storage."""

    def __init__(self, storage: Storage, directory: StoragePath) -> None:
        self._storage = storage
        self._directory = directory

    async def sizes(self) -> dict[str, int]:
        entries = await self._storage.list(self._directory)
        below = len(self._directory) + 1
        return {entry.path[below:]: entry.size for entry in entries}

    async def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        async with await self._storage.get(self._directory / name, start=start, end=end) as found:
            return await found.read()
