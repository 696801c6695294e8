"""A disk that is really full: a tmpfs of one megabyte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from live777py.errors import StorageFull
from live777py.storage import LocalStorage, Spool, StoragePath
from tests.storage.contract import MANIFEST, read
from tests.storage.small_disk import may_mount, small_disk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not may_mount(), reason="CAP_SYS_ADMIN is needed to mount a small disk")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as directory:
        yield directory


@pytest.fixture(params=["local", "spool"])
async def storage(request: pytest.FixtureRequest, disk: Path, tmp_path: Path) -> AsyncIterator[LocalStorage | Spool]:
    storage: LocalStorage | Spool
    if request.param == "local":
        storage = LocalStorage(disk)
    else:
        # What it is to go up to has no room either, so that all of it waits.
        storage = await Spool.open(LocalStorage(disk / "below"), disk / "spool", max_bytes=10**9, concurrency=1)
    yield storage
    await storage.close()


def partial_files(disk: Path) -> list[Path]:
    return list(disk.rglob(".partial-*"))


async def test_a_full_disk(storage: LocalStorage | Spool, disk: Path) -> None:
    (disk / "ballast").write_bytes(bytes(600_000))
    await storage.put(MANIFEST, b"old")
    with pytest.raises(StorageFull, match=r"^cam/1/big: no space left on the disk$") as raised:
        await storage.put(StoragePath("cam/1/big"), bytes(2_000_000))
    assert raised.value.status == 507
    assert str(disk) not in raised.value.detail
    (disk / "more").write_bytes(bytes(300_000))
    with pytest.raises(OSError, match="No space left"):
        (disk / "rest").write_bytes(bytes(300_000))
    with pytest.raises(StorageFull):
        await storage.put(MANIFEST, bytes(100_000))
    assert await read(storage, MANIFEST) == b"old"
    assert [entry.path for entry in await storage.list() if "big" in entry.path] == []
    for name in ("ballast", "more", "rest"):
        (disk / name).unlink()
    assert partial_files(disk) == []
    await storage.put(MANIFEST, b"new")
    assert await read(storage, MANIFEST) == b"new"
    if isinstance(storage, Spool):
        await storage.drained()
        assert storage.statistics.queued_bytes == 0
