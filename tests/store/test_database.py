"""The file: who may use it, what a transaction is, what is kept in it."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from live777py.errors import StartError, StoreError
from live777py.store import Database, Deliveries, Delivery

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "store.db")
    yield database
    await database.close()


def delivery(number: int, *, hook: str = "hook", stream: str = "cam") -> Delivery:
    return Delivery(hook=hook, stream=stream, id=str(number), event="e", body=b"{}", created_ms=number)


async def ids(queue: Deliveries, hook: str = "hook", stream: str = "cam") -> list[str]:
    """Takes all of them out."""
    found = []
    while (first := await queue.first(hook, stream)) is not None:
        found.append(first.id)
        await queue.remove(first)
    return found


async def test_nobody_else_may_read_it(database: Database, tmp_path: Path) -> None:
    await Deliveries(database).put([delivery(1)], limit=10)
    assert {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("store.db", "store.db-wal")} == {
        "store.db": 0o600,
        "store.db-wal": 0o600,
    }


async def test_a_second_process_is_refused(database: Database, tmp_path: Path) -> None:
    await Deliveries(database).put([delivery(1)], limit=10)
    with pytest.raises(StartError, match=r"store\.path: cannot use .*store\.db: another process uses it; each needs"):
        await Database(tmp_path / "store.db").open()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not a database, by its looks", "file is not a database"),
        (None, "No such file or directory"),
    ],
)
async def test_a_file_that_cannot_be_used(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "directory" / "store.db"
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content * 100)
    with pytest.raises(StartError) as raised:
        await Database(path).open()
    assert raised.value.detail == f"store.path: cannot use {path}: {why}"


async def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    database = Database(path)
    await database.open()
    await database.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StartError, match="newer version"):
        await Database(path).open()


async def test_the_file_is_made_when_something_is_kept(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db")
    assert await database.look(lambda _: "there", otherwise="nothing") == "nothing"
    await database.close()
    assert not database.path.exists()
    database = Database(tmp_path / "store.db")
    assert await database.run(lambda _: "made") == "made"
    assert await database.look(lambda _: "there", otherwise="nothing") == "there"
    await database.close()


async def test_a_file_that_cannot_be_made_later_is_an_error_of_the_moment(tmp_path: Path) -> None:
    database = Database(tmp_path / "directory" / "store.db")
    with pytest.raises(StoreError, match="No such file or directory"):
        await database.run(lambda _: None)
    (tmp_path / "directory").mkdir()
    await database.run(lambda _: None)
    await database.close()


async def test_a_transaction_is_whole_or_nothing(database: Database) -> None:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO delivery VALUES (1, 'hook', 'cam', '1', 'e', x'', 1)")
        connection.execute("INSERT INTO delivery VALUES (1, 'hook', 'cam', '1', 'e', x'', 1)")

    with pytest.raises(StoreError, match="UNIQUE constraint failed"):
        await database.run(work)
    queue = Deliveries(database)
    assert await queue.first("hook", "cam") is None
    await queue.put([delivery(1)], limit=10)
    assert await ids(queue) == ["1"]


async def test_the_loop_goes_on_while_the_disk_is_slow(database: Database) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(_: sqlite3.Connection) -> str:
        entered.set()
        assert leave.wait(10)
        return threading.current_thread().name

    task = asyncio.create_task(database.run(slow))
    assert await asyncio.to_thread(entered.wait, 10)
    assert not task.done()
    leave.set()
    assert (await task).startswith("store")


async def test_a_full_disk_is_an_error_that_passes(database: Database) -> None:
    queue = Deliveries(database)
    await database.run(lambda connection: connection.execute("PRAGMA max_page_count = 20").close())
    big = Delivery(hook="hook", stream="cam", id="big", event="e", body=b"x" * 200_000, created_ms=1)
    with pytest.raises(StoreError, match="full"):
        await queue.put([big], limit=10)
    await queue.put([delivery(1)], limit=10)
    assert await ids(queue) == ["1"]


async def test_in_order_and_bounded_for_each_hook(database: Database) -> None:
    queue = Deliveries(database)
    batch = [delivery(number, hook=hook, stream=stream) for number in range(4) for hook in "ab" for stream in "xy"]
    assert await queue.put(batch, limit=5) == 6
    assert await queue.put([delivery(9, hook="a", stream="z")], limit=5) == 1
    assert sorted(await queue.streams("a")) == ["x", "y", "z"]
    assert [await ids(queue, "a", stream) for stream in "xyz"] == [["2", "3"], ["2", "3"], ["9"]]
    assert [await ids(queue, "b", stream) for stream in "xy"] == [["2", "3"], ["1", "2", "3"]]


async def test_what_waits_for_others_is_forgotten(database: Database) -> None:
    queue = Deliveries(database)
    await queue.put([delivery(number, hook=hook) for number, hook in enumerate("aabc")], limit=10)
    assert await queue.keep_only(["b", "c"], family="") == 2
    assert [await queue.streams(hook) for hook in "abc"] == [[], ["cam"], ["cam"]]
    assert await queue.keep_only([], family="") == 2


def test_what_was_put_survives_a_kill(tmp_path: Path) -> None:
    program = """
import asyncio, os, signal, sys
from pathlib import Path
from live777py.store import Database, Deliveries, Delivery

async def main():
    queue = Deliveries(Database(Path(sys.argv[1])))
    for number in range(3):
        item = Delivery(hook="hook", stream="cam", id=str(number), event="e", body=b"{}", created_ms=number)
        await queue.put([item], limit=10)
    await queue.remove(await queue.first("hook", "cam"))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    path = tmp_path / "store.db"
    assert subprocess.run([sys.executable, "-c", program, str(path)], timeout=30, check=False).returncode == -9

    async def read() -> list[str]:
        database = Database(path)
        found = await ids(Deliveries(database))
        await database.close()
        return found

    assert asyncio.run(read()) == ["1", "2"]
