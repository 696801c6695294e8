"""One SQLite file whose statements run in one thread, so that a slow disk holds up nobody else."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from live777py.errors import StartError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

MIGRATIONS: Final = (
    """
    CREATE TABLE delivery (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        hook TEXT NOT NULL,
        stream TEXT NOT NULL,
        id TEXT NOT NULL,
        event TEXT NOT NULL,
        body BLOB NOT NULL,
        created_ms INTEGER NOT NULL
    );
    CREATE INDEX delivery_order ON delivery (hook, stream, number);
    """,
    """
    CREATE TABLE recording (
        stream TEXT NOT NULL,
        record TEXT NOT NULL,
        directory TEXT NOT NULL UNIQUE,
        start_us INTEGER NOT NULL,
        end_us INTEGER,
        duration_ms INTEGER NOT NULL,
        status TEXT NOT NULL,
        reason TEXT,
        bytes INTEGER NOT NULL,
        codecs TEXT NOT NULL,
        acked INTEGER NOT NULL,
        updated_us INTEGER NOT NULL UNIQUE,
        PRIMARY KEY (stream, record)
    ) WITHOUT ROWID;
    CREATE INDEX recording_start ON recording (start_us);
    """,
    """
    CREATE TABLE key_value (
        key TEXT PRIMARY KEY,
        value BLOB NOT NULL,
        version INTEGER NOT NULL,
        expires_ms INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX key_value_expiry ON key_value (expires_ms) WHERE expires_ms IS NOT NULL;
    CREATE TABLE key_value_version (version INTEGER NOT NULL);
    INSERT INTO key_value_version VALUES (0);
    """,
)
"""Each brings the schema one version further; `user_version` says how many have been done."""

_LOCK_TIMEOUT: Final = 2.0
"""Seconds: a predecessor that is ending may still hold the file."""


class Database:
    """Usage: `Database(path)`, `await database.run(work)`, `await database.close()`.

    The file is made and opened when it is first needed. One process at a time. What `run` has returned from survives a
    crash of the process and of the machine.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._connection: sqlite3.Connection | None = None
        """Used in the thread alone."""

    async def open(self) -> None:
        """For who wants to know at once. Raises StartError."""
        try:
            await self._in_thread(self._opened)
        except StoreError as error:
            raise StartError(f"store.path: {error.detail}") from None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work` in a transaction of its own. Raises StoreError, nothing having changed."""
        return await self._in_thread(lambda: self._transaction(work))

    async def look(self, work: Callable[[sqlite3.Connection], T], *, otherwise: T) -> T:
        """As `run`, but a file that is not there is not made; then the answer is `otherwise`."""

        def in_thread() -> T:
            if self._connection is None and not self.path.exists():
                return otherwise
            return self._transaction(work)

        return await self._in_thread(in_thread)

    async def close(self) -> None:
        await self._in_thread(self._close)
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._opened()
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StoreError(f"the store {self.path} failed: {error}") from None
        return result

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = _connect(self.path)
            except (OSError, sqlite3.Error) as error:
                raise StoreError(f"cannot use {self.path}: {_why(error)}") from None
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _why(error: OSError | sqlite3.Error) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
        return "another process uses it; each needs a store.path of its own"
    return str(error)


def _connect(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, mode=0o600))
    connection = sqlite3.connect(path, timeout=_LOCK_TIMEOUT, isolation_level=None)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise sqlite3.DatabaseError("it was written by a newer version of this program")
        for number, migration in enumerate(MIGRATIONS[version:], version + 1):
            connection.executescript(f"BEGIN IMMEDIATE; {migration} PRAGMA user_version = {number}; COMMIT")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
