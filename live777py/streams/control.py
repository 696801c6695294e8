"""What rooms do to sessions: who gets which track, who is heard, who goes, who is shown elsewhere."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from live777py.errors import Conflict, NotFound
from live777py.streams import flow
from live777py.streams.copying import CopyPeer
from live777py.streams.layers import rids_of
from live777py.streams.live import Choice
from live777py.streams.registry import wait_closed
from live777py.streams.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from live777py.rtc.certificate import Certificate
    from live777py.rtc.negotiation import Kind, PublishedMedia
    from live777py.streams.events import LeaveReason
    from live777py.streams.joining import Joining
    from live777py.streams.live import LiveSession
    from live777py.streams.participant import Participant
    from live777py.streams.registry import Registry
    from live777py.streams.session import Role
    from live777py.streams.views import SessionState

_AT_ONCE: Final = 20
"""Sessions that are closed before others have their turn."""

KINDS: Final[tuple[Kind, ...]] = ("audio", "video")

SessionKey = tuple[str, str]
"""The name of its stream, and its id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionFacts:
    """`origin` is the session whose tracks this one shows. `gateway`: at its other end is another gateway."""

    key: SessionKey
    role: Role
    state: SessionState
    established: bool
    created_ms: int
    participant: Participant | None
    gateway: bool
    origin: SessionKey | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerFacts:
    """One encoding; a size or rate of 0 is unknown."""

    rid: str | None
    ssrc: int
    width: int
    height: int
    bitrate: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackFacts:
    """`number` is the engine's. `layers` has the best first."""

    number: int
    media: PublishedMedia
    muted: bool
    layers: tuple[LayerFacts, ...]


