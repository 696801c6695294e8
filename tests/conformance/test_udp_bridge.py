"""Case 10 of Live777's own: data channels and UDP on a stream of the configuration."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from live777py.app import build_app
from live777py.config import parse
from live777py.errors import StartError
from tests.gateway import free_port
from tests.streams.test_udp_bridge import other_end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.conformance.conftest import Gateway

PAYLOADS = [b"x", bytes(range(256)), os.urandom(1500), os.urandom(60_000)]


@pytest.mark.live777_case(10)
@pytest.mark.usefixtures("loopback_candidates")
async def test_udp_to_a_viewer_and_back_byte_for_byte(start: Callable[[str], Awaitable[Gateway]]) -> None:
    port = free_port()
    with other_end() as program:
        target = f"127.0.0.1:{program.getsockname()[1]}"
        gateway = await start(f'[stream.rov.channel]\nlisten = "127.0.0.1:{port}"\ntarget = "{target}"\n')
        viewer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            viewer.addTransceiver("video", direction="recvonly")
            channel = viewer.createDataChannel("control")
            heard: asyncio.Queue[str | bytes] = asyncio.Queue()
            is_open = asyncio.Event()
            channel.on("message", heard.put_nowait)
            channel.on("open", is_open.set)
            await viewer.setLocalDescription(await viewer.createOffer())
            response = await gateway.post("/whep/rov", viewer.localDescription.sdp)
            assert response.status == 201
            await viewer.setRemoteDescription(RTCSessionDescription(await response.text(), "answer"))
            async with asyncio.timeout(20):
                await is_open.wait()
                began = time.monotonic()
                for payload in PAYLOADS:
                    program.sendto(payload, ("127.0.0.1", port))
                    assert await heard.get() == payload
                    channel.send(payload)
                    assert await asyncio.to_thread(program.recv, 65_535) == payload
                channel.send("text is sent as UTF-8: \u00e9")
                assert await asyncio.to_thread(program.recv, 65_535) == "text is sent as UTF-8: \u00e9".encode()
            assert time.monotonic() - began < 2
            stream = await gateway.json("/api/streams/rov")
            assert stream["publish"]["sessions"] == []
            assert stream["subscribe"]["sessions"][0]["hasDataChannel"] is True
        finally:
            await viewer.close()


async def test_a_port_in_use_ends_the_start_with_its_name() -> None:
    with other_end() as taken:
        port = taken.getsockname()[1]
        config = f'[stream.rov.channel]\nlisten = "127.0.0.1:{port}"\ntarget = "127.0.0.1:9"\n'
        runner = web.AppRunner(build_app(parse(f'[webrtc]\nice_udp_addrs = ["127.0.0.1:0"]\n{config}', {})))
        with pytest.raises(StartError, match=f"cannot listen on UDP 127.0.0.1:{port}: Address already in use"):
            await runner.setup()
        await runner.cleanup()
