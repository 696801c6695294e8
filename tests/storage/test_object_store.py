"""Objects in a bucket of a real S3 server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import urllib.request
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
import pytest

from live777py.errors import NotFound, StartError, StorageError, StorageUnavailable
from live777py.storage import StoragePath
from live777py.storage.bucket import open_bucket
from live777py.storage.object_store import ObjectStorage
from tests.storage.contract import MANIFEST, SEGMENT, Contract, read
from tests.storage.s3 import SECRET, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from live777py.storage.settings import BucketSettings


@pytest.fixture
def configured(s3_port: int, bucket: str) -> BucketSettings:
    return settings(s3_port, bucket)


@pytest.fixture
async def storage(configured: BucketSettings) -> AsyncIterator[ObjectStorage]:
    storage = ObjectStorage(open_bucket(configured))
    yield storage
    await storage.close()


class TestContract(Contract):
    pass


async def test_the_content_type_goes_with_the_object(storage: ObjectStorage) -> None:
    path = StoragePath("cam/1/a_init.m4s")
    await storage.put(path, b"x")
    url = await storage.presign(path, 60)
    assert url is not None
    answer = await asyncio.to_thread(urllib.request.urlopen, url)
    assert answer.headers["Content-Type"] == "audio/mp4"
    answer.close()


async def test_a_signed_address_is_enough(storage: ObjectStorage) -> None:
    path = StoragePath("a b/<ü>/manifest.mpd")
    await storage.put(path, b"content")
    url = await storage.presign(path, 60)
    assert url is not None
    assert SECRET not in url
    answer = await asyncio.to_thread(urllib.request.urlopen, url)
    assert answer.read() == b"content"
    answer.close()


async def test_a_root_is_a_prefix(configured: BucketSettings, storage: ObjectStorage) -> None:
    below = ObjectStorage(open_bucket(replace(configured, root=StoragePath("deep/er"))))
    await below.put(SEGMENT, b"x")
    assert await read(below, SEGMENT) == b"x"
    assert [entry.path for entry in await below.list(StoragePath("cam"))] == [SEGMENT]
    assert [entry.path for entry in await storage.list()] == [f"deep/er/{SEGMENT}"]
    await below.delete_prefix(StoragePath("cam"))
    assert await storage.list() == []
    await below.close()


async def test_more_objects_than_one_answer_names(storage: ObjectStorage) -> None:
    await asyncio.gather(*(storage.put(StoragePath(f"cam/{number:04}"), b"") for number in range(1100)))
    await storage.put(StoragePath("other"), b"")
    assert len(await storage.list(StoragePath("cam"))) == 1100
    await storage.delete_prefix(StoragePath("cam"))
    assert [entry.path for entry in await storage.list()] == ["other"]


async def test_parts_of_two_versions_are_never_mixed(storage: ObjectStorage) -> None:
    await storage.put(SEGMENT, b"a" * 9_000_000)
    async with await storage.get(SEGMENT) as found:
        first = await anext(found)
        await storage.put(SEGMENT, b"b" * 9_000_000)
        with pytest.raises(StorageError, match="the object store answers PreconditionFailed"):
            await found.read()
    assert set(first) == {ord("a")}


async def test_without_a_bucket(configured: BucketSettings) -> None:
    storage = ObjectStorage(open_bucket(replace(configured, bucket="nowhere")))
    for answer in (storage.put(SEGMENT, b""), storage.head(SEGMENT), storage.list(), storage.delete_prefix(SEGMENT)):
        with pytest.raises((StorageError, NotFound)) as raised:
            await answer
        assert "127.0.0.1" not in raised.value.detail
    with pytest.raises(StorageError, match=r"^cam/1700000000/v_seg_0001\.m4s: the bucket does not exist$"):
        await storage.put(SEGMENT, b"")
    with pytest.raises(StorageError, match="the bucket does not exist"):
        await storage.get(SEGMENT)
    await storage.close()


async def test_nobody_listens(configured: BucketSettings, unused_port: int) -> None:
    storage = ObjectStorage(open_bucket(replace(configured, endpoint=f"http://127.0.0.1:{unused_port}")))
    for answer in (
        storage.put(SEGMENT, b""),
        storage.head(SEGMENT),
        storage.list(),
        storage.get(SEGMENT),
        storage.delete(SEGMENT),
    ):
        with pytest.raises(StorageUnavailable, match="the object store cannot be reached") as raised:
            await answer
        assert SECRET not in raised.value.detail
        assert str(unused_port) not in raised.value.detail
        assert raised.value.__cause__ is None
    await storage.close()


def test_no_secret_is_shown(configured: BucketSettings) -> None:
    assert SECRET not in repr(replace(configured, session_token="token"))
    assert "token'" not in repr(replace(configured, session_token="token"))
    assert SECRET not in repr(open_bucket(configured))


def test_configured_keys_are_not_mixed_with_those_of_the_environment(
    configured: BucketSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {
        "AWS_ACCESS_KEY_ID": "ENVKEY",
        "AWS_SECRET_ACCESS_KEY": "ENVSECRET",
        "AWS_SESSION_TOKEN": "ENVTOKEN",
        "AWS_ENDPOINT_URL_S3": "http://env.example",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def signed(settings: BucketSettings) -> str:
        return obstore.sign(open_bucket(settings), "GET", "x", timedelta(minutes=1))

    own = signed(configured)
    assert "key-id" in own
    assert "ENV" not in own
    assert own.startswith(f"{configured.endpoint}/{configured.bucket}/x?")
    assert "Security-Token=mine" in signed(replace(configured, session_token="mine"))
    shared = replace(configured, access_key_id=None, secret_access_key=None)
    assert "ENVKEY" in signed(shared)
    assert "ENVTOKEN" in signed(shared)
    hosted = signed(replace(configured, virtual_host_style=True, endpoint="https://s3.example.org"))
    assert hosted.startswith(f"https://{configured.bucket}.s3.example.org/x?")
    assert {name: os.environ[name] for name in variables} == variables


async def test_without_any_key_nobody_is_asked_for_one(
    storage: ObjectStorage, configured: BucketSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    await storage.put(SEGMENT, b"x")
    public = replace(configured, access_key_id=None, secret_access_key=None, from_environment=False)
    anonymous = ObjectStorage(open_bucket(public))
    assert await anonymous.presign(SEGMENT, 60) is None
    with pytest.raises(
        StorageError, match=r"^cam/1700000000/v_seg_0001\.m4s: the object store answers (AccessDenied|403)$"
    ):
        await anonymous.get(SEGMENT)
    await anonymous.close()


def test_what_cannot_be_opened_is_told_without_its_secret() -> None:
    from live777py.storage.settings import BucketSettings

    broken = BucketSettings(type="azure", bucket="recordings", access_key_id="name", secret_access_key="not base64!")
    with pytest.raises(StartError, match="cannot use the azure bucket recordings") as raised:
        open_bucket(broken)
    assert "base64" not in raised.value.detail


_PROGRAM = """
import asyncio, sys
from live777py.storage import StoragePath
from live777py.storage.bucket import open_bucket
from live777py.storage.object_store import ObjectStorage
from tests.storage.s3 import settings

async def main():
    storage = ObjectStorage(open_bucket(settings(int(sys.argv[1]), sys.argv[2])))
    await asyncio.gather(*(storage.put(StoragePath(f"cam/{number}"), bytes(200_000)) for number in range(8)))
    await storage.close()

asyncio.run(main())
"""


def test_a_process_may_end_right_after_an_upload(s3_port: int, bucket: str) -> None:
    """obstore's coroutines abort it one time out of three."""
    for _ in range(20):
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(s3_port), bucket], capture_output=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr.decode()) == (0, "")


async def test_manifests_of_one_name_are_the_last_one(storage: ObjectStorage) -> None:
    for number in range(20):
        await storage.put(MANIFEST, str(number).encode())
    assert await read(storage, MANIFEST) == b"19"
