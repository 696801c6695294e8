"""What the rows of several specifications have in common."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from live777py.http.keys import STREAMS
from live777py.media.engine import CommandError
from live777py.streams.manager import StreamManager

if TYPE_CHECKING:
    from tests.conformance.checklist import Ground
    from tests.conformance.conftest import Gateway

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
UFRAG = "a=ice-ufrag:remote\r\na=ice-pwd:" + "p" * 24 + "\r\n"
"""Those of `tests.fakes.remote`."""
MEDIA = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
UDP = "a=candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host\r\n"
FRAGMENTS = {
    "session level": UFRAG + MEDIA + "a=mid:0\r\n" + UDP,
    "with end": UFRAG + MEDIA + "a=mid:0\r\n" + UDP + "a=end-of-candidates\r\n",
    "media level": MEDIA + "a=mid:0\r\n" + UFRAG + UDP,
    "end only": UFRAG + MEDIA + "a=mid:0\r\na=end-of-candidates\r\n",
    "end alone": UFRAG + "a=end-of-candidates\r\n",
}
"""RFC 8840 section 4.4, in the forms that clients send."""
UNREACHABLE = {
    "mDNS": "a=candidate:1 1 udp 1 0f5e4d1e-0000.local 50000 typ host\r\n",
    "TCP": "a=candidate:1 1 tcp 1 127.0.0.1 9 typ host tcptype active\r\n",
    "name": "a=candidate:1 1 udp 1 turn.example.org 50000 typ relay\r\n",
    "IPv6": "a=candidate:1 1 udp 1 2001:db8::1 50000 typ host\r\n",
    "RTCP": "a=candidate:1 2 udp 1 127.0.0.1 50001 typ host\r\n",
    "empty": "a=candidate:\r\n",
}
ICE_SERVERS = """
[[ice_servers]]
urls = ["stun:stun.example.org:3478"]
[[ice_servers]]
urls = ["turn:turn.example.org?transport=udp", "turns:turn.example.org"]
username = "u"
credential = "c"
"""
ICE_LINKS = [
    '<stun:stun.example.org:3478>; rel="ice-server"',
    (
        '<turn:turn.example.org?transport=udp>; rel="ice-server"; username="u"; credential="c"; '
        'credential-type="password"'
    ),
    '<turns:turn.example.org>; rel="ice-server"; username="u"; credential="c"; credential-type="password"',
]


def fill_engine(ground: Ground, gateway: Gateway) -> None:
    """It takes no more transports."""

    def full(*_arguments: Any, **_options: Any) -> asyncio.Future[None]:
        refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        refused.set_exception(CommandError("limit_reached", "a limit of the engine is reached"))
        return refused

    streams = gateway.app[STREAMS]
    assert isinstance(streams, StreamManager)
    ground.monkeypatch.setattr(streams._engine, "open_transport", full)
