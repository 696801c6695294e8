"""Rooms, by LiveKit's Python SDK against the running gateway."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from livekit import api

from tests.conformance.livekit_server import KEY, KEYS, SECRET, livekit_server, refused, token
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from livekit.protocol.models import Room

    from tests.conformance.conftest import Gateway
    from tests.conformance.livekit_server import LiveKitServer

TOO_LARGE = "x" * (600 * 1024)


async def rooms(livekit: LiveKitServer, *names: str) -> list[Room]:
    return list((await livekit.api.room.list_rooms(api.ListRoomsRequest(names=names))).rooms)


@pytest.mark.livekit_case(1)
async def test_a_created_room_is_as_it_was_asked_for(livekit: LiveKitServer) -> None:
    room = await livekit.api.room.create_room(
        api.CreateRoomRequest(
            name="stage",
            metadata='{"title": "Bühne"}',
            empty_timeout=77,
            departure_timeout=11,
            max_participants=5,
            tags={"customer": "42"},
        )
    )
    assert (room.name, room.metadata) == ("stage", '{"title": "Bühne"}')
    assert (room.empty_timeout, room.departure_timeout, room.max_participants) == (77, 11, 5)
    assert room.sid.startswith("RM_")
    assert len(room.sid) == 15
    assert abs(room.creation_time - time.time()) < 30
    assert room.creation_time_ms // 1000 == room.creation_time
    assert (room.num_participants, room.num_publishers) == (0, 0)
    assert [codec.mime for codec in room.enabled_codecs][:3] == ["audio/PCMU", "audio/PCMA", "audio/opus"]


@pytest.mark.livekit_case(1)
async def test_a_room_has_defaults(livekit: LiveKitServer) -> None:
    room = await livekit.api.room.create_room(api.CreateRoomRequest(name="stage"))
    assert (room.empty_timeout, room.departure_timeout, room.max_participants) == (300, 20, 0)


@pytest.mark.livekit_case(2)
async def test_a_room_is_created_once(livekit: LiveKitServer) -> None:
    first = await livekit.api.room.create_room(api.CreateRoomRequest(name="stage", metadata="one", max_participants=3))
    second = await livekit.api.room.create_room(api.CreateRoomRequest(name="stage", metadata="two", max_participants=9))
    assert second == first


@pytest.mark.livekit_case(1)
async def test_a_name_has_a_limit(livekit: LiveKitServer) -> None:
    await livekit.api.room.create_room(api.CreateRoomRequest(name="x" * 256))
    with refused("invalid_argument", 400, "room name length exceeds limits: max length 256"):
        await livekit.api.room.create_room(api.CreateRoomRequest(name="x" * 257))
    with refused("invalid_argument", 400, "metadata size exceeds limits"):
        await livekit.api.room.create_room(api.CreateRoomRequest(name="large", metadata=TOO_LARGE))
    assert len(await rooms(livekit)) == 1


@pytest.mark.livekit_case(3)
async def test_who_may_not_create_a_room(livekit: LiveKitServer) -> None:
    request = api.CreateRoomRequest(name="stage")
    async with livekit_server(livekit.url, secret=SECRET[::-1]) as other:
        with refused("unauthenticated", 401):
            await other.api.room.create_room(request)
    async with livekit_server(livekit.url, key="unknown") as other:
        with refused("unauthenticated", 401, "invalid API key"):
            await other.api.room.create_room(request)
    for bearer in (token(room_list=True), token(room_admin=True, room="stage"), ""):
        answer = await livekit.call("CreateRoom", '{"name":"stage"}', bearer)
        assert (answer.status, answer.body) == (401, b'{"code":"unauthenticated","msg":"permissions denied"}')
    assert await rooms(livekit) == []


@pytest.mark.livekit_case(4)
async def test_rooms_are_listed(livekit: LiveKitServer) -> None:
    for name in ("one", "two", "three"):
        await livekit.api.room.create_room(api.CreateRoomRequest(name=name))
    assert {room.name for room in await rooms(livekit)} == {"one", "two", "three"}
    assert [room.name for room in await rooms(livekit, "two")] == ["two"]
    assert {room.name for room in await rooms(livekit, "two", "missing", "one")} == {"one", "two"}
    assert await rooms(livekit, "missing") == []


@pytest.mark.livekit_case(4)
async def test_a_published_stream_is_a_room(livekit: LiveKitServer) -> None:
    await livekit.publish("show")
    await livekit.publisher("show", "show")
    (room,) = await rooms(livekit)
    assert (room.name, room.num_participants, room.num_publishers) == ("show", 1, 1)


@pytest.mark.livekit_case(5)
async def test_a_room_is_deleted_once(livekit: LiveKitServer) -> None:
    await livekit.api.room.create_room(api.CreateRoomRequest(name="stage"))
    await livekit.api.room.delete_room(api.DeleteRoomRequest(room="stage"))
    assert await rooms(livekit) == []
    with refused("not_found", 404, "requested room does not exist"):
        await livekit.api.room.delete_room(api.DeleteRoomRequest(room="stage"))


@pytest.mark.livekit_case(5)
async def test_a_room_is_not_deleted_by_its_sid(livekit: LiveKitServer) -> None:
    room = await livekit.api.room.create_room(api.CreateRoomRequest(name="stage"))
    with refused("not_found", 404):
        await livekit.api.room.delete_room(api.DeleteRoomRequest(room=room.sid))


@pytest.mark.livekit_case(5)
async def test_the_sessions_of_a_deleted_room_end(livekit: LiveKitServer) -> None:
    publisher = await livekit.join("show", "cam")
    viewer = await livekit.play("cam@show")
    await livekit.publisher("show", "cam")
    await livekit.api.room.delete_room(api.DeleteRoomRequest(room="show"))
    for guest in (publisher, viewer):
        await eventually(guest.ended)
    assert await rooms(livekit) == []


@pytest.mark.livekit_case(6)
async def test_metadata_of_a_room(livekit: LiveKitServer) -> None:
    await livekit.api.room.create_room(api.CreateRoomRequest(name="stage", metadata="before"))
    for metadata in ("after", ""):
        room = await livekit.api.room.update_room_metadata(
            api.UpdateRoomMetadataRequest(room="stage", metadata=metadata)
        )
        assert room.metadata == metadata
        assert [room.metadata for room in await rooms(livekit)] == [metadata]
    with refused("not_found", 404, "requested room does not exist"):
        await livekit.api.room.update_room_metadata(api.UpdateRoomMetadataRequest(room="missing", metadata="x"))
    with refused("invalid_argument", 400, "metadata size exceeds limits"):
        await livekit.api.room.update_room_metadata(api.UpdateRoomMetadataRequest(room="stage", metadata=TOO_LARGE))


@pytest.mark.livekit_case(7)
async def test_a_room_ends_when_nobody_comes(livekit: LiveKitServer) -> None:
    await livekit.api.room.create_room(api.CreateRoomRequest(name="empty", empty_timeout=1))
    await livekit.api.room.create_room(api.CreateRoomRequest(name="patient"))

    async def gone() -> bool:
        return [room.name for room in await rooms(livekit)] == ["patient"]

    await eventually(gone)


@pytest.mark.livekit_case(7)
async def test_a_room_ends_after_the_last_has_left(livekit: LiveKitServer) -> None:
    await livekit.api.room.create_room(api.CreateRoomRequest(name="show", departure_timeout=1))
    guest = await livekit.join("show", "cam")
    await livekit.publisher("show", "cam")
    guest.peer.close()

    async def gone() -> bool:
        return await rooms(livekit) == []

    await eventually(gone)


@pytest.mark.livekit_case(7)
async def test_the_time_outs_of_the_configuration(start: Callable[[str], Awaitable[Gateway]]) -> None:
    gateway = await start(KEYS + "[livekit.room]\nempty_timeout = 33\ndeparture_timeout = 44\nmax_participants = 55\n")
    async with livekit_server(gateway.url) as livekit:
        room = await livekit.api.room.create_room(api.CreateRoomRequest(name="stage"))
        assert (room.empty_timeout, room.departure_timeout, room.max_participants) == (33, 44, 55)


async def test_a_full_room_lets_nobody_in(livekit: LiveKitServer) -> None:
    await livekit.api.room.create_room(api.CreateRoomRequest(name="small", max_participants=2))
    await livekit.join("small", "one")
    await livekit.play("one@small")
    with pytest.raises(AssertionError, match=r"^(403|429|503) "):
        await livekit.join("small", "three")
    with pytest.raises(AssertionError, match=r"^(403|429|503) "):
        await livekit.play("one@small")
    assert len((await livekit.api.room.list_participants(api.ListParticipantsRequest(room="small"))).participants) == 2


async def test_only_rooms_that_were_made_ahead(start: Callable[[str], Awaitable[Gateway]]) -> None:
    gateway = await start(KEYS + "[livekit.room]\nauto_create = false\n")
    async with livekit_server(gateway.url) as livekit:
        with pytest.raises(AssertionError, match="404"):
            await livekit.join("show", "cam")
        await livekit.api.room.create_room(api.CreateRoomRequest(name="show"))
        await livekit.join("show", "cam")
        await livekit.join("other", "host", room_create=True)
        assert {room.name for room in await rooms(livekit)} == {"show", "other"}


async def test_several_keys(start: Callable[[str], Awaitable[Gateway]]) -> None:
    gateway = await start(KEYS + f'second = "{SECRET}, the second one"\n')
    for key, secret in ((KEY, SECRET), ("second", f"{SECRET}, the second one")):
        async with livekit_server(gateway.url, key=key, secret=secret) as livekit:
            await livekit.api.room.create_room(api.CreateRoomRequest(name=key))
    async with livekit_server(gateway.url, key="second") as livekit:
        with refused("unauthenticated", 401):
            await rooms(livekit)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # the SDK's, of what LiveKit calls so
async def test_the_keys_of_development(start: Callable[[str], Awaitable[Gateway]]) -> None:
    gateway = await start("[livekit]\ndev = true\n")
    async with livekit_server(gateway.url, key="devkey", secret="secret") as livekit:
        assert await rooms(livekit) == []


async def test_the_pages_are_told_of_it(livekit: LiveKitServer, gateway: Gateway) -> None:
    info = await livekit.ask("GET", "/api/info")
    assert b'"livekit"' in info.body
    assert "livekit" not in (await gateway.json("/api/info"))["features"]


async def test_without_keys_there_is_no_such_api(gateway: Gateway) -> None:
    async with livekit_server(gateway.url) as livekit:
        answer = await livekit.call("ListRooms", "{}", token(room_list=True))
        assert answer.status == 404
