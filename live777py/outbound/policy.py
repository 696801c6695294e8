"""Which addresses the gateway connects to at somebody's word (server-side request forgery)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

from live777py.errors import Refused

IpAddress = IPv4Address | IPv6Address

# Where clouds answer a machine's questions about itself, keys included, beside those in 169.254.0.0/16.
_METADATA: Final = frozenset(
    {
        IPv4Address("100.100.100.200"),  # Alibaba
        IPv4Address("168.63.129.16"),  # Azure
        IPv4Address("192.0.0.192"),  # Oracle
        IPv6Address("fd00:ec2::254"),  # Amazon
        IPv6Address("fd20:ce::254"),  # Google
    }
)
_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")  # RFC 1122 section 3.2.1.3; Linux takes 0.0.0.0 for itself
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052
_TUNNELS: Final = (ip_network("2001::/32"), ip_network("fec0::/10"))  # Teredo (RFC 4380), site-local (RFC 3879)


@dataclass(frozen=True, kw_only=True, slots=True)
class AddressPolicy:
    """Link-local, metadata, multicast, unspecified, broadcast and reserved addresses are always refused, in every form.

    `allow_private` lets loopback, private, unique-local and shared (RFC 6598) ones pass: a cluster lives on those.
    """

    allow_private: bool

    def check(self, ip: IpAddress) -> None:
        """Raises `Refused`."""
        if not self.allows(ip):
            raise Refused(f"the address {ip} is not one that this gateway connects to")

    def allows(self, ip: IpAddress) -> bool:
        """An IPv6 address with an IPv4 one inside (mapped, NAT64, 6to4) counts as that one."""
        inside = _embedded(ip)
        if inside is not None:
            return self.allows(inside)
        if ip in _METADATA or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
            return False
        if ip.is_loopback:
            return self.allow_private
        if ip.is_reserved or ip in _THIS_NETWORK or any(ip in network for network in _TUNNELS):
            return False
        return self.allow_private or ip.is_global


def _embedded(ip: IpAddress) -> IPv4Address | None:
    if isinstance(ip, IPv4Address):
        return None
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour
