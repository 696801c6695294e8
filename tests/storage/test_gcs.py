"""Objects in a bucket of Google Cloud Storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from live777py.errors import RangeNotSatisfiable
from live777py.storage import BucketSettings, ObjectStorage, StoragePath
from live777py.storage.bucket import open_bucket
from tests.storage.contract import SEGMENT, Contract
from tests.storage.gcs import FakeGcs, write_credentials

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def server(unused_port: int) -> AsyncIterator[FakeGcs]:
    fake = FakeGcs()
    runner = web.AppRunner(fake.application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_port).start()
    yield fake
    await runner.cleanup()


@pytest.fixture
async def storage(server: FakeGcs, unused_port: int, tmp_path: Path) -> AsyncIterator[ObjectStorage]:
    write_credentials(tmp_path / "account.json", unused_port)
    configured = BucketSettings(
        type="gcs",
        bucket="bucket",
        root=StoragePath("deep/er"),
        endpoint=f"http://127.0.0.1:{unused_port}",
        credential_file=str(tmp_path / "account.json"),
    )
    storage = ObjectStorage(open_bucket(configured))
    yield storage
    await storage.close()


class TestContract(Contract):
    pass


async def test_what_the_server_has(storage: ObjectStorage, server: FakeGcs) -> None:
    await storage.put(StoragePath("cam/1/manifest.mpd"), b"<MPD>")
    assert server.objects == {"deep/er/cam/1/manifest.mpd": (b"<MPD>", "application/dash+xml")}


async def test_a_server_that_overlooks_a_range(storage: ObjectStorage, server: FakeGcs) -> None:
    server.strict_ranges = False
    await storage.put(SEGMENT, b"0123456789")
    with pytest.raises(RangeNotSatisfiable, match="has 10 bytes"):
        await storage.get(SEGMENT, start=10)


async def test_of_several_one_is_gone_already(
    storage: ObjectStorage, server: FakeGcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else deletes in the same directory: an absent object is an error of this server, no reason to stop."""
    for number in range(3):
        await storage.put(StoragePath(f"cam/{number}"), b"x")
    listed = await storage.list(StoragePath("cam"))
    monkeypatch.setattr(ObjectStorage, "_list", lambda *_: listed)
    await storage.delete(StoragePath("cam/0"))
    await storage.delete_prefix(StoragePath("cam"))
    assert server.objects == {}
