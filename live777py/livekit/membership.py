"""Who is in which room on this node, told by the bus of the streams, told on by the bus of the rooms."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from livekit.protocol.models import DisconnectReason, ParticipantInfo, TrackInfo

from live777py.livekit import ids, names, tracks
from live777py.livekit.participants import Member, reason_of
from live777py.livekit.room_events import (
    ParticipantAborted,
    ParticipantJoined,
    ParticipantLeft,
    RoomEvents,
    TrackPublished,
    TrackUnpublished,
)
from live777py.streams.cascading import CONFIGURED_PULL
from live777py.streams.control import KINDS
from live777py.streams.events import (
    PublishStarted,
    PublishStopped,
    SessionStateChanged,
    StreamEvent,
    SubscriberJoined,
    SubscriberLeft,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from live777py.livekit.room import RoomState
    from live777py.livekit.tracks import Track
    from live777py.rtc.parameters import Kind
    from live777py.streams.bus import Subscription
    from live777py.streams.control import SessionFacts, SessionKey, TrackFacts
    from live777py.streams.events import LeaveReason
    from live777py.streams.participant import Participant

AT_ONCE: Final = 50
"""Events, or participants, before others have their turn."""


class Sessions(Protocol):
    """What is asked and told of sessions as their members come: `streams.control.SessionControl`."""

    def sessions(self) -> list[SessionFacts]: ...
    def session(self, key: SessionKey) -> SessionFacts | None: ...
    def tracks(self, key: SessionKey) -> list[TrackFacts]: ...
    def withhold(self, key: SessionKey, kinds: list[Kind]) -> None: ...
    def drop(self, viewer: SessionKey, kind: Kind) -> None: ...
    def restore(self, viewer: SessionKey, kind: Kind) -> None: ...
    def allow_data(self, key: SessionKey, *, allowed: bool) -> None: ...


class Membership:
    """`rooms` are by name; who makes and ends them is `Rooms`.

    `homeless` are sessions whose room is not there: `wake` is set when there is one, or something to read.
    """

    def __init__(self, sessions: Sessions, reader: Subscription, events: RoomEvents, now: Callable[[], int]) -> None:
        self.rooms: dict[str, RoomState] = {}
        self.places: dict[SessionKey, tuple[RoomState, Member]] = {}
        self.homeless: set[SessionKey] = set()
        self.reasons: dict[SessionKey, DisconnectReason] = {}
        """Why a session will end that we end ourselves."""
        self._copies: set[SessionKey] = set()
        """Sessions that show the tracks of others."""
        self._sessions = sessions
        self._reader = reader
        self._events = events
        self._now = now
        self._missed = 0
        self._backlog: deque[StreamEvent] = deque()
        self._connected: set[SessionKey] = set()
        self._track_sids: dict[int, str] = {}
        """By the engine's number, which a track keeps wherever it is shown."""
        self._kept_sids: dict[str, str] = {}
        """Of participants who are being moved, by session."""

    async def wait(self) -> bool:
        """For the next event; False once the streams have stopped."""
        event = await self._reader.next_one()
        if event is not None:
            self._backlog.append(event)
        return event is not None

    async def settle(self) -> None:
        """Until everything that has happened is seen."""
        while True:
            if not self._step():
                return
            await asyncio.sleep(0)

    def _step(self) -> bool:
        """Look at some of what has happened; whether there is more."""
        self._backlog.extend(self._reader.pending())
        for _ in range(min(AT_ONCE, len(self._backlog))):
            self._handle(self._backlog.popleft())
        if not self._backlog and self._missed != self._reader.missed:
            self._missed = self._reader.missed
            self._compare()
        return bool(self._backlog)

    # Snapshots

    def info(self, member: Member) -> ParticipantInfo:
        return member.info(self.track_infos(member)) if member.tracks else member.info()

    def track_infos(self, member: Member) -> list[TrackInfo]:
        for key in member.sessions_of("publish"):
            if self._sessions.session(key) is None:
                continue  # it has ended, and we have not come to that yet
            for facts in self._sessions.tracks(key):
                for track in member.tracks.values():
                    if track.number == facts.number and track.key == key:
                        member.shown[track.sid] = track.info(facts)
        return [member.shown[sid] for sid in member.tracks]

    def find_track(self, room: RoomState, sid: str) -> tuple[Member, Track] | None:
        return next(
            ((member, member.tracks[sid]) for member in room.members.values() if sid in member.tracks),
            None,
        )

    def copies_of(self, member: Member) -> list[tuple[RoomState, Member]]:
        """In other rooms, with the tracks of this one."""
        found = []
        for key in self._copies:
            facts = self._sessions.session(key)
            if facts is not None and facts.origin in member.sessions and key in self.places:
                found.append(self.places[key])
        return found

    # What is true of a member

    def set_participant(self, room: RoomState, member: Member, participant: Participant) -> None:
        """With what follows from another permission."""
        before = member.participant
        member.become(participant)
        if participant.permission != before.permission:
            for key in member.sessions:
                self._obey(member, key, could_subscribe=before.permission.can_subscribe)
            self._show_tracks(room, member)
        room.count(member)

    def _obey(self, member: Member, key: SessionKey, *, could_subscribe: bool = True) -> None:
        permission = member.participant.permission
        allowed = permission.can_publish_sources
        if member.sessions[key] == "publish":
            refused = [kind for kind in KINDS if not (permission.can_publish and tracks.may_publish(kind, allowed))]
            self._sessions.withhold(key, refused)
        elif permission.can_subscribe != could_subscribe:
            for kind in KINDS:
                if permission.can_subscribe:
                    self._sessions.restore(key, kind)
                else:
                    self._sessions.drop(key, kind)
        self._sessions.allow_data(key, allowed=permission.can_publish_data)

    # What the streams tell

    def _handle(self, event: StreamEvent) -> None:
        match event:
            case SessionStateChanged(stream=stream, session=session, state="new"):
                self.enter((stream, session))
            case SessionStateChanged(stream=stream, session=session, state="closed"):
                if (stream, session) not in self._connected:
                    self._leave((stream, session), DisconnectReason.JOIN_FAILURE)
            case PublishStarted(stream=stream, session=session) | SubscriberJoined(stream=stream, session=session):
                self.connect((stream, session))
            case PublishStopped(stream=stream, session=session, reason=reason):
                self._left((stream, session), reason)
            case SubscriberLeft(stream=stream, session=session, reason=reason):
                self._left((stream, session), reason)

    def enter(self, key: SessionKey) -> None:
        facts = self._sessions.session(key)
        if facts is None or facts.gateway or key in self.places:
            return
        participant = facts.participant or names.stranger(key[0], facts.role, key[1])
        room = self.rooms.get(participant.room)
        if room is None or room.ending:
            self.homeless.add(key)
            return
        self.homeless.discard(key)
        room.joined = True
        kept = self._kept_sids.pop(key[1], None)
        member = room.members.get(participant.identity)
        if member is None:
            sid = kept or _participant_sid(key[1])
            member = Member(participant, self._now(), sid=sid, copied=facts.origin is not None)
            room.members[member.identity] = member
        member.sessions[key] = facts.role
        member.changed()
        room.count(member)
        self.places[key] = room, member
        if facts.origin is not None:
            self._copies.add(key)

    def connect(self, key: SessionKey) -> None:
        self.enter(key)
        place = self.places.get(key)
        if place is None or self._sessions.session(key) is None:
            return
        room, member = place
        self._connected.add(key)
        if not member.active:
            member.joined_ms = self._now()
            member.changed()
            self._events.publish(ParticipantJoined(room=room.info(), participant=self.info(member)))
        self._obey(member, key)
        self._show_tracks(room, member)

    def _left(self, key: SessionKey, reason: LeaveReason) -> None:
        place = self.places.get(key)
        if reason == "moved" and place is not None:
            self._kept_sids[key[1]] = place[1].sid
        self._leave(key, reason_of(reason), keeps_tracks=reason == "moved")

    def _leave(self, key: SessionKey, reason: DisconnectReason, *, keeps_tracks: bool = False) -> None:
        self.homeless.discard(key)
        self._connected.discard(key)
        reason = self.reasons.pop(key, reason)
        place = self.places.pop(key, None)
        if place is None:
            return
        room, member = place
        del member.sessions[key]
        copied = key in self._copies
        self._copies.discard(key)
        for track in [track for track in member.tracks.values() if track.key == key]:
            self._unpublish(room, member, track, for_good=not (keeps_tracks or copied))
        member.changed()
        if not member.sessions:
            self._go(room, member, reason)
        room.count(member)

    def _go(self, room: RoomState, member: Member, reason: DisconnectReason) -> None:
        del room.members[member.identity]
        room.count(member)
        if not member.dependent:
            room.left_ms = self._now()
        info = ParticipantInfo()
        info.CopyFrom(self.info(member))
        info.disconnect_reason = reason
        info.state = ParticipantInfo.State.DISCONNECTED
        event = ParticipantLeft if member.active else ParticipantAborted
        self._events.publish(event(room=room.info(), participant=info))

    # Tracks

    def _show_tracks(self, room: RoomState, member: Member) -> None:
        """Publish and unpublish until what is shown is what there is."""
        for key in member.sessions_of("publish"):
            there = {facts.number: facts for facts in self._sessions.tracks(key)}
            for track in [track for track in member.tracks.values() if track.key == key and track.number not in there]:
                self._unpublish(room, member, track, for_good=True)
            shown = {track.number for track in member.tracks.values() if track.key == key}
            for number, facts in there.items():
                if number not in shown:
                    self._publish(room, member, key, facts)
        for place in self.copies_of(member):
            self._show_tracks(*place)

    def _publish(self, room: RoomState, member: Member, key: SessionKey, facts: TrackFacts) -> None:
        kind = facts.media.kind
        source = tracks.source_of(kind, member.participant.permission.can_publish_sources)
        sid = self._track_sids.setdefault(facts.number, tracks.new_sid(source))
        track = tracks.Track(sid=sid, number=facts.number, key=key, kind=kind, source=source)
        member.tracks[sid] = track
        member.shown[sid] = info = track.info(facts)
        member.changed()
        room.count(member)
        self._events.publish(TrackPublished(room=room.info(), participant=self.info(member), track=info))

    def _unpublish(self, room: RoomState, member: Member, track: Track, *, for_good: bool) -> None:
        del member.tracks[track.sid]
        info = member.shown.pop(track.sid)
        if for_good:
            self._track_sids.pop(track.number, None)
        member.changed()
        room.count(member)
        self._events.publish(TrackUnpublished(room=room.info(), participant=self.info(member), track=info))

    # After events were missed

    def _compare(self) -> None:
        there = {facts.key: facts for facts in self._sessions.sessions()}
        for key in [key for key in self.places if key not in there]:
            self._leave(key, DisconnectReason.UNKNOWN_REASON)
        for key, facts in there.items():
            self.enter(key)
            if facts.established:
                self.connect(key)


def _participant_sid(session: str) -> str:
    """That of its first session, so that the door of LiveKit's own WHIP can tell it; a pull's id is always the same."""
    return ids.new_id(ids.PARTICIPANT) if session == CONFIGURED_PULL else ids.id_of(ids.PARTICIPANT, session)
