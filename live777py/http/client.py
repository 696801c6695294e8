"""Where a request came from, through the reverse proxies that the configuration trusts and no others."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp.web import BaseRequest

IpAddress = IPv4Address | IPv6Address

_PROXY_HEADERS: Final = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")


@dataclass(frozen=True, kw_only=True)
class ClientAddress:
    """`ip` is None where the transport has no address. `direct_loopback`: over loopback and without a proxy header."""

    ip: IpAddress | None
    direct_loopback: bool

    def __str__(self) -> str:
        return str(self.ip) if self.ip is not None else "-"


class ClientResolver:
    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self.reconfigure(trusted_proxies)

    def reconfigure(self, trusted_proxies: Sequence[str]) -> None:
        self._trusted = tuple(ip_network(network) for network in trusted_proxies)

    def resolve(self, request: BaseRequest) -> ClientAddress:
        peer = _parse(request.remote or "")
        if peer is None:
            return ClientAddress(ip=None, direct_loopback=False)
        proxied = any(name in request.headers for name in _PROXY_HEADERS)
        ip = peer
        if self.trusts(peer):
            # The last proxy appended the address that it saw; what stands left of an untrusted one is hearsay.
            hops = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
            for hop in reversed(hops):
                if (address := _parse(hop.strip())) is None:
                    break
                ip = address
                if not self.trusts(address):
                    break
        return ClientAddress(ip=ip, direct_loopback=peer.is_loopback and not proxied)

    def trusts(self, address: IpAddress) -> bool:
        return any(address in network for network in self._trusted)


def _parse(text: str) -> IpAddress | None:
    """An address with or without port or brackets; a mapped IPv4 address (a dual-stack socket's) as IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
