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
from tests.interop.programs import ffmpeg_publisher, gstreamer_publisher
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
    """The directory of the stream's recording, once it has so many segments of video, and a manifest: the first ones
    may come all at once, when the publisher's clocks are known."""

    async def found() -> str | None:
        sessions: list[dict[str, Any]] = (await gateway.get("/api/recordings?limit=1"))["sessions"]
        if not sessions:
            return None
        place = sessions[0]["mpd_path"].removesuffix("/manifest.mpd")
        there = directory / "storage" / place
        return place if len(list(there.glob("v_seg_*"))) >= count and (there / "manifest.mpd").exists() else None

    return await eventually(found, within=40)


def video(place: Path) -> io.BytesIO:
    names = [*place.glob("v_init.*"), *sorted(place.glob("v_seg_*"))]
    return io.BytesIO(b"".join(name.read_bytes() for name in names))


def pictures(place: Path) -> int:
    with av.open(video(place), "r") as container:
        return sum(1 for _ in container.decode(video=0))


def decoded(place: Path) -> list[int]:
    """The counters of all pictures."""
    with av.open(video(place), "r") as container:
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


async def test_parameter_sets_that_come_on_request_alone(tmp_path: Path, own_network: str) -> None:
    """GStreamer's x265enc with open groups of pictures: a recording that begins late has them too."""
    environment = {"LIVE777_WEBRTC_ICE_UDP_ADDRS": f"{own_network}:0"}
    auto = config(tmp_path, "auto_streams = ['ca*']\n")
    async with (
        running_gateway(tmp_path, config=auto, environment=environment) as gateway,
        gstreamer_publisher(f"{gateway.url}/whip/cam", "h265-open", "opus"),
        aiohttp.ClientSession() as client,
    ):
        first = await segments(gateway, tmp_path, 2)
        async with client.delete(f"{gateway.url}/api/record/cam") as response:
            assert response.status == 200
        async with client.post(f"{gateway.url}/api/record/cam", json={}) as response:
            second = (await response.json())["record_dir"]
        assert second != first

        async def long_enough() -> bool:
            return len(list((tmp_path / "storage" / second).glob("v_seg_*"))) >= 2

        await eventually(long_enough, within=40)
        assert pictures(tmp_path / "storage" / second) > 50


async def test_one_key_frame_a_minute_is_enough(tmp_path: Path) -> None:
    """An encoder that ignores requests for key frames: what was sent before the recording began is in it."""
    options = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "1800")
    picture = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30")
    async with (
        running_gateway(tmp_path, config=config(tmp_path, "auto_streams = ['ca*']\n")) as gateway,
        ffmpeg_publisher(f"{gateway.url}/whip/cam", inputs=picture, options=options),
    ):
        place = await segments(gateway, tmp_path, 2)
        assert pictures(tmp_path / "storage" / place) > 50


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
