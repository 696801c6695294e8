"""Calls of the API in a cluster: made at the node that has the participant, at all nodes, or here.

What is in the store is the same for every node; who is in a room is known to the node that has their session.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol, cast

import msgspec
from livekit.protocol.room import ListParticipantsResponse, ListRoomsResponse, UpdateSubscriptionsRequest

from live777py.errors import NotFound
from live777py.livekit.errors import Code, TwirpError
from live777py.livekit.grants import Grants  # noqa: TC001 (msgspec reads it)
from live777py.livekit.twirp import METHODS, Call
from live777py.rtc.parameters import Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from google.protobuf.message import Message
    from livekit.protocol.models import ParticipantInfo, Room

    from live777py.errors import Live777Error
    from live777py.livekit.tracks import Track
    from live777py.livekit.twirp import Caller

_CALL: Final = "twirp"
_PARTICIPANT: Final = "participant"
_PEOPLE: Final = "people"
_TRACKS: Final = "tracks"

AT_PARTICIPANT: Final = frozenset(
    {
        "GetParticipant",
        "RemoveParticipant",
        "MutePublishedTrack",
        "UpdateParticipant",
        "UpdateSubscriptions",
        "ForwardParticipant",
        "MoveParticipant",
    }
)
"""Methods of RoomService about one participant, whose request names room and identity."""


class Rpc(Protocol):
    """`cluster.rpc.Rpc`."""

    def serve(self, method: str, handler: Callable[[bytes], Awaitable[bytes]]) -> None: ...
    def claim(self, method: str, claims: Callable[[bytes], Awaitable[bool]]) -> None: ...
    async def call(self, node: str, method: str, body: bytes = b"") -> bytes: ...
    async def find(self, method: str, body: bytes) -> str | None: ...
    async def gather(self, method: str, body: bytes = b"") -> dict[str, bytes | Live777Error]: ...


class Participants(Protocol):
    """`livekit.rooms.Rooms`."""

    async def has_participant(self, room: str, identity: str) -> bool: ...
    def people(self, room: str) -> int: ...
    def named_tracks(self, request: UpdateSubscriptionsRequest) -> Sequence[Track]: ...


class _AboutParticipant(Protocol):
    room: str
    identity: str


class _Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    service: str
    method: str
    request: bytes
    grants: Grants | None
    request_id: str = ""


class _Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """`code` is None for an answer that is no error."""

    message: bytes = b""
    code: Code | None = None
    msg: str = ""
    meta: dict[str, str] = {}


class ClusterCalls:
    """A `Caller` before the services of this node."""

    def __init__(self, here: Caller, rooms: Participants, rpc: Rpc) -> None:
        self._here = here
        self._rooms = rooms
        self._rpc = rpc
        rpc.serve(_CALL, self._serve)
        rpc.serve(_PEOPLE, self._people)
        rpc.serve(_TRACKS, self._tracks)
        rpc.claim(_PARTICIPANT, self._has_participant)

    async def call(self, service: str, method: str, request: Message, call: Call) -> Message:
        """Raises what the services raise; StoreUnavailable and Unavailable where other nodes cannot be asked."""
        if service == "RoomService":
            if method in AT_PARTICIPANT:
                return await self._at_participant(service, method, request, call)
            if method in {"ListRooms", "ListParticipants", "SendData"}:
                return await self._everywhere(service, method, request, call)
        return await self._here.call(service, method, request, call)

    async def people(self, room: str) -> int:
        """Who take a place in the room on other nodes (`rooms.OtherNodes`). Raises StoreUnavailable."""
        answers = await self._rpc.gather(_PEOPLE, room.encode())
        return sum(int(answer) for answer in answers.values() if isinstance(answer, bytes))

    async def tracks(self, request: UpdateSubscriptionsRequest) -> list[tuple[str, Kind]]:
        """Stream and kind of those on other nodes that the request names (`rooms.OtherNodes`)."""
        answers = await self._rpc.gather(_TRACKS, request.SerializeToString())
        return [
            track
            for answer in answers.values()
            if isinstance(answer, bytes)
            for track in msgspec.msgpack.decode(answer, type=list[tuple[str, Kind]])
        ]

    # Ways

    async def _at_participant(self, service: str, method: str, request: Message, call: Call) -> Message:
        who = cast("_AboutParticipant", request)
        if call.grants is None or await self._rooms.has_participant(who.room, who.identity):
            return await self._here.call(service, method, request, call)
        node = await self._rpc.find(_PARTICIPANT, msgspec.msgpack.encode((who.room, who.identity)))
        if node is None:  # then it is said here why not
            return await self._here.call(service, method, request, call)
        return _read(service, method, await self._rpc.call(node, _CALL, _write(service, method, request, call)))

    async def _everywhere(self, service: str, method: str, request: Message, call: Call) -> Message:
        """Here first: who may not do it troubles nobody else."""
        own = await self._here.call(service, method, request, call)
        answers = await self._rpc.gather(_CALL, _write(service, method, request, call))
        others = []
        for _node, answer in sorted(answers.items()):
            if isinstance(answer, NotFound):
                continue
            if not isinstance(answer, bytes):
                raise answer
            others.append(_read(service, method, answer))
        if isinstance(own, ListRoomsResponse):
            lists = [own, *(other for other in others if isinstance(other, ListRoomsResponse))]
            return ListRoomsResponse(rooms=_rooms(lists))
        if isinstance(own, ListParticipantsResponse):
            infos = [own, *(other for other in others if isinstance(other, ListParticipantsResponse))]
            return ListParticipantsResponse(participants=await _participants(infos))
        return own

    # For the other nodes

    async def _serve(self, body: bytes) -> bytes:
        asked = msgspec.msgpack.decode(body, type=_Call)
        request = METHODS[asked.service][asked.method].request.FromString(asked.request)
        try:
            message = await self._here.call(
                asked.service, asked.method, request, Call(grants=asked.grants, request_id=asked.request_id)
            )
        except TwirpError as error:
            return msgspec.msgpack.encode(_Answer(code=error.code, msg=error.msg, meta=dict(error.meta)))
        return msgspec.msgpack.encode(_Answer(message=message.SerializeToString()))

    async def _people(self, body: bytes) -> bytes:
        return b"%d" % self._rooms.people(body.decode())

    async def _tracks(self, body: bytes) -> bytes:
        named = self._rooms.named_tracks(UpdateSubscriptionsRequest.FromString(body))
        return msgspec.msgpack.encode([(track.key[0], track.kind) for track in named])

    async def _has_participant(self, body: bytes) -> bool:
        room, identity = msgspec.msgpack.decode(body, type=tuple[str, str])
        return await self._rooms.has_participant(room, identity)


def _write(service: str, method: str, request: Message, call: Call) -> bytes:
    return msgspec.msgpack.encode(
        _Call(
            service=service,
            method=method,
            request=request.SerializeToString(),
            grants=call.grants,
            request_id=call.request_id,
        )
    )


def _read(service: str, method: str, body: bytes) -> Message:
    answer = msgspec.msgpack.decode(body, type=_Answer)
    if answer.code is not None:
        raise TwirpError(answer.code, answer.msg, answer.meta)
    return METHODS[service][method].response.FromString(answer.message)


def _rooms(lists: Iterable[ListRoomsResponse]) -> list[Room]:
    """Each once, with the people of all nodes."""
    found: dict[str, Room] = {}
    for rooms in lists:
        for room in rooms.rooms:
            if (known := found.get(room.sid)) is None:
                found[room.sid] = room
            else:
                known.num_participants += room.num_participants
                known.num_publishers += room.num_publishers
                known.active_recording = known.active_recording or room.active_recording
    return list(found.values())


async def _participants(lists: Iterable[ListParticipantsResponse]) -> list[ParticipantInfo]:
    """Each identity once: who publishes comes before who does not, who came first before who came later."""
    found: dict[str, ParticipantInfo] = {}
    for infos in lists:
        for info in infos.participants:
            known = found.get(info.identity)
            if known is None or _rank(info) < _rank(known):
                found[info.identity] = info
        await asyncio.sleep(0)
    return list(found.values())


def _rank(info: ParticipantInfo) -> tuple[bool, int]:
    return not info.is_publisher, info.joined_at_ms
