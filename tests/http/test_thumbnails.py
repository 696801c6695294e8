"""Pictures of streams and recordings over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from live777py.storage import StoragePath
from tests.recorder.encoded import ffmpeg, video
from tests.waiting import eventually

if TYPE_CHECKING:
    from aiohttp import ClientResponse

    from tests.http.doors import Door, OpenDoor

PATH = "/api/streams/cam/thumbnail.jpg"


async def look(door: Door) -> ClientResponse:
    """While a key frame comes."""
    publisher = door.publishers.publish("cam", "video")
    track = publisher.media[0][1]
    asking = asyncio.create_task(door.ask("GET", PATH))

    async def tapped() -> bool:
        return bool(door.publishers.taps.get(track))

    await eventually(tapped)
    for tap in door.publishers.taps[track]:
        tap.push(video("VP8", seconds=1)[:1])
    return await asking


async def test_of_a_stream(open_door: OpenDoor) -> None:
    door = await open_door()
    response = await look(door)
    assert (response.status, response.content_type) == (200, "image/jpeg")
    assert (await response.read()).startswith(b"\xff\xd8")
    assert response.headers["Cache-Control"] == "private, max-age=5"
    again = await door.ask("GET", PATH, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")
    head = await door.ask("HEAD", PATH)
    assert (head.status, head.headers["Content-Length"]) == (200, response.headers["Content-Length"])


async def test_of_a_stream_without_video(open_door: OpenDoor) -> None:
    door = await open_door()
    assert (await door.ask("GET", PATH)).status == 404
    door.publishers.publish("cam", "audio")
    assert (await door.ask("GET", PATH)).status == 404


async def test_of_a_recording(open_door: OpenDoor) -> None:
    """It is made when it is asked for, and an object like any other then."""
    door = await open_door()
    path = "/api/record/object/cam/1718200000/thumbnail.jpg"
    assert (await door.ask("GET", path)).status == 404
    data = ffmpeg(*["-f", "lavfi", "-i", "testsrc2=s=640x360:d=1", "-c:v", "libvpx", "-b:v", "1M", "-f", "webm", "-"])
    for name, part in (("v_init.webm", data[:200]), ("v_seg_0001.webm", data[200:])):
        await door.storage.put(StoragePath("cam/1718200000") / name, part)
    first, second = [await door.ask("GET", path) for _ in range(2)]
    assert (first.status, first.content_type) == (200, "image/jpeg")
    assert (await first.read()).startswith(b"\xff\xd8")
    assert first.headers["ETag"] == second.headers["ETag"]
    assert (await door.ask("GET", "/api/record/object/thumbnail.jpg")).status == 404
