"""Stored objects over HTTP: ranges, conditions, types, whose they are, and paths that lead nowhere."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from live777py.errors import StorageError, StorageUnavailable
from live777py.http.keys import STORAGE
from live777py.storage import StoragePath
from tests.http.doors import AUTH, STATIC_TOKEN, Door, OpenDoor, bearer, scoped
from tests.http.routes import ADMIN, READ, WRITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import ClientResponse

    from live777py.storage import Entry, Object

SEGMENT = "cam/1718200000/v_seg_0001.m4s"
CONTENT = bytes(range(256)) * 3 + bytes(232)


async def get(door: Door, path: str = SEGMENT, *, method: str = "GET", **headers: str) -> ClientResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await door.ask(method, f"/api/record/object/{path}", headers=named)


@pytest.fixture
async def door(open_door: OpenDoor) -> Door:
    door = await open_door()
    await door.recorder.made()
    return door


async def test_the_whole(door: Door) -> None:
    response = await get(door)
    assert (response.status, await response.read()) == (200, CONTENT)
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Content-Length"] == "1000"
    assert response.headers["ETag"].startswith('"')
    assert response.headers["Last-Modified"].endswith(" GMT")


async def test_head(door: Door) -> None:
    whole = await get(door)
    head = await get(door, method="HEAD", Range="bytes=0-1")
    assert (head.status, await head.read()) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified", "Accept-Ranges", "Cache-Control"):
        assert head.headers[name] == whole.headers[name]
    assert (await get(door, "cam/1718200000/none.m4s", method="HEAD")).status == 404


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=990-", 990, 999),
        ("bytes=990-5000", 990, 999),
        ("bytes=-10", 990, 999),
        ("bytes=-5000", 0, 999),
        ("Bytes=5-6", 5, 6),
    ],
)
async def test_a_range(door: Door, wanted: str, first: int, last: int) -> None:
    response = await get(door, Range=wanted)
    assert (response.status, await response.read()) == (206, CONTENT[first : last + 1])
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/1000"
    assert response.headers["Content-Length"] == str(last + 1 - first)


@pytest.mark.parametrize("wanted", ["bytes=1000-", "bytes=5000-6000", "bytes=-0", "bytes=999999999999999999-"])
async def test_a_range_that_is_not_there(door: Door, wanted: str) -> None:
    response = await get(door, Range=wanted)
    assert response.status == 416
    assert response.headers["Content-Range"] == "bytes */1000"
    assert response.content_type == "application/problem+json"


@pytest.mark.parametrize(
    "wanted", ["bytes=5-2", "bytes=-", "bytes=a-b", "bytes=0-1,5-6", "lines=1-2", "bytes 0-1", f"bytes={'9' * 5000}-"]
)
async def test_what_is_no_range_is_not_looked_at(door: Door, wanted: str) -> None:
    response = await get(door, Range=wanted)
    assert (response.status, len(await response.read())) == (200, 1000)


async def test_an_empty_object_has_no_range(door: Door) -> None:
    await door.storage.put(StoragePath("cam/1718200000/empty.json"), b"")
    assert (await get(door, "cam/1718200000/empty.json")).status == 200
    assert (await get(door, "cam/1718200000/empty.json", Range="bytes=0-")).status == 416


async def test_conditions(door: Door) -> None:
    whole = await get(door)
    tag, date = whole.headers["ETag"], whole.headers["Last-Modified"]
    long_ago, tomorrow = formatdate(0, usegmt=True), formatdate(4e9, usegmt=True)
    for headers in (
        {"If_None_Match": tag},
        {"If_None_Match": f'"other", W/{tag}'},
        {"If_None_Match": "*"},
        {"If_None_Match": tag, "If_Modified_Since": long_ago},
        {"If_Modified_Since": date},
        {"If_Modified_Since": tomorrow},
    ):
        response = await get(door, **headers)
        assert (response.status, await response.read()) == (304, b"")
        assert response.headers["ETag"] == tag
        assert response.headers["Cache-Control"] == whole.headers["Cache-Control"]
    for headers in (
        {"If_None_Match": '"other"'},
        {"If_None_Match": '"other"', "If_Modified_Since": tomorrow},
        {"If_Modified_Since": long_ago},
        {"If_Modified_Since": "yesterday"},
    ):
        assert (await get(door, **headers)).status == 200


async def test_a_range_of_one_version(door: Door) -> None:
    whole = await get(door)
    tag, date = whole.headers["ETag"], whole.headers["Last-Modified"]
    for condition, status in (
        (tag, 206),
        (date, 206),
        ('"other"', 200),
        (f"W/{tag}", 200),
        (formatdate(0, usegmt=True), 200),
        ("yesterday", 200),
    ):
        assert (await get(door, Range="bytes=0-1", If_Range=condition)).status == status


@pytest.mark.parametrize(
    ("name", "content_type", "immutable"),
    [
        ("manifest.mpd", "application/dash+xml", False),
        ("master.m3u8", "application/vnd.apple.mpegurl", False),
        ("v_init.m4s", "video/mp4", True),
        ("v1_seg_0012.m4s", "video/mp4", True),
        ("a_seg_0001.m4s", "audio/mp4", True),
        ("a12_init.m4s", "audio/mp4", True),
        ("v_seg_0001.webm", "video/webm", True),
        ("thumbnail.jpg", "image/jpeg", False),
        ("page.html", "application/octet-stream", False),
    ],
)
async def test_types_and_caches(open_door: OpenDoor, name: str, content_type: str, immutable: bool) -> None:
    """Only in a directory that is named for a time: another one may be recorded into again."""
    door = await open_door()
    for directory in ("cam/1718200000", "cam/archive"):
        await door.storage.put(StoragePath(f"{directory}/{name}"), b"x")
        response = await get(door, f"{directory}/{name}")
        assert response.headers["Content-Type"] == content_type
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        caching = response.headers["Cache-Control"]
        assert caching.startswith("private")
        assert ("immutable" in caching) is (immutable and directory == "cam/1718200000")
        assert ("no-cache" in caching) is not ("immutable" in caching)


@pytest.mark.parametrize(
    "target",
    [
        "..%2f..%2fsecret",
        "..%2Fsecret",
        "%2e%2e/secret",
        "%2e%2e%2fsecret",
        "cam/%2e%2e/%2e%2e/secret",
        "../secret",
        "../../../secret",
        "cam/../../secret",
        "./secret",
        "/secret",
        "%2fsecret",
        "//secret",
        "..%5csecret",
        "cam\\..\\..\\secret",
        "cam%00/secret",
        "secret%00.m4s",
        "cam%0a",
        "%ff%fe",
        "cam/",
        "..",
        ".",
        "..%252fsecret",
        "x" * 1000,
    ],
)
async def test_nothing_outside_is_read(door: Door, target: str) -> None:
    """`secret` is beside the storage, and in it stands behind a symbolic link."""
    root = door.storage._directory._root
    secret = root.parent / "secret"
    await asyncio.to_thread(secret.write_text, "secret")
    head = await door.ask_raw("GET", f"/api/record/object/{target}")
    assert head.split()[1] in {"400", "404"}


@pytest.mark.parametrize("link", ["link", "cam/1718200000/link"])
async def test_links_are_not_followed(door: Door, link: str) -> None:
    root = door.storage._directory._root
    secret = root.parent / "secret"

    def prepare() -> None:
        secret.mkdir()
        (secret / "v_init.m4s").write_text("secret")
        (root / link).symlink_to(secret)

    await asyncio.to_thread(prepare)
    assert (await get(door, f"{link}/v_init.m4s")).status == 404


CREDENTIALS = {
    "everything": (bearer(STATIC_TOKEN), "cam other archive forgotten unknown"),
    "r of cam": (scoped("cam", READ), "cam archive forgotten"),
    "wx of cam": (scoped("cam", WRITE | ADMIN), ""),
    "r of other": (scoped("other", READ), "other"),
    "r of archive": (scoped("archive", READ), ""),
    "r of third": (scoped("third", READ), ""),
    "nobody": ({}, ""),
}


@pytest.mark.parametrize("who", CREDENTIALS)
async def test_whose_they_are(open_door: OpenDoor, who: str) -> None:
    """`archive` is a directory of cam's, `forgotten` is not in the index any more, `unknown` never was."""
    door = await open_door(AUTH)
    await door.recorder.made()
    await door.recorder.made("other")
    await door.recorder.made("cam", "1718200001", "archive/1718200001")
    forgotten = await door.recorder.made("cam", "1718200002")
    await door.index.remove(forgotten.key)
    await door.storage.put(StoragePath("third/morning/v_init.m4s"), b"x")
    paths = {
        "cam": "cam/1718200000",
        "other": "other/1718200000",
        "archive": "archive/1718200001",
        "forgotten": "cam/1718200002",
        "unknown": "third/morning",
    }
    headers, readable = CREDENTIALS[who]
    for name, directory in paths.items():
        response = await get(door, f"{directory}/v_init.m4s", **headers)
        refused = 403 if headers else 401
        assert response.status == (200 if name in readable.split() else refused), name


