"""Objects in a container of Azure's emulator.

Its 190 MB of npm packages are not among the tools of the tests: these run where it is (`tests/storage/azurite.py`).
"""

from __future__ import annotations

import asyncio
import urllib.request
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import obstore
import pytest

from live777py.errors import StorageError
from live777py.storage import BucketSettings, ObjectStorage, Spool, StoragePath
from live777py.storage.bucket import open_bucket
from tests.storage.azurite import ACCOUNT, KEY, azurite, make_container, program
from tests.storage.contract import SEGMENT, Contract, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

emulated = pytest.mark.skipif(program() is None, reason="Azure's emulator is not installed")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with azurite(tmp_path_factory.mktemp("azurite")) as port:
        yield port


@pytest.fixture
def configured(port: int) -> BucketSettings:
    container = f"recordings-{uuid.uuid4()}"
    make_container(port, container)
    return BucketSettings(
        type="azure",
        bucket=container,
        root=StoragePath("deep/er"),
        endpoint=f"http://127.0.0.1:{port}/{ACCOUNT}",
        access_key_id=ACCOUNT,
        secret_access_key=KEY,
    )


@pytest.fixture
async def storage(configured: BucketSettings) -> AsyncIterator[ObjectStorage]:
    storage = ObjectStorage(open_bucket(configured))
    yield storage
    await storage.close()


@emulated
class TestContract(Contract):
    pass


@emulated
async def test_a_signed_address_is_enough(storage: ObjectStorage) -> None:
    await storage.put(SEGMENT, b"content")
    url = await storage.presign(SEGMENT, 60)
    assert url is not None
    answer = await asyncio.to_thread(urllib.request.urlopen, url)
    assert (answer.read(), answer.headers["Content-Type"]) == (b"content", "video/mp4")
    answer.close()


@emulated
async def test_a_container_that_is_not_there(configured: BucketSettings) -> None:
    storage = ObjectStorage(open_bucket(replace(configured, bucket="nowhere")))
    with pytest.raises(StorageError, match="the bucket does not exist"):
        await storage.put(SEGMENT, b"x")
    await storage.close()


@emulated
async def test_the_spool_before_it(storage: ObjectStorage, tmp_path: Path) -> None:
    spool = await Spool.open(storage, tmp_path / "spool", max_bytes=10**6, concurrency=2)
    await spool.put(SEGMENT, b"segment")
    await asyncio.wait_for(spool.drained(), 20)
    assert await read(storage, SEGMENT) == b"segment"
    await spool.close()


def test_the_address_of_an_object() -> None:
    """Account, container, root and name are where Azure wants them; made without asking anybody."""
    bucket = open_bucket(
        BucketSettings(
            type="azure", bucket="tapes", root=StoragePath("a b"), access_key_id="account", secret_access_key=KEY
        )
    )
    parts = urlsplit(obstore.sign(bucket, "GET", SEGMENT, timedelta(seconds=60)))
    assert (parts.scheme, parts.netloc) == ("https", "account.blob.core.windows.net")
    assert parts.path == f"/tapes/a%20b/{SEGMENT}"
    assert parse_qs(parts.query)["sp"] == ["r"]
    assert KEY not in parts.query
