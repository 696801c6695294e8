"""What the other nodes of a cluster make of the streams here: who publishes is theirs to know, relays are theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.errors import NotFound
from live777py.streams.registry import wait_closed

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from live777py.streams.joining import Joining
    from live777py.streams.live import LiveSession
    from live777py.streams.registry import Registry


class Sharing:
    """A relay is a session with another node: its publisher is published there."""

    def __init__(self, registry: Registry, joining: Joining) -> None:
        self._registry = registry
        self._joining = joining

    def published(self) -> set[str]:
        """Streams whose publisher is here."""
        return {name for name in self._registry.streams if self.publishes(name)}

    def publishes(self, stream: str) -> bool:
        publisher = self._publisher(stream)
        return publisher is not None and not publisher.session.relay

    def has(self, stream: str) -> bool:
        return stream in self._registry.streams

    def has_session(self, stream: str, session: str) -> bool:
        """Or an offer of ours that will become one."""
        if (stream, session) in self._registry.counter_offers:
            return True
        try:
            self._registry.require_session(stream, session)
        except NotFound:
            return False
        return True

    def watched(self, stream: str) -> bool:
        """Whether somebody here plays it, or waits for its publisher."""
        known = self._registry.streams.get(stream)
        return known is not None and any(not viewer.configured for viewer in known.life.viewers.values())

    def waiting(self) -> list[str]:
        """Streams that somebody here watches, and that have no publisher, not even a relay."""
        return [
            name
            for name, stream in self._registry.streams.items()
            if stream.life.publisher is None and self.watched(name)
        ]

    async def make_way(self, stream: str) -> None:
        """For a publisher who has come to another node. Raises `Conflict` where the one here stays."""
        if self.publishes(stream):
            await self._joining.make_way(stream)

    async def close_publisher(self, stream: str) -> None:
        """Another node has the stream."""
        publisher = self._publisher(stream)
        if publisher is not None and not publisher.session.relay:
            await self._registry.close([publisher], "taken-over")

    def end_relay(self, stream: str) -> Coroutine[None, None, None]:
        """The slot is free when this returns; the coroutine ends when the other node has been told."""
        publisher = self._publisher(stream)
        if publisher is None or not publisher.session.relay:
            return wait_closed(())
        self._registry.leave(publisher, "source-removed")
        return wait_closed((publisher,))

    def forget(self, stream: str) -> None:
        """If nobody is on it. One of the configuration stays."""
        known = self._registry.streams.get(stream)
        if known is not None and known.life.provisioned is None and not known.life.waiting:
            self._registry.forget_orphan(known)

    async def close_all(self, stream: str) -> None:
        """The stream was deleted at another node."""
        known = self._registry.streams.get(stream)
        if known is not None and known.life.provisioned is None:
            await wait_closed(self._registry.run(known, known.life.api_deletes()))

    def _publisher(self, stream: str) -> LiveSession | None:
        known = self._registry.streams.get(stream)
        return None if known is None else self._registry.publisher(known)