class Signing:
    """A storage whose objects can be had elsewhere, too; or that fails in the middle of them."""

    def __init__(self, door: Door, failure: StorageError | None = None) -> None:
        self._storage = door.storage
        self._failure = failure

    async def head(self, path: StoragePath) -> Entry:
        if isinstance(self._failure, StorageUnavailable):
            raise self._failure
        return await self._storage.head(path)

    async def get(self, path: StoragePath, *, start: int = 0, end: int | None = None) -> Object:
        found = await self._storage.get(path, start=start, end=end)
        if self._failure is not None:
            found._chunks = self._broken(self._failure)
        return found

    async def presign(self, path: StoragePath, seconds: int) -> str | None:
        return f"https://bucket.example/{path}?signature={seconds}"

    @staticmethod
    def _broken(failure: StorageError) -> Iterator[bytes]:
        yield b"x" * 10
        raise failure


async def test_players_are_sent_to_the_bucket(open_door: OpenDoor) -> None:
    door = await open_door("[recorder]\nsigned_redirect = true\n")
    await door.recorder.made()
    assert (await get(door)).status == 200, "a directory signs nothing"
    door.app._state[STORAGE] = Signing(door)
    response = await door.ask("GET", f"/api/record/object/{SEGMENT}", allow_redirects=False)
    assert response.status == 307
    assert response.headers["Location"] == f"https://bucket.example/{SEGMENT}?signature=600"
    assert response.headers["Cache-Control"] == "no-store"
    assert (await get(door, method="HEAD")).status == 200
    assert (await get(door, "cam/1718200000/manifest.mpd")).status == 200
    assert (await get(door, "cam/1718200000/v_seg_0002.m4s")).status == 404