class SessionControl:
    """Every method raises `NotFound` for a session that is not there."""

    def __init__(self, registry: Registry, joining: Joining, certificate: Certificate) -> None:
        self._registry = registry
        self._joining = joining
        self._certificate = certificate

    # What is there

    def streams(self) -> list[str]:
        return list(self._registry.streams)

    def sessions(self) -> list[SessionFacts]:
        return [_facts(live) for live in self._registry.sessions.values()]

    def session(self, key: SessionKey) -> SessionFacts | None:
        live = self._registry.sessions.get(key)
        return None if live is None else _facts(live)

    def relay(self, stream: str) -> SessionKey | None:
        """The session by which the stream comes from another node of the cluster, if it does."""
        known = self._registry.streams.get(stream)
        publisher = None if known is None else self._registry.publisher(known)
        return _key(publisher) if publisher is not None and publisher.session.relay else None

    def tracks(self, key: SessionKey) -> list[TrackFacts]:
        """What the session publishes and nobody withholds; nothing before it is connected."""
        live = self._live(key)
        if not live.session.established:
            return []
        return [
            TrackFacts(number=track, media=media, muted=media.kind in live.silenced, layers=_layers(live, media, track))
            for media, track in live.peer.tracks
            if media.kind not in live.absent
        ]

    # Publishers

    def mute(self, key: SessionKey, kind: Kind, *, muted: bool) -> None:
        """For all who get it. A copy can be muted alone, its origin only with its copies."""
        live = self._live(key)
        live.muted = live.muted | {kind} if muted else live.muted - {kind}
        for viewer in self._registry.listeners(live):
            flow.pause(self._registry.engine, self._registry.publisher(viewer.stream), viewer, (kind,))

    def withhold(self, key: SessionKey, kinds: Iterable[Kind]) -> None:
        """Of what the session publishes nobody gets these kinds; of all others everybody who can."""
        live, engine = self._live(key), self._registry.engine
        before, live.withheld = live.withheld, frozenset(kinds)
        gone, back = live.withheld - before, before - live.withheld
        theirs = live.with_copies()
        for viewer in self._registry.listeners(live):
            publisher = self._registry.publisher(viewer.stream)
            for kind in KINDS:
                if flow.source_of(publisher, viewer, kind) not in theirs:
                    continue
                if kind in gone and kind in viewer.chosen:
                    flow.unchoose(engine, publisher, viewer, kind)
                elif kind in gone:
                    flow.detach(engine, viewer, (kind,))
                elif kind in back and publisher is not None:
                    flow.connect(engine, publisher, viewer, (kind,))

    def copy(self, key: SessionKey, stream: str, participant: Participant) -> SessionKey:
        """Show its tracks as those of `stream`, until it ends. Raises `Conflict` where that is published."""
        registry = self._registry
        origin = self._live(key)
        if origin.session.role != "publish" or not origin.session.established:
            raise Conflict("the session publishes nothing")
        known = registry.streams.get(stream)
        if known is not None:
            registry.run(known, known.life.publisher_comes())
        session = Session(str(uuid.uuid4()), "publish", registry.clock.now(), participant=participant)

        def make(live: LiveSession) -> CopyPeer:
            return CopyPeer(
                registry.engine,
                self._certificate,
                owner=live,
                origin=origin.peer,
                stream=stream,
                session=session.id,
            )

        with ExitStack() as undo:
            live, _ = self._joining.enter(undo, known, stream, session, make)
            registry.copy(origin, live)
            undo.pop_all()
        return stream, session.id

    # Viewers

    def choose(self, viewer: SessionKey, publisher: SessionKey, track: int) -> None:
        """Let the viewer get this track in place of its stream's own of the kind.

        Raises `Conflict` where it has no section for the kind, or offered another codec.
        """
        live, source = self._live(viewer), self._live(publisher)
        kind = next((media.kind for media, number in source.peer.tracks if number == track), None)
        if kind is None:
            raise NotFound("no such track")
        engine = self._registry.engine
        own = self._registry.publisher(live.stream)
        if source is own:
            flow.unchoose(engine, own, live, kind)
        elif not flow.choose(engine, live, kind, Choice(source, track)):
            raise Conflict(f"the viewer cannot play this {kind} track without a new negotiation")

    def drop(self, viewer: SessionKey, kind: Kind) -> None:
        """Let nothing of a kind flow to the viewer."""
        flow.choose(self._registry.engine, self._live(viewer), kind, None)

    def restore(self, viewer: SessionKey, kind: Kind) -> None:
        """What its stream has of the kind."""
        live = self._live(viewer)
        flow.unchoose(self._registry.engine, self._registry.publisher(live.stream), live, kind)

    def playing(self, viewer: SessionKey) -> dict[Kind, tuple[SessionKey, int]]:
        """For each kind that flows to it, whose track it is and the track's number."""
        live = self._live(viewer)
        own = self._registry.publisher(live.stream)
        found: dict[Kind, tuple[SessionKey, int]] = {}
        for played, _ in live.peer.subscriptions:
            source = flow.source_of(own, live, played.kind)
            if source is None or not played.active or played.kind in source.absent:
                continue
            choice = live.chosen.get(played.kind)
            for media, number in source.peer.tracks:
                if media.kind == played.kind and (choice is None or choice.track == number):
                    found.setdefault(played.kind, (_key(source), number))
        return found

    # Either

    def allow_data(self, key: SessionKey, *, allowed: bool) -> None:
        """Whether others hear what it says on its data channels."""
        self._live(key).speaks = allowed

    def tell(self, key: SessionKey, label: str, message: bytes) -> bool:
        """On its data channel of that label, or its first. False if it has none that is open, or is slow."""
        channels = self._live(key).channels
        sent = channels is not None and channels.send(label, message)
        self._registry.channel_totals.sent += sent
        self._registry.channel_totals.lost += channels is not None and not sent
        return sent

    def move(self, key: SessionKey, stream: str, participant: Participant) -> SessionKey:
        """The session goes on under another stream. Raises `Conflict` where that is published, `Unavailable`."""
        live = self._live(key)
        if not live.session.established:
            raise Conflict("the session is not connected yet")
        self._registry.move(live, stream)
        live.session.participant = participant
        return _key(live)

    async def close(self, keys: Iterable[SessionKey], reason: LeaveReason) -> None:
        """Those that are there still; a publisher's viewers stay. Returns when the other ends have been told."""
        sessions = [live for key in keys if (live := self._registry.sessions.get(key)) is not None]
        for first in range(0, len(sessions), _AT_ONCE):
            await self._registry.close(sessions[first : first + _AT_ONCE], reason)

    async def delete_stream(self, stream: str) -> None:
        """With everybody; one of the configuration begins anew. Nothing happens to one that is not there."""
        known = self._registry.streams.get(stream)
        if known is None:
            return
        if known.life.provisioned is not None:
            await self._registry.close(
                [self._registry.sessions[stream, one.id] for one in known.life.sessions], "stream-deleted"
            )
            return
        await wait_closed(self._registry.run(known, known.life.api_deletes()))

    def _live(self, key: SessionKey) -> LiveSession:
        return self._registry.require_session(*key)


def _key(live: LiveSession) -> SessionKey:
    return live.stream.name, live.session.id


def _facts(live: LiveSession) -> SessionFacts:
    session = live.session
    return SessionFacts(
        key=_key(live),
        role=session.role,
        state=session.state,
        established=session.established,
        created_ms=session.created_at,
        participant=session.participant,
        gateway=session.relay or bool(session.marks) or (session.cascade is not None and session.role == "subscribe"),
        origin=None if live.origin is None else _key(live.origin),
    )


def _layers(live: LiveSession, media: PublishedMedia, track: int) -> tuple[LayerFacts, ...]:
    measured = (
        {view.encoding_id: view for view in live.layers.views(None)} if len(rids_of(media)) > 1 and live.layers else {}
    )
    layers = []
    for encoding in media.encodings:
        view = measured.get(encoding.rid or "")
        width, height = live.sizes.get((track, encoding.rid), (0, 0))
        layers.append(
            LayerFacts(
                rid=encoding.rid,
                ssrc=encoding.ssrc or 0,
                width=view.width if view and view.width else width,
                height=view.height if view and view.height else height,
                bitrate=view.bitrate if view else 0,
            )
        )
    return tuple(sorted(layers, key=lambda layer: -layer.width * layer.height))
