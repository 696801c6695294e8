"""Participants and their tracks, by LiveKit's Python SDK; those who publish and play are light WHIP and WHEP peers."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiortc import RTCPeerConnection
from livekit import api
from livekit.protocol.models import DataPacket, ParticipantInfo, ParticipantPermission, TrackSource, TrackType

from tests.conformance.livekit_server import KEYS, livekit_server, refused, token
from tests.fakes.remote import offer, watch
from tests.interop.peers import negotiate
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.conformance.conftest import Gateway
    from tests.conformance.livekit_server import LiveKitServer

RELIABLE, LOSSY = DataPacket.Kind.RELIABLE, DataPacket.Kind.LOSSY


async def identities(livekit: LiveKitServer, room: str) -> list[str]:
    listed = await livekit.api.room.list_participants(api.ListParticipantsRequest(room=room))
    return [each.identity for each in listed.participants]


@pytest.mark.livekit_case(8)
async def test_nobody_is_in_a_room_that_is_not_there(livekit: LiveKitServer) -> None:
    assert await identities(livekit, "missing") == []


@pytest.mark.livekit_case(9)
async def test_who_joined_with_a_token(livekit: LiveKitServer) -> None:
    await livekit.join("show", "alice", name="Alice", metadata="about her", attributes={"seat": "12"})
    audio, video = await livekit.publisher("show", "alice")
    alice = await livekit.api.room.get_participant(api.RoomParticipantIdentity(room="show", identity="alice"))
    assert (alice.identity, alice.name, alice.metadata) == ("alice", "Alice", "about her")
    assert dict(alice.attributes) == {"seat": "12"}
    assert (alice.state, alice.kind) == (ParticipantInfo.State.ACTIVE, ParticipantInfo.Kind.STANDARD)
    assert alice.sid.startswith("PA_")
    assert alice.is_publisher
    assert abs(alice.joined_at - time.time()) < 30
    permission = alice.permission
    assert (permission.can_publish, permission.can_subscribe, permission.can_publish_data) == (True, True, True)
    assert not permission.can_update_metadata
    assert not permission.hidden
    assert (audio.type, audio.source, audio.mime_type.lower()) == (
        TrackType.AUDIO,
        TrackSource.MICROPHONE,
        "audio/opus",
    )
    assert (video.type, video.source, video.mime_type.lower()) == (TrackType.VIDEO, TrackSource.CAMERA, "video/vp8")
    assert audio.sid.startswith("TR_A")
    assert video.sid.startswith("TR_V")
    assert not audio.muted
    assert not video.muted


@pytest.mark.livekit_case(9)
async def test_the_grants_of_a_token_are_the_permission(livekit: LiveKitServer) -> None:
    await livekit.join("show", "alice")
    await livekit.publisher("show", "alice")
    await livekit.play(
        "alice@show", identity="bob", room="show", can_publish=False, can_publish_data=False, hidden=True
    )
    bob = await livekit.participant("show", "bob")
    assert (bob.permission.can_publish, bob.permission.can_subscribe) == (False, True)
    assert not bob.permission.can_publish_data
    assert bob.permission.hidden
    assert not bob.is_publisher
    assert list(bob.tracks) == []


@pytest.mark.livekit_case(9)
async def test_who_came_without_a_token(livekit: LiveKitServer) -> None:
    await livekit.publish("show")
    await livekit.publisher("show", "show")
    await livekit.play("show")
    await livekit.play("show")

    async def three() -> list[str] | None:
        names = await identities(livekit, "show")
        return names if len(names) == 3 else None

    names = await eventually(three)
    assert "show" in names
    assert len({name for name in names if name.startswith("viewer-")}) == 2


@pytest.mark.livekit_case(9)
async def test_the_same_identity_again_takes_over(livekit: LiveKitServer) -> None:
    first = await livekit.join("show", "alice")
    await livekit.publisher("show", "alice")
    old = await livekit.participant("show", "alice")
    await livekit.join("show", "alice")
    await eventually(first.ended)
    assert await identities(livekit, "show") == ["alice"]
    assert (await livekit.participant("show", "alice")).sid != old.sid


@pytest.mark.livekit_case(10)
async def test_a_participant_that_is_not_there(livekit: LiveKitServer) -> None:
    await livekit.api.room.create_room(api.CreateRoomRequest(name="show"))
    for room in ("show", "missing"):
        nobody = api.RoomParticipantIdentity(room=room, identity="nobody")
        with refused("not_found", 404, "participant does not exist"):
            await livekit.api.room.get_participant(nobody)
        with refused("not_found", 404, "participant does not exist"):
            await livekit.api.room.remove_participant(nobody)
        with refused("not_found", 404, "participant does not exist"):
            await livekit.api.room.update_participant(
                api.UpdateParticipantRequest(room=room, identity="nobody", metadata="x")
            )


@pytest.mark.livekit_case(10)
async def test_a_removed_participant_is_gone_and_may_come_again(livekit: LiveKitServer) -> None:
    guest = await livekit.join("show", "alice")
    await livekit.publisher("show", "alice")
    await livekit.api.room.remove_participant(api.RoomParticipantIdentity(room="show", identity="alice"))
    assert await identities(livekit, "show") == []
    await eventually(guest.ended)
    await livekit.join("show", "alice")
    await livekit.publisher("show", "alice")


@pytest.mark.livekit_case(10)
async def test_a_removal_may_revoke_tokens(livekit: LiveKitServer) -> None:
    """Beyond LiveKit, whose server ignores `revoke_token_ts`."""
    old = token("alice", room_join=True, room="show")
    await livekit.join("show", "alice")
    await livekit.publisher("show", "alice")
    body = f'{{"room":"show","identity":"alice","revoke_token_ts":"{int(time.time()) + 1}"}}'
    answer = await livekit.call("RemoveParticipant", body, token(room_admin=True, room="show"))
    assert answer.status == 200
    with pytest.raises(AssertionError, match=r"401|403"):
        await livekit.join("show", "alice")
    for path in ("/whip/v1", "/whip/alice@show", "/whep/alice@show"):
        sdp = watch("vp8") if path.startswith("/whep") else offer("vp8")
        answer = await livekit.ask("POST", path, sdp, Content_Type="application/sdp", Authorization=f"Bearer {old}")
        assert answer.status in {401, 403}
    await livekit.join("show", "bob")
    await livekit.join("other", "alice")


@pytest.mark.livekit_case(11)
async def test_a_participant_is_updated(livekit: LiveKitServer) -> None:
    await livekit.join("show", "alice", name="Alice", attributes={"seat": "12", "role": "host"})
    await livekit.publisher("show", "alice")

    async def update(**fields: Any) -> ParticipantInfo:
        request = api.UpdateParticipantRequest(room="show", identity="alice", **fields)
        changed = await livekit.api.room.update_participant(request)
        alice = await livekit.api.room.get_participant(api.RoomParticipantIdentity(room="show", identity="alice"))
        assert (alice.name, alice.metadata, alice.attributes) == (changed.name, changed.metadata, changed.attributes)
        return alice

    alice = await update(name="A.", metadata="new", attributes={"seat": "13", "pet": "cat"})
    assert (alice.name, alice.metadata) == ("A.", "new")
    assert dict(alice.attributes) == {"seat": "13", "role": "host", "pet": "cat"}
    alice = await update(attributes={"role": ""})
    assert (alice.name, alice.metadata) == ("A.", "new")
    assert dict(alice.attributes) == {"seat": "13", "pet": "cat"}
    assert alice.permission.can_publish


@pytest.mark.livekit_case(11)
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "x" * 257}, "name length exceeds limits"),
        ({"metadata": "x" * (512 * 1024 + 1)}, "metadata size exceeds limits"),
        ({"attributes": {"x": "y" * 65536}}, "attribute size exceeds limits"),
    ],
)
async def test_what_is_said_of_a_participant_has_limits(
    livekit: LiveKitServer, fields: dict[str, Any], message: str
) -> None:
    """Which come before the question who asks."""
    with refused("invalid_argument", 400, message):
        await livekit.api.room.update_participant(
            api.UpdateParticipantRequest(room="show", identity="nobody", **fields)
        )


@pytest.mark.livekit_case(12)
async def test_who_may_no_longer_publish_has_no_tracks(livekit: LiveKitServer) -> None:
    await livekit.join("show", "alice")
    await livekit.publisher("show", "alice")
    await livekit.play("alice@show", identity="bob", room="show")
    alice = await livekit.api.room.update_participant(
        api.UpdateParticipantRequest(
            room="show",
            identity="alice",
            permission=ParticipantPermission(can_subscribe=True, can_publish_data=True, can_update_metadata=True),
        )
    )
    assert (alice.permission.can_publish, alice.permission.can_update_metadata) == (False, True)

    async def no_tracks() -> bool:
        listed = await livekit.api.room.list_participants(api.ListParticipantsRequest(room="show"))
        return not any(each.tracks for each in listed.participants)

    await eventually(no_tracks)


@pytest.mark.livekit_case(13)
async def test_a_track_is_muted_and_not_unmuted(livekit: LiveKitServer) -> None:
    await livekit.join("show", "alice")
    audio, video = await livekit.publisher("show", "alice")

    async def mute(sid: str, *, muted: bool) -> Any:
        return await livekit.api.room.mute_published_track(
            api.MuteRoomTrackRequest(room="show", identity="alice", track_sid=sid, muted=muted)
        )

    answer = await mute(video.sid, muted=True)
    assert (answer.track.sid, answer.track.muted) == (video.sid, True)
    assert [track.muted for track in await livekit.publisher("show", "alice")] == [False, True]
    with refused("failed_precondition", 412, "remote unmute not enabled"):
        await mute(video.sid, muted=False)
    assert [track.muted for track in await livekit.publisher("show", "alice")] == [False, True]
    unknown = await mute("TR_unknown", muted=True)
    assert not unknown.HasField("track")
    assert (await mute(audio.sid, muted=True)).track.muted


@pytest.mark.livekit_case(13)
async def test_a_track_is_unmuted_where_that_is_allowed(start: Callable[[str], Awaitable[Gateway]]) -> None:
    gateway = await start(KEYS + "[livekit.room]\nenable_remote_unmute = true\n")
    async with livekit_server(gateway.url) as livekit:
        await livekit.join("show", "alice")
        audio, _ = await livekit.publisher("show", "alice")
        for muted in (True, False, False, True):
            answer = await livekit.api.room.mute_published_track(
                api.MuteRoomTrackRequest(room="show", identity="alice", track_sid=audio.sid, muted=muted)
            )
            assert answer.track.muted == muted
            assert (await livekit.publisher("show", "alice"))[0].muted == muted


@pytest.mark.livekit_case(14)
async def test_subscriptions_are_switched(livekit: LiveKitServer) -> None:
    await livekit.join("show", "alice")
    audio, video = await livekit.publisher("show", "alice")
    alice = await livekit.participant("show", "alice")
    await livekit.play("alice@show", identity="bob", room="show")
    await livekit.participant("show", "bob")
    tracks = [api.ParticipantTracks(participant_sid=alice.sid, track_sids=[audio.sid, video.sid])]
    chosen: tuple[dict[str, Any], ...] = ({"track_sids": [video.sid]}, {"participant_tracks": tracks})
    for which in chosen:
        for subscribe in (False, False, True, True):
            await livekit.api.room.update_subscriptions(
                api.UpdateSubscriptionsRequest(room="show", identity="bob", subscribe=subscribe, **which)
            )


class Listener:
    """A WHEP viewer with a data channel: aiortc's."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection()
        self.heard: asyncio.Queue[tuple[str, str | bytes]] = asyncio.Queue()
        self._open = asyncio.Event()
        self._listen(self.connection.createDataChannel("mine"))
        self.connection.on("datachannel", self._listen)
        self.connection.addTransceiver("video", direction="recvonly")

    async def listen(self, url: str, bearer: str) -> None:
        await negotiate(self.connection, url, bearer=bearer)
        async with asyncio.timeout(20):
            await self._open.wait()

    async def hear(self) -> tuple[str, str | bytes]:
        async with asyncio.timeout(20):
            return await self.heard.get()

    def _listen(self, channel: Any) -> None:
        channel.on("open", self._open.set)
        channel.on("message", lambda message: self.heard.put_nowait((channel.label, message)))


