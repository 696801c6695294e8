"""Which of the engine's addresses an answer offers, and in which order (RFC 8445 section 5.1.2, RFC 6544 section 4.2).

FFmpeg tries the first candidate only, so the first one must be reachable: what NAT makes of an address before the
address, IPv4 before IPv6, UDP before TCP, and loopback only for a client that is on this machine, or where there is
nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.rtc.candidate import Candidate, host_candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live777py.media.addresses import SocketAddress
    from live777py.media.engine import MediaEngine
    from live777py.media.external import ExternalAddresses


class LocalCandidates:
    """Those of the engine's workers."""

    def __init__(self, engine: MediaEngine, external: ExternalAddresses | None = None) -> None:
        self._engine = engine
        self._external = external

    def of(self, worker: int, *, loopback: bool) -> tuple[Candidate, ...]:
        """`loopback` says that the client came over loopback."""
        return offered_candidates(
            self._seen(worker, self._engine.addresses[worker], tcp=False),
            self._seen(worker, self._engine.tcp_addresses[worker], tcp=True),
            loopback=loopback,
            external_only=self._external is not None and self._external.only,
        )

    def _seen(self, worker: int, sockets: Sequence[SocketAddress], *, tcp: bool) -> list[Seen]:
        if self._external is None:
            return [(socket, ()) for socket in sockets]
        return [(socket, self._external.of(worker, socket, tcp=tcp)) for socket in sockets]


Seen = tuple["SocketAddress", tuple["SocketAddress", ...]]
"""An address of ours, and those by which it is known outside."""


def offered_candidates(
    udp: Sequence[Seen], tcp: Sequence[Seen] = (), *, loopback: bool, external_only: bool = False
) -> tuple[Candidate, ...]:
    """`udp` are the sockets of the session's worker, `tcp` its listeners; `loopback` is as in `LocalCandidates.of`."""
    return host_candidates(
        [(str(socket.ip), socket.port) for socket in _ordered(udp, loopback=loopback, external_only=external_only)],
        [(str(socket.ip), socket.port) for socket in _ordered(tcp, loopback=loopback, external_only=external_only)],
    )


def _ordered(sockets: Sequence[Seen], *, loopback: bool, external_only: bool) -> list[SocketAddress]:
    outside = [address for _, addresses in sockets for address in addresses]
    own = [socket for socket, addresses in sockets if not (external_only and addresses)]
    routed = [socket for socket in own if not socket.ip.is_loopback]
    local = [socket for socket in own if socket.ip.is_loopback]
    for group in (outside, routed, local):
        group.sort(key=lambda socket: socket.ip.version)
    if loopback:
        return list(dict.fromkeys(local + outside + routed))
    beyond = any(not socket.ip.is_loopback for socket, _ in sockets)
    return list(dict.fromkeys(outside + (routed if beyond else local)))
