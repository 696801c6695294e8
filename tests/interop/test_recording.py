"""Publishers that exist, recorded by a gateway of its own process, and read back picture by picture."""

from __future__ import annotations

import io
import signal
from typing import TYPE_CHECKING, Any

import aiohttp
import av
import pytest

from tests.gateway import Gateway, running_gateway
from tests.interop.peers import counter_of, publishing
from tests.interop.programs import ffmpeg_publisher
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path


def config(directory: Path, more: str = "") -> str:
    return (
        f"[store]\npath = '{directory}/store.db'\n"
        f"[recorder]\nsegment_seconds = 2\nindex_path = '{directory}/index.json'\n{more}"
        f"[recorder.storage]\nroot = '{directory}/storage'\n"
    )


async def segments(gateway: Gateway, directory: Path, count: int) -> str:
    """The directory of the stream's recording, once it has so many segments of video."""

    async def found() -> str | None:
        sessions: list[dict[str, Any]] = (await gateway.get("/api/recordings?limit=1"))["sessions"]
        if not sessions:
            return None
        place = sessions[0]["mpd_path"].removesuffix("/manifest.mpd")
        there = list((directory / "storage" / place).glob("v_seg_*"))
        return place if len(there) >= count else None

    return await eventually(found, within=40)


def decoded(place: Path) -> list[int]:
    """The counters of all pictures."""
    names = [*place.glob("v_init.*"), *sorted(place.glob("v_seg_*"))]
    with av.open(io.BytesIO(b"".join(name.read_bytes() for name in names)), "r") as container:
        return [counter_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_every_picture_of_a_publisher_is_recorded(codec: str, tmp_path: Path) -> None:
    async with running_gateway(tmp_path, config=config(tmp_path)) as gateway, aiohttp.ClientSession() as client:
        async with publishing(f"{gateway.url}/whip/cam", codec=codec):

            async def started() -> dict[str, Any] | None:
                async with client.post(f"{gateway.url}/api/record/cam", json={}) as response:
                    return await response.json() if response.status == 200 else None

            view = await eventually(started)
            await segments(gateway, tmp_path, 2)
            async with client.delete(f"{gateway.url}/api/record/cam") as response:
                assert response.status == 200
        numbers = decoded(tmp_path / "storage" / view["record_dir"])
        assert len(numbers) > 100
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_what_a_killed_process_has_recorded_plays(tmp_path: Path) -> None:
    auto = config(tmp_path, "auto_streams = ['ca*']\n")
    async with running_gateway(tmp_path, config=auto) as gateway, ffmpeg_publisher(f"{gateway.url}/whip/cam"):
        place = await segments(gateway, tmp_path, 2)
        gateway.process.send_signal(signal.SIGKILL)
        await gateway.process.wait()
    manifest = tmp_path / "storage" / place / "manifest.mpd"
    assert 'type="dynamic"' in manifest.read_text()
    async with running_gateway(tmp_path, config=auto) as gateway:
        await gateway.logged("is repaired")
        (row,) = (await gateway.get("/api/recordings?limit=5"))["sessions"]
        assert (row["status"], row["reason"]) == ("Completed", "interrupted")
        assert row["duration_ms"] >= 3900
    assert 'type="static"' in manifest.read_text()
