"""Janus as a foreign server: published to by Debian's simple-whip-server, played from by janus-whep-server of npm.

What is published goes into a room, and from there by plain RTP to two ports of the test's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp

from tests.gateway import free_port
from tests.interop.programs import running
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NPM: Final = Path(__file__).with_name("npm")
WHIP_SERVER: Final = NPM / "simple-whip-server"
"""Where `scripts/tools.sh interop` unpacks Debian's package, which cannot be installed beside a newer Node.js."""

_ROOM: Final = 1234
_MOUNTPOINT: Final = 1
_MAIN: Final = """\
general: {{
    plugins_folder = "{library}/plugins"
    transports_folder = "{library}/transports"
    events_folder = "{library}/events"
    loggers_folder = "{library}/loggers"
    debug_level = 3
    protected_folders = []
}}
media: {{ rtp_port_range = "20000-21000" }}
plugins: {{ disable = "libjanus_audiobridge.so,libjanus_echotest.so,libjanus_nosip.so,libjanus_recordplay.so,\
libjanus_sip.so,libjanus_textroom.so,libjanus_videocall.so,libjanus_voicemail.so,libjanus_lua.so,libjanus_duktape.so" }}
transports: {{ disable = "libjanus_http.so,libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,\
libjanus_rabbitmq.so" }}
"""
_WEBSOCKETS: Final = 'general: {{ json = "compact" ws = true ws_port = {port} ws_ip = "127.0.0.1" wss = false }}\n'
_VIDEOROOM: Final = """\
general: {{ }}
room-{room}: {{ description = "interop" publishers = 4 videocodec = "{codec}" audiocodec = "opus" fir_freq = 2 }}
"""
_STREAMING: Final = """\
general: {{ }}
mountpoint: {{
    type = "rtp" id = {mountpoint} description = "interop"
    media = (
        {{ type = "audio" mid = "a" port = 0 pt = 111 codec = "opus" }},
        {{ type = "video" mid = "v" port = 0 pt = 96 codec = "vp8" }}
    )
}}
"""
_WHIP_CONFIG: Final = """\
module.exports = {{
    janus: {{ address: "ws://127.0.0.1:{janus}" }}, port: {port}, rest: "/whip",
    allowTrickle: true, strictETags: true, iceServers: [],
}};
"""


class Received(asyncio.DatagramProtocol):
    """Packets of RTP by their payload types."""

    def __init__(self) -> None:
        self.packets: dict[int, int] = {}
        self.payloads: set[bytes] = set()

    def datagram_received(self, data: bytes, _addr: object) -> None:
        payload_type = data[1] & 0x7F
        self.packets[payload_type] = self.packets.get(payload_type, 0) + 1
        # No more than the fixed header and 4 bytes for each CSRC is known of the head: the end is the payload's.
        self.payloads.add(data[-16:])

    @property
    def most(self) -> int:
        """Packets of the most frequent payload type."""
        return max(self.packets.values(), default=0)


@dataclass(frozen=True, kw_only=True)
class Janus:
    """The URLs of one stream, and what came of what was published."""

    whip: str
    whep: str
    audio: Received
    video: Received


def missing() -> str | None:
    """What keeps it from running."""
    if shutil.which("janus") is None:
        return "janus is not installed"
    if not (WHIP_SERVER / "server.js").exists():
        return "simple-whip-server is not unpacked: it is a Debian package"
    if not (NPM / "node_modules" / "janus-whep-server").exists():
        return "janus-whep-server is not installed: npm could not build what it needs"
    return None


@contextlib.asynccontextmanager
async def janus_server(directory: Path, video_codec: str = "vp8") -> AsyncIterator[Janus]:
    """In the network of the caller; libnice needs an address that is not loopback."""
    websocket, whip, whep = (free_port() for _ in range(3))
    program = shutil.which("janus")
    assert program is not None
    config = directory / "janus"
    config.mkdir()
    for name, text in (
        ("janus", _MAIN.format(library=_library())),
        ("janus.transport.websockets", _WEBSOCKETS.format(port=websocket)),
        ("janus.plugin.videoroom", _VIDEOROOM.format(room=_ROOM, codec=video_codec)),
        ("janus.plugin.streaming", _STREAMING.format(mountpoint=_MOUNTPOINT)),
    ):
        (config / f"{name}.jcfg").write_text(text)
    server = directory / "simple-whip-server"
    server.mkdir()
    for source in WHIP_SERVER.glob("*.js"):
        shutil.copy(source, server)
    (server / "config.js").write_text(_WHIP_CONFIG.format(janus=websocket, port=whip))
    node = shutil.which("node")
    assert node is not None
    modules = {**os.environ, "NODE_PATH": str(NPM / "node_modules")}
    async with (
        running(program, "-F", str(config), "-C", str(config / "janus.jcfg")),
        running(node, str(server / "server.js"), environment=modules),
        running(node, str(NPM / "janus-whep.mjs"), f"ws://127.0.0.1:{websocket}", str(whep), str(_MOUNTPOINT)),
        aiohttp.ClientSession() as client,
        _port() as (audio, heard),
        _port() as (video, seen),
    ):
        base = f"http://127.0.0.1:{whip}/whip"
        recipient = {"host": "127.0.0.1", "audioPort": audio, "videoPort": video}
        wanted = {"id": "cam", "room": _ROOM, "recipient": recipient}

        async def created() -> bool:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with client.post(f"{base}/create", json=wanted) as response:
                    return response.status == 200
            return False

        await eventually(created)
        await eventually(lambda: _listens(whep))
        address = f"http://127.0.0.1:{whep}/whep/endpoint/cam"
        yield Janus(whip=f"{base}/endpoint/cam", whep=address, audio=heard, video=seen)


@contextlib.asynccontextmanager
async def _port() -> AsyncIterator[tuple[int, Received]]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Received, local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1], protocol
    finally:
        transport.close()


def _library() -> Path:
    return next(Path("/usr/lib").glob("*/janus"))


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
