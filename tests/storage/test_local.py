"""A directory as storage: atomic, and no way out of it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from live777py.errors import NotFound, StorageError, StorageFull
from live777py.storage import LocalStorage, StoragePath
from tests.storage.contract import MANIFEST, SEGMENT, Contract, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "storage"


@pytest.fixture
async def storage(root: Path) -> AsyncIterator[LocalStorage]:
    storage = LocalStorage(root)
    yield storage
    await storage.close()


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class TestContract(Contract):
    pass


async def test_files_are_where_live777_has_them(storage: LocalStorage, root: Path) -> None:
    await storage.put(SEGMENT, b"x")
    assert files(root) == ["cam/1700000000/v_seg_0001.m4s"]
    assert await storage.presign(SEGMENT, 60) is None


async def test_no_symbolic_link_leads_out(storage: LocalStorage, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    await storage.put(StoragePath("cam/real"), b"x")
    (root / "cam" / "link").symlink_to(outside / "secret")
    (root / "linked").symlink_to(outside)
    for path in (StoragePath("cam/link"), StoragePath("linked/secret")):
        with pytest.raises(NotFound):
            await storage.get(path)
        with pytest.raises(NotFound):
            await storage.head(path)
    assert [entry.path for entry in await storage.list()] == ["cam/real"]
    assert await storage.list(StoragePath("linked")) == []
    with pytest.raises(StorageError, match=r"^linked/new: Not a directory$"):
        await storage.put(StoragePath("linked/new"), b"x")
    await storage.delete(StoragePath("linked/secret"))
    await storage.delete_prefix(StoragePath("linked"))
    await storage.put(StoragePath("cam/link"), b"in its place")
    assert (root / "cam" / "link").read_bytes() == b"in its place"
    (root / "cam" / "again").symlink_to(outside)
    await storage.delete_prefix(StoragePath("cam"))
    assert not (root / "cam").exists()
    assert files(outside) == ["secret"]
    assert (outside / "secret").read_text() == "secret"


async def test_the_root_may_be_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    storage = LocalStorage(tmp_path / "root")
    await storage.put(SEGMENT, b"x")
    assert await read(storage, SEGMENT) == b"x"
    await storage.close()


async def test_what_is_no_file_is_no_object(storage: LocalStorage, root: Path) -> None:
    await storage.put(StoragePath("cam"), b"x")
    os.mkfifo(root / "fifo")
    (root / "line\nbreak").write_text("x")
    (root / os.fsdecode(b"\xff")).write_text("x")
    with pytest.raises(NotFound):
        await storage.get(StoragePath("fifo"))
    assert [entry.path for entry in await storage.list()] == ["cam"]


async def test_deleting_leaves_no_empty_directories(storage: LocalStorage, root: Path) -> None:
    await storage.put(StoragePath("cam/1/deep/x"), b"x")
    await storage.put(StoragePath("cam/2/x"), b"x")
    await storage.delete_prefix(StoragePath("cam/1"))
    assert names(root / "cam") == ["2"]
    await storage.delete_prefix(StoragePath("cam/2"))
    assert names(root) == []


async def test_writing_and_deleting_at_the_same_time(storage: LocalStorage) -> None:
    path = StoragePath("cam/1/x")
    for _ in range(50):
        await asyncio.gather(storage.put(path, b"x"), storage.delete_prefix(StoragePath("cam/1")))
        assert {entry.path for entry in await storage.list()} <= {path}
    await storage.put(path, b"last")
    assert await read(storage, path) == b"last"


async def test_a_file_in_the_way(storage: LocalStorage, root: Path) -> None:
    await storage.put(StoragePath("cam"), b"x")
    with pytest.raises(StorageError, match="cam/1: Not a directory"):
        await storage.put(StoragePath("cam/1"), b"x")
    await storage.put(StoragePath("other/1"), b"x")
    with pytest.raises(StorageError, match=r"^other: Is a directory$"):
        await storage.put(StoragePath("other"), b"x")
    assert files(root) == ["cam", "other/1"]


async def test_a_partial_file_is_no_object_and_does_not_stay(storage: LocalStorage, root: Path) -> None:
    await storage.put(SEGMENT, b"x")
    fresh, old = (root / "cam" / f".partial-1-{number}" for number in (1, 2))
    fresh.write_bytes(b"being written")
    old.write_bytes(b"its writer was killed")
    os.utime(old, (time.time() - 7200,) * 2)
    assert [entry.path for entry in await storage.list()] == [SEGMENT]
    assert fresh.exists()
    assert not old.exists()
    await storage.delete_prefix(StoragePath("cam"))
    assert not fresh.exists()


async def test_a_read_that_is_given_up_leaves_no_file_open(storage: LocalStorage) -> None:
    await storage.put(SEGMENT, bytes(2_000_000))
    before = descriptors()
    for _ in range(50):
        task = asyncio.create_task(read(storage, SEGMENT))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with await storage.get(SEGMENT) as found:
            assert len(await anext(found)) > 0
    await storage.close()
    assert descriptors() <= before


async def test_slow_disks_hold_up_threads_not_the_loop(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, leave = threading.Event(), threading.Event()
    real = os.fsync

    def slow(descriptor: int) -> None:
        entered.set()
        assert leave.wait(10)
        assert threading.current_thread().name.startswith("storage")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    task = asyncio.create_task(storage.put(MANIFEST, b"x"))
    assert await asyncio.to_thread(entered.wait, 10)
    assert not task.done()
    leave.set()
    await task


@pytest.mark.parametrize(("code", "error"), [(28, StorageFull), (122, StorageFull), (5, StorageError)])
async def test_errors_of_the_disk(
    storage: LocalStorage, root: Path, monkeypatch: pytest.MonkeyPatch, code: int, error: type[StorageError]
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    await storage.put(MANIFEST, b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(error, match=r"^cam/1700000000/manifest\.mpd: ") as raised:
        await storage.put(MANIFEST, b"new")
    assert type(raised.value) is error
    assert str(root) not in raised.value.detail
    assert await read(storage, MANIFEST) == b"old"
    assert files(root) == [MANIFEST]
