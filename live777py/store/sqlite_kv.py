"""`KeyValue` in the SQLite file: written in its thread, read from memory, for no other process has the file open."""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_left, insort
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from live777py.errors import StoreError
from live777py.store.keyvalue import Change, Changes, Entry

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from live777py.store.database import Database

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Row:
    entry: Entry
    expires_ms: int | None


class SqliteKeyValue:
    """Usage: `store = SqliteKeyValue(database)` ... `await store.close()`. No file is made before the first write.

    `now` is Unix time in seconds; what expires does so while the process is down too.
    """

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now
        self._rows: dict[str, _Row] = {}
        self._keys: list[str] = []
        """In order."""
        self._deadlines: dict[str, int] = {}
        self._loaded = False
        self._loading = asyncio.Lock()
        self._watches: set[Changes] = set()
        self._writes: set[asyncio.Future[Mapping[str, _Row | None]]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def close(self) -> None:
        """The database is the caller's, to be closed after this."""
        if self._writes:
            await asyncio.wait(self._writes)
        if self._timer is not None:
            self._timer.cancel()

    async def get(self, key: str) -> Entry | None:
        await self._load()
        row = self._rows.get(key)
        return None if row is None or self._expired(row) else row.entry

    async def list(self, prefix: str) -> list[Entry]:
        await self._load()
        rows = (self._rows[key] for key in self._keys_of(prefix))
        return [row.entry for row in rows if not self._expired(row)]

    async def put(self, key: str, value: bytes, *, expires: float | None = None) -> Entry:
        row = _put(key, value, self._deadline(expires))
        written = await self._write(lambda connection: {key: row(connection)})
        return _entry(written[key])

    async def compare_and_swap(
        self, key: str, expected_version: int | None, value: bytes, *, expires: float | None = None
    ) -> Entry | None:
        row = _put(key, value, self._deadline(expires))

        def work(connection: sqlite3.Connection) -> dict[str, _Row]:
            found = _version(connection, key, self._now_ms())
            return {key: row(connection)} if found == expected_version else {}

        written = await self._write(work)
        return _entry(written[key]) if written else None

    async def delete(self, key: str, *, version: int | None = None) -> bool:
        def work(connection: sqlite3.Connection) -> dict[str, None]:
            found = _version(connection, key, self._now_ms())
            if found is None or version not in {None, found}:
                return {}
            connection.execute("DELETE FROM key_value WHERE key = ?", (key,))
            return {key: None}

        return bool(await self._write(work))

    @asynccontextmanager
    async def watch(self, prefix: str) -> AsyncIterator[Changes]:
        changes = Changes(prefix)
        for entry in await self.list(prefix):
            changes.tell(Change(key=entry.key, entry=entry))
        self._watches.add(changes)
        try:
            yield changes
        finally:
            self._watches.discard(changes)

    # Steps

    async def _load(self) -> None:
        if self._loaded:
            return
        async with self._loading:
            if not self._loaded:
                self._apply(await self._database.look(_rows, otherwise={}))
                self._loaded = True

    async def _write(
        self, work: Callable[[sqlite3.Connection], Mapping[str, _Row | None]]
    ) -> Mapping[str, _Row | None]:
        await self._load()
        return await asyncio.shield(self._start(work))

    def _start(
        self, work: Callable[[sqlite3.Connection], Mapping[str, _Row | None]]
    ) -> asyncio.Future[Mapping[str, _Row | None]]:
        write = asyncio.ensure_future(self._database.run(work))
        self._writes.add(write)
        # In the order of the writes, and also where the caller does not wait any more.
        write.add_done_callback(self._written)
        return write

    def _written(self, write: asyncio.Future[Mapping[str, _Row | None]]) -> None:
        self._writes.discard(write)
        if not write.cancelled() and write.exception() is None:
            self._apply(write.result())

    def _apply(self, written: Mapping[str, _Row | None]) -> None:
        for key, row in written.items():
            if row is not None:
                if key not in self._rows:
                    insort(self._keys, key)
                self._rows[key] = row
            elif self._rows.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]
            self._deadlines.pop(key, None)
            if row is not None and row.expires_ms is not None:
                self._deadlines[key] = row.expires_ms
            change = Change(key=key, entry=None if row is None else row.entry)
            for changes in self._watches:
                if key.startswith(changes.prefix):
                    changes.tell(change)
        self._wait_for_expiry()

    def _keys_of(self, prefix: str) -> Iterator[str]:
        for place in range(bisect_left(self._keys, prefix), len(self._keys)):
            if not self._keys[place].startswith(prefix):
                return
            yield self._keys[place]

    # Expiry

    def _now_ms(self) -> int:
        return int(self._now() * 1000)

    def _deadline(self, expires: float | None) -> int | None:
        return None if expires is None else self._now_ms() + int(expires * 1000)

    def _expired(self, row: _Row) -> bool:
        return row.expires_ms is not None and row.expires_ms <= self._now_ms()

    def _wait_for_expiry(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._deadlines:
            delay = max(min(self._deadlines.values()) - self._now_ms(), 1) / 1000
            self._timer = asyncio.get_running_loop().call_later(delay, self._forget_expired)

    def _forget_expired(self) -> None:
        def work(connection: sqlite3.Connection) -> dict[str, None]:
            rows = connection.execute(
                "DELETE FROM key_value WHERE expires_ms <= ? RETURNING key", (self._now_ms(),)
            ).fetchall()
            return {key: None for (key,) in rows}

        self._start(work).add_done_callback(_log_failure)


def _log_failure(write: asyncio.Future[Mapping[str, _Row | None]]) -> None:
    if not write.cancelled() and isinstance(error := write.exception(), StoreError):
        # They are not told of any more as it is, and the next write tries again.
        _logger.warning("what has expired stays in the file: %s", error.detail)


def _entry(row: _Row | None) -> Entry:
    if row is None:
        raise AssertionError("a write that puts makes a row")
    return row.entry


def _version(connection: sqlite3.Connection, key: str, now_ms: int) -> int | None:
    row = connection.execute(
        "SELECT version FROM key_value WHERE key = ? AND (expires_ms IS NULL OR expires_ms > ?)", (key, now_ms)
    ).fetchone()
    return None if row is None else row[0]


def _put(key: str, value: bytes, expires_ms: int | None) -> Callable[[sqlite3.Connection], _Row]:
    def work(connection: sqlite3.Connection) -> _Row:
        (version,) = connection.execute(
            "UPDATE key_value_version SET version = version + 1 RETURNING version"
        ).fetchone()
        connection.execute(
            "INSERT OR REPLACE INTO key_value (key, value, version, expires_ms) VALUES (?, ?, ?, ?)",
            (key, value, version, expires_ms),
        )
        return _Row(entry=Entry(key=key, value=value, version=version), expires_ms=expires_ms)

    return work


def _rows(connection: sqlite3.Connection) -> dict[str, _Row | None]:
    return {
        key: _Row(entry=Entry(key=key, value=value, version=version), expires_ms=expires_ms)
        for key, value, version, expires_ms in connection.execute(
            "SELECT key, value, version, expires_ms FROM key_value"
        )
    }
