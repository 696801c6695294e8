"""The store of a gateway that records goes away, or has no more room: nothing is lost or dropped in silence, and the
stream does not notice."""

from __future__ import annotations

import asyncio
import re
import signal
import urllib.request
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import aiohttp
import pytest

from live777py.storage import ObjectStorage, StoragePath
from live777py.storage.bucket import open_bucket
from tests.gateway import free_port, running_gateway
from tests.recorder import mpd
from tests.recorder.published import Client, camera, of_files
from tests.storage.contract import read
from tests.storage.s3 import SECRET, make_bucket, s3_server, settings
from tests.storage.tcp_proxy import Line
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.gateway import Gateway

MPD = "{urn:mpeg:dash:schema:mpd:2011}"


def _segments(names: Iterable[str]) -> list[str]:
    return [name for name in names if re.search(r"/[av]_seg_\d+\.m4s$", name)]


def _listed(port: int, bucket: str) -> list[str]:
    """Names of the objects that the S3 server holds, asked without the gateway."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{bucket}?list-type=2&max-keys=1000", timeout=10) as answer:
        tree = ET.fromstring(answer.read())  # noqa: S314 (our own server)
    return [key.text or "" for key in tree.iter() if key.tag.endswith("}Key")]


def _promised(manifest: bytes) -> dict[str, int]:
    """Number of segments that a manifest of one period names, by the letter of the track."""
    counts = {}
    for template in ET.fromstring(manifest).iter(f"{MPD}SegmentTemplate"):  # noqa: S314
        letter = template.attrib["media"][0]
        counts[letter] = sum(1 + int(entry.get("r", "0")) for entry in template.iter(f"{MPD}S"))
    return counts


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.timeout(180)
async def test_an_object_store_that_is_away(tmp_path: Path, seconds: int) -> None:
    port = free_port()
    with s3_server() as server, Line(port, server) as line:
        make_bucket(server, "tapes")
        async with (
            running_gateway(tmp_path, config=of_files(tmp_path, _of_bucket(port))) as gateway,
            aiohttp.ClientSession() as session,
            camera(f"{gateway.url}/whip/cam"),
        ):
            client = Client(gateway, session)

            directory = await _recorded(gateway, client)

            async def up() -> bool:
                names = await asyncio.to_thread(_listed, server, "tapes")
                return len(_segments(names)) >= 4 and f"{directory}/manifest.mpd" in names

            await eventually(up)
            line.cut()
            before = set(await asyncio.to_thread(_listed, server, "tapes"))
            began = asyncio.get_running_loop().time()
            served: dict[str, bytes] = {}

            async def serve_meanwhile() -> bool:
                """Every new segment, from the spool, while the store is away."""
                promised = _promised(await client.object(f"{directory}/manifest.mpd"))
                for letter, count in promised.items():
                    for number in range(1, count + 1):
                        name = f"{directory}/{letter}_seg_{number:04}.m4s"
                        if name not in before and name not in served:
                            served[name] = await client.object(name)
                return asyncio.get_running_loop().time() - began > seconds

            await eventually(serve_meanwhile, within=seconds + 30)
            assert len(served) >= seconds
            assert await client.metric("live777_spool_queued_objects") >= len(served)
            assert set(await asyncio.to_thread(_listed, server, "tapes")) == before
            line.mend()
            count = len(served)

            async def goes_on() -> bool:
                return sum(_promised(await client.object(f"{directory}/manifest.mpd")).values()) > count + 4

            await eventually(goes_on)
            await client.stop("cam")

            async def drained() -> bool:
                return await client.metric("live777_spool_queued_objects") == 0

            await eventually(drained, within=30)
            names = await asyncio.to_thread(_listed, server, "tapes")
            stored = ObjectStorage(open_bucket(settings(server, "tapes")), concurrency=4)
            manifest = await read(stored, StoragePath(f"{directory}/manifest.mpd"))
            assert ET.fromstring(manifest).get("type") == "static"  # noqa: S314
            assert {
                f"{directory}/{letter}_seg_{number:04}.m4s"
                for letter, count in _promised(manifest).items()
                for number in range(1, count + 1)
            } == set(_segments(names))
            for name, data in served.items():
                assert await read(stored, StoragePath(name)) == data, name
            await stored.close()
            assert await client.metric("live777_recorder_frames_dropped_total") == 0
            assert await client.metric("live777_spool_upload_failures_total") > 0
            assert not [path for path in (tmp_path / "spool" / "objects").rglob("*") if path.is_file()]


def _of_bucket(port: int, more: str = "") -> str:
    return (
        f"type = 's3'\nbucket = 'tapes'\nregion = 'us-east-1'\nendpoint = 'http://127.0.0.1:{port}'\n"
        f"access_key_id = 'key-id'\nsecret_access_key = '{SECRET}'\n{more}"
    )


async def _recorded(gateway: Gateway, client: Client) -> str:
    """The directory of a recording that runs."""

    async def recording() -> str | None:
        stream = await gateway.stream("cam")
        if stream is None or not any(s["state"] == "connected" for s in stream["publish"]["sessions"]):
            return None
        return str((await client.start("cam"))["record_dir"])

    return await eventually(recording)


@pytest.mark.timeout(120)
async def test_a_gateway_that_is_killed_while_the_store_is_away(tmp_path: Path) -> None:
    """What waits goes up after the restart, the segment in the making and the repaired manifest too."""
    port = free_port()
    with s3_server() as server, Line(port, server) as line:
        make_bucket(server, "tapes")
        config = of_files(tmp_path, _of_bucket(port))
        spool = tmp_path / "spool" / "objects"
        async with aiohttp.ClientSession() as session:
            async with running_gateway(tmp_path, config=config) as gateway, camera(f"{gateway.url}/whip/cam"):
                directory = await _recorded(gateway, Client(gateway, session))

                async def up() -> bool:
                    return len(_segments(await asyncio.to_thread(_listed, server, "tapes"))) >= 2

                await eventually(up)
                line.cut()
                before = set(await asyncio.to_thread(_listed, server, "tapes"))

                async def waiting() -> bool:
                    whole = {file.name for file in (spool / directory).glob("*_seg_*")}
                    in_the_making = {file.name for file in (tmp_path / "spool" / "journal").rglob("*_seg_*")}
                    return len(whole) >= 6 and bool(in_the_making - whole)

                await eventually(waiting)
                gateway.process.send_signal(signal.SIGKILL)
                await gateway.process.wait()
            left = {
                f"{directory}/{file.name}": file.read_bytes()
                for file in (spool / directory).iterdir()
                if file.name.endswith(".m4s")
            }
            assert set(await asyncio.to_thread(_listed, server, "tapes")) == before
            async with running_gateway(tmp_path, config=config) as gateway:
                client = Client(gateway, session)
                # It is still away: what waits is not gone, and can be read.
                assert await client.object(max(left)) == left[max(left)]
                line.mend()
                await gateway.logged("is repaired")

                async def drained() -> bool:
                    return await client.metric("live777_spool_queued_objects") == 0

                await eventually(drained, within=60)
                names = await asyncio.to_thread(_listed, server, "tapes")
                stored = ObjectStorage(open_bucket(settings(server, "tapes")), concurrency=4)
                for name, data in left.items():
                    assert await read(stored, StoragePath(name)) == data, name
                manifest = await read(stored, StoragePath(f"{directory}/manifest.mpd"))
                root, listed = mpd.read(manifest)
                assert root.get("type") == "static"
                assert {f"{directory}/{segment.name}" for segment in listed} == set(_segments(names))
                assert len(_segments(names)) > len(_segments(before | left.keys()))  # the one in the making
                await stored.close()


@pytest.mark.timeout(120)
async def test_a_spool_that_is_full_ends_the_recording(tmp_path: Path) -> None:
    port = free_port()
    with s3_server() as server, Line(port, server) as line:
        make_bucket(server, "tapes")
        config = of_files(tmp_path, _of_bucket(port, "spool_max_bytes = 524288\n"))
        async with (
            running_gateway(tmp_path, config=config) as gateway,
            aiohttp.ClientSession() as session,
            camera(f"{gateway.url}/whip/cam"),
        ):
            client = Client(gateway, session)
            directory = await _recorded(gateway, client)
            line.cut()
            said = await gateway.logged("ended after")
            assert "ERROR" in said
            assert "storage-full" in said
            assert await client.metric('live777_recordings_ended_total{reason="storage-full"}') == 1
            assert await client.metric("live777_spool_refused_objects_total") == 1
            assert await client.metric("live777_recordings") == 0
            stream = await gateway.stream("cam")
            assert stream is not None
            assert [it["state"] for it in stream["publish"]["sessions"]] == ["connected"]
            (row,) = (await gateway.get("/api/recordings"))["sessions"]
            assert (row["status"], row["reason"]) == ("Failed", "storage-full")
            line.mend()

            async def drained() -> bool:
                return await client.metric("live777_spool_queued_objects") == 0

            await eventually(drained, within=60)
            root, listed = mpd.read(await client.object(f"{directory}/manifest.mpd"))
            assert root.get("type") == "static"
            names = await asyncio.to_thread(_listed, server, "tapes")
            assert {f"{directory}/{segment.name}" for segment in listed} == set(_segments(names))
