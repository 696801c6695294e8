"""A recording as one file over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import io
from typing import TYPE_CHECKING, Final

import av
import pytest

from live777py.http import download, sending
from live777py.recorder.remux import remux
from live777py.storage import StoragePath
from tests.recorder.encoded import opus, video
from tests.recorder.recording import Recording
from tests.waiting import eventually

if TYPE_CHECKING:
    from live777py.recorder.files import Files
    from live777py.recorder.remux import OneFile
    from tests.http.doors import Door, OpenDoor

PATH: Final = "/api/playback/cam/1718200000.mp4"


async def record(door: Door, codec: str = "H264") -> None:
    await door.recorder.made(names=())
    recording = Recording()
    recording.record(video(codec), opus())
    for name, data in recording.files.items():
        await door.storage.put(StoragePath(f"cam/1718200000/{name}"), data)


@pytest.mark.parametrize(("codec", "kind"), [("H264", "mp4"), ("VP8", "webm")])
async def test_one_file(open_door: OpenDoor, codec: str, kind: str) -> None:
    door = await open_door()
    await record(door, codec)
    response = await door.ask("GET", PATH)
    data = await response.read()
    assert (response.status, response.content_type) == (200, f"video/{kind}")
    assert response.headers["Content-Length"] == str(len(data))
    assert response.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''cam-1718200000.{kind}"
    with av.open(io.BytesIO(data), "r") as container:
        assert sum(1 for _ in container.decode(video=0)) == len(video(codec))
    head = await door.ask("HEAD", PATH)
    assert (head.status, await head.read()) == (200, b"")
    assert head.headers["Content-Length"] == str(len(data))


async def test_a_download_that_goes_on(open_door: OpenDoor) -> None:
    door = await open_door()
    await record(door)
    whole = await door.ask("GET", PATH)
    data, tag = await whole.read(), whole.headers["ETag"]
    rest = await door.ask("GET", PATH, headers={"Range": "bytes=1000-", "If-Range": tag})
    assert (rest.status, await rest.read()) == (206, data[1000:])
    assert rest.headers["Content-Range"] == f"bytes 1000-{len(data) - 1}/{len(data)}"
    assert (await door.ask("GET", PATH, headers={"If-None-Match": tag})).status == 304
    assert (await door.ask("GET", PATH, headers={"Range": f"bytes={len(data)}-"})).status == 416
    other = await door.ask("GET", PATH, headers={"Range": "bytes=1000-", "If-Range": '"other"'})
    assert (other.status, await other.read()) == (200, data)


async def test_one_that_is_deleted_meanwhile_breaks_off(
    open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer has begun: nothing but the end of the connection may follow, least of all another answer."""
    door = await open_door()
    await record(door)

    async def deleting(files: Files) -> OneFile:
        made = await remux(files)
        await door.storage.delete_prefix(StoragePath("cam/1718200000"))
        return made

    monkeypatch.setattr(download, "remux", deleting)
    reader, writer = await asyncio.open_connection("127.0.0.1", door.client.port)
    writer.write(f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    received = b""
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(10):
            while chunk := await reader.read(1 << 16):
                received += chunk
    writer.close()
    assert received.count(b"HTTP/1.1") <= 1
    assert "broke off: no object cam/1718200000/" in caplog.text


async def test_what_is_not_there(open_door: OpenDoor) -> None:
    door = await open_door()
    assert (await door.ask("GET", PATH)).status == 404
    await door.recorder.made(names=())
    assert (await door.ask("GET", PATH)).status == 404, "nothing of it can be played"


async def test_a_name_of_any_letters(open_door: OpenDoor) -> None:
    door = await open_door()
    await door.recorder.made('grö"ße', names=())
    recording = Recording()
    recording.record(video("H264"), opus())
    for name, data in recording.files.items():
        await door.storage.put(StoragePath(f'grö"ße/1718200000/{name}'), data)
    response = await door.ask("GET", "/api/playback/gr%C3%B6%22%C3%9Fe/1718200000.mp4")
    assert response.status == 200
    assert response.headers["Content-Disposition"].endswith("''gr%C3%B6%22%C3%9Fe-1718200000.mp4")


async def test_there_are_few_at_a_time(open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_DOWNLOADS", 1)
    door = await open_door()
    await record(door)
    entered, release = asyncio.Event(), asyncio.Event()
    listing = door.storage.list

    async def slow(prefix: StoragePath | None = None) -> object:
        entered.set()
        await release.wait()
        return await listing(prefix)

    monkeypatch.setattr(door.storage, "list", slow)
    first = asyncio.create_task(door.ask("GET", PATH))
    await entered.wait()
    response = await door.ask("GET", PATH)
    assert (response.status, int(response.headers["Retry-After"]) > 0) == (503, True)
    release.set()
    assert (await first).status == 200
    assert (await door.ask("GET", PATH)).status == 200


async def test_one_who_reads_nothing_is_given_up(
    open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sending, "STALLED", 0.1)
    caplog.set_level("INFO")
    door = await open_door()
    await door.storage.put(StoragePath("cam/1718200000/large.bin"), bytes(64 << 20))
    reader, writer = await asyncio.open_connection("127.0.0.1", door.client.port, limit=1024)
    writer.write(b"GET /api/record/object/cam/1718200000/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")

    async def given_up() -> bool:
        return "nobody reads it" in caplog.text

    await eventually(given_up)
    writer.close()
