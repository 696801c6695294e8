"""All rooms of this node: they begin, somebody comes, they end. `actions` has what the API does to participants."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from google.protobuf.json_format import ParseDict, ParseError
from livekit.protocol.models import DisconnectReason, RoomEndReason
from livekit.protocol.room import CreateRoomRequest, RoomConfiguration

from live777py import log
from live777py.errors import BadRequest, Forbidden, Live777Error, NotFound, Unavailable
from live777py.livekit import names
from live777py.livekit.lifetimes import Lifetimes
from live777py.livekit.membership import AT_ONCE, Membership
from live777py.livekit.participants import is_dependent
from live777py.livekit.records import RoomRecord, RoomRecords, Stored, new_sid
from live777py.livekit.room import RoomState
from live777py.livekit.room_events import RoomEvent, RoomEvents, RoomFinished, RoomStarted
from live777py.streams.bus import Bus
from live777py.streams.clock import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator

    from livekit.protocol.models import ParticipantInfo, Room
    from livekit.protocol.room import UpdateSubscriptionsRequest

    from live777py.livekit.participants import Member
    from live777py.livekit.tracks import Track
    from live777py.rtc.parameters import Kind
    from live777py.store import KeyValue
    from live777py.streams.bus import EventBus
    from live777py.streams.clients import Client
    from live777py.streams.control import SessionControl, SessionKey
    from live777py.streams.participant import Participant
    from live777py.streams.session import Role

_ENDING_SECONDS: Final = 5.0
_CLOSING_SECONDS: Final = 0.05
_FULL_RETRY_SECONDS: Final = 10
_EVENTS: Final = 16_384

NO_PARTICIPANT: Final = "participant does not exist"
NO_ROOM: Final = "requested room does not exist"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RoomSettings:
    """Times in seconds; `max_participants` 0 is no limit."""

    auto_create: bool = True
    empty_timeout: int = 300
    departure_timeout: int = 20
    max_participants: int = 0
    enable_remote_unmute: bool = False


class Streams(Protocol):
    """`streams.manager.StreamManager`."""

    @property
    def bus(self) -> EventBus: ...
    @property
    def control(self) -> SessionControl: ...


class OtherNodes(Protocol):
    """`cluster_calls.ClusterCalls`."""

    async def people(self, room: str) -> int:
        """Who take a place in the room on other nodes."""

    async def tracks(self, request: UpdateSubscriptionsRequest) -> list[tuple[str, Kind]]:
        """Stream and kind of the tracks on other nodes that the request names."""


class Rooms:
    """Usage: `rooms = Rooms(manager, store, settings)`, `await rooms.start()` ... `await rooms.stop()`.

    Errors are `Live777Error`s: `NotFound` says `requested room does not exist` or `participant does not exist`.
    With `node`, the name of this one, other nodes have the same rooms through the same store.
    """

    def __init__(
        self, streams: Streams, store: KeyValue, settings: RoomSettings | None = None, *, node: str | None = None
    ) -> None:
        self.settings = settings or RoomSettings()
        self.events: RoomEvents = Bus[RoomEvent]()
        self.others: OtherNodes | None = None
        """Set where other nodes have people in the same rooms."""
        self.control = streams.control
        self.records = RoomRecords(store)
        self.clock = Clock()
        self._reader = streams.bus.subscribe(capacity=_EVENTS)
        self.members = Membership(self.control, self._reader, self.events, self.clock.now)
        self._lifetimes = Lifetimes(self, node)
        self._following: asyncio.Task[None] | None = None
        self._endings: dict[str, asyncio.Event] = {}

    async def start(self) -> None:
        """Before the streams are started."""
        self._following = log.watched(asyncio.create_task(self._follow_streams(), name="rooms"))
        self._lifetimes.start()

    async def stop(self) -> None:
        """After the streams have stopped, so that everybody's leaving is told. Rooms stay in the store."""
        await self._lifetimes.stop()
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self.members.settle()
        self._reader.close()
        self.events.close()

    # Rooms

    async def create_room(self, request: CreateRoomRequest) -> Room:
        """A room that is there is returned unchanged."""
        await self.members.settle()
        return (await self._make(request.name, request)).info()

    async def list_rooms(self, wanted: Collection[str] = ()) -> list[Room]:
        """All without names; those that are not there are left out."""
        await self.members.settle()
        infos = []
        async for stored in self.records.all(wanted):
            # One that is not known here may have been deleted meanwhile: it is shown, not adopted.
            room = self.members.rooms.get(stored.record.name) or RoomState(stored, self.clock.now())
            if room.open:
                infos.append(room.info())
        return infos

    def room(self, name: str) -> Room | None:
        """A snapshot, without asking the store."""
        room = self.members.rooms.get(name)
        return None if room is None else room.info()

    async def ensure_room(self, name: str, request: CreateRoomRequest | None = None, *, create: bool = False) -> Room:
        """As a join does: made if it is not there, and if that is allowed or `create`. Raises `NotFound`."""
        return (await self._ensure(name, request, create=create, joined=False)).info()

    async def delete_room(self, name: str) -> None:
        """Everybody's sessions end, `RoomFinished` comes last. Returns when they have ended."""
        room = await self.require(name)
        with self.ending(room):
            stored = await self.records.change(name, _closing)
            if stored is None:
                self.forget(room)
                raise NotFound(NO_ROOM)
            await self.empty(room)
            await self._lifetimes.others_gone(room)
            await self.records.note_deleted(stored.record.sid)
            await self.records.remove(name)
            self.forget(room, RoomEndReason.ROOM_END_API_DELETE)

    async def update_room_metadata(self, name: str, metadata: str) -> Room:
        await self.require(name)
        stored = await self.records.change(name, lambda record: msgspec.structs.replace(record, metadata=metadata))
        if stored is None:
            raise NotFound(NO_ROOM)
        return self.adopt(stored).info()

    # Participants of this node

    async def has_participant(self, room: str, identity: str) -> bool:
        await self.members.settle()
        known = self.members.rooms.get(room)
        return known is not None and identity in known.members

    async def list_participants(self, room: str) -> list[ParticipantInfo]:
        """Nothing for a room that is not there. Snapshots that are shared: not to be changed."""
        await self.members.settle()
        known = self.members.rooms.get(room)
        infos = []
        for place, member in enumerate(() if known is None else tuple(known.members.values()), 1):
            infos.append(self.members.info(member))
            if place % AT_ONCE == 0:
                await asyncio.sleep(0)
        return infos

    async def participant(self, room: str, identity: str) -> ParticipantInfo:
        _, member = await self.require_member(room, identity)
        return self.members.info(member)

    async def require_member(self, room: str, identity: str) -> tuple[RoomState, Member]:
        """Raises `NotFound`, which of a room that is not there speaks of the participant too."""
        await self.members.settle()
        known = self.members.rooms.get(room)
        member = None if known is None else known.members.get(identity)
        if known is None or member is None:
            raise NotFound(NO_PARTICIPANT)
        return known, member

    async def require(self, name: str) -> RoomState:
        """Raises `NotFound`."""
        await self.members.settle()
        room = self.members.rooms.get(name)
        if room is None and (stored := await self.records.get(name)) is not None:
            room = self.adopt(stored)
        if room is None or not room.open:
            raise NotFound(NO_ROOM)
        return room

    def people(self, room: str) -> int:
        """Who take a place in the room on this node."""
        known = self.members.rooms.get(room)
        return 0 if known is None else known.people

    def named_tracks(self, request: UpdateSubscriptionsRequest) -> list[Track]:
        """Those of this node."""
        room = self.members.rooms.get(request.room)
        if room is None:
            return []
        sids = set(request.track_sids)
        for wanted in request.participant_tracks:
            owner = next((one for one in room.members.values() if one.sid == wanted.participant_sid), None)
            if owner is not None:
                sids.update(wanted.track_sids or owner.tracks)
        found = (self.members.find_track(room, sid) for sid in sids)
        return [place[1] for place in found if place is not None]

    # Coming (streams.doorkeeper.Doorkeeper)

    async def check(self, client: Client) -> None:
        participant = client.participant
        if participant is None:
            return
        revoked_before = await self.records.revoked_before(participant.room, participant.identity)
        if revoked_before and (participant.issued_at or 0) < revoked_before:
            raise Forbidden("the token was revoked")

    @asynccontextmanager
    async def admit(self, stream: str, role: Role, session: str, client: Client) -> AsyncIterator[Participant]:
        participant = client.participant or names.stranger(stream, role, session)
        if client.marks and client.participant is None and role == "subscribe":
            yield participant  # another gateway; its viewers are in its rooms
            return
        room = await self._ensure(participant.room, create=participant.can_create_room, request=_asked(participant))
        await self.members.settle()
        if client.participant is not None:
            await self._replace(room, participant, stream, role)
        before = None if is_dependent(participant) else room.places_before(participant.identity)
        room.comes(participant.identity)
        try:
            # Who comes to another node at the same time finds this one, or is found.
            if before is not None and room.full_with(before + await self.people_elsewhere(room)):
                raise Unavailable("the room is full", retry_after=_FULL_RETRY_SECONDS)
            yield participant
        finally:
            await self.members.settle()
            room.goes_in(participant.identity, self.clock.now())

    async def _replace(self, room: RoomState, participant: Participant, stream: str, role: Role) -> None:
        """The same identity, publishing too, or watching the same: the old one goes."""
        member = room.members.get(participant.identity)
        if member is None:
            return
        old = [key for key in member.sessions_of(role) if role == "publish" or key[0] == stream]
        for key in old:
            self.members.reasons[key] = DisconnectReason.DUPLICATE_IDENTITY
        await self.control.close(old, "taken-over")
        await self.members.settle()

    async def people_elsewhere(self, room: RoomState) -> int:
        """Where it matters. Raises what hinders to ask."""
        limited = room.stored.record.max_participants > 0
        return await self.others.people(room.name) if limited and self.others is not None else 0

    # Beginning and ending

    async def _ensure(
        self, name: str, request: CreateRoomRequest | None = None, *, create: bool = False, joined: bool = True
    ) -> RoomState:
        room = self.members.rooms.get(name)
        if room is not None and room.open:
            return room
        if self.settings.auto_create or create:
            return await self._make(name, request or CreateRoomRequest(name=name), joined=joined)
        stored = await self.records.get(name)
        if stored is None or stored.record.closing:
            raise NotFound(NO_ROOM)
        return self.adopt(stored)

    async def _make(self, name: str, request: CreateRoomRequest, *, joined: bool = False) -> RoomState:
        settings = self.settings
        record = RoomRecord(
            name=name,
            sid=new_sid(),
            created_ms=self.clock.now(),
            empty_timeout=request.empty_timeout or settings.empty_timeout,
            departure_timeout=request.departure_timeout or settings.departure_timeout,
            max_participants=request.max_participants or settings.max_participants,
            metadata=request.metadata,
            tags=dict(request.tags),
            request=request.SerializeToString(),
            joined=joined,
        )
        stored, made = await self._create(record)
        room = self.adopt(stored)
        if made:
            _logger.info("room %s: begun", name)
            self.events.publish(RoomStarted(room=room.info(), agents=tuple(request.agents)))
        return room

    async def _create(self, record: RoomRecord) -> tuple[Stored, bool]:
        """Behind the end of the room of that name that is ending. Raises `Unavailable` if that takes long."""
        try:
            async with asyncio.timeout(_ENDING_SECONDS):
                while True:
                    if (ending := self._endings.get(record.name)) is not None:
                        await ending.wait()
                    stored, made = await self.records.create(record)
                    if not stored.record.closing:
                        return stored, made
                    await asyncio.sleep(_CLOSING_SECONDS)  # another node is at it
        except TimeoutError:
            raise Unavailable("the room is being deleted", retry_after=1) from None

    def adopt(self, stored: Stored) -> RoomState:
        """What the store has, unless we know of something newer."""
        room = self.members.rooms.get(stored.record.name)
        if room is None:
            room = self.members.rooms[stored.record.name] = RoomState(stored, self.clock.now())
        elif stored.version > room.stored.version:
            room.stored = stored
        return room

    @contextmanager
    def ending(self, room: RoomState) -> Iterator[None]:
        """Nobody comes meanwhile; who wants to waits for the next room of that name."""
        room.ending = True
        ended = self._endings[room.name] = asyncio.Event()
        try:
            yield
        finally:
            room.ending = False
            del self._endings[room.name]
            ended.set()

    def forget(self, room: RoomState, finished: RoomEndReason | None = None) -> None:
        """None: another node tells of its end."""
        del self.members.rooms[room.name]
        if finished is not None:
            _logger.info("room %s: finished", room.name)
            self.events.publish(RoomFinished(room=room.info(), reason=finished))

    async def empty(self, room: RoomState) -> None:
        """Everybody's sessions end, and the streams of the room with those who are no participants."""
        await self.close(room, DisconnectReason.ROOM_DELETED)
        streams = {stream for stream in self.control.streams() if names.room_of(stream) == room.name}
        await asyncio.gather(*(self.control.delete_stream(stream) for stream in streams))
        await self.members.settle()

    async def close(self, room: RoomState, reason: DisconnectReason) -> None:
        await self.members.settle()
        keys = [key for member in room.members.values() for key in member.sessions]
        for key in keys:
            self.members.reasons[key] = reason
        await self.control.close(keys, "stream-deleted")
        await self.members.settle()

    # What happens by itself

    async def _follow_streams(self) -> None:
        while await self.members.wait():
            await self.members.settle()
            for key in tuple(self.members.homeless):
                await self._house(key)

    async def _house(self, key: SessionKey) -> None:
        """A session that nobody admitted, or whose room has ended before it came."""
        facts = self.control.session(key)
        if facts is not None:
            participant = facts.participant or names.stranger(key[0], facts.role, key[1])
            try:
                await self._ensure(participant.room)
            except Live777Error as error:
                log.bind(_logger, stream=key[0], session=key[1]).warning("in no room: %s", error.detail)
            else:
                self.members.enter(key)
                if facts.established:
                    self.members.connect(key)
        self.members.homeless.discard(key)


def _closing(record: RoomRecord) -> RoomRecord:
    return msgspec.structs.replace(record, closing=True)


def _asked(participant: Participant) -> CreateRoomRequest | None:
    """What its token says about a room that is made for it."""
    if participant.room_config is None:
        return None
    try:
        config = ParseDict(dict(participant.room_config), RoomConfiguration(), ignore_unknown_fields=True)
    except ParseError:
        raise BadRequest("the token's roomConfig is not understood") from None
    return CreateRoomRequest(
        name=participant.room,
        empty_timeout=config.empty_timeout,
        departure_timeout=config.departure_timeout,
        max_participants=config.max_participants,
        metadata=config.metadata,
        tags=config.tags,
        agents=config.agents,
    )
