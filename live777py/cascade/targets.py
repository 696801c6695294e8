"""Where one stream is pushed to while somebody publishes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from live777py.cascade.link import Link
    from live777py.outbound import Endpoint
    from live777py.streams.events import LeaveReason

LINGER: Final = 10.0
"""Seconds that a push goes on without a publisher that has vanished. A DELETE there would send all viewers away."""

_FINAL: Final[frozenset[LeaveReason]] = frozenset(
    {"api-deleted", "stream-deleted", "source-removed", "unwatched", "shutdown"}
)


class Targets:
    """Runs its links from `publisher_came` until a while after `publisher_left`. `published`: in between."""

    def __init__(self, make_link: Callable[[Endpoint], Link]) -> None:
        self._make_link = make_link
        self._links: dict[Endpoint, Link] = {}
        self.published = False
        self._lingering: asyncio.TimerHandle | None = None

    async def set(self, endpoints: tuple[Endpoint, ...]) -> None:
        """Those that stay keep their session."""
        gone = [self._links.pop(endpoint) for endpoint in tuple(self._links) if endpoint not in endpoints]
        for endpoint in endpoints:
            if endpoint not in self._links:
                self._links[endpoint] = self._make_link(endpoint)
        if self.published:
            self._start()
        await _stop(gone)

    def publisher_came(self) -> None:
        self.published = True
        self._stop_lingering()
        self._start()

    def publisher_left(self, reason: LeaveReason | None) -> None:
        """None if nobody knows why."""
        self.published = False
        self._stop_lingering()
        if reason in _FINAL:
            self._end()
        else:
            self._lingering = asyncio.get_running_loop().call_later(LINGER, self._end)

    async def stop(self) -> None:
        self._stop_lingering()
        await _stop(list(self._links.values()))

    def _start(self) -> None:
        for link in self._links.values():
            link.start()

    def _end(self) -> None:
        for link in self._links.values():
            link.end()

    def _stop_lingering(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None


async def _stop(links: list[Link]) -> None:
    await asyncio.gather(*(link.stop() for link in links))
