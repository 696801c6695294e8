"""From the configuration to the storage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from live777py import settings
from live777py.config import parse
from live777py.errors import ConfigError
from live777py.storage import BucketSettings, LocalSettings, LocalStorage, Spool, SpoolSettings, build_storage
from tests.storage.contract import SEGMENT, read
from tests.storage.s3 import SECRET

if TYPE_CHECKING:
    from live777py.storage import StorageSettings


def configured(text: str) -> StorageSettings:
    return settings.storage(parse(f"[recorder.storage]\n{text}", {}))


def test_a_directory_by_default() -> None:
    assert configured("") == LocalSettings(root=Path("storage"))
    assert configured("root = '/srv/recordings'") == LocalSettings(root=Path("/srv/recordings"))


def test_every_key_of_a_bucket() -> None:
    text = """
        type = "s3"
        root = "/a/b/"
        bucket = "recordings"
        region = "eu-central-1"
        endpoint = "s3.example.org/"
        access_key_id = "id"
        secret_access_key = "a secret"
        session_token = "a token"
        disable_config_load = true
        enable_virtual_host_style = true
        spool_dir = "/srv/spool"
        spool_max_bytes = 1000
        upload_concurrency = 3
    """
    found = configured(text)
    bucket = BucketSettings(
        type="s3",
        bucket="recordings",
        root=found.bucket.root if isinstance(found, SpoolSettings) else None,
        region="eu-central-1",
        endpoint="https://s3.example.org",
        access_key_id="id",
        secret_access_key="a secret",
        session_token="a token",
        from_environment=False,
        virtual_host_style=True,
    )
    assert found == SpoolSettings(directory=Path("/srv/spool"), bucket=bucket, max_bytes=1000, concurrency=3)
    assert bucket.root == "a/b"
    assert "a secret" not in repr(found)
    assert "a token" not in repr(found)


@pytest.mark.parametrize("root", ["/", ""])
def test_a_bucket_without_a_root(root: str) -> None:
    found = configured(f"type = 'gcs'\nbucket = 'b'\nroot = '{root}'\ncredential_file = '/etc/key.json'")
    assert isinstance(found, SpoolSettings)
    assert found.bucket == BucketSettings(type="gcs", bucket="b", credential_file="/etc/key.json")
    assert (found.directory, found.max_bytes, found.concurrency) == (Path("recordings/spool"), 16 * 1024**3, 8)


def test_a_root_that_leads_out() -> None:
    with pytest.raises(ConfigError, match=r"^recorder\.storage\.root: not the path of an object: "):
        configured("type = 's3'\nbucket = 'b'\nroot = '/a/../..'")


async def test_a_directory_is_built(tmp_path: Path) -> None:
    storage = await build_storage(LocalSettings(root=tmp_path))
    assert isinstance(storage, LocalStorage)
    await storage.put(SEGMENT, b"x")
    assert (tmp_path / SEGMENT).read_bytes() == b"x"
    await storage.close()


async def test_a_bucket_is_built_behind_a_spool(tmp_path: Path, s3_port: int, bucket: str) -> None:
    text = f"""
        type = "s3"
        bucket = "{bucket}"
        endpoint = "http://127.0.0.1:{s3_port}"
        access_key_id = "key-id"
        secret_access_key = "{SECRET}"
        spool_dir = "{tmp_path}"
    """
    storage = await build_storage(configured(text))
    assert isinstance(storage, Spool)
    await storage.put(SEGMENT, b"x")
    await storage.drained()
    assert [entry.path for entry in await storage.list()] == [SEGMENT]
    assert await read(storage, SEGMENT) == b"x"
    await storage.close()
