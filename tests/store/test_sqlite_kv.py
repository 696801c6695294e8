"""What the file adds: a restart, and no file without need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from live777py.errors import StoreError
from live777py.store import Database, SqliteKeyValue

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_restart_keeps_values_versions_and_deadlines(tmp_path: Path) -> None:
    now = 1000.0
    first = Database(tmp_path / "store.db")
    store = SqliteKeyValue(first, now=lambda: now)
    kept = await store.put("kept", b"1")
    await store.put("short", b"1", expires=10)
    long = await store.put("long", b"1", expires=100)
    await store.close()
    await first.close()

    now = 1050.0
    second = Database(tmp_path / "store.db")
    store = SqliteKeyValue(second, now=lambda: now)
    assert await store.list("") == [kept, long]
    assert await store.get("short") is None
    assert (await store.put("new", b"")).version > long.version
    now = 1101.0
    assert await store.get("long") is None
    assert await store.get("kept") == kept
    await store.close()
    await second.close()


async def test_reading_makes_no_file(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db")
    store = SqliteKeyValue(database)
    assert await store.get("a") is None
    assert await store.list("") == []
    async with store.watch(""):
        pass
    await store.close()
    await database.close()
    assert not (tmp_path / "store.db").exists()


async def test_what_has_expired_leaves_the_file(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db")
    store = SqliteKeyValue(database)
    async with store.watch("") as changes:
        await store.put("a", b"1", expires=0.05)
        while (await anext(changes)).entry is not None:
            pass
    count = await database.run(lambda connection: connection.execute("SELECT count(*) FROM key_value").fetchone())
    assert count == (0,)
    await store.close()
    await database.close()


async def test_a_fault_of_the_disk_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"not a database, by its looks")
    database = Database(tmp_path / "store.db")
    store = SqliteKeyValue(database)
    for _ in range(2):
        with pytest.raises(StoreError):
            await store.put("a", b"1")
        with pytest.raises(StoreError):
            await store.get("a")
    await store.close()
    await database.close()
