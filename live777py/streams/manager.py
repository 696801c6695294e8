"""The asyncio owner of all streams, as the doors see it: each use case is one method, read downwards.

`joining` takes slots, `registry` holds streams and sessions and does what their lifecycle says, `lifecycle` decides.
`docs/streams.md` tells the life of a stream, `docs/closures.md` who closes whom.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from live777py.errors import Conflict
from live777py.rtc.candidates import LocalCandidates
from live777py.rtc.certificate import Certificate
from live777py.rtc.memory import release_free_memory
from live777py.streams import flow, layers
from live777py.streams.cascading import CascadeSessions, MakeClientPeer
from live777py.streams.clients import ClientSessions
from live777py.streams.control import SessionControl
from live777py.streams.events import StatsSampled
from live777py.streams.joining import Joining
from live777py.streams.registry import Registry, wait_closed
from live777py.streams.sampler import Sampler
from live777py.streams.settings import StreamSettings
from live777py.streams.sharing import Sharing
from live777py.streams.views import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from live777py.media.engine import MediaEngine
    from live777py.media.external import ExternalAddresses
    from live777py.outbound import Endpoint
    from live777py.rtc.answered import ViewAnswer
    from live777py.rtc.negotiation import Kind, PlayPlan, PublishedMedia
    from live777py.rtc.server import Restarted
    from live777py.streams.bus import EventBus
    from live777py.streams.clients import Answer, Client, CounterOffer
    from live777py.streams.events import LeaveReason
    from live777py.streams.layers import Layer, LayerChoice
    from live777py.streams.live import LiveSession
    from live777py.streams.strategy import Strategy
    from live777py.streams.views import LayerView, StreamView

_Plan = TypeVar("_Plan", bound="PlayPlan | ViewAnswer")

_HOUSEKEEPING_SECONDS = 1.0
_RELEASE_AFTER_SESSIONS = 100
_RELEASE_AFTER_MS = 10_000
_RETRY_LOOP_SECONDS = 10


class StreamManager:
    """Usage: `manager = StreamManager(engine, settings)`, `await manager.start()` ... `await manager.stop()`.

    The engine belongs to the caller, who closes it after `stop`. Nothing is pulled or pushed without
    `make_client_peer`.
    """

    def __init__(
        self,
        engine: MediaEngine,
        settings: StreamSettings | None = None,
        *,
        make_client_peer: MakeClientPeer | None = None,
        external: ExternalAddresses | None = None,
    ) -> None:
        """`external` is what our addresses are called outside, where that is another thing."""
        self._engine = engine
        self._registry = Registry(engine, settings or StreamSettings())
        self._certificate = Certificate.generate()
        candidates = LocalCandidates(engine, external)
        self._sampler = Sampler(engine, self._registry.sessions, self._registry.clock.now, self._on_sampled)
        self._joining = Joining(self._registry, self._sampler)
        self._cascading = (
            None
            if make_client_peer is None
            else CascadeSessions(self._registry, self._joining, self._certificate, make_client_peer)
        )
        self.control = SessionControl(self._registry, self._joining, self._certificate)
        """What rooms do to sessions."""
        self.clients = ClientSessions(engine, self._registry, self._joining, self._certificate, candidates)
        """What clients ask for; by `doorkeeper` somebody is asked first."""
        self.sharing = Sharing(self._registry, self._joining)
        self._housekeeper: asyncio.TimerHandle | None = None
        self._released_sessions = 0
        self._released_at = 0

    @property
    def bus(self) -> EventBus:
        return self._registry.bus

    @property
    def version(self) -> int:
        """Grows whenever a view may have changed."""
        return self._registry.version + self._sampler.changes

    async def start(self) -> None:
        """Raises `StartError` where a UDP port of a stream cannot be had."""
        self._registry.reconfigure(self._registry.settings)
        self._registry.running = True
        self._sampler.start()
        self._keep_house()

    async def stop(self) -> None:
        """Close every session with a DTLS close_notify, and wait until the other ends have been told."""
        self._registry.running = False
        if self._housekeeper is not None:
            self._housekeeper.cancel()
        await self._sampler.stop()
        await self._registry.stop()

    def reconfigure(self, settings: StreamSettings) -> None:
        """Sessions survive. Streams that are new in the settings are listed; those that are gone are like any other.

        Raises `StartError`, and changes nothing, where a UDP port of a stream cannot be had.
        """
        self._registry.reconfigure(settings)

    # WHIP and WHEP: see `ClientSessions`

    async def publish(self, stream: str, offer: str, *, client: Client) -> Answer:
        return await self.clients.publish(stream, offer, client=client)

    async def play(
        self, stream: str, offer: str | None, *, client: Client, wants_offer: bool = False
    ) -> Answer | CounterOffer:
        return await self.clients.play(stream, offer, client=client, wants_offer=wants_offer)

    def offered_sessions(self) -> Iterable[str]:
        return self._registry.counter_offers.sessions()

    async def answer(self, stream: str, session: str, answer: str, *, client: Client) -> None:
        await self.clients.answer(stream, session, answer, client=client)

    async def patch_ice(
        self, stream: str, session: str, fragment: str, *, if_match: str | None, strict: bool, loopback: bool
    ) -> Restarted | None:
        return await self.clients.patch_ice(
            stream, session, fragment, if_match=if_match, strict=strict, loopback=loopback
        )

    async def close_session(self, stream: str, session: str) -> None:
        """What a publisher or viewer asks for by DELETE (`Lifecycle.client_deletes`). Raises `NotFound`."""
        if self._registry.counter_offers.decline(stream, session):
            return
        live = self._registry.require_session(stream, session)
        await self._sampler.refresh()
        if not self._registry.is_live(live):
            return  # it has ended by itself, and who is on the stream by now is none of its business
        await wait_closed(self._registry.run(live.stream, live.stream.life.client_deletes(live.session)))

    # Layers and mute

    def layers(self, stream: str, session: str) -> list[LayerView]:
        """What a viewer may choose from, best first. Raises `NotFound`, `Conflict`, `Unprocessable`."""
        viewer = self._registry.require_session(stream, session)
        return layers.list_layers(self._video_of(viewer), viewer)

    def published_layers(self, stream: str, session: str) -> tuple[Layer, ...]:
        """What a viewer may choose from in full, best first: the same object as long as nothing noticeable changes.

        Empty where there is no choice. Raises `NotFound`.
        """
        source = self._video_of(self._registry.require_session(stream, session))
        return () if source is None or source.layers is None else source.layers.layers()

    def video_section(self, stream: str, session: str) -> int | None:
        """The index of the m-section in which a session plays video. Raises `NotFound`."""
        played = self._registry.require_session(stream, session).peer.subscriptions
        return next((each.index for each, _ in played if each.kind == "video" and each.active), None)

    async def select_layer(self, stream: str, session: str, choice: LayerChoice) -> None:
        """At the layer's next key frame. Raises as `layers` does, and `Unprocessable` where there is no such layer."""
        viewer = self._registry.require_session(stream, session)
        layers.select_layer(self._engine, self._video_of(viewer), viewer, choice)

    async def mute(self, stream: str, session: str, kind: Kind, enabled: bool) -> None:
        """Stop or go on with a kind: for one viewer, or for all where the session is the publisher's.

        Raises `NotFound`.
        """
        live = self._registry.require_session(stream, session)
        if live.session.role == "publish":
            self.control.mute((stream, session), kind, muted=not enabled)
            return
        live.muted = live.muted - {kind} if enabled else live.muted | {kind}
        flow.pause(self._engine, self._registry.publisher(live.stream), live, (kind,))

    # Streams

    def create(self, stream: str) -> None:
        """An empty stream. Raises `Conflict`, `Unavailable`."""
        self._registry.require_running()
        if stream in self._registry.settings.provisioned:
            raise Conflict(f"stream '{stream}' is declared in the config file and cannot be created through the API")
        if stream in self._registry.streams:
            raise Conflict("resource already exists")
        self._registry.add_stream(stream)

    async def delete(self, stream: str) -> None:
        """Close everybody and forget the stream. Raises `NotFound`, `Conflict` for one of the configuration."""
        target = self._registry.require_stream(stream)
        await wait_closed(self._registry.run(target, target.life.api_deletes()))

    def publishers(self, stream: str) -> list[str]:
        """The session that publishes it, and those that did before they were moved to another stream."""
        return self._registry.publishers(stream)

    def published_tracks(self, stream: str) -> tuple[tuple[PublishedMedia, int], ...]:
        """What the publisher sends, each with the engine's number of the track; nothing without one.

        Raises `NotFound`.
        """
        publisher = self._registry.publisher(self._registry.require_stream(stream))
        if publisher is None or publisher.stream.published is None:
            return ()
        return tuple((media, track) for media, track in publisher.peer.tracks if media.kind not in publisher.absent)

    # Cascade

    async def pull(self, stream: str, endpoint: Endpoint, *, configured: bool = False, relay: bool = False) -> str:
        """Publish here what another server plays; returns the session. It connects afterwards, as any publisher.

        `relay` where that server is a node of our own cluster: the stream is made whatever the strategy says. Raises
        `NotFound`, `Conflict`, `UpstreamError`, `Unavailable`.
        """
        return await self._require_cascading().pull(stream, endpoint, configured=configured, relay=relay)

    async def push(self, stream: str, endpoint: Endpoint, *, configured: bool = False) -> str:
        """Publish elsewhere what is published here; returns the session. Raises as `pull` does."""
        return await self._require_cascading().push(stream, endpoint, configured=configured)

    async def stop_pull(self, stream: str, session: str, *, lost: bool = False) -> None:
        """End a pull and leave the stream and its viewers, who wait for another publisher. Raises `NotFound`.

        `lost` says that its other end is not heard of any more, and will be looked for.
        """
        reason: LeaveReason = "idle-timeout" if lost else "source-removed"
        await self._registry.close([self._registry.require_session(stream, session)], reason)

    def source_failed(self, stream: str, detail: str) -> None:
        """The source of an on-demand stream could not be had: whoever waits for it is told. `detail` has no secret."""
        known = self._registry.streams.get(stream)
        if known is not None:
            self._registry.run(known, known.life.source_failed(detail))

    # Views

    def strategy(self) -> Strategy:
        """That of every stream that has none of its own."""
        return self._registry.settings.strategy

    def streams(self) -> list[StreamView]:
        return [stream.view() for stream in self._registry.streams.values()]

    def stream(self, name: str) -> StreamView:
        """Raises `NotFound`."""
        return self._registry.require_stream(name).view()

    def counts(self) -> Counts:
        publishers = reforwards = 0
        for live in self._registry.sessions.values():
            if live.session.role == "publish":
                publishers += 1
            elif live.session.cascade is not None:
                reforwards += 1
        return Counts(
            streams=len(self._registry.streams),
            publishers=publishers,
            subscribers=len(self._registry.sessions) - publishers,
            reforwards=reforwards,
            rtp_bytes_in=self._sampler.bytes_in,
            rtp_bytes_out=self._sampler.bytes_out,
            data_messages_sent=self._registry.channel_totals.sent,
            data_messages_lost=self._registry.channel_totals.lost,
        )

    # Steps

    def _require_cascading(self) -> CascadeSessions:
        self._registry.require_running()
        if self._cascading is None:
            raise Conflict("this gateway has no way to other servers")
        return self._cascading

    def _video_of(self, viewer: LiveSession) -> LiveSession | None:
        """Whose picture it gets."""
        return flow.source_of(self._registry.publisher(viewer.stream), viewer, "video")

    def _keep_house(self) -> None:
        self._housekeeper = asyncio.get_running_loop().call_later(_HOUSEKEEPING_SECONDS, self._keep_house)
        for stream in tuple(self._registry.streams.values()):
            self._registry.tick(stream)
        now = self._registry.clock.now()
        waited = now - self._released_at >= _RELEASE_AFTER_MS
        if self._registry.left - self._released_sessions >= (1 if waited else _RELEASE_AFTER_SESSIONS):
            self._released_sessions = self._registry.left
            self._released_at = now
            release_free_memory()

    def _on_sampled(self, silent: Sequence[LiveSession], heard: Sequence[LiveSession]) -> None:
        for live in silent:
            self._registry.enter(live, "disconnected")
        for live in heard:
            self._registry.enter(live, "connected")
        self._registry.bus.publish(StatsSampled())
