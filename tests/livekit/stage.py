"""Sessions without media, as rooms see them: what comes and goes is told on a bus, what rooms do is written down."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from live777py.errors import NotFound
from live777py.rtc.parameters import Codec, Encoding, PublishedMedia
from live777py.streams.bus import EventBus
from live777py.streams.clients import Client
from live777py.streams.control import LayerFacts, SessionFacts, TrackFacts
from live777py.streams.events import (
    PublishStarted,
    PublishStopped,
    SessionStateChanged,
    SubscriberJoined,
    SubscriberLeft,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from live777py.livekit.rooms import Rooms
    from live777py.rtc.parameters import Kind
    from live777py.streams.control import SessionKey
    from live777py.streams.events import LeaveReason
    from live777py.streams.participant import Participant
    from live777py.streams.session import Role

AUDIO = PublishedMedia(
    kind="audio",
    mid="0",
    codecs=(Codec(payload_type=111, name="opus", clock_rate=48000, channels=2),),
    encodings=(Encoding(ssrc=1),),
)
VIDEO = PublishedMedia(
    kind="video", mid="1", codecs=(Codec(payload_type=96, name="VP8", clock_rate=90000),), encodings=(Encoding(ssrc=2),)
)


@dataclass
class Control:
    """`calls` are those that have no effect here."""

    bus: EventBus
    facts: dict[SessionKey, SessionFacts] = field(default_factory=dict)
    published: dict[SessionKey, list[TrackFacts]] = field(default_factory=dict)
    withheld: dict[SessionKey, frozenset[Kind]] = field(default_factory=dict)
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def streams(self) -> list[str]:
        return sorted({stream for stream, _ in self.facts})

    def sessions(self) -> list[SessionFacts]:
        return list(self.facts.values())

    def session(self, key: SessionKey) -> SessionFacts | None:
        return self.facts.get(key)

    def relay(self, stream: str) -> SessionKey | None:
        return next((key for key, facts in self.facts.items() if key[0] == stream and facts.gateway), None)

    def tracks(self, key: SessionKey) -> list[TrackFacts]:
        if key not in self.facts:
            raise NotFound("session not exists")
        withheld = self.withheld.get(key, frozenset())
        return [facts for facts in self.published.get(key, []) if facts.media.kind not in withheld]

    def withhold(self, key: SessionKey, kinds: Iterable[Kind]) -> None:
        self.withheld[key] = frozenset(kinds)

    def allow_data(self, key: SessionKey, *, allowed: bool) -> None:
        self.calls.append(("allow_data", key, allowed))

    def drop(self, viewer: SessionKey, kind: Kind) -> None:
        self.calls.append(("drop", viewer, kind))

    def restore(self, viewer: SessionKey, kind: Kind) -> None:
        self.calls.append(("restore", viewer, kind))

    def tell(self, key: SessionKey, label: str, message: bytes) -> bool:
        self.calls.append(("tell", key, label, message))
        return True

    async def close(self, keys: Iterable[SessionKey], reason: LeaveReason) -> None:
        for key in keys:
            self.leave(key, reason)

    async def delete_stream(self, stream: str) -> None:
        await self.close([key for key in self.facts if key[0] == stream], "stream-deleted")

    def leave(self, key: SessionKey, reason: LeaveReason) -> None:
        facts = self.facts.pop(key, None)
        if facts is None:
            return
        stream, session = key
        self.bus.publish(SessionStateChanged(stream=stream, session=session, state="closed"))
        if facts.established:
            left = PublishStopped if facts.role == "publish" else SubscriberLeft
            self.bus.publish(left(stream=stream, session=session, reason=reason))


class Stage:
    """Stands for `StreamManager`."""

    def __init__(self) -> None:
        self.bus = EventBus()
        self.control: Any = Control(self.bus)
        self._numbers = 0

    async def come(
        self, rooms: Rooms, stream: str, role: Role = "publish", *, participant: Participant | None = None
    ) -> SessionKey:
        """Through the door, and connected."""
        key = self._key(stream)
        client = Client(loopback=True, participant=participant)
        await rooms.check(client)
        async with rooms.admit(stream, role, key[1], client) as admitted:
            self.enter(key, role, admitted)
        self.connect(key)
        await rooms.members.settle()
        return key

    def enter(self, key: SessionKey, role: Role, participant: Participant | None, **facts: Any) -> None:
        self.control.facts[key] = SessionFacts(
            key=key,
            role=role,
            state="new",
            established=False,
            created_ms=0,
            participant=participant,
            **{"gateway": False, "origin": None, **facts},
        )
        self.bus.publish(SessionStateChanged(stream=key[0], session=key[1], state="new"))

    def connect(self, key: SessionKey) -> None:
        facts = self.control.facts[key]
        self.control.facts[key] = replace(facts, established=True, state="connected")
        if facts.role == "publish":
            self.control.published[key] = [self._track(AUDIO), self._track(VIDEO)]
        arrived = PublishStarted if facts.role == "publish" else SubscriberJoined
        self.bus.publish(arrived(stream=key[0], session=key[1]))

    def leave(self, key: SessionKey, reason: LeaveReason = "peer-closed") -> None:
        self.control.leave(key, reason)

    def _key(self, stream: str) -> SessionKey:
        self._numbers += 1
        return stream, f"{self._numbers:08}-session"

    def _track(self, media: PublishedMedia) -> TrackFacts:
        self._numbers += 1
        layer = LayerFacts(rid=None, ssrc=2, width=640, height=360, bitrate=0)
        return TrackFacts(
            number=self._numbers, media=media, muted=False, layers=(layer,) if media.kind == "video" else ()
        )
