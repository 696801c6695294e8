"""A session together with the peer that carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from live777py.media import native
from live777py.streams.layers import AUTOMATIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from live777py.rtc.channels import DataChannels, Message
    from live777py.rtc.negotiation import Kind, PublishedMedia
    from live777py.rtc.peer import EndReason, Peer, PeerState
    from live777py.streams.layers import LayerMeters
    from live777py.streams.session import Role, Session
    from live777py.streams.stream import Stream


_NOTHING: Mapping[Kind, Choice | None] = {}
_NO_FOLLOWERS: set[LiveSession] = set()
_NO_COPIES: list[LiveSession] = []
_NO_SIZES: dict[tuple[int, str | None], tuple[int, int]] = {}
"""Of all who chose nothing, and of all viewers; never changed."""


class LiveSessionOwner(Protocol):
    """Implemented by `streams.registry.Registry`."""

    def session_changed(self, live: LiveSession, state: PeerState) -> None: ...
    def session_ended(self, live: LiveSession, reason: EndReason) -> None: ...


@dataclass(frozen=True)
class Choice:
    """A track that a viewer gets in place of that of its stream: the engine's number, and whose it is."""

    publisher: LiveSession
    track: int


class LiveSession:
    """A session whose peer exists. Sessions that are over have none; they are only listed.

    `muted` are the kinds that do not flow from this publisher, or to this viewer. `choice` is what was asked for this
    viewer, `forwarded` the rid and spatial layer that it gets. `layers` is what is measured of a publisher's video,
    `sizes` the picture of each of its encodings by track and rid. `pushed` is what was offered to another server.
    `announced` says that the bus was told of its coming.

    `withheld` are the kinds of this publisher that nobody gets, as if it did not send them. `chosen` is what this
    viewer gets in place of its stream's tracks (None: nothing), `followers` are the viewers of other streams who chose
    tracks of this one. `origin` is the session whose tracks this one shows under another name, `copies` are those that
    do so. `speaks` says whether others hear its data channels; `former_streams` are the names of streams that it was
    moved away from.
    """

    __slots__ = (
        "_owner",
        "announced",
        "choice",
        "chosen",
        "copies",
        "followers",
        "former_streams",
        "forwarded",
        "layers",
        "muted",
        "origin",
        "peer",
        "pushed",
        "session",
        "sizes",
        "speaks",
        "stream",
        "withheld",
    )

    def __init__(
        self, owner: LiveSessionOwner, stream: Stream, session: Session, make_peer: Callable[[LiveSession], Peer]
    ) -> None:
        self.stream = stream
        self.session = session
        self.muted: frozenset[Kind] = frozenset()
        self.choice = AUTOMATIC
        self.forwarded: tuple[str | None, int] | None = None
        self.layers: LayerMeters | None = None
        self.pushed: tuple[PublishedMedia, ...] | None = None
        self.announced = False
        self.withheld: frozenset[Kind] = frozenset()
        self.chosen: Mapping[Kind, Choice | None] = _NOTHING
        publishes = session.role == "publish"  # thousands of viewers have none of these
        self.followers: set[LiveSession] = set() if publishes else _NO_FOLLOWERS
        self.origin: LiveSession | None = None
        self.copies: list[LiveSession] = [] if publishes else _NO_COPIES
        self.sizes: dict[tuple[int, str | None], tuple[int, int]] = {} if publishes else _NO_SIZES
        self.speaks = session.participant is None or session.participant.permission.can_publish_data
        self.former_streams: tuple[str, ...] = ()
        self._owner = owner
        self.peer = make_peer(self)

    @property
    def role(self) -> Role:
        return self.session.role

    @property
    def channels(self) -> DataChannels | None:
        return self.peer.channels

    @property
    def silenced(self) -> frozenset[Kind]:
        """A copy is silent where its origin is."""
        return self.muted if self.origin is None else self.muted | self.origin.silenced

    @property
    def absent(self) -> frozenset[Kind]:
        """As `silenced` is to `muted`, to `withheld`."""
        return self.withheld if self.origin is None else self.withheld | self.origin.absent

    def with_copies(self) -> list[LiveSession]:
        """And with the copies of those."""
        return [self, *(one for copy in self.copies for one in copy.with_copies())]

    def close(self) -> None:
        self.stream.channels.leave(self)
        self.peer.close()

    def peer_state_changed(self, state: PeerState) -> None:
        if state == "connecting" and self.peer.data_channel is not None:
            self.session.has_data_channel = True
            self.stream.channels.join(self)
        self._owner.session_changed(self, state)

    def channel_message(self, label: str, message: Message) -> None:
        if self.speaks:
            self.stream.channels.heard(self, label, message)

    def peer_ended(self, reason: EndReason) -> None:
        self._owner.session_ended(self, reason)

    def media_changed(self, event: native.TrackStarted | native.TrackSilent | native.LayerChanged) -> None:
        if isinstance(event, native.LayerChanged):
            self.forwarded = (event.rid, event.spatial)
        elif isinstance(event, native.TrackStarted):
            if event.width and event.height:
                self.sizes[event.track, event.rid] = (event.width, event.height)
            if self.layers is not None:
                self.layers.started(event)

    def media_ids(self) -> Iterator[int]:
        """The engine's numbers of its tracks or subscriptions; a copy has none of its own."""
        if self.origin is not None:
            return
        for _, number in (*self.peer.tracks, *self.peer.subscriptions):
            yield number
