"""A session together with the peer that carries it, and what of one publisher flows to one viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from live777py.rtc.negotiation import payload_map
from live777py.rtc.server import ServerPeer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live777py.media.engine import MediaEngine
    from live777py.rtc.certificate import Certificate
    from live777py.rtc.channels import DataChannels, Message
    from live777py.rtc.negotiation import RemotePeer
    from live777py.rtc.peer import EndReason, PeerState
    from live777py.streams.session import Role, Session
    from live777py.streams.stream import Stream


class LiveSessionOwner(Protocol):
    """Implemented by `streams.manager.StreamManager`."""

    def session_changed(self, live: LiveSession, state: PeerState) -> None: ...
    def session_ended(self, live: LiveSession, reason: EndReason) -> None: ...


class LiveSession:
    """A session whose peer exists. Sessions that are over have none; they are only listed."""

    __slots__ = ("_owner", "peer", "session", "stream")

    def __init__(
        self,
        owner: LiveSessionOwner,
        stream: Stream,
        session: Session,
        *,
        engine: MediaEngine,
        certificate: Certificate,
        remote: RemotePeer,
        ice_lite: bool,
    ) -> None:
        self.stream = stream
        self.session = session
        self.peer = ServerPeer(
            engine,
            certificate,
            owner=self,
            remote=remote,
            stream=stream.name,
            session=session.id,
            ice_lite=ice_lite,
        )
        self._owner = owner

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

    def media_ids(self) -> Iterator[int]:
        """The engine's numbers of its tracks or subscriptions."""
        for _, number in (*self.peer.tracks, *self.peer.subscriptions):
            yield number


def routes(publisher: LiveSession, viewer: LiveSession) -> list[tuple[int, int, tuple[tuple[int, int], ...]]] | None:
    """(subscription, track, payload types) of all that can flow.

    None where the viewer asked for a kind that the publisher sends, and offered no codec that the publisher uses.
    """
    found = []
    for played, subscription in viewer.peer.subscriptions:
        candidates = [entry for entry in publisher.peer.tracks if entry[0].kind == played.kind]
        if not candidates or not played.active:
            continue
        published, track = candidates[0]
        payload_types = payload_map(published, played)
        if payload_types is None:
            return None
        found.append((subscription, track, payload_types))
    return found
