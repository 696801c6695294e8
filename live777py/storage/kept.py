"""Manifests and playlists that went up a moment ago: players ask for them again and again, store or no store."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from live777py.storage.path import StoragePath
    from live777py.storage.storage import Entry

MOST_BYTES: Final = 16 << 20


class Kept:
    """The newest `MOST_BYTES`, in memory."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._bytes = 0
        self._found: OrderedDict[StoragePath, tuple[Entry, bytes]] = OrderedDict()

    def add(self, entry: Entry, data: bytes) -> None:
        self.forget(entry.path)
        self._found[entry.path] = (entry, data)
        self._bytes += len(data)
        while self._bytes > self._most:
            self.forget(next(iter(self._found)))

    def get(self, path: StoragePath) -> tuple[Entry, bytes] | None:
        return self._found.get(path)

    def forget(self, path: StoragePath) -> None:
        if (found := self._found.pop(path, None)) is not None:
            self._bytes -= len(found[1])

    def forget_below(self, prefix: StoragePath) -> None:
        for path in [path for path in self._found if path.startswith(f"{prefix}/")]:
            self.forget(path)
