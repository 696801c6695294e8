"""What the API does to participants: what of it the sessions hear, and what is shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from livekit.protocol.models import ParticipantPermission, ParticipantTracks, TrackSource
from livekit.protocol.room import UpdateParticipantRequest, UpdateSubscriptionsRequest

from live777py.errors import BadRequest, Conflict
from live777py.livekit.room_events import TrackPublished, TrackUnpublished
from live777py.rtc.sctp_section import MAX_MESSAGE_SIZE
from live777py.streams.participant import Participant, Permission
from tests.livekit.test_rooms import ALICE, BOB, House, house, virtual

if TYPE_CHECKING:
    from live777py.streams.control import SessionKey


async def update(here: House, **changes: Any) -> Any:
    return await here.actions.update(UpdateParticipantRequest(room="show", identity="alice", **changes))


@virtual
async def test_name_and_metadata_stay_where_nothing_is_said_and_attributes_are_merged() -> None:
    alice = Participant(room="show", identity="alice", name="Alice", metadata="m", attributes={"a": "1", "b": "2"})
    async with house() as here:
        await here.stage.come(here.rooms, "alice@show", participant=alice)
        changed = await update(here, attributes={"b": "", "c": "3"})
        assert (changed.name, changed.metadata, dict(changed.attributes)) == ("Alice", "m", {"a": "1", "c": "3"})
        changed = await update(here, name="A", metadata="n")
        assert (changed.name, changed.metadata, dict(changed.attributes)) == ("A", "n", {"a": "1", "c": "3"})
        assert await here.rooms.participant("show", "alice") == changed


@virtual
async def test_attributes_are_limited_with_those_before() -> None:
    async with house() as here:
        await here.stage.come(here.rooms, "alice@show", participant=ALICE)
        await update(here, attributes={"a": "x" * 40_000})
        with pytest.raises(BadRequest, match="attribute size exceeds limits 65536"):
            await update(here, attributes={"b": "x" * 30_000})
        assert list((await here.rooms.participant("show", "alice")).attributes) == ["a"]


@virtual
async def test_who_may_not_publish_has_no_tracks_until_it_may_again() -> None:
    async with house() as here:
        await here.stage.come(here.rooms, "alice@show", participant=ALICE)
        before = {track.sid for track in (await here.rooms.participant("show", "alice")).tracks}
        await here.told()
        changed = await update(here, permission=ParticipantPermission(can_subscribe=True))
        assert (list(changed.tracks), changed.is_publisher) == ([], False)
        assert not changed.permission.can_publish
        assert [type(event) for event in await here.told()] == [TrackUnpublished, TrackUnpublished]
        changed = await update(here, permission=ParticipantPermission(can_publish=True))
        assert [type(event) for event in await here.told()] == [TrackPublished, TrackPublished]
        assert before.isdisjoint(track.sid for track in changed.tracks)
        changed = await update(
            here, permission=ParticipantPermission(can_publish=True, can_publish_sources=[TrackSource.MICROPHONE])
        )
        assert [track.source for track in changed.tracks] == [TrackSource.MICROPHONE]
        (gone,) = await here.told()
        assert isinstance(gone, TrackUnpublished)
        assert gone.track.source == TrackSource.CAMERA


@virtual
async def test_a_viewer_who_may_not_subscribe() -> None:
    async with house() as here:
        key = await here.stage.come(here.rooms, "show", "subscribe", participant=ALICE)
        here.stage.control.calls.clear()
        await update(here, permission=ParticipantPermission())
        assert here.stage.control.calls == [
            ("drop", key, "audio"),
            ("drop", key, "video"),
            ("allow_data", key, False),
        ]
        with pytest.raises(Conflict):
            await here.actions.subscribe(
                UpdateSubscriptionsRequest(room="show", identity="alice", subscribe=True, track_sids=["TR_x"])
            )
        here.stage.control.calls.clear()
        await update(here, permission=ParticipantPermission(can_subscribe=True, can_publish_data=True))
        assert here.stage.control.calls == [
            ("restore", key, "audio"),
            ("restore", key, "video"),
            ("allow_data", key, True),
        ]


@virtual
async def test_a_permission_does_not_make_an_agent() -> None:
    async with house() as here:
        await here.stage.come(here.rooms, "show", "subscribe", participant=ALICE)
        changed = await update(here, permission=ParticipantPermission(agent=True, recorder=True, hidden=True))
        assert (changed.permission.agent, changed.permission.recorder, changed.permission.hidden) == (
            False,
            False,
            True,
        )


@virtual
async def test_what_a_token_forbids_is_not_published() -> None:
    """Where it changed after the door: the same holds of every session of the participant."""
    async with house() as here:
        await here.stage.come(here.rooms, "show", "subscribe", participant=ALICE)
        await update(here, permission=ParticipantPermission(can_subscribe=True))
        await here.stage.come(here.rooms, "alice@show", participant=ALICE)
        assert list((await here.rooms.participant("show", "alice")).tracks) == []


@virtual
async def test_sources_are_guessed_among_those_that_are_allowed() -> None:
    screen = Permission(can_publish_sources=frozenset({"screen_share", "screen_share_audio"}))
    async with house() as here:
        alice = Participant(room="show", identity="alice", permission=screen)
        await here.stage.come(here.rooms, "alice@show", participant=alice)
        audio, video = (await here.rooms.participant("show", "alice")).tracks
        assert (audio.source, video.source) == (TrackSource.SCREEN_SHARE_AUDIO, TrackSource.SCREEN_SHARE)
        assert (audio.sid[:5], video.sid[:5]) == ("TR_As", "TR_VS")


@virtual
async def test_tracks_are_named_by_sid_or_by_their_participant() -> None:
    async with house() as here:
        publisher = await here.stage.come(here.rooms, "alice@show", participant=ALICE)
        viewer = await here.stage.come(here.rooms, "show", "subscribe", participant=BOB)
        alice = await here.rooms.participant("show", "alice")
        given: list[tuple[SessionKey, SessionKey, int]] = []
        here.stage.control.choose = lambda *arguments: given.append(arguments)
        numbers = {facts.media.kind: facts.number for facts in here.stage.control.tracks(publisher)}

        async def subscribe(**which: Any) -> set[int]:
            given.clear()
            await here.actions.subscribe(
                UpdateSubscriptionsRequest(room="show", identity="bob", subscribe=True, **which)
            )
            assert all((by, of) == (viewer, publisher) for by, of, _ in given)
            return {number for _, _, number in given}

        assert await subscribe(track_sids=[alice.tracks[1].sid, "TR_unknown"]) == {numbers["video"]}
        everything = ParticipantTracks(participant_sid=alice.sid)
        assert await subscribe(participant_tracks=[everything]) == set(numbers.values())
        one = ParticipantTracks(participant_sid=alice.sid, track_sids=[alice.tracks[0].sid])
        assert await subscribe(participant_tracks=[one]) == {numbers["audio"]}
        assert await subscribe(participant_tracks=[ParticipantTracks(participant_sid="PA_x")]) == set()


@virtual
async def test_data_go_to_those_who_are_named() -> None:
    async with house() as here:
        alice = await here.stage.come(here.rooms, "alice@show", participant=ALICE)
        bob = await here.stage.come(here.rooms, "show", "subscribe", participant=BOB)
        await here.stage.come(here.rooms, "other")
        sid = (await here.rooms.participant("show", "bob")).sid

        async def send(**to: Any) -> list[tuple[SessionKey, str]]:
            here.stage.control.calls.clear()
            sent = await here.actions.send_data("show", b"x", **to)
            told = [(call[1], call[2]) for call in here.stage.control.calls]
            assert sent == len(told)
            return told

        assert await send() == [(alice, "lk-data"), (bob, "lk-data")]
        assert await send(identities=["bob", "nobody"], topic="chat") == [(bob, "chat")]
        assert await send(sids=[sid]) == [(bob, "lk-data")]
        assert await send(sids=[sid], identities=["alice"]) == [(alice, "lk-data"), (bob, "lk-data")]
        assert await send(identities=["nobody"]) == []
        with pytest.raises(BadRequest):
            await here.actions.send_data("show", bytes(MAX_MESSAGE_SIZE + 1))


@virtual
async def test_what_cannot_be_forwarded_or_moved() -> None:
    async with house(max_participants=2) as here:
        await here.stage.come(here.rooms, "alice@show", participant=ALICE)
        await here.stage.come(here.rooms, "show", "subscribe", participant=BOB)
        await here.stage.come(here.rooms, "bob@hall", participant=Participant(room="hall", identity="bob"))
        with pytest.raises(Conflict, match="publishes nothing"):
            await here.actions.forward("show", "bob", "elsewhere")
        with pytest.raises(Conflict, match="has a participant bob"):
            await here.actions.forward("show", "bob", "hall")
        with pytest.raises(Conflict, match="has a participant bob"):
            await here.actions.move("show", "bob", "hall")
        await here.stage.come(here.rooms, "hall", "subscribe")
        with pytest.raises(Conflict, match="full"):
            await here.actions.move("show", "alice", "hall")
        assert await here.identities() == ["alice", "bob"]
