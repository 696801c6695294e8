"""LiveKit's webhook receiver and clients in Go: the module is fetched and built, which takes minutes the first time."""

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
from tests.conformance import livekit_server as conformance
from tests.gateway import running_gateway
from tests.livekit.test_webhooks import KEY, LIFE, NAMES, SECRET

pytestmark = [
    pytest.mark.interop,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed"),
]

SOURCE = Path(__file__).with_name("go")
ANSWERS = """
CreateRoom go made by Go 60
ListRooms 1
UpdateRoomMetadata again
ListParticipants 1
GetParticipant alice ACTIVE 2
UpdateParticipant Alice b
MutePublishedTrack true
MutePublishedTrack refused: failed_precondition remote unmute not enabled
SendData
UpdateSubscriptions
ForwardParticipant
MoveParticipant refused: failed_precondition room go has a participant alice
CreateDispatch scribe
ListDispatch 1
DeleteDispatch
RemoveParticipant
GetParticipant refused: not_found participant does not exist
DeleteRoom
DeleteRoom refused: not_found requested room does not exist
ListEgress refused: unimplemented Egress.ListEgress is not built in this version
ListIngress refused: unimplemented Ingress.ListIngress is not built in this version
ListRooms refused: unauthenticated invalid authorization token: the signature is wrong
ListRooms refused: unauthenticated permissions denied
""".strip().splitlines()


async def built(directory: Path, name: str) -> Path:
    program = directory / name
    build = await asyncio.create_subprocess_exec("go", "build", "-o", str(program), f"./{name}", cwd=SOURCE)
    assert await build.wait() == 0
    return program


@pytest.mark.livekit_case(27)
async def test_the_clients_of_go(tmp_path: Path) -> None:
    """Those that its SDK is made of, with its tokens."""
    program = await built(tmp_path, "calls")
    config = f'[store]\npath = "{tmp_path}/store.db"\n{conformance.KEYS}'
    async with (
        running_gateway(tmp_path, config=config) as gateway,
        conformance.livekit_server(gateway.url) as server,
    ):
        await server.join("show", "alice")
        await server.publisher("show", "alice")
        calls = await asyncio.create_subprocess_exec(
            program, gateway.url, conformance.KEY, conformance.SECRET, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await calls.communicate()
    assert calls.returncode == 0
    assert said.decode().splitlines() == ANSWERS


async def test_the_receiver_of_go_verifies_every_event_in_order(tmp_path: Path) -> None:
    program = await built(tmp_path, "receiver")
    receiver = await asyncio.create_subprocess_exec(program, KEY, SECRET, stdout=asyncio.subprocess.PIPE)
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
