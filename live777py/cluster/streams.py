"""The streams of the cluster as the doors see them: those of this node, and what other nodes have to say about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.cluster.membership import whep_url
from live777py.errors import Elsewhere, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from live777py.cluster.service import Cluster
    from live777py.rtc.negotiation import Kind
    from live777py.rtc.server import Restarted
    from live777py.streams.bus import EventBus
    from live777py.streams.clients import Answer, Client, CounterOffer
    from live777py.streams.layers import Layer, LayerChoice
    from live777py.streams.manager import StreamManager
    from live777py.streams.strategy import Strategy
    from live777py.streams.views import Counts, LayerView, StreamView


class ClusterStreams:
    """In place of `StreamManager` at the doors (`http.keys.Streams`). Sessions are those of this node."""

    def __init__(self, manager: StreamManager, cluster: Cluster) -> None:
        self._manager = manager
        self._cluster = cluster

    async def publish(self, stream: str, offer: str, *, client: Client) -> Answer:
        """As `StreamManager.publish`; also Conflict where another node has a publisher, and StoreUnavailable."""
        async with self._cluster.directory.claimed(stream):
            self._cluster.relays.end(stream)
            try:
                return await self._manager.publish(stream, offer, client=client)
            finally:
                self._cluster.look_at(stream)

    async def play(
        self, stream: str, offer: str | None, *, client: Client, wants_offer: bool = False
    ) -> Answer | CounterOffer:
        """As `StreamManager.play`; also Elsewhere, and what hinders to get it from the node that has it."""
        if not client.relay and not self._manager.sharing.publishes(stream):
            holder = self._cluster.directory.holder(stream)
            if holder is not None and self._cluster.settings.whep == "redirect":
                raise Elsewhere("another node has the stream", url=whep_url(holder, stream))
            if holder is not None:
                await self._cluster.relays.flowing(stream, holder)
        return await self._manager.play(stream, offer, client=client, wants_offer=wants_offer)

    async def delete(self, stream: str) -> None:
        """At every node."""
        elsewhere = await self._cluster.delete_elsewhere(stream)
        self._cluster.relays.end(stream)
        try:
            await self._manager.delete(stream)
        except NotFound:
            if not elsewhere:
                raise

    def offered_sessions(self) -> Iterable[str]:
        return self._manager.offered_sessions()

    async def answer(self, stream: str, session: str, answer: str, *, client: Client) -> None:
        await self._manager.answer(stream, session, answer, client=client)

    async def patch_ice(
        self, stream: str, session: str, fragment: str, *, if_match: str | None, strict: bool, loopback: bool
    ) -> Restarted | None:
        return await self._manager.patch_ice(
            stream, session, fragment, if_match=if_match, strict=strict, loopback=loopback
        )

    async def close_session(self, stream: str, session: str) -> None:
        await self._manager.close_session(stream, session)

    def create(self, stream: str) -> None:
        self._manager.create(stream)

    async def mute(self, stream: str, session: str, kind: Kind, enabled: bool) -> None:
        await self._manager.mute(stream, session, kind, enabled)

    def layers(self, stream: str, session: str) -> list[LayerView]:
        return self._manager.layers(stream, session)

    def published_layers(self, stream: str, session: str) -> tuple[Layer, ...]:
        return self._manager.published_layers(stream, session)

    def video_section(self, stream: str, session: str) -> int | None:
        return self._manager.video_section(stream, session)

    async def select_layer(self, stream: str, session: str, choice: LayerChoice) -> None:
        await self._manager.select_layer(stream, session, choice)

    def streams(self) -> list[StreamView]:
        """Of this node; `Cluster.streams` has all."""
        return self._manager.streams()

    def stream(self, name: str) -> StreamView:
        return self._manager.stream(name)

    def publishers(self, stream: str) -> list[str]:
        return self._manager.publishers(stream)

    def counts(self) -> Counts:
        return self._manager.counts()

    def strategy(self) -> Strategy:
        return self._manager.strategy()

    @property
    def bus(self) -> EventBus:
        return self._manager.bus

    @property
    def version(self) -> int:
        return self._manager.version