@pytest.mark.livekit_case(15)
@pytest.mark.usefixtures("loopback_candidates")
async def test_data_reach_those_they_are_for(livekit: LiveKitServer) -> None:
    await livekit.join("show", "alice")
    await livekit.publisher("show", "alice")
    listeners = {name: Listener() for name in ("bob", "carol")}
    try:
        for name, listener in listeners.items():
            await listener.listen(f"{livekit.url}/whep/alice@show", token(name, room_join=True, room="show"))
        carol = (await livekit.participant("show", "carol")).sid

        async def send(data: bytes, **fields: Any) -> None:
            await livekit.api.room.send_data(api.SendDataRequest(room="show", data=data, **fields))

        await send(b"to all", kind=RELIABLE)
        for listener in listeners.values():
            assert (await listener.hear())[1] == b"to all"
        await send(b"by identity", destination_identities=["bob", "nobody"], topic="chat", kind=LOSSY)
        await send(b"by sid", destination_sids=[carol], nonce=b"0123456789abcdef")
        await send(b"to nobody", destination_identities=["nobody"])
        await send(b"the end")
        assert [(await listeners["bob"].hear())[1] for _ in range(2)] == [b"by identity", b"the end"]
        assert [(await listeners["carol"].hear())[1] for _ in range(2)] == [b"by sid", b"the end"]
    finally:
        for listener in listeners.values():
            await listener.connection.close()


