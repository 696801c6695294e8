"""Which node answers which call of the API: three of them over a network in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from livekit.protocol.models import ParticipantInfo, Room
from livekit.protocol.room import (
    CreateRoomRequest,
    DeleteRoomRequest,
    ListParticipantsRequest,
    ListParticipantsResponse,
    ListRoomsRequest,
    ListRoomsResponse,
    MuteRoomTrackRequest,
    RoomParticipantIdentity,
    SendDataRequest,
    SendDataResponse,
    UpdateParticipantRequest,
    UpdateSubscriptionsRequest,
)

from live777py.errors import Conflict, Live777Error, NotFound, StoreUnavailable, Unavailable
from live777py.livekit.cluster_calls import AT_PARTICIPANT, ClusterCalls
from live777py.livekit.errors import TwirpError
from live777py.livekit.grants import Grants, VideoGrants
from live777py.livekit.tracks import Track
from live777py.livekit.twirp import METHODS, Call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.message import Message

ROOM = "RoomService"
ADMIN = Call(grants=Grants(iss="key", exp=1.0, video=VideoGrants(room_admin=True, room="show")), request_id="7")


class Network:
    """`away` is raised by everything."""

    def __init__(self) -> None:
        self.nodes: dict[str, Wire] = {}
        self.away: Live777Error | None = None


class Wire:
    """As `cluster.rpc.Rpc`."""

    def __init__(self, network: Network, name: str) -> None:
        self._network = network
        self._name = name
        self._handlers: dict[str, Callable[[bytes], Awaitable[bytes]]] = {}
        self._claims: dict[str, Callable[[bytes], Awaitable[bool]]] = {}
        network.nodes[name] = self

    def serve(self, method: str, handler: Callable[[bytes], Awaitable[bytes]]) -> None:
        self._handlers[method] = handler

    def claim(self, method: str, claims: Callable[[bytes], Awaitable[bool]]) -> None:
        self._claims[method] = claims

    async def call(self, node: str, method: str, body: bytes = b"") -> bytes:
        self._check()
        return await self._network.nodes[node]._handlers[method](body)

    async def find(self, method: str, body: bytes) -> str | None:
        self._check()
        for name, wire in self._network.nodes.items():
            if name != self._name and await wire._claims[method](body):
                return name
        return None

    async def gather(self, method: str, body: bytes = b"") -> dict[str, bytes | Live777Error]:
        self._check()
        answers: dict[str, bytes | Live777Error] = {}
        for name in self._network.nodes.keys() - {self._name}:
            try:
                answers[name] = await self._network.nodes[name]._handlers[method](body)
            except Live777Error as error:
                answers[name] = error
        return answers

    def _check(self) -> None:
        if self._network.away is not None:
            raise self._network.away


class Here:
    """The services of one node; `participants` are by identity, all in the room `show`."""

    def __init__(self, name: str, network: Network) -> None:
        self.name = name
        self.participants: dict[str, ParticipantInfo] = {}
        self.rooms: list[Room] = []
        self.asked: list[tuple[str, str, Message, Call]] = []
        self.failure: Exception | None = None
        self.calls = ClusterCalls(self, self, Wire(network, name))

    def join(self, identity: str, *, publishes: bool = False, at: int = 1) -> None:
        self.participants[identity] = ParticipantInfo(
            sid=f"{identity} at {self.name}", identity=identity, is_publisher=publishes, joined_at_ms=at
        )

    async def has_participant(self, room: str, identity: str) -> bool:
        return room == "show" and identity in self.participants

    def named_tracks(self, request: UpdateSubscriptionsRequest) -> list[Track]:
        return [
            Track(sid=sid, number=1, key=(f"{self.name}@show", "1"), kind="video", source="camera")
            for sid in request.track_sids
            if sid == f"TR_{self.name}"
        ]

    def people(self, room: str) -> int:
        return len(self.participants) if room == "show" else 0

    async def call(self, service: str, method: str, request: Message, call: Call) -> Message:
        self.asked.append((service, method, request, call))
        if call.grants is None:
            raise TwirpError("unauthenticated", "permissions denied")
        if self.failure is not None:
            raise self.failure
        match request:
            case RoomParticipantIdentity(identity=identity):
                if identity not in self.participants:
                    raise NotFound("participant does not exist")
                return self.participants[identity]
            case ListParticipantsRequest():
                return ListParticipantsResponse(participants=self.participants.values())
            case ListRoomsRequest():
                return ListRoomsResponse(rooms=self.rooms)
            case SendDataRequest():
                return SendDataResponse()
        return METHODS[service][method].response()


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def nodes(network: Network) -> tuple[Here, Here, Here]:
    return Here("a", network), Here("b", network), Here("c", network)


async def asked(node: Here, method: str, request: Message, call: Call = ADMIN) -> Message:
    return await node.calls.call(ROOM, method, request, call)


def who(identity: str) -> RoomParticipantIdentity:
    return RoomParticipantIdentity(room="show", identity=identity)


async def test_the_node_that_has_the_participant_answers(nodes: tuple[Here, Here, Here]) -> None:
    a, b, c = nodes
    b.join("ann")
    info = await asked(a, "GetParticipant", who("ann"))
    assert isinstance(info, ParticipantInfo)
    assert info.sid == "ann at b"
    ((service, method, request, call),) = b.asked
    assert (service, method, request) == (ROOM, "GetParticipant", who("ann"))
    assert (call.grants, call.request_id) == (ADMIN.grants, "7")
    assert a.asked == c.asked == []


@pytest.mark.parametrize("method", sorted(AT_PARTICIPANT))
async def test_methods_about_a_participant(nodes: tuple[Here, Here, Here], method: str) -> None:
    a, b, c = nodes
    b.join("ann")
    request = METHODS[ROOM][method].request(room="show", identity="ann")
    await asked(a, method, request)
    assert [entry[1:3] for entry in b.asked] == [(method, request)]
    await asked(b, method, request)
    assert len(b.asked) == 2
    assert a.asked == c.asked == []


async def test_a_participant_that_nobody_has_is_answered_for_here(nodes: tuple[Here, Here, Here]) -> None:
    a, b, _ = nodes
    with pytest.raises(NotFound, match="participant does not exist"):
        await asked(a, "GetParticipant", who("nobody"))
    assert len(a.asked) == 1
    assert b.asked == []


async def test_who_has_no_token_troubles_nobody_else(nodes: tuple[Here, Here, Here], network: Network) -> None:
    network.away = StoreUnavailable("somebody was asked")
    for method, request in (("GetParticipant", who("ann")), ("ListRooms", ListRoomsRequest())):
        with pytest.raises(TwirpError, match="permissions denied"):
            await asked(nodes[0], method, request, Call(grants=None))


async def test_errors_come_as_they_were_raised_there(nodes: tuple[Here, Here, Here]) -> None:
    a, b, _ = nodes
    b.join("ann")
    b.failure = TwirpError("failed_precondition", "remote unmute not enabled", {"argument": "muted"})
    with pytest.raises(TwirpError, match="remote unmute") as caught:
        await asked(a, "MutePublishedTrack", MuteRoomTrackRequest(room="show", identity="ann"))
    assert (caught.value.code, caught.value.meta) == ("failed_precondition", {"argument": "muted"})
    b.failure = Conflict("no")
    with pytest.raises(Conflict):
        await asked(a, "UpdateParticipant", UpdateParticipantRequest(room="show", identity="ann"))


async def test_participants_are_those_of_all_nodes_each_once(nodes: tuple[Here, Here, Here]) -> None:
    a, b, c = nodes
    a.join("ann", at=2)
    b.join("ann", publishes=True, at=3)
    b.join("ben", at=2)
    c.join("ben", at=1)
    c.join("cyd")
    for node in nodes:
        answer = await asked(node, "ListParticipants", ListParticipantsRequest(room="show"))
        assert isinstance(answer, ListParticipantsResponse)
        assert sorted(info.sid for info in answer.participants) == ["ann at b", "ben at c", "cyd at c"]


async def test_rooms_are_counted_together(nodes: tuple[Here, Here, Here]) -> None:
    a, b, c = nodes
    for node, people in ((a, 1), (b, 2), (c, 0)):
        node.rooms = [Room(sid="RM_1", name="show", num_participants=people, num_publishers=people)]
    c.rooms.append(Room(sid="RM_2", name="other", active_recording=True))
    answer = await asked(a, "ListRooms", ListRoomsRequest())
    assert isinstance(answer, ListRoomsResponse)
    assert [(room.name, room.num_participants, room.num_publishers) for room in answer.rooms] == [
        ("show", 3, 3),
        ("other", 0, 0),
    ]


async def test_data_goes_to_the_sessions_of_all_nodes(nodes: tuple[Here, Here, Here]) -> None:
    a, b, c = nodes
    c.failure = NotFound("requested room does not exist")
    request = SendDataRequest(room="show", data=b"x")
    assert isinstance(await asked(a, "SendData", request), SendDataResponse)
    assert [entry[2] for node in (a, b, c) for entry in node.asked] == [request] * 3
    c.failure = Unavailable("full", retry_after=1)
    with pytest.raises(Unavailable):
        await asked(a, "SendData", request)


@pytest.mark.parametrize(
    ("method", "request_"),
    [("CreateRoom", CreateRoomRequest(name="show")), ("DeleteRoom", DeleteRoomRequest(room="show"))],
)
async def test_what_is_in_the_store_is_done_here(
    nodes: tuple[Here, Here, Here], network: Network, method: str, request_: Message
) -> None:
    network.away = StoreUnavailable("away")
    await asked(nodes[0], method, request_)
    await nodes[0].calls.call("AgentDispatchService", "ListDispatch", ListRoomsRequest(), ADMIN)
    assert len(nodes[0].asked) == 2


async def test_people_of_other_nodes_are_counted(nodes: tuple[Here, Here, Here]) -> None:
    a, b, c = nodes
    for node, identities in ((a, "xyz"), (b, "xy"), (c, "x")):
        for identity in identities:
            node.join(identity)
    assert [await node.calls.people("show") for node in nodes] == [3, 4, 5]
    assert await a.calls.people("other") == 0


async def test_tracks_of_other_nodes_are_named(nodes: tuple[Here, Here, Here]) -> None:
    a, b, _ = nodes
    request = UpdateSubscriptionsRequest(room="show", identity="ann", track_sids=["TR_b", "TR_x"])
    assert await a.calls.tracks(request) == [("b@show", "video")]
    assert await b.calls.tracks(request) == []


async def test_without_the_others_it_is_an_error(nodes: tuple[Here, Here, Here], network: Network) -> None:
    network.away = StoreUnavailable("Redis is away")
    a = nodes[0]
    a.join("ann")
    await asked(a, "GetParticipant", who("ann"))
    for method, request in (
        ("GetParticipant", who("ben")),
        ("ListParticipants", ListParticipantsRequest(room="show")),
        ("ListRooms", ListRoomsRequest()),
    ):
        with pytest.raises(StoreUnavailable):
            await asked(a, method, request)
