"""Which addresses the engine binds: the entries of `webrtc.ice_udp_addrs` and `ice_tcp_addrs` against what this machine
has."""

from __future__ import annotations

import array
import contextlib
import fcntl
import logging
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from live777py.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DEFAULT_PORT: Final = 7777
DEFAULT_TCP_PORT: Final = 7778

_logger = logging.getLogger(__name__)

_SIOCGIFCONF: Final = 0x8912
_MAX_INTERFACES: Final = 256
_IFREQ: Final = struct.Struct("16s2x2x4s" + ("16x" if struct.calcsize("P") == 8 else "8x"))  # name, sockaddr_in
_IFCONF: Final = struct.Struct("iP")

_IF_INET6: Final = Path("/proc/net/if_inet6")
_UNUSABLE_IPV6: Final = 0x08 | 0x20 | 0x40  # IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE

# Documentation addresses (RFC 5737, RFC 3849). Connecting a UDP socket sends nothing; it asks for the route.
_PROBES: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET, "198.51.100.1"), (socket.AF_INET6, "2001:db8::1"))

IpAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, order=True)
class SocketAddress:
    ip: IpAddress
    port: int

    @classmethod
    def parse(cls, text: str) -> SocketAddress:
        """`1.2.3.4:5` or `[2001:db8::1]:5`. Raises `ValueError`."""
        host, separator, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if not separator or bracketed != (":" in host):
            raise ValueError(f"{text!r} is not IP:PORT")
        return cls(ip_address(host[1:-1] if bracketed else host), _port(port))

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if self.ip.version == 6 else f"{self.ip}:{self.port}"


def worker_sockets(entries: Sequence[str], workers: int) -> list[list[str]]:
    """The UDP sockets of each worker, in the order in which they are offered to peers.

    An entry is `auto`, `auto:PORT`, `IP` or `IP:PORT`. `auto` is every routed address of this machine and loopback; the
    unspecified address means the same for its family. Worker k uses PORT + k; port 0 lets the system choose each.

    Raises `ConfigError`.
    """
    wanted = _addresses("webrtc.ice_udp_addrs", entries, DEFAULT_PORT, workers)
    if not wanted[0]:
        raise ConfigError("webrtc.ice_udp_addrs: no address of this machine is named")
    return wanted


def worker_listeners(entries: Sequence[str], workers: int) -> list[list[str]]:
    """The TCP addresses of each worker, in the same way; without entries there are none. Raises `ConfigError`."""
    return _addresses("webrtc.ice_tcp_addrs", entries, DEFAULT_TCP_PORT, workers)


def _addresses(key: str, entries: Sequence[str], default_port: int, workers: int) -> list[list[str]]:
    local: list[IpAddress] | None = None
    wanted: dict[tuple[IpAddress, int], None] = {}
    for entry in entries:
        host, port = _parse_entry(key, entry, default_port)
        if host is not None and not host.is_unspecified:
            wanted[host, port] = None
            continue
        if local is None:
            local = local_addresses()
        for address in local:
            if host is None or host.version == address.version:
                wanted[address, port] = None
    for _, port in wanted:
        if port + workers - 1 > 0xFFFF:
            raise ConfigError(f"{key}: port {port} + {workers} workers passes 65535")
    return [[str(SocketAddress(ip, port and port + worker)) for ip, port in wanted] for worker in range(workers)]


def local_addresses() -> list[IpAddress]:
    """Routed addresses first (those of the default routes before others, IPv4 before IPv6), then loopback."""
    found: dict[IpAddress, None] = dict.fromkeys(_route_sources())
    found.update(dict.fromkeys(_interface_ipv4()))
    found.update(dict.fromkeys(_interface_ipv6()))
    routed = [address for address in found if not (address.is_loopback or address.is_link_local)]
    routed.sort(key=lambda address: address.version)
    return routed + [address for address in _loopback() if _can_bind(address)]


def _parse_entry(key: str, entry: str, default_port: int) -> tuple[IpAddress | None, int]:
    text = entry.strip()
    if text == "auto":
        return None, default_port
    try:
        if text.startswith("auto:"):
            return None, _port(text.removeprefix("auto:"))
        with contextlib.suppress(ValueError):
            return ip_address(text.removeprefix("[").removesuffix("]")), default_port
        address = SocketAddress.parse(text)
    except ValueError:
        raise ConfigError(
            f'{key}: {entry!r} is not understood; expected "auto", "auto:PORT", "IP" or "IP:PORT"'
        ) from None
    return address.ip, address.port


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 0xFFFF):
        raise ValueError(f"{text!r} is not a port")
    return int(text)


def _route_sources() -> Iterator[IpAddress]:
    for family, destination in _PROBES:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((destination, 9))
            yield ip_address(probe.getsockname()[0])


def _interface_ipv4() -> Iterator[IpAddress]:
    buffer = array.array("B", bytes(_IFREQ.size * _MAX_INTERFACES))
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            request = _IFCONF.pack(len(buffer), buffer.buffer_info()[0])
            length, _ = _IFCONF.unpack(fcntl.ioctl(probe, _SIOCGIFCONF, request))
    except OSError as error:
        _logger.debug("interfaces cannot be listed: %s", error)
        return
    for _, packed in _IFREQ.iter_unpack(buffer[: length - length % _IFREQ.size]):
        yield IPv4Address(packed)


def _interface_ipv6() -> Iterator[IpAddress]:
    try:
        lines = _IF_INET6.read_text("ascii").splitlines()
    except OSError:
        return
    for line in lines:
        address, _index, _prefix, _scope, flags, *_ = line.split()
        if not int(flags, 16) & _UNUSABLE_IPV6:
            yield IPv6Address(bytes.fromhex(address))


def _loopback() -> Iterable[IpAddress]:
    return IPv4Address("127.0.0.1"), IPv6Address("::1")


def _can_bind(address: IpAddress) -> bool:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((str(address), 0))
        return True
    return False
