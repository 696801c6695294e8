"""The disk of a gateway that records fills up: the recording ends and says so, the stream and its viewers go on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.gateway import running_gateway
from tests.hooks.test_webhooks import Listener
from tests.interop.peers import counter_of, playing, publishing
from tests.recorder import mpd
from tests.recorder.published import Client, of_files
from tests.storage.small_disk import may_mount, small_disk
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not may_mount(), reason="CAP_SYS_ADMIN is needed to mount a small disk")


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener()
    await listener.start()
    yield listener
    await listener.stop()


@pytest.mark.timeout(120)
async def test_a_disk_that_fills(tmp_path: Path, listener: Listener) -> None:
    events = "['recording_started', 'segment', 'recording_ended']"
    hook = f"[[webhooks]]\nurl = '{listener.url()}'\nsecret = 'key'\nevents = {events}\n"
    program = tmp_path / "ended"
    script = tmp_path / "hook.sh"
    script.write_text(f'#!/bin/sh\necho "$LIVE777_EVENT $LIVE777_STREAM $LIVE777_REASON" >> {program}\n')
    script.chmod(0o755)
    with small_disk(tmp_path / "disk") as disk:
        (disk / "others").write_bytes(bytes(750_000))
        config = hook + f"[hooks]\non_recording_ended = ['{script}']\n" + of_files(tmp_path, f"root = '{disk}'\n")
        async with (
            running_gateway(tmp_path, config=config) as gateway,
            aiohttp.ClientSession() as session,
            publishing(f"{gateway.url}/whip/cam", codec="VP8"),
        ):
            client = Client(gateway, session)
            async with playing(f"{gateway.url}/whep/cam") as viewed:
                await viewed.frames(10)
                seen = len(viewed.images)
                directory = (await client.start("cam"))["record_dir"]

                async def told() -> bool:
                    return any(post["event"] == "recording_ended" for post in listener.accepted)

                await eventually(told, within=40)
                started, *segments, ended = listener.accepted
                assert (started["event"], started["path"]) == ("recording_started", directory)
                assert segments
                assert {post["event"] for post in segments} == {"segment"}
                assert all(post["path"].startswith(f"{directory}/") for post in segments)
                assert (ended["event"], ended["reason"]) == ("recording_ended", "storage-full")
                assert (ended["stream"], ended["path"]) == ("cam", directory)
                await viewed.frames(60)
                counters = [counter_of(image) for image in viewed.images[seen:]]
                assert len(counters) > 100
                assert counters == list(range(counters[0], counters[0] + len(counters)))
            assert json.loads(await client.get("/api/record/cam")) == {"recording": False}
            assert await client.metric('live777_recordings_ended_total{reason="storage-full"}') == 1
            (entry,) = json.loads(await client.get("/api/playback/cam"))
            assert entry["status"] == "Failed"
            said = await gateway.logged("storage-full")
            assert "ERROR" in said
            assert str(disk) not in said

            async def hooked() -> bool:
                return program.exists() and program.read_text() == "recording_ended cam storage-full\n"

            await eventually(hooked)
            # What was recorded until then is whole, although there is no byte left for it.
            root, listed = mpd.read(await client.object(f"{directory}/manifest.mpd"))
            assert root.get("type") == "static"
            assert {f"{directory}/{segment.name}" for segment in listed} == {post["path"] for post in segments}
            for segment in listed:
                assert await client.object(f"{directory}/{segment.name}")
            assert not list((disk / ".partial-journal").iterdir())
