"""What a gateway answers to those who read objects that are in a bucket, or on their way there."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import aiohttp

from live777py.storage import ObjectStorage, StoragePath
from live777py.storage.bucket import open_bucket
from tests.gateway import running_gateway
from tests.recorder.published import of_files
from tests.storage.s3 import SECRET, make_bucket, s3_server, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SEGMENT = StoragePath("cam/1700000000/a_seg_0001.m4s")
MANIFEST = StoragePath("cam/1700000000/manifest.mpd")
LARGE = StoragePath("cam/1700000000/v_seg_0001.m4s")
BYTES = bytes(range(256)) * 40_000
"""More than one request to the bucket brings."""


@asynccontextmanager
async def _gateway(directory: Path, more: str = "") -> AsyncIterator[tuple[aiohttp.ClientSession, int]]:
    """A client of it, and the S3 server's port."""
    with s3_server() as server:
        make_bucket(server, "tapes")
        bucket = ObjectStorage(open_bucket(settings(server, "tapes")))
        await asyncio.gather(
            bucket.put(SEGMENT, b"0123456789"), bucket.put(MANIFEST, b"<MPD/>"), bucket.put(LARGE, BYTES)
        )
        await bucket.close()
        storage = (
            f"type = 's3'\nbucket = 'tapes'\nregion = 'us-east-1'\nendpoint = 'http://127.0.0.1:{server}'\n"
            f"access_key_id = 'key-id'\nsecret_access_key = '{SECRET}'\n"
        )
        async with running_gateway(directory, config=of_files(directory, storage, more)) as gateway:
            async with aiohttp.ClientSession(f"{gateway.url}/api/record/object/") as client:
                yield client, server
            assert SECRET not in "\n".join(gateway.log)


async def test_ranges_heads_and_tags(tmp_path: Path) -> None:
    async with _gateway(tmp_path) as (client, _):
        async with client.get(SEGMENT) as whole:
            assert (whole.status, await whole.read()) == (200, b"0123456789")
            assert whole.content_type == "audio/mp4"
            assert "immutable" in whole.headers["Cache-Control"]
            tag = whole.headers["ETag"]
        async with client.head(SEGMENT) as head:
            assert (head.status, head.headers["Content-Length"], head.headers["ETag"]) == (200, "10", tag)
            assert head.headers["Accept-Ranges"] == "bytes"
        async with client.get(SEGMENT, headers={"Range": "bytes=3-4"}) as part:
            assert (part.status, await part.read()) == (206, b"34")
            assert part.headers["Content-Range"] == "bytes 3-4/10"
        async with client.get(SEGMENT, headers={"Range": "bytes=-2", "If-Range": tag}) as part:
            assert (part.status, await part.read()) == (206, b"89")
        async with client.get(SEGMENT, headers={"Range": "bytes=-2", "If-Range": '"other"'}) as other:
            assert (other.status, await other.read()) == (200, b"0123456789")
        async with client.get(SEGMENT, headers={"Range": "bytes=10-"}) as behind:
            assert (behind.status, behind.headers["Content-Range"]) == (416, "bytes */10")
        async with client.get(SEGMENT, headers={"If-None-Match": tag}) as same:
            assert (same.status, await same.read()) == (304, b"")
        async with client.get(LARGE) as large:
            assert await large.read() == BYTES
        async with client.get(LARGE, headers={"Range": "bytes=4000000-9000000"}) as part:
            assert await part.read() == BYTES[4_000_000:9_000_001]
        async with client.get("cam/1700000000/v_seg_0009.m4s") as missing:
            assert (missing.status, missing.content_type) == (404, "application/problem+json")


async def test_segments_are_read_from_the_bucket_itself(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "signed_redirect = true\n") as (client, server):
        async with client.get(SEGMENT, allow_redirects=False) as sent:
            assert (sent.status, sent.headers["Cache-Control"]) == (307, "no-store")
            address = urlsplit(sent.headers["Location"])
        assert (address.hostname, address.port) == ("127.0.0.1", server)
        assert address.path == f"/tapes/{SEGMENT}"
        assert parse_qs(address.query)["X-Amz-Expires"] == ["600"]
        assert SECRET not in address.query
        async with client.get(SEGMENT, headers={"Range": "bytes=3-4"}) as followed:
            assert (followed.status, followed.url.port, await followed.read()) == (206, server, b"34")
        async with client.get(MANIFEST, allow_redirects=False) as manifest:
            assert (manifest.status, await manifest.read()) == (200, b"<MPD/>")
        async with client.get("cam/1700000000/v_seg_0009.m4s", allow_redirects=False) as missing:
            assert missing.status == 404
