"""What a call of LiveKit's API costs: CPU of each, and the longest run of the event loop, with 1,000 in one room.

The gateway is a process of its own; a publisher and 999 viewers that receive nothing are in the room. Calls come one
after the other, half of them from LiveKit's Python SDK (protobuf) and half in JSON; each has its CPU time read from the
scheduler, of all threads of the gateway.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
import msgspec
from google.protobuf.json_format import MessageToJson
from livekit import api

from tests.bench.rig import allow_descriptors
from tests.bench.sessions import browser_offer, connect
from tests.bench.target import Target
from tests.bench.watched import MARK, Blocks
from tests.gateway import running_gateway
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from google.protobuf.message import Message

    from tests.gateway import Gateway
    from tests.light import LightPeer

PARTICIPANTS: Final = 1_000
CALLS: Final = 10_000
ROUND: Final = 500
LISTED_EACH: Final = 100
"""One call in so many lists all participants."""
AT_ONCE: Final = 8
KEEP_ALIVE_SECONDS: Final = 5.0
WARM_UP: Final = 200
CPU_LIMIT_MS: Final = 1.0
BLOCK_LIMIT_MS: Final = 10.0

ROOM: Final = "bench"
KEY: Final = "APIbench"
SECRET: Final = "the secret of the benchmark of calls"
CONFIG: Final = f"""
[livekit.keys]
{KEY} = "{SECRET}"
[store]
path = "{{directory}}/store.db"
"""


@dataclass(frozen=True, kw_only=True)
class Result:
    """Milliseconds. `cpu_ms` is the median of all calls, `by_method` the medians of each."""

    calls: int
    participants: int
    cpu_ms: float
    by_method: dict[str, float]
    block_wall_ms: float
    """The longest callback of the quietest round: neighbours on this machine stop us for longer than any takes."""
    block_cpu_ms: float
    """The longest callback of all rounds."""
    block: str
    """Which that was."""

    @property
    def targets(self) -> tuple[Target, ...]:
        return (
            Target(name="a Twirp call, CPU", value=self.cpu_ms, limit=CPU_LIMIT_MS, unit="ms"),
            Target(name="longest callback, CPU", value=self.block_cpu_ms, limit=BLOCK_LIMIT_MS, unit="ms"),
            Target(name="longest callback, quietest round", value=self.block_wall_ms, limit=BLOCK_LIMIT_MS, unit="ms"),
        )

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    def as_table(self) -> str:
        methods = [f"  {name:<34} {median:6.2f} ms CPU" for name, median in sorted(self.by_method.items())]
        return "\n".join(
            [
                f"{self.calls} calls, {self.participants} participants in the room: {self.cpu_ms:.2f} ms CPU (median)",
                *methods,
                f"Longest callback of the event loop: {self.block_cpu_ms:.1f} ms of CPU ({self.block})",
            ]
        )


def cpu_ms(pid: int) -> float:
    """What all threads of the process have used, to the nanosecond."""
    used = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            used += int((thread / "schedstat").read_text().split()[0])
        except FileNotFoundError:  # a thread that ended
            continue
    return used / 1e6


async def longest_blocks(gateway: Gateway) -> Blocks:
    """Since it was asked last."""
    before = len(gateway.log)
    os.kill(gateway.pid, signal.SIGUSR1)
    line = await gateway.logged(MARK, after=before)
    return msgspec.json.decode(line.removeprefix(MARK), type=Blocks)


async def fill(url: str, client: aiohttp.ClientSession, peers: list[LightPeer]) -> None:
    """Appends to `peers`."""
    peers.append((await connect(client, f"{url}/whip/{ROOM}", browser_offer("chromium-156-whip.sdp")))[0])
    offer = browser_offer("chromium-recvonly.sdp")
    numbers = iter(range(PARTICIPANTS - 1))

    async def some() -> None:
        peers.extend([(await connect(client, f"{url}/whep/{ROOM}", offer))[0] for _ in numbers])

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(some())


async def _keep_alive(peers: Sequence[LightPeer]) -> None:
    while True:
        await asyncio.sleep(KEEP_ALIVE_SECONDS)
        for peer in peers:
            peer.keep_alive()


def usual_calls(
    sdk: api.LiveKitAPI, client: aiohttp.ClientSession, url: str
) -> list[tuple[str, Callable[[], Awaitable[object]]]]:
    """Of every kind, by the SDK and in JSON; none changes who is there."""
    rooms = sdk.room
    one = api.RoomParticipantIdentity(room=ROOM, identity=ROOM)
    metadata = api.UpdateRoomMetadataRequest(room=ROOM, metadata="m")
    update = api.UpdateParticipantRequest(room=ROOM, identity=ROOM, metadata="m")
    mute = api.MuteRoomTrackRequest(room=ROOM, identity=ROOM, track_sid="TR_unknown", muted=True)
    grants = api.VideoGrants(room_admin=True, room_list=True, room_create=True, room=ROOM)
    bearer = api.AccessToken(KEY, SECRET).with_grants(grants).to_jwt()
    in_json = functools.partial(call_in_json, client, url, bearer)
    return [
        ("GetParticipant", lambda: rooms.get_participant(one)),
        ("GetParticipant, JSON", lambda: in_json("GetParticipant", one)),
        ("ListRooms", lambda: rooms.list_rooms(api.ListRoomsRequest())),
        ("ListRooms, JSON", lambda: in_json("ListRooms", api.ListRoomsRequest())),
        ("UpdateRoomMetadata", lambda: rooms.update_room_metadata(metadata)),
        ("UpdateRoomMetadata, JSON", lambda: in_json("UpdateRoomMetadata", metadata)),
        ("UpdateParticipant", lambda: rooms.update_participant(update)),
        ("UpdateParticipant, JSON", lambda: in_json("UpdateParticipant", update)),
        ("MutePublishedTrack", lambda: rooms.mute_published_track(mute)),
        ("MutePublishedTrack, JSON", lambda: in_json("MutePublishedTrack", mute)),
    ]


async def call_in_json(client: aiohttp.ClientSession, url: str, bearer: str, method: str, message: Message) -> bytes:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {bearer}"}
    address = f"{url}/twirp/livekit.RoomService/{method}"
    async with client.post(address, data=MessageToJson(message), headers=headers) as response:
        response.raise_for_status()
        return await response.read()


async def measure() -> Result:
    """Takes about a minute."""
    allow_descriptors(PARTICIPANTS + 1000)
    peers: list[LightPeer] = []
    with tempfile.TemporaryDirectory() as directory:
        config = CONFIG.format(directory=directory)
        async with (
            running_gateway(Path(directory), config=config, module="tests.bench.watched") as gateway,
            aiohttp.ClientSession() as client,
            api.LiveKitAPI(gateway.url, KEY, SECRET, session=client) as sdk,
        ):
            keeper = asyncio.create_task(_keep_alive(peers))
            try:
                await fill(gateway.url, client, peers)
                return await _call(gateway, sdk, client)
            finally:
                keeper.cancel()
                await asyncio.gather(keeper, return_exceptions=True)
                for peer in peers:
                    peer.close()


async def _call(gateway: Gateway, sdk: api.LiveKitAPI, client: aiohttp.ClientSession) -> Result:
    everybody = api.ListParticipantsRequest(room=ROOM)

    async def all_there() -> bool:
        return len((await sdk.room.list_participants(everybody)).participants) == PARTICIPANTS

    await eventually(all_there)
    bearer = api.AccessToken(KEY, SECRET).with_grants(api.VideoGrants(room_admin=True, room=ROOM)).to_jwt()
    usual = usual_calls(sdk, client, gateway.url)
    listing: list[tuple[str, Callable[[], Awaitable[object]]]] = [
        ("ListParticipants", lambda: sdk.room.list_participants(everybody)),
        (
            "ListParticipants, JSON",
            lambda: call_in_json(client, gateway.url, bearer, "ListParticipants", everybody),
        ),
    ]
    for number in range(WARM_UP):
        await usual[number % len(usual)][1]()
    for _, call in listing:
        await call()
    await longest_blocks(gateway)

    rounds = []
    used: dict[str, list[float]] = {}
    for number in range(CALLS):
        listed, which = divmod(number, LISTED_EACH)
        name, call = listing[listed % 2] if which == 0 else usual[number % len(usual)]
        before = cpu_ms(gateway.pid)
        await call()
        used.setdefault(name, []).append(cpu_ms(gateway.pid) - before)
        if (number + 1) % ROUND == 0:
            rounds.append(await longest_blocks(gateway))
    longest = max(rounds, key=lambda blocks: blocks.cpu_ms)
    return Result(
        calls=CALLS,
        participants=PARTICIPANTS,
        cpu_ms=statistics.median([each for times in used.values() for each in times]),
        by_method={name: statistics.median(times) for name, times in used.items()},
        block_wall_ms=min(blocks.wall_ms for blocks in rounds),
        block_cpu_ms=longest.cpu_ms,
        block=longest.callback,
    )
