"""How much one client may ask for: the size of a body, the time it takes to send, and requests per second."""

from __future__ import annotations

import math
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network
from typing import TYPE_CHECKING, Final

from live777py.errors import TooManyRequests

if TYPE_CHECKING:
    from live777py.http.client import ClientAddress

MAX_BODY: Final = 256 * 1024
"""Bytes. The largest offers of browsers with simulcast have some 20 kB."""
BODY_TIMEOUT: Final = 10.0
"""Seconds until a body must be there."""
LIMITED_METHODS: Final = frozenset({"POST", "PATCH", "DELETE"})

_BURST_SECONDS: Final = 10
_MAX_BUCKETS: Final = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimiter:
    """A token bucket per client address (per /64 with IPv6). `rate` is requests per second; 0 lets everything pass."""

    def __init__(self, rate: int) -> None:
        self._buckets: dict[str, _Bucket] = {}
        self.reconfigure(rate)

    def reconfigure(self, rate: int) -> None:
        self._rate = rate
        self._capacity = float(rate * _BURST_SECONDS)

    def check(self, client: ClientAddress, now: float) -> None:
        """Count one request at `now` (seconds of a monotonic clock). Raises TooManyRequests."""
        if self._rate == 0 or client.direct_loopback:
            return
        name = _bucket_name(client)
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= _MAX_BUCKETS:
                self._forget_idle(now)
            bucket = self._buckets[name] = _Bucket(self._capacity, now)
        bucket.tokens = min(self._capacity, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.tokens < 1:
            wait = math.ceil((1 - bucket.tokens) / self._rate)
            raise TooManyRequests("too many requests from this address", retry_after=max(1, wait))
        bucket.tokens -= 1

    def _forget_idle(self, now: float) -> None:
        """Drop the buckets that are full again; if none is, all of them: memory stays bounded."""
        self._buckets = {
            name: bucket
            for name, bucket in self._buckets.items()
            if bucket.tokens + (now - bucket.at) * self._rate < self._capacity
        }
        if len(self._buckets) >= _MAX_BUCKETS:
            self._buckets.clear()


def _bucket_name(client: ClientAddress) -> str:
    if isinstance(client.ip, IPv6Address):
        return str(ip_network((int(client.ip), 64), strict=False))
    return str(client)
