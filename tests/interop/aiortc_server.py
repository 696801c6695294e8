"""aiortc as a foreign WHIP and WHEP server: full ICE, either DTLS role, whole frames in and out."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from aiohttp import web
from aiohttp.test_utils import TestServer
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

from tests.interop.peers import Picture, Tone, Viewed, consume

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Setup = Literal["active", "passive"]


@dataclass
class AiortcServer:
    """`url` + "whep" plays the picture and the tone of `peers`; what is published at `url` + "whip" is in `viewed`.

    `setup` is what its answers say. `deleted` counts the sessions that their client ended.
    """

    setup: Setup = "active"
    codec: str = "VP8"
    url: str = ""
    viewed: Viewed | None = None
    deleted: int = 0
    published: asyncio.Event = field(default_factory=asyncio.Event)
    _connections: dict[str, RTCPeerConnection] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def post(self, request: web.Request) -> web.Response:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        name = str(len(self._connections))
        self._connections[name] = connection
        if request.path == "/whip":
            viewed = self.viewed = Viewed(connection)
            connection.on("track", lambda track: self._tasks.append(asyncio.create_task(consume(track, viewed))))
        await connection.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        if request.path == "/whep":
            self._send(connection)
        # Its answer to actpass is active unless its transports have made up their mind before.
        for transceiver in connection.getTransceivers():
            transceiver.receiver.transport._set_role("client" if self.setup == "active" else "server")
        if connection.sctp is not None:
            connection.sctp.transport._set_role("client" if self.setup == "active" else "server")
        await connection.setLocalDescription(await connection.createAnswer())
        self.published.set()
        return web.Response(
            status=201,
            text=connection.localDescription.sdp,
            content_type="application/sdp",
            headers={"Location": f"session/{name}"},
        )

    async def delete(self, request: web.Request) -> web.Response:
        connection = self._connections.get(request.match_info["name"])
        if connection is None:
            return web.Response(status=404)
        self.deleted += 1
        await connection.close()
        return web.Response()

    async def close(self) -> None:
        for connection in self._connections.values():
            await connection.close()
        await asyncio.gather(*self._tasks)

    def _send(self, connection: RTCPeerConnection) -> None:
        capable = RTCRtpSender.getCapabilities("video").codecs
        wanted = {f"video/{self.codec}".lower(), "video/rtx"}
        for transceiver in connection.getTransceivers():
            if transceiver.kind == "video":
                transceiver.setCodecPreferences([codec for codec in capable if codec.mimeType.lower() in wanted])
            transceiver.sender.replaceTrack(Picture() if transceiver.kind == "video" else Tone())
            transceiver.direction = "sendonly"


@contextlib.asynccontextmanager
async def aiortc_server(server: AiortcServer) -> AsyncIterator[AiortcServer]:
    """Needs the fixture `loopback_candidates`."""
    app = web.Application()
    app.router.add_post("/whip", server.post)
    app.router.add_post("/whep", server.post)
    app.router.add_delete("/session/{name}", server.delete)
    async with TestServer(app, host="127.0.0.1") as listening:
        server.url = str(listening.make_url("/"))
        try:
            yield server
        finally:
            await server.close()
