"""LiveKit's RoomService: who may ask, what is too long, and which use case it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from livekit.protocol.room import (
    DeleteRoomResponse,
    ForwardParticipantResponse,
    ListParticipantsResponse,
    ListRoomsResponse,
    MoveParticipantResponse,
    MuteRoomTrackResponse,
    RemoveParticipantResponse,
    SendDataResponse,
    UpdateSubscriptionsResponse,
)

from live777py.livekit.errors import TwirpError

if TYPE_CHECKING:
    from livekit.protocol.models import ParticipantInfo, Room
    from livekit.protocol.room import (
        CreateRoomRequest,
        DeleteRoomRequest,
        ForwardParticipantRequest,
        ListParticipantsRequest,
        ListRoomsRequest,
        MoveParticipantRequest,
        MuteRoomTrackRequest,
        PerformRpcRequest,
        PerformRpcResponse,
        RoomParticipantIdentity,
        SendDataRequest,
        UpdateParticipantRequest,
        UpdateRoomMetadataRequest,
        UpdateSubscriptionsRequest,
    )

    from live777py.livekit.actions import Actions
    from live777py.livekit.rooms import Rooms
    from live777py.livekit.twirp import Call

MAX_NAME: Final = 256
MAX_METADATA: Final = 512 * 1024
MAX_ATTRIBUTES: Final = 64 * 1024
_NONCE: Final = 16


class RoomService:
    def __init__(self, rooms: Rooms, actions: Actions) -> None:
        self._rooms = rooms
        self._actions = actions

    async def create_room(self, request: CreateRoomRequest, call: Call) -> Room:
        call.require(room_create=True)
        if len(request.name) > MAX_NAME:
            raise TwirpError("invalid_argument", f"room name length exceeds limits: max length {MAX_NAME}")
        if request.room_preset:
            raise TwirpError("invalid_argument", "unknown room configuration in create room request")
        _require_metadata(request.metadata)
        if request.HasField("egress"):
            raise TwirpError("internal", "egress not connected (it is not built in this version)")
        return await self._rooms.create_room(request)

    async def list_rooms(self, request: ListRoomsRequest, call: Call) -> ListRoomsResponse:
        call.require(room_list=True)
        return ListRoomsResponse(rooms=await self._rooms.list_rooms(set(request.names)))

    async def delete_room(self, request: DeleteRoomRequest, call: Call) -> DeleteRoomResponse:
        call.require(room_create=True)
        await self._rooms.delete_room(request.room)
        return DeleteRoomResponse()

    async def list_participants(self, request: ListParticipantsRequest, call: Call) -> ListParticipantsResponse:
        call.require_room_admin(request.room)
        return ListParticipantsResponse(participants=await self._rooms.list_participants(request.room))

    async def get_participant(self, request: RoomParticipantIdentity, call: Call) -> ParticipantInfo:
        call.require_room_admin(request.room)
        return await self._rooms.participant(request.room, request.identity)

    async def remove_participant(self, request: RoomParticipantIdentity, call: Call) -> RemoveParticipantResponse:
        call.require_room_admin(request.room)
        await self._actions.remove(request.room, request.identity, revoke_token_ts=request.revoke_token_ts)
        return RemoveParticipantResponse()

    async def mute_published_track(self, request: MuteRoomTrackRequest, call: Call) -> MuteRoomTrackResponse:
        call.require_room_admin(request.room)
        track = await self._actions.mute(request.room, request.identity, request.track_sid, muted=request.muted)
        return MuteRoomTrackResponse(track=track)

    async def update_participant(self, request: UpdateParticipantRequest, call: Call) -> ParticipantInfo:
        """Sizes come before the permission, as LiveKit has it."""
        if len(request.name) > MAX_NAME:
            raise TwirpError("invalid_argument", f"name length exceeds limits {MAX_NAME}")
        _require_metadata(request.metadata)
        if sum(len(key.encode()) + len(value.encode()) for key, value in request.attributes.items()) > MAX_ATTRIBUTES:
            raise _too_long("attribute size", MAX_ATTRIBUTES)
        call.require_room_admin(request.room)
        return await self._actions.update(request)

    async def update_subscriptions(
        self, request: UpdateSubscriptionsRequest, call: Call
    ) -> UpdateSubscriptionsResponse:
        call.require_room_admin(request.room)
        await self._actions.subscribe(request)
        return UpdateSubscriptionsResponse()

    async def send_data(self, request: SendDataRequest, call: Call) -> SendDataResponse:
        call.require_room_admin(request.room)
        if len(request.nonce) not in (0, _NONCE):
            text = f"nonce should be 16-bytes or not present, got: {len(request.nonce)} bytes"
            raise TwirpError("invalid_argument", text)
        await self._actions.send_data(
            request.room,
            request.data,
            topic=request.topic,
            identities=set(request.destination_identities),
            sids=set(request.destination_sids),
        )
        return SendDataResponse()

    async def update_room_metadata(self, request: UpdateRoomMetadataRequest, call: Call) -> Room:
        _require_metadata(request.metadata)
        call.require_room_admin(request.room)
        return await self._rooms.update_room_metadata(request.room, request.metadata)

    async def forward_participant(self, request: ForwardParticipantRequest, call: Call) -> ForwardParticipantResponse:
        _require_two_rooms(request, call)
        await self._actions.forward(request.room, request.identity, request.destination_room)
        return ForwardParticipantResponse()

    async def move_participant(self, request: MoveParticipantRequest, call: Call) -> MoveParticipantResponse:
        _require_two_rooms(request, call)
        await self._actions.move(request.room, request.identity, request.destination_room)
        return MoveParticipantResponse()

    async def perform_rpc(self, request: PerformRpcRequest, call: Call) -> PerformRpcResponse:
        call.require_room_admin(request.room)
        if not request.destination_identity:
            raise TwirpError("invalid_argument", "destination identity is required")
        raise TwirpError("unimplemented", "PerformRpc needs participants who joined by LiveKit's signalling")


def _require_two_rooms(request: ForwardParticipantRequest | MoveParticipantRequest, call: Call) -> None:
    call.require_room_admin(request.room)
    call.require_destination(request.destination_room)
    if request.room == request.destination_room:
        text = "destination room cannot be the same as source room "
        raise TwirpError("invalid_argument", text, {"argument": "destination_room"})


def _require_metadata(metadata: str) -> None:
    if len(metadata.encode()) > MAX_METADATA:
        raise _too_long("metadata size", MAX_METADATA)


def _too_long(what: str, limit: int) -> TwirpError:
    return TwirpError("invalid_argument", f"{what} exceeds limits {limit}", {"argument": f"{what} exceeds limits"})
