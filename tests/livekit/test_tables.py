"""Rows of plain rules: names, tracks, when rooms end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest
from livekit.protocol.models import DisconnectReason, TrackType, VideoQuality

from live777py.livekit import names, tracks
from live777py.livekit.participants import Member, reason_of
from live777py.livekit.records import RoomRecord, Stored
from live777py.livekit.room import RoomState
from live777py.rtc.parameters import Codec, Encoding
from live777py.streams.control import LayerFacts, TrackFacts
from live777py.streams.participant import Participant, Permission
from tests.livekit.stage import AUDIO, VIDEO

if TYPE_CHECKING:
    from live777py.streams.events import LeaveReason


@pytest.mark.parametrize(
    ("stream", "room", "identity"),
    [
        ("cam1", "cam1", "cam1"),
        ("alice@standup", "standup", "alice"),
        ("alice@example.com@standup", "standup", "alice@example.com"),
        ("@standup", "@standup", "@standup"),
        ("alice@", "alice@", "alice@"),
        ("@", "@", "@"),
    ],
)
def test_a_stream_is_of_a_room_and_of_somebody(stream: str, room: str, identity: str) -> None:
    assert names.split(stream) == (room, identity)
    assert names.room_of(stream) == room
    assert names.stream_of(room, identity) == stream
    publisher = names.stranger(stream, "publish", "0123456789")
    assert (publisher.room, publisher.identity) == (room, identity)
    viewer = names.stranger(stream, "subscribe", "0123456789")
    assert (viewer.room, viewer.identity) == (room, "viewer-01234567")


def layer(rid: str | None, height: int) -> LayerFacts:
    return LayerFacts(rid=rid, ssrc=height, width=height * 2, height=height, bitrate=height * 1000)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([layer(None, 720)], [(VideoQuality.HIGH, "", 720)]),
        (
            [layer("f", 720), layer("h", 360), layer("q", 180)],
            [(VideoQuality.LOW, "q", 180), (VideoQuality.MEDIUM, "h", 360), (VideoQuality.HIGH, "f", 720)],
        ),
        ([layer("f", 720), layer("q", 180)], [(VideoQuality.LOW, "q", 180), (VideoQuality.HIGH, "f", 720)]),
        (
            [layer("0", 720), layer("1", 360), layer("2", 180)],
            [(VideoQuality.LOW, "2", 180), (VideoQuality.MEDIUM, "1", 360), (VideoQuality.HIGH, "0", 720)],
        ),
        ([layer("a", 720), layer("b", 180)], [(VideoQuality.LOW, "b", 180), (VideoQuality.MEDIUM, "a", 720)]),
    ],
)
def test_the_layers_of_a_track(layers: list[LayerFacts], expected: list[tuple[int, str, int]]) -> None:
    media = replace(VIDEO, encodings=tuple(Encoding(rid=one.rid) for one in layers))
    track = tracks.Track(sid="TR_VCx", number=1, key=("s", "1"), kind="video", source="camera")
    info = track.info(TrackFacts(number=1, media=media, muted=False, layers=tuple(layers)))
    assert [(one.quality, one.rid, one.height) for one in info.layers] == expected
    assert (info.width, info.height, info.simulcast) == (1440, 720, len(layers) > 1)
    assert [one.quality for one in info.codecs[0].layers] == [quality for quality, _, _ in expected]


@pytest.mark.parametrize(
    ("fmtp", "stereo"),
    [("", False), ("minptime=10;useinbandfec=1", False), ("stereo=1", True), ("sprop-stereo=1;stereo=0", True)],
)
def test_an_audio_track(fmtp: str, stereo: bool) -> None:
    media = replace(AUDIO, codecs=(replace(AUDIO.codecs[0], fmtp=fmtp),), msid="stream track")
    track = tracks.Track(sid="TR_AMx", number=1, key=("s", "1"), kind="audio", source="microphone")
    info = track.info(TrackFacts(number=1, media=media, muted=True, layers=()))
    assert (info.type, info.mime_type, info.muted, info.stream) == (TrackType.AUDIO, "audio/opus", True, "stream")
    assert (info.stereo, info.disable_red, list(info.layers)) == (stereo, True, [])


def test_redundant_sound_says_so() -> None:
    red = Codec(payload_type=63, name="red", clock_rate=48000, channels=2)
    media = replace(AUDIO, codecs=(red, *AUDIO.codecs))
    track = tracks.Track(sid="TR_AMx", number=1, key=("s", "1"), kind="audio", source="microphone")
    info = track.info(TrackFacts(number=1, media=media, muted=False, layers=()))
    assert (info.mime_type, info.disable_red) == ("audio/red", False)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("peer-closed", DisconnectReason.CLIENT_INITIATED),
        ("api-deleted", DisconnectReason.CLIENT_INITIATED),
        ("removed", DisconnectReason.PARTICIPANT_REMOVED),
        ("stream-deleted", DisconnectReason.ROOM_DELETED),
        ("taken-over", DisconnectReason.DUPLICATE_IDENTITY),
        ("shutdown", DisconnectReason.SERVER_SHUTDOWN),
        ("moved", DisconnectReason.MIGRATION),
        ("idle-timeout", DisconnectReason.CONNECTION_TIMEOUT),
        ("dtls-failed", DisconnectReason.JOIN_FAILURE),
        ("unwatched", DisconnectReason.UNKNOWN_REASON),
        (None, DisconnectReason.UNKNOWN_REASON),
    ],
)
def test_why_somebody_left(reason: LeaveReason | None, told: DisconnectReason) -> None:
    assert reason_of(reason) == told


def room(**fields: object) -> RoomState:
    record = RoomRecord(
        name="show", sid="RM_x", created_ms=1_000_000, empty_timeout=300, departure_timeout=20, max_participants=2
    )
    return RoomState(Stored(msgspec.structs.replace(record, **fields), 1), 1_500_000)


def member(identity: str, **fields: object) -> Member:
    participant = replace(Participant(room="show", identity=identity), **fields)  # type: ignore[arg-type]
    return Member(participant, 0, sid=f"PA_{identity}")


def put(state: RoomState, one: Member) -> Member:
    state.members[one.identity] = one
    state.count(one)
    return one


def test_when_a_room_ends() -> None:
    assert room().ends_at() == 1_000_000 + 300_000
    used = room(joined=True)
    assert used.ends_at() == 1_500_000 + 20_000
    assert not used.due(1_519_999)
    assert used.due(1_520_000)
    put(used, member("alice"))
    assert used.ends_at() is None
    assert not used.due(10**12)


def test_who_is_expected_keeps_a_room_open() -> None:
    state = room(joined=True)
    state.comes("alice")
    state.comes("alice")
    assert state.ends_at() is None
    state.goes_in("alice", 1_600_000)
    assert state.ends_at() is None
    state.goes_in("alice", 1_700_000)
    assert state.ends_at() == 1_720_000


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "agent"},
        {"kind": "egress"},
        {"permission": Permission(agent=True)},
        {"permission": Permission(recorder=True)},
    ],
)
def test_dependents_are_not_counted(fields: dict[str, object]) -> None:
    state = room()
    put(state, member("robot", **fields))
    assert (state.occupied, state.info().num_participants) == (False, 0)
    put(state, member("alice"))
    assert state.info().num_participants == 1
    assert state.places_before("bob") == 1


def test_ingress_and_sip_are_counted() -> None:
    state = room()
    put(state, member("camera", kind="ingress"))
    put(state, member("phone", kind="sip"))
    assert state.places_before("bob") == 2
    assert state.places_before("phone") is None
    assert [state.full_with(people) for people in (1, 2, 3)] == [False, True, True]


def test_counts_follow_changes() -> None:
    state = room()
    one = put(state, member("alice"))
    state.count(one)
    one.become(replace(one.participant, permission=Permission(recorder=True)))
    state.count(one)
    info = state.info()
    assert (info.num_participants, info.active_recording) == (0, True)
    del state.members["alice"]
    state.count(one)
    info = state.info()
    assert (info.num_participants, info.active_recording) == (0, False)


def test_a_room_that_is_being_deleted_is_open_to_nobody() -> None:
    assert room().open
    closing = room(closing=True)
    assert not closing.open
    assert closing.ends_at() == 1_510_000