@pytest.mark.livekit_case(15)
@pytest.mark.parametrize("size", [1, 15, 17])
async def test_a_nonce_has_16_bytes(livekit: LiveKitServer, size: int) -> None:
    """The SDK has no way to send another one."""
    await livekit.api.room.create_room(api.CreateRoomRequest(name="show"))
    body = json.dumps({"room": "show", "data": "eA==", "nonce": base64.b64encode(b"n" * size).decode()})
    answer = await livekit.call("SendData", body, token(room_admin=True, room="show"))
    message = f"nonce should be 16-bytes or not present, got: {size} bytes"
    assert (answer.status, json.loads(answer.body)) == (400, {"code": "invalid_argument", "msg": message})


@pytest.mark.livekit_case(15)
async def test_data_for_an_empty_room_go_nowhere(livekit: LiveKitServer) -> None:
    await livekit.api.room.create_room(api.CreateRoomRequest(name="show"))
    await livekit.api.room.send_data(api.SendDataRequest(room="show", data=b"x"))


@pytest.mark.livekit_case(16)
async def test_a_participant_is_forwarded(livekit: LiveKitServer) -> None:
    """The same tracks in another room, until it leaves the first."""
    guest = await livekit.join("show", "alice", metadata="about her")
    before = await livekit.publisher("show", "alice")
    await livekit.api.room.forward_participant(
        api.ForwardParticipantRequest(room="show", identity="alice", destination_room="annex")
    )
    after = await livekit.publisher("annex", "alice")
    assert [track.sid for track in after] == [track.sid for track in before]
    assert (await livekit.participant("annex", "alice")).metadata == "about her"
    assert await identities(livekit, "show") == ["alice"]
    await livekit.play("alice@annex")
    guest.peer.close()
    await livekit.until_gone("annex", "alice")


