"""What a WHEP session costs the gateway: CPU and wall time from POST to connected, memory while it lives.

The gateway is a process of its own; its CPU time is read from the system, so the client's share is not in it. The
publisher is connected and sends nothing: forwarding is measured elsewhere.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import aiohttp
import aioice.ice
import psutil
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack

from tests.gateway import running_gateway

if TYPE_CHECKING:
    from av import VideoFrame

WARM_UP = 10
SESSIONS = 200


class Silence(VideoStreamTrack):
    """A video track that never has a frame."""

    async def recv(self) -> VideoFrame:
        frame: asyncio.Future[VideoFrame] = asyncio.get_running_loop().create_future()
        return await frame


async def _open(client: aiohttp.ClientSession, connection: RTCPeerConnection, url: str) -> float:
    """Seconds from POST to connected."""
    await connection.setLocalDescription(await connection.createOffer())
    connected = asyncio.Event()

    @connection.on("connectionstatechange")
    def changed() -> None:
        if connection.connectionState == "connected":
            connected.set()

    began = time.perf_counter()
    headers = {"Content-Type": "application/sdp"}
    async with client.post(url, data=connection.localDescription.sdp, headers=headers) as response:
        answer = await response.text()
        response.raise_for_status()
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await asyncio.wait_for(connected.wait(), 20)
    return time.perf_counter() - began


def _peer() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def _viewer(client: aiohttp.ClientSession, url: str) -> tuple[RTCPeerConnection, float]:
    connection = _peer()
    connection.addTransceiver("audio", direction="recvonly")
    connection.addTransceiver("video", direction="recvonly")
    return connection, await _open(client, connection, url)


async def measure(sessions: int = SESSIONS) -> dict[str, float]:
    """`cpu_ms` and `wall_ms` (median) a session, `memory_kb` a viewer."""
    with tempfile.TemporaryDirectory() as directory, patch.object(aioice.ice, "get_host_addresses", _loopback):
        async with running_gateway(Path(directory)) as gateway, aiohttp.ClientSession() as client:
            process = psutil.Process(gateway.pid)
            publisher = _peer()
            publisher.addTransceiver(Silence(), direction="sendonly")
            await _open(client, publisher, f"{gateway.url}/whip/bench")
            url = f"{gateway.url}/whep/bench"
            peers = [(await _viewer(client, url))[0] for _ in range(WARM_UP)]

            memory, cpu = process.memory_info().rss, process.cpu_times()
            walls = []
            for _ in range(sessions):
                peer, wall = await _viewer(client, url)
                peers.append(peer)
                walls.append(wall)
            used = process.cpu_times()
            seconds = used.user + used.system - cpu.user - cpu.system
            result = {
                "sessions": float(sessions),
                "cpu_ms": seconds * 1000 / sessions,
                "wall_ms": statistics.median(walls) * 1000,
                "memory_kb": (process.memory_info().rss - memory) / sessions / 1000,
            }
            await asyncio.gather(*(peer.close() for peer in [publisher, *peers]))
            return result


def _loopback(*_: object) -> list[str]:
    return ["127.0.0.1"]
