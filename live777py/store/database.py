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
)
"""Each brings the schema one version further; `user_version` says how many have been done."""

_LOCK_TIMEOUT: Final = 2.0
"""Seconds: a predecessor that is ending may still hold the file."""


class Database:
    """Usage: `await Database.open(path)`, `await database.run(work)`, `await database.close()`.

    One process at a time. What `run` has returned from survives a crash of the process and of the machine.
    """

    def __init__(self, path: Path, thread: ThreadPoolExecutor, connection: sqlite3.Connection) -> None:
        self._path = path
        self._thread = thread
        self._connection = connection
        """Used in its thread alone."""

    @classmethod
    async def open(cls, path: Path) -> Database:
        """Raises StartError."""
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        try:
            connection = await asyncio.get_running_loop().run_in_executor(thread, _connect, path)
        except (OSError, sqlite3.Error) as error:
            thread.shutdown()
            why = error.strerror if isinstance(error, OSError) else error
            raise StartError(f"store.path: cannot use {path}: {why}") from None
        return cls(path, thread, connection)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work` in a transaction of its own. Raises StoreError, nothing having changed."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work)
        except sqlite3.Error as error:
            raise StoreError(f"the store {self._path} failed: {error}") from None

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result


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
