"""ICE candidates as SDP writes them (RFC 8839 section 5.1, TCP ones by RFC 6544); no I/O, no name is resolved."""

from __future__ import annotations

import ipaddress
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from live777py import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_PORT = 65535
_MAX_PRIORITY = 2**32 - 1
_UDP_HOST_TYPE_PREFERENCE = 126
_TCP_HOST_TYPE_PREFERENCE = 90
_TCP_PASSIVE_PREFERENCE = 4  # RFC 6544 section 4.2
_REFLEXIVE_TYPE_PREFERENCE = 100

_FOUNDATION = re.compile(r"[A-Za-z0-9+/]{1,32}")
_WORD = re.compile(r"[!-~]{1,256}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One transport address of a peer.

    `address` is an IP literal, or a name where the peer hides behind mDNS (RFC 9150 section 3.1) or a FQDN.
    `attributes` are the extension attributes in their order, `tcptype` and `generation` among them.
    """

    foundation: str
    component: int
    transport: str
    priority: int
    address: str
    port: int
    type: str
    related_address: str | None = None
    related_port: int | None = None
    attributes: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Candidate:
        """Reads `candidate:...`, with or without a leading `a=` or prefix. Raises `errors.BadRequest`."""
        words = text.removeprefix("a=").removeprefix("candidate:").split(" ")
        if len(words) < 8 or words[6].lower() != "typ" or not all(_WORD.fullmatch(word) for word in words):
            raise errors.BadRequest("malformed ICE candidate")
        foundation, component, transport, priority, address, port, _, kind, *rest = words
        if not _FOUNDATION.fullmatch(foundation):
            raise errors.BadRequest("malformed ICE candidate: foundation")
        related_address: str | None = None
        related_port: int | None = None
        attributes: list[tuple[str, str]] = []
        for name, value in zip(rest[::2], rest[1::2], strict=False):
            if name == "raddr" and related_address is None:
                related_address = value
            elif name == "rport" and related_port is None:
                related_port = _number(value, _MAX_PORT)
            else:
                attributes.append((name, value))
        return cls(
            foundation=foundation,
            component=_number(component, 256),
            transport=transport.lower(),
            priority=_number(priority, _MAX_PRIORITY),
            address=address,
            port=_number(port, _MAX_PORT),
            type=kind.lower(),
            related_address=related_address,
            related_port=related_port,
            attributes=tuple(attributes),
        )

    def __str__(self) -> str:
        endpoint = f"{self.address} {self.port} typ {self.type}"
        words = [f"candidate:{self.foundation} {self.component} {self.transport} {self.priority} {endpoint}"]
        if self.related_address is not None:
            words.append(f"raddr {self.related_address}")
        if self.related_port is not None:
            words.append(f"rport {self.related_port}")
        words.extend(f"{name} {value}" for name, value in self.attributes)
        return " ".join(words)

    @property
    def ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The address as a number (an IPv6 zone id is local to the peer and dropped), None for a name."""
        try:
            return ipaddress.ip_address(self.address.partition("%")[0])
        except ValueError:
            return None

    @property
    def usable(self) -> bool:
        """Whether a UDP socket of ours could ever send to it: RTP component, UDP, unicast IP literal, real port."""
        ip = self.ip
        return (
            ip is not None
            and self.component == 1
            and self.transport == "udp"
            and self.port != 0
            and not (ip.is_unspecified or ip.is_multicast or ip == ipaddress.IPv4Address(_MAX_PRIORITY))
        )


def host_candidates(udp: Sequence[tuple[str, int]], tcp: Sequence[tuple[str, int]] = ()) -> tuple[Candidate, ...]:
    """Host candidates of ours for `(ip, port)` in order of preference (RFC 8445 section 5.1.2.1).

    Those of TCP come last; they are passive, which means that the peer connects (RFC 6544 section 4.5).
    """
    over_udp = (
        Candidate(
            foundation=str(index + 1),
            component=1,
            transport="udp",
            priority=_UDP_HOST_TYPE_PREFERENCE << 24 | (_MAX_PORT - index) << 8 | 255,
            address=address,
            port=port,
            type="host",
        )
        for index, (address, port) in enumerate(udp)
    )
    over_tcp = (
        Candidate(
            foundation=str(len(udp) + index + 1),
            component=1,
            transport="tcp",
            priority=_TCP_HOST_TYPE_PREFERENCE << 24 | (_TCP_PASSIVE_PREFERENCE << 13 | 0x1FFF - index) << 8 | 255,
            address=address,
            port=port,
            type="host",
            attributes=(("tcptype", "passive"),),
        )
        for index, (address, port) in enumerate(tcp)
    )
    return (*over_udp, *over_tcp)


def reflexive_candidate(address: tuple[str, int], base: tuple[str, int]) -> Candidate:
    """The `(ip, port)` that a STUN server has seen of the socket `base` (RFC 8445 section 5.1.1.2)."""
    return Candidate(
        foundation=f"r{zlib.crc32(base[0].encode()):x}",
        component=1,
        transport="udp",
        priority=_REFLEXIVE_TYPE_PREFERENCE << 24 | _MAX_PORT << 8 | 255,
        address=address[0],
        port=address[1],
        type="srflx",
        related_address=base[0],
        related_port=base[1],
    )


def _number(text: str, maximum: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10) or int(text) > maximum:
        raise errors.BadRequest("malformed ICE candidate: number")
    return int(text)
