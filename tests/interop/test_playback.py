"""From a publisher to one file: recorded, watched while it is made, pictured, downloaded, deleted; with tokens."""

from __future__ import annotations

import io
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import aiohttp
import av
import jwt
import pytest

from tests.gateway import running_gateway
from tests.interop.programs import ffmpeg_publisher
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

pytestmark = pytest.mark.interop

SECRET = "s" * 32
TOKEN = "everything"
PICTURE = ("-f", "lavfi", "-i", "color=red:s=640x360:r=30", "-f", "lavfi", "-i", "sine")
CONFIG = f"""
[auth]
tokens = ["{TOKEN}"]
secret = "{SECRET}"
[recorder]
segment_seconds = 1
"""


def scoped(stream: str, mode: int) -> dict[str, str]:
    claims = {"id": stream, "mode": mode, "exp": int(time.time()) + 600}
    return {"Authorization": f"Bearer {jwt.encode(claims, SECRET)}"}


def first_picture(data: bytes) -> npt.NDArray[Any]:
    with av.open(io.BytesIO(data), "r") as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def is_red(picture: npt.NDArray[Any]) -> bool:
    red, green, blue = picture[picture.shape[0] // 2, picture.shape[1] // 2]
    return bool(red > 200 and green < 60 and blue < 60)


async def test_from_a_publisher_to_one_file(tmp_path: Path) -> None:
    config = (
        f"{CONFIG}index_path = '{tmp_path}/index.json'\n[recorder.storage]\nroot = '{tmp_path}/storage'\n"
        f"[store]\npath = '{tmp_path}/store.db'\n"
    )
    async with (
        running_gateway(tmp_path, config=config) as gateway,
        aiohttp.ClientSession(gateway.url, headers=scoped("cam", 4)) as reader,
        aiohttp.ClientSession(gateway.url, headers=scoped("cam", 1)) as owner,
        aiohttp.ClientSession(gateway.url, headers=scoped("other", 7)) as stranger,
    ):
        async with ffmpeg_publisher(f"{gateway.url}/whip/cam", inputs=PICTURE, token=TOKEN):

            async def recorded() -> dict[str, str] | None:
                async with owner.post("/api/record/cam") as response:
                    assert response.status in {200, 404, 409}
                    return await response.json() if response.status == 200 else None

            place = await eventually(recorded)
            async with reader.get("/api/streams/cam/thumbnail.jpg") as response:
                assert response.status == 200
                assert is_red(first_picture(await response.read()))

            async def some_seconds() -> dict[str, Any] | None:
                async with reader.get("/api/playback/cam") as response:
                    entries = await response.json()
                return entries[0] if entries and entries[0]["duration_ms"] >= 4000 else None

            entry = await eventually(some_seconds, within=30)
            assert entry["mpd_path"] == place["mpd_path"]
            assert entry["status"] == "Active"
            async with reader.get(f"/api/record/object/{place['mpd_path']}") as response:
                assert response.content_type == "application/dash+xml"
                assert 'type="dynamic"' in await response.text()
            async with owner.delete("/api/record/cam") as response:
                assert (response.status, await response.read()) == (200, b"")
        directory, record = place["record_dir"], place["record_id"]
        paths = [
            f"/api/record/object/{directory}/manifest.mpd",
            f"/api/record/object/{directory}/v_init.m4s",
            f"/api/record/object/{directory}/a_seg_0001.m4s",
            f"/api/record/object/{directory}/thumbnail.jpg",
            f"/api/playback/cam/{record}.mp4",
        ]
        bodies = {}
        for path in paths:
            for client, status in ((stranger, 403), (owner, 403), (reader, 200)):
                async with client.get(path) as response:
                    assert response.status == status, path
                    bodies[path] = await response.read()
        assert b'type="static"' in bodies[paths[0]]
        assert is_red(first_picture(bodies[paths[3]]))
        with av.open(io.BytesIO(bodies[paths[4]]), "r") as container:
            times = [frame.time for frame in container.decode(video=0)]
        assert len(times) >= 110
        assert max(later - earlier for earlier, later in pairwise(times)) < 0.05
        async with owner.delete(f"/api/recordings/cam/{record}") as response:
            assert response.status == 204
        async with reader.get("/api/playback/cam") as response:
            assert await response.json() == []
        for path in paths:
            async with reader.get(path) as response:
                assert response.status == 404
