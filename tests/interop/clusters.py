"""Nodes that share a Redis server, each a gateway process; viewers that count frames."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection
from livekit import api

from tests.gateway import Gateway, running_gateway
from tests.interop.nodes import CAMERA, OBS
from tests.interop.peers import negotiate
from tests.interop.programs import ffmpeg_publisher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiortc
    from aiortc.rtp import RtpPacket
    from livekit.protocol.models import ParticipantInfo, Room

    from tests.redis_server import RedisServer

KEY, SECRET = "devkey", "secret"
HEARTBEAT_MS = 200
"""For tests that do not wait for the default figures."""


@dataclass
class Node:
    """A gateway, and LiveKit's SDK at its door."""

    name: str
    gateway: Gateway
    api: api.LiveKitAPI

    @property
    def url(self) -> str:
        return self.gateway.url

    async def rooms(self) -> list[Room]:
        return list((await self.api.room.list_rooms(api.ListRoomsRequest())).rooms)

    async def participants(self, room: str) -> dict[str, ParticipantInfo]:
        answer = await self.api.room.list_participants(api.ListParticipantsRequest(room=room))
        return {info.identity: info for info in answer.participants}

    async def stream(self, name: str) -> dict[str, Any] | None:
        return await self.gateway.stream(name)

    async def ask(self, method: str, path: str, **options: Any) -> int:
        async with (
            aiohttp.ClientSession() as client,
            client.request(method, self.url + path, allow_redirects=False, **options) as response,
        ):
            await response.read()
            return response.status


@contextlib.asynccontextmanager
async def node(
    directory: Path, redis: RedisServer, name: str, *, heartbeat_ms: int = HEARTBEAT_MS, config: str = ""
) -> AsyncIterator[Node]:
    settings = (
        f'[livekit]\ndev = true\n[store]\npath = "{directory}/{name}.db"\n'
        f'[cluster]\nredis_url = "{redis.url}"\nnode_id = "{name}"\nheartbeat_ms = {heartbeat_ms}\n'
    )
    async with (
        running_gateway(directory, config=settings + config) as gateway,
        api.LiveKitAPI(gateway.url, KEY, SECRET) as client,
    ):
        yield Node(name, gateway, client)


@contextlib.asynccontextmanager
async def camera(at: Node, stream: str, *, goodbye: bool = False) -> AsyncIterator[None]:
    """Publishes H264 and Opus by WHIP. FFmpeg takes long to say goodbye to a gateway that has forgotten it."""
    async with ffmpeg_publisher(f"{at.url}/whip/{stream}", inputs=CAMERA, options=OBS) as process:
        yield
        if not goodbye and process.returncode is None:
            process.kill()


class Counted:
    """Video frames, by their RTP timestamps, as they come."""

    def __init__(self) -> None:
        self.frames: list[float] = []
        """When each came, in seconds of `time.monotonic`."""
        self._stamps: set[int] = set()
        self._more = asyncio.Condition()

    async def note(self, packet: RtpPacket) -> None:
        if packet.timestamp not in self._stamps:
            self._stamps.add(packet.timestamp)
            self.frames.append(time.monotonic())
            async with self._more:
                self._more.notify_all()

    async def more(self, count: int, *, within: float = 20.0) -> None:
        wanted = len(self.frames) + count
        async with self._more, asyncio.timeout(within):
            await self._more.wait_for(lambda: len(self.frames) >= wanted)

    def between(self, start: float, end: float) -> int:
        return sum(start <= at < end for at in self.frames)


@contextlib.asynccontextmanager
async def counting(url: str, *, bearer: str = "") -> AsyncIterator[Counted]:
    """Plays a WHEP address, and decodes nothing."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    counted = Counted()
    transceiver = connection.addTransceiver("video", direction="recvonly")
    _count_instead_of_decoding(transceiver.receiver, counted)
    await negotiate(connection, url, bearer=bearer)
    try:
        yield counted
    finally:
        await connection.close()


def _count_instead_of_decoding(receiver: aiortc.RTCRtpReceiver, counted: Counted) -> None:
    async def note(packet: RtpPacket, arrival_time_ms: int) -> None:
        await counted.note(packet)

    vars(receiver)["_handle_rtp_packet"] = note
