"""What each method says of a room, a participant or a thing that is not there: one row each."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from livekit import api

from tests.conformance.livekit_server import token

if TYPE_CHECKING:
    from tests.conformance.livekit_server import LiveKitServer

NO_ROOM = (404, "not_found", "requested room does not exist")
NO_PARTICIPANT = (404, "not_found", "participant does not exist")
DATA = base64.b64encode(b"x").decode()
Row = tuple[str, str, tuple[int, str, str] | tuple[int, dict[str, Any]]]

# LiveKit's server says 503 to some of these after 15 s, when its bus was silent; its SDKs wait for 10 s.
ROOMS: list[Row] = [
    ("DeleteRoom", "", NO_ROOM),
    ("UpdateRoomMetadata", '"metadata":"x"', NO_ROOM),
    ("ListRooms", '"names":["missing"]', (200, {"rooms": []})),
    ("ListParticipants", "", (200, {"participants": []})),
    ("GetParticipant", '"identity":"x"', NO_PARTICIPANT),
    ("RemoveParticipant", '"identity":"x"', NO_PARTICIPANT),
    ("UpdateParticipant", '"identity":"x","metadata":"m"', NO_PARTICIPANT),
    ("MutePublishedTrack", '"identity":"x","track_sid":"TR_x","muted":true', NO_PARTICIPANT),
    ("UpdateSubscriptions", '"identity":"x","track_sids":["TR_x"],"subscribe":true', NO_PARTICIPANT),
    ("SendData", f'"data":"{DATA}"', NO_ROOM),
    ("ForwardParticipant", '"identity":"x","destination_room":"there"', NO_PARTICIPANT),
    ("MoveParticipant", '"identity":"x","destination_room":"there"', NO_PARTICIPANT),
]
EMPTY_ROOM: list[Row] = [
    *(row for row in ROOMS if row[2] == NO_PARTICIPANT),
    ("ListParticipants", "", (200, {"participants": []})),
    ("SendData", f'"data":"{DATA}","destination_identities":["x"]', (200, {})),
]


async def assert_answer(livekit: LiveKitServer, room: str, row: Row, *, service: str = "RoomService") -> None:
    method, fields, expected = row
    grants: dict[str, Any] = {
        "room_admin": True,
        "room_create": True,
        "room_list": True,
        "room": room,
        "destination_room": "there",
    }
    body = f'{{"room":"{room}"{"," if fields else ""}{fields}}}'
    answer = await livekit.call(method, body, token(**grants), service=service)
    said = json.loads(answer.body)
    if len(expected) == 3:
        status, code, message = expected
        said.pop("meta", None)
        assert (answer.status, said) == (status, {"code": code, "msg": message})
    else:
        assert (answer.status, said) == expected


@pytest.mark.parametrize("row", ROOMS, ids=lambda row: row[0])
async def test_the_room_is_not_there(livekit: LiveKitServer, row: Row) -> None:
    await assert_answer(livekit, "missing", row)


@pytest.mark.parametrize("row", EMPTY_ROOM, ids=lambda row: row[0])
async def test_nobody_is_in_the_room(livekit: LiveKitServer, row: Row) -> None:
    await livekit.api.room.create_room(api.CreateRoomRequest(name="stage"))
    await assert_answer(livekit, "stage", row)


@pytest.mark.parametrize(
    "row",
    [
        ("ListDispatch", '"dispatch_id":"AD_x"', (200, {"agent_dispatches": []})),
        ("DeleteDispatch", '"dispatch_id":"AD_x"', (404, "not_found", "dispatch ID not found")),
    ],
    ids=lambda row: row[0],
)
async def test_the_dispatch_is_not_there(livekit: LiveKitServer, row: Row) -> None:
    await livekit.api.room.create_room(api.CreateRoomRequest(name="stage"))
    await assert_answer(livekit, "stage", row, service="AgentDispatchService")


async def test_a_track_that_is_not_there(livekit: LiveKitServer) -> None:
    await livekit.join("show", "alice")
    await livekit.publisher("show", "alice")
    row: Row = ("MutePublishedTrack", '"identity":"alice","track_sid":"TR_x","muted":true', (200, {}))
    method, fields, _ = row
    answer = await livekit.call(method, f'{{"room":"show",{fields}}}', token(room_admin=True, room="show"))
    assert answer.status == 200
    assert json.loads(answer.body).get("track") is None
