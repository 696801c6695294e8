"""A session together with the peer that carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from live777py.media import native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from live777py.rtc.channels import DataChannels, Message
    from live777py.rtc.negotiation import Kind, PublishedMedia
    from live777py.rtc.peer import EndReason, Peer, PeerState
    from live777py.streams.layers import LayerMeters
    from live777py.streams.session import Role, Session
    from live777py.streams.stream import Stream


class LiveSessionOwner(Protocol):
    """Implemented by `streams.registry.Registry`."""

    def session_changed(self, live: LiveSession, state: PeerState) -> None: ...
    def session_ended(self, live: LiveSession, reason: EndReason) -> None: ...


class LiveSession:
    """A session whose peer exists. Sessions that are over have none; they are only listed.

    `muted` are the kinds that do not flow from this publisher, or to this viewer. `pinned` is the layer that was chosen
    for this viewer, `forwarded` the one that it gets. `layers` is what is measured of a publisher's simulcast. `pushed`
    is what was offered to another server. `announced` says that the bus was told of its coming.
    """

    __slots__ = ("_owner", "announced", "forwarded", "layers", "muted", "peer", "pinned", "pushed", "session", "stream")

    def __init__(
        self, owner: LiveSessionOwner, stream: Stream, session: Session, make_peer: Callable[[LiveSession], Peer]
    ) -> None:
        self.stream = stream
        self.session = session
        self.muted: frozenset[Kind] = frozenset()
        self.pinned: str | None = None
        self.forwarded: str | None = None
        self.layers: LayerMeters | None = None
        self.pushed: tuple[PublishedMedia, ...] | None = None
        self.announced = False
        self._owner = owner
        self.peer = make_peer(self)

    @property
    def role(self) -> Role:
        return self.session.role

    @property
    def channels(self) -> DataChannels | None:
        return self.peer.channels

    def close(self) -> None:
        self.stream.channels.leave(self)
        self.peer.close()

    def peer_state_changed(self, state: PeerState) -> None:
        if state == "connecting" and self.peer.data_channel is not None:
            self.session.has_data_channel = True
            self.stream.channels.join(self)
        self._owner.session_changed(self, state)

    def channel_message(self, label: str, message: Message) -> None:
        self.stream.channels.heard(self, label, message)

    def peer_ended(self, reason: EndReason) -> None:
        self._owner.session_ended(self, reason)

    def media_changed(self, event: native.TrackStarted | native.TrackSilent | native.LayerChanged) -> None:
        if isinstance(event, native.LayerChanged):
            self.forwarded = event.rid
        elif isinstance(event, native.TrackStarted) and self.layers is not None:
            self.layers.started(event)

    def media_ids(self) -> Iterator[int]:
        """The engine's numbers of its tracks or subscriptions."""
        for _, number in (*self.peer.tracks, *self.peer.subscriptions):
            yield number
