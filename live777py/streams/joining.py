"""How a session gets its slot, whoever made it: a WHIP or WHEP client, or we ourselves towards another server.

A slot is taken without an `await` between the look and the taking, and given back if anything fails after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from live777py.errors import Unavailable
from live777py.streams.lifecycle import Wait

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from live777py.rtc.negotiation import PublishedMedia
    from live777py.rtc.peer import Peer
    from live777py.streams.live import LiveSession
    from live777py.streams.registry import Registry
    from live777py.streams.sampler import Sampler
    from live777py.streams.session import Session
    from live777py.streams.stream import Stream

_Peer = TypeVar("_Peer", bound="Peer")


class Joining:
    def __init__(self, registry: Registry, sampler: Sampler) -> None:
        self._registry = registry
        self._sampler = sampler

    async def publisher(
        self,
        undo: ExitStack,
        stream: str,
        session: Session,
        make_peer: Callable[[LiveSession], _Peer],
        published: tuple[PublishedMedia, ...] | None = None,
    ) -> tuple[LiveSession, _Peer]:
        """Into the publisher slot of a stream that is there or may be created. Raises `NotFound`, `Conflict`.

        `published` is what it will send, where that is known already.
        """
        registry = self._registry
        present, silent_ms = await self._silence(stream)
        known = registry.find(stream, creatable=session.relay or registry.settings.strategy.auto_create_whip)
        if known is not None:
            heard = known.life.publisher is not present
            registry.run(
                known, known.life.publisher_comes(configured=session.configured, silent_ms=0 if heard else silent_ms)
            )
        live, peer = self.enter(undo, known, stream, session, make_peer)
        live.stream.published = published
        return live, peer

    async def make_way(self, stream: str) -> None:
        """As for a publisher who comes, for one who has come elsewhere. Raises `Conflict`."""
        present, silent_ms = await self._silence(stream)
        known = self._registry.streams.get(stream)
        if known is not None and known.life.publisher is not None:
            heard = known.life.publisher is not present
            self._registry.run(known, known.life.publisher_comes(silent_ms=0 if heard else silent_ms))

    async def viewer_slot(self, stream: Stream) -> bool:
        """Find a free slot, and wait for an on-demand source. True if time has passed: look everything up again.

        Raises `Unavailable` without a free slot, `UpstreamError` and `UpstreamTimeout` without a source.
        """
        registry = self._registry
        actions = stream.life.viewer_comes(registry.clock.now())
        registry.run(stream, actions)
        if Wait() not in actions:
            return False
        try:
            await stream.waiting_room.wait(stream.name)
        finally:
            registry.run(stream, stream.life.viewer_stops_waiting(registry.clock.now()))
        return True

    def enter(
        self,
        undo: ExitStack,
        known: Stream | None,
        stream: str,
        session: Session,
        make_peer: Callable[[LiveSession], _Peer],
    ) -> tuple[LiveSession, _Peer]:
        """Into the slot that was just found free; `known` is None where the stream is to be created."""
        registry = self._registry
        target = known
        if target is None:
            target = registry.add_stream(stream)
            undo.callback(registry.forget_unused, target)
        live, peer = registry.join(target, session, make_peer)
        undo.callback(registry.leave, live, "refused")
        return live, peer

    def require_live(self, live: LiveSession) -> None:
        """After an `await` of the use case. Raises `Unavailable`."""
        if not self._registry.is_live(live):
            raise Unavailable("the session was closed while it was being set up", retry_after=1)

    async def _silence(self, stream: str) -> tuple[Session | None, int]:
        """The present publisher, and for how many milliseconds nothing was heard of it, asked anew."""
        known = self._registry.streams.get(stream)
        publisher = None if known is None else self._registry.publisher(known)
        if publisher is None or not publisher.session.established:
            return None, 0
        await self._sampler.refresh()
        return publisher.session, self._sampler.silent_ms(publisher)