async def test_without_the_key_nobody_is_sent_elsewhere(door: Door) -> None:
    door.app._state[STORAGE] = Signing(door)
    assert (await get(door)).status == 200


async def test_a_storage_that_breaks_off(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """The answer must not look complete."""
    door.app._state[STORAGE] = Signing(door, StorageError("reading failed"))
    answer = await door.ask_raw("GET", f"/api/record/object/{SEGMENT}")
    assert "Content-Length: 1000" in answer
    reader, writer = await asyncio.open_connection("127.0.0.1", door.client.port)
    writer.write(f"GET /api/record/object/{SEGMENT} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await reader.readexactly(2000)
    writer.close()
    assert "broke off: reading failed" in caplog.text


async def test_a_segment_in_the_making(door: Door) -> None:
    """What there is comes at once, the rest as it is made."""
    path = StoragePath("cam/1718200000/v_seg_0002.m4s")
    live = door.recorder.live
    live.add(path, b"first")
    asked = await get(door, path, method="HEAD")
    assert (asked.status, asked.content_type, await asked.read()) == (200, "video/mp4", b"")
    reader, writer = await asyncio.open_connection("127.0.0.1", door.client.port)
    writer.write(f"GET /api/record/object/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"Content-Type: video/mp4" in head
    assert b"no-cache" in head
    assert await reader.readexactly(len(b"5\r\nfirst\r\n")) == b"5\r\nfirst\r\n"
    live.add(path, b"second")
    live.complete(path)
    assert await reader.read() == b"6\r\nsecond\r\n0\r\n\r\n"
    writer.close()
    assert (await get(door, path)).status == 404, "it never came to the storage"


async def test_a_storage_that_is_away(door: Door) -> None:
    door.app._state[STORAGE] = Signing(door, StorageUnavailable("the bucket does not answer"))
    response = await get(door)
    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0


async def test_one_that_is_replaced_while_it_is_read(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The range is of a version that is no more: all of the new one is the answer."""
    path = StoragePath("cam/1718200000/manifest.mpd")
    stale = await door.storage.head(path)
    await door.storage.put(path, b"new" * 100)

    async def head(_path: StoragePath) -> Entry:
        return stale

    monkeypatch.setattr(door.storage, "head", head)
    response = await get(door, path, Range="bytes=50-")
    assert (response.status, await response.read()) == (200, b"new" * 100)
    assert response.headers["ETag"] != stale.etag
