"""A LiveKit door before services that only remember what they were asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from livekit.protocol.models import Room
from livekit.protocol.room import ListParticipantsResponse, ListRoomsResponse

from live777py.app import LIVEKIT
from tests.livekit.tokens import CONFIG, token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import ClientResponse
    from google.protobuf.message import Message
    from livekit.protocol.room import CreateRoomRequest, ListParticipantsRequest, ListRoomsRequest

    from live777py.livekit.build import LiveKit
    from live777py.livekit.twirp import Call
    from tests.http.doors import Door, OpenDoor

SERVICE = "/twirp/livekit.RoomService"


@dataclass
class FakeRooms:
    """Three of the methods. `failure` is raised by each; `hold` is awaited first."""

    requests: list[Message] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    failure: Exception | None = None
    hold: Callable[[], Awaitable[object]] | None = None
    room: Room = field(default_factory=Room)
    participants: ListParticipantsResponse = field(default_factory=ListParticipantsResponse)

    async def create_room(self, request: CreateRoomRequest, call: Call) -> Room:
        call.require(room_create=True)
        await self._asked(request, call)
        return self.room

    async def list_rooms(self, request: ListRoomsRequest, call: Call) -> ListRoomsResponse:
        call.require(room_list=True)
        await self._asked(request, call)
        return ListRoomsResponse(rooms=[self.room])

    async def list_participants(self, request: ListParticipantsRequest, call: Call) -> ListParticipantsResponse:
        call.require_room_admin(request.room)
        await self._asked(request, call)
        return self.participants

    async def _asked(self, request: Message, call: Call) -> None:
        self.requests.append(request)
        self.calls.append(call)
        if self.hold is not None:
            await self.hold()
        if self.failure is not None:
            raise self.failure


@dataclass(frozen=True, kw_only=True)
class LiveKitDoor:
    door: Door
    livekit: LiveKit
    rooms: FakeRooms

    async def call(self, method: str, *, bearer: str | None = "", **options: Any) -> ClientResponse:
        """POST of JSON unless told otherwise; `bearer` "" is a token with every grant, None is no token."""
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer or token()}"
        path = method if method.startswith("/") else f"{SERVICE}/{method}"
        return await self.door.ask(options.pop("verb", "POST"), path, headers=headers, **options)


class OpenLiveKit(Protocol):
    def __call__(self, config: str = CONFIG) -> Awaitable[LiveKitDoor]: ...


@pytest.fixture
def open_livekit(open_door: OpenDoor) -> OpenLiveKit:
    async def open_it(config: str = CONFIG) -> LiveKitDoor:
        door = await open_door(config)
        livekit = door.app[LIVEKIT]
        rooms = FakeRooms()
        livekit.services.add("RoomService", rooms)
        return LiveKitDoor(door=door, livekit=livekit, rooms=rooms)

    return open_it
