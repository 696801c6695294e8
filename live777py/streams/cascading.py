"""Sessions that we make ourselves: a stream pulled from another server (WHEP), or pushed to one (WHIP).

To the stream they are a publisher and a viewer like any other. Who wants them, and how often to try, is `cascade`'s.
"""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from live777py.errors import Conflict
from live777py.outbound.endpoint import shown
from live777py.outbound.loop import write_marks
from live777py.streams import flow
from live777py.streams.session import Session
from live777py.streams.views import CascadeView

if TYPE_CHECKING:
    from collections.abc import Callable

    from live777py.media.engine import MediaEngine
    from live777py.outbound import Endpoint
    from live777py.rtc.certificate import Certificate
    from live777py.rtc.client import ClientPeer
    from live777py.rtc.negotiation import PublishedMedia
    from live777py.rtc.peer import PeerOwner
    from live777py.streams.joining import Joining
    from live777py.streams.live import LiveSession
    from live777py.streams.registry import Registry

CONFIGURED_PULL: Final = "virtual-source"
"""The session of a source of the configuration, as Live777 calls it."""
_RETRY_SECONDS: Final = 1


class MakeClientPeer(Protocol):
    """`rtc.client.ClientPeer` with its way to other servers."""

    def __call__(
        self,
        engine: MediaEngine,
        certificate: Certificate,
        *,
        owner: PeerOwner,
        endpoint: Endpoint,
        stream: str,
        session: str,
    ) -> ClientPeer: ...


class CascadeSessions:
    def __init__(
        self, registry: Registry, joining: Joining, certificate: Certificate, make_client_peer: MakeClientPeer
    ) -> None:
        self._registry = registry
        self._joining = joining
        self._certificate = certificate
        self._make_client_peer = make_client_peer

    async def pull(self, stream: str, endpoint: Endpoint, *, configured: bool, relay: bool) -> str:
        """Raises `NotFound`, `Conflict`, `UpstreamError` and what the engine raises."""
        registry = self._registry
        session = Session(
            CONFIGURED_PULL if configured else str(uuid.uuid4()),
            "publish",
            registry.clock.now(),
            cascade=CascadeView(source_url=str(endpoint)),
            configured=configured,
            relay=relay,
        )
        with ExitStack() as undo:
            live, peer = await self._joining.publisher(undo, stream, session, self._peer_for(endpoint))
            await peer.play(
                registry.codecs, data_channel=True, loop=write_marks(live.stream.mark, registry.sinks(live.stream))
            )
            self._joining.require_live(live)
            session.cascade = CascadeView(source_url=str(endpoint), session_url=_shown(peer.session_url))
            registry.publishes(live)
            undo.pop_all()
        return session.id

    async def push(self, stream: str, endpoint: Endpoint, *, configured: bool) -> str:
        """Raises `NotFound`, `Conflict` without a publisher, `Unavailable`, `UpstreamError`."""
        registry = self._registry
        target = registry.require_stream(stream)
        if await self._joining.viewer_slot(target):
            target = registry.require_stream(stream)
        published = target.published
        if published is None:
            raise Conflict(f"nobody publishes stream '{stream}'", retry_after=_RETRY_SECONDS)
        session = Session(
            str(uuid.uuid4()),
            "subscribe",
            registry.clock.now(),
            cascade=CascadeView(target_url=str(endpoint)),
            configured=configured,
        )
        with ExitStack() as undo:
            live, peer = self._joining.enter(undo, target, stream, session, self._peer_for(endpoint))
            live.pushed = _best_layer_first(published, registry.publisher(target))
            loop = write_marks(target.mark, registry.sources(target))
            await peer.publish(live.pushed, data_channel=True, loop=loop)
            self._joining.require_live(live)
            session.cascade = CascadeView(target_url=str(endpoint), session_url=_shown(peer.session_url))
            publisher = registry.publisher(target)
            if publisher is not None and not (flow.fits(publisher, live) and registry.connect(publisher, live)):
                raise Conflict("the publisher has changed what it sends", retry_after=_RETRY_SECONDS)
            undo.pop_all()
        return session.id

    def _peer_for(self, endpoint: Endpoint) -> Callable[[LiveSession], ClientPeer]:
        def make(live: LiveSession) -> ClientPeer:
            return self._make_client_peer(
                self._registry.engine,
                self._certificate,
                owner=live,
                endpoint=endpoint,
                stream=live.stream.name,
                session=live.session.id,
            )

        return make


def _best_layer_first(
    published: tuple[PublishedMedia, ...], publisher: LiveSession | None
) -> tuple[PublishedMedia, ...]:
    """As they were measured: a server that takes one layer takes the first."""
    if publisher is None or publisher.layers is None:
        return published
    order = {view.encoding_id: place for place, view in enumerate(publisher.layers.views(None))}
    return tuple(
        replace(media, encodings=tuple(sorted(media.encodings, key=lambda encoding: order.get(encoding.rid or "", 0))))
        for media in published
    )


def _shown(url: str | None) -> str | None:
    return None if url is None else shown(url)
