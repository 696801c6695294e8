"""Which of the engine's addresses an answer offers, and in which order (RFC 8445 section 5.1.2).

FFmpeg tries the first candidate only, so the first one must be reachable: IPv4 before IPv6, and loopback only for a
client that is on this machine, or where there is nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.rtc.candidate import Candidate, host_candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live777py.media.addresses import SocketAddress


def offered_candidates(sockets: Sequence[SocketAddress], *, loopback: bool) -> tuple[Candidate, ...]:
    """`sockets` are those of the session's worker; `loopback` says that the client came over loopback."""
    routed = [socket for socket in sockets if not socket.ip.is_loopback]
    local = [socket for socket in sockets if socket.ip.is_loopback]
    for group in (routed, local):
        group.sort(key=lambda socket: socket.ip.version)
    offered = local + routed if loopback else routed or local
    return host_candidates([(str(socket.ip), socket.port) for socket in offered])
