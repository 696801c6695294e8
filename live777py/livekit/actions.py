"""What the API does to participants and their tracks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from livekit.protocol.models import DisconnectReason

from live777py.config.values import STREAM_NAME_RULE, is_stream_name
from live777py.errors import BadRequest, Conflict
from live777py.livekit import names
from live777py.livekit.membership import AT_ONCE
from live777py.livekit.participants import permission_of
from live777py.livekit.tracks import Track
from live777py.rtc.sctp_section import MAX_MESSAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Collection

    from livekit.protocol.models import ParticipantInfo, TrackInfo
    from livekit.protocol.room import UpdateParticipantRequest, UpdateSubscriptionsRequest

    from live777py.livekit.participants import Member
    from live777py.livekit.room import RoomState
    from live777py.livekit.rooms import Rooms
    from live777py.streams.control import SessionKey

DATA_LABEL: Final = "lk-data"
"""Of the data channel that what has no topic goes to, where the other end has opened one of that name."""
MAX_ATTRIBUTES: Final = 64 * 1024


class Actions:
    """Every method raises `Live777Error`s: `NotFound` without the room or the participant."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._members = rooms.members
        self._control = rooms.control

    # Participants

    async def remove(self, room: str, identity: str, *, revoke_token_ts: int = 0) -> None:
        """The sessions end. Tokens of it made before `revoke_token_ts` (Unix seconds) are no good any more."""
        if revoke_token_ts:
            await self._rooms.records.revoke(room, identity, revoke_token_ts)
        _, member = await self._rooms.require_member(room, identity)
        keys = list(member.sessions)
        for key in keys:
            self._members.reasons[key] = DisconnectReason.PARTICIPANT_REMOVED
        await self._control.close(keys, "removed")
        await self._members.settle()

    async def update(self, request: UpdateParticipantRequest) -> ParticipantInfo:
        room, member = await self._rooms.require_member(request.room, request.identity)
        self._update(room, member, request)
        for _, copy in self._members.copies_of(member):
            copy.describe(member.participant)
        return self._members.info(member)

    def _update(self, room: RoomState, member: Member, request: UpdateParticipantRequest) -> None:
        participant = member.updated(name=request.name, metadata=request.metadata, attributes=dict(request.attributes))
        size = sum(len(key.encode()) + len(value.encode()) for key, value in participant.attributes.items())
        if size > MAX_ATTRIBUTES:
            raise BadRequest(f"attribute size exceeds limits {MAX_ATTRIBUTES}")
        if request.HasField("permission"):
            permission = permission_of(request.permission, participant.permission)
            participant = replace(participant, permission=permission)
        self._members.set_participant(room, member, participant)

    # Tracks

    async def mute(self, room: str, identity: str, track_sid: str, *, muted: bool) -> TrackInfo | None:
        """For everybody who gets it; None for a track that is not there. Raises `Conflict`."""
        if not muted and not self._rooms.settings.enable_remote_unmute:
            raise Conflict("remote unmute not enabled")
        _, member = await self._rooms.require_member(room, identity)
        track = member.tracks.get(track_sid)
        if track is None:
            return None
        self._control.mute(track.key, track.kind, muted=muted)
        return next(info for info in self._members.track_infos(member) if info.sid == track_sid)

    async def subscribe(self, request: UpdateSubscriptionsRequest) -> None:
        """A viewer has one track of each kind: another one takes its place. Unknown tracks are passed over."""
        _, member = await self._rooms.require_member(request.room, request.identity)
        if request.subscribe and not member.participant.permission.can_subscribe:
            raise Conflict("the participant may not subscribe")
        viewers = member.sessions_of("subscribe")
        for track in (*self._rooms.named_tracks(request), *await self._relayed(request)):
            if request.subscribe:
                self._give(viewers, track)
            else:
                for viewer in viewers:
                    if self._control.playing(viewer).get(track.kind) == (track.key, track.number):
                        self._control.drop(viewer, track.kind)

    async def _relayed(self, request: UpdateSubscriptionsRequest) -> list[Track]:
        """Tracks of other nodes whose streams somebody here watches."""
        if self._rooms.others is None:
            return []
        return [
            Track(sid="", number=facts.number, key=key, kind=kind, source="")
            for stream, kind in await self._rooms.others.tracks(request)
            if (key := self._control.relay(stream)) is not None
            for facts in self._control.tracks(key)
            if facts.media.kind == kind
        ]

    def _give(self, viewers: list[SessionKey], track: Track) -> None:
        own = [viewer for viewer in viewers if viewer[0] == track.key[0]]
        for viewer in own or viewers[:1]:
            self._control.choose(viewer, track.key, track.number)

    # Data

    async def send_data(
        self,
        room: str,
        data: bytes,
        *,
        topic: str = "",
        identities: Collection[str] = (),
        sids: Collection[str] = (),
    ) -> int:
        """To everybody where nobody is named; how many sessions it was sent to.

        Each gets the bytes on its data channel that is labelled as the topic, else on its first one.
        """
        if len(data) > MAX_MESSAGE_SIZE:
            raise BadRequest(f"data size exceeds limits {MAX_MESSAGE_SIZE}")
        known = await self._rooms.require(room)
        everybody = not identities and not sids
        keys = [
            key
            for member in known.members.values()
            if everybody or member.identity in identities or member.sid in sids
            for key in member.sessions
        ]
        sent = 0
        for place, key in enumerate(keys, 1):
            if self._control.session(key) is not None:
                sent += self._control.tell(key, topic or DATA_LABEL, data)
            if place % AT_ONCE == 0:
                await asyncio.sleep(0)
        return sent

    # Other rooms

    async def forward(self, room: str, identity: str, destination: str) -> None:
        """Its tracks are shown in the other room too, under the same sids, as long as they are there.

        Raises `Conflict` where it publishes nothing, or where the destination has somebody of that identity.
        """
        _, member = await self._rooms.require_member(room, identity)
        target = await self._destination(destination, member)
        if (other := target.members.get(identity)) is not None and other.copied:
            return
        if other is not None:
            raise Conflict(f"room {destination} has a participant {identity}")
        publishing = member.sessions_of("publish")
        if not publishing or not member.tracks:
            raise Conflict("the participant publishes nothing")
        stream = names.stream_of(destination, identity)
        self._control.copy(publishing[0], stream, replace(member.participant, room=destination))
        await self._members.settle()

    async def move(self, room: str, identity: str, destination: str) -> None:
        """Its sessions go on in the other room, its tracks under the same sids.

        A viewer gets there what the room's own stream publishes, else what the first publisher does. Raises `Conflict`
        where the destination has somebody of that identity.
        """
        _, member = await self._rooms.require_member(room, identity)
        target = await self._destination(destination, member)
        if identity in target.members:
            raise Conflict(f"room {destination} has a participant {identity}")
        if not member.active:
            raise Conflict("the participant has not joined yet")
        moved = replace(member.participant, room=destination)
        to_watch = self._stream_to_watch(target)
        for key in member.sessions_of("publish"):
            self._control.move(key, names.stream_of(destination, identity), moved)
        for key in member.sessions_of("subscribe"):
            self._control.move(key, to_watch, moved)
        await self._members.settle()

    async def _destination(self, name: str, member: Member) -> RoomState:
        fit = is_stream_name(name) and is_stream_name(names.stream_of(name, member.identity))
        if not fit or "@" in name:
            raise BadRequest(f"destination_room: identity@room must be {STREAM_NAME_RULE}, and the room without @")
        await self._rooms.ensure_room(name)
        target = await self._rooms.require(name)
        before = None if member.dependent else target.places_before(member.identity)
        if before is not None and target.full_with(before + await self._rooms.people_elsewhere(target)):
            raise Conflict(f"room {name} is full")
        return target

    @staticmethod
    def _stream_to_watch(room: RoomState) -> str:
        published = [track.key[0] for member in room.members.values() for track in member.tracks.values()]
        return room.name if room.name in published or not published else published[0]
