"""LiveKit's webhook receiver in Go: the module is fetched and built, which takes minutes the first time."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from random import Random

import pytest

from live777py.livekit.room_events import RoomEvent
from live777py.livekit.webhooks import RoomWebhooks, WebhookSettings
from live777py.store import Database
from live777py.streams.bus import Bus
from tests.livekit.test_webhooks import KEY, LIFE, NAMES, SECRET

pytestmark = [
    pytest.mark.interop,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed"),
]

SOURCE = Path(__file__).with_name("go_webhooks")


async def test_the_receiver_of_go_verifies_every_event_in_order(tmp_path: Path) -> None:
    build = await asyncio.create_subprocess_exec("go", "build", "-o", str(tmp_path / "receiver"), ".", cwd=SOURCE)
    assert await build.wait() == 0
    receiver = await asyncio.create_subprocess_exec(
        str(tmp_path / "receiver"), KEY, SECRET, stdout=asyncio.subprocess.PIPE
    )
    assert receiver.stdout is not None
    database = Database(tmp_path / "store.db")
    events = Bus[RoomEvent]()
    try:
        port = int(await receiver.stdout.readline())
        settings = WebhookSettings(urls=(f"http://127.0.0.1:{port}/",), api_key=KEY, secret=SECRET)
        sender = RoomWebhooks(events, settings, database, random=Random(1))
        await sender.start()
        for event in LIFE:
            events.publish(event)
        async with asyncio.timeout(20):
            lines = [(await receiver.stdout.readline()).decode().split() for _ in LIFE]
        await sender.stop()
    finally:
        receiver.kill()
        await receiver.wait()
        await database.close()
    assert [line[0] for line in lines] == NAMES
    assert lines[1:3] == [["participant_joined", "show", "alice"], ["track_published", "show", "alice", "TR_VC1"]]