@pytest.mark.livekit_case(16)
async def test_a_participant_is_moved(livekit: LiveKitServer) -> None:
    """Its session is where it was for its client, who need not know of it."""
    guest = await livekit.join("show", "alice")
    before = await livekit.publisher("show", "alice")
    await livekit.api.room.move_participant(
        api.MoveParticipantRequest(room="show", identity="alice", destination_room="annex")
    )
    after = await livekit.publisher("annex", "alice")
    assert [track.sid for track in after] == [track.sid for track in before]
    assert await identities(livekit, "show") == []
    await livekit.play("alice@annex")
    await livekit.join("show", "alice")
    stranger, bearer = (
        {"Authorization": f"Bearer {token(name, room_join=True, room='show')}"} for name in ("bob", "alice")
    )
    assert (await livekit.ask("DELETE", guest.location, **stranger)).status == 404
    assert (await livekit.ask("GET", guest.location, **bearer)).status == 204
    assert (await livekit.ask("DELETE", guest.location, **bearer)).status == 200
    await livekit.until_gone("annex", "alice")
    assert await identities(livekit, "show") == ["alice"]


@pytest.mark.livekit_case(16)
async def test_neither_goes_to_the_same_room(livekit: LiveKitServer) -> None:
    await livekit.join("show", "alice")
    await livekit.publisher("show", "alice")
    text = "destination room cannot be the same as source room"
    with refused("invalid_argument", 400, text):
        await livekit.api.room.forward_participant(
            api.ForwardParticipantRequest(room="show", identity="alice", destination_room="show")
        )
    with refused("invalid_argument", 400, text):
        await livekit.api.room.move_participant(
            api.MoveParticipantRequest(room="show", identity="alice", destination_room="show")
        )
    bearer = token(room_admin=True, room="show", destination_room="elsewhere")
    for method in ("ForwardParticipant", "MoveParticipant"):
        answer = await livekit.call(method, '{"room":"show","identity":"alice","destination_room":"annex"}', bearer)
        assert answer.status == 401
