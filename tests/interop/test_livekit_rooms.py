"""What LiveKit's API does to media: aiortc publishes and plays, the Python SDK mutes, switches, forwards and moves."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from aiortc import VideoStreamTrack
from av import VideoFrame
from livekit import api
from livekit.protocol.models import ParticipantPermission, VideoQuality

from tests.conformance.livekit_server import KEYS, livekit_server, refused, token
from tests.gateway import running_gateway
from tests.interop.obs import SIZES, obs_publishing
from tests.interop.peers import Viewed, playing, publishing
from tests.interop.programs import TEST_TONE, ffmpeg_publisher
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from livekit.protocol.models import TrackInfo

    from tests.conformance.livekit_server import LiveKitServer

RED, GREEN = (200, 30, 30), (30, 160, 30)
FFMPEG_RED = (255, 0, 0)
TOLERANCE = 40
STILL_SECONDS = 0.5
SETTLED_SECONDS = 0.2


class Plain(VideoStreamTrack):
    """One colour."""

    def __init__(self, colour: tuple[int, int, int]) -> None:
        super().__init__()
        self._image = np.full((180, 320, 3), colour, np.uint8)

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame.from_ndarray(self._image, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


@pytest.fixture
async def livekit(tmp_path: Path, loopback_candidates: None) -> AsyncIterator[LiveKitServer]:
    keys = KEYS + f'[livekit.room]\nenable_remote_unmute = true\n[store]\npath = "{tmp_path}/store.db"\n'
    async with running_gateway(tmp_path, config=keys) as gateway, livekit_server(gateway.url) as server:
        yield server


def joining(identity: str, room: str = "show") -> str:
    return token(identity, room_join=True, room=room)


@contextlib.asynccontextmanager
async def show(livekit: LiveKitServer) -> AsyncIterator[Viewed]:
    """Alice publishes red in the room, and Bob watches her."""
    async with (
        publishing(f"{livekit.url}/whip/alice@show", video_track=Plain(RED), bearer=joining("alice")),
        playing(f"{livekit.url}/whep/alice@show", bearer=joining("bob")) as bob,
    ):
        await sees(bob, RED)
        yield bob


async def sees(viewer: Viewed, colour: tuple[int, int, int]) -> None:
    """Three pictures in a row of this colour, before long."""
    async with asyncio.timeout(20):
        while True:
            images = await viewer.frames(3)
            if all(np.abs(image.mean(axis=(0, 1)) - colour).max() < TOLERANCE for image in images):
                return


async def packets(viewer: Viewed) -> dict[str, int]:
    stats = await viewer.connection.getStats()
    return {row.kind: row.packetsReceived for row in stats.values() if row.type == "inbound-rtp"}


async def flows(viewer: Viewed) -> set[str]:
    """The kinds of which something comes within half a second, once what is under way has come."""
    await asyncio.sleep(SETTLED_SECONDS)
    before = await packets(viewer)
    await asyncio.sleep(STILL_SECONDS)
    after = await packets(viewer)
    return {kind for kind, count in after.items() if count > before.get(kind, 0)}


def sids(tracks: Iterable[TrackInfo]) -> list[str]:
    return [track.sid for track in tracks]


async def test_a_muted_picture_stops_for_everybody_and_the_sound_goes_on(livekit: LiveKitServer) -> None:
    async with show(livekit) as bob, playing(f"{livekit.url}/whep/alice@show") as stranger:
        await sees(stranger, RED)
        _, video = await livekit.publisher("show", "alice")
        assert (video.width, video.height) == (320, 180)
        muting = api.MuteRoomTrackRequest(room="show", identity="alice", track_sid=video.sid, muted=True)
        answer = await livekit.api.room.mute_published_track(muting)
        assert answer.track.muted
        assert await flows(bob) == {"audio"}
        assert await flows(stranger) == {"audio"}
        async with playing(f"{livekit.url}/whep/alice@show") as late:
            assert await flows(late) == {"audio"}
        _, video = await livekit.publisher("show", "alice")
        assert video.muted
        muting.muted = False
        await livekit.api.room.mute_published_track(muting)
        await sees(bob, RED)


async def test_who_may_not_publish_any_more_is_not_seen(livekit: LiveKitServer) -> None:
    async with show(livekit) as bob:

        async def allow(*, can_publish: bool) -> None:
            permission = ParticipantPermission(can_subscribe=True, can_publish=can_publish)
            request = api.UpdateParticipantRequest(room="show", identity="alice", permission=permission)
            await livekit.api.room.update_participant(request)

        before = await livekit.publisher("show", "alice")
        await allow(can_publish=False)
        alice = await livekit.participant("show", "alice")
        assert (list(alice.tracks), alice.is_publisher) == ([], False)
        assert await flows(bob) == set()
        await allow(can_publish=True)
        await sees(bob, RED)
        assert not set(sids(before)) & set(sids(await livekit.publisher("show", "alice")))


async def test_a_viewer_who_may_not_watch_gets_nothing(livekit: LiveKitServer) -> None:
    async with show(livekit) as bob, playing(f"{livekit.url}/whep/alice@show") as stranger:
        await livekit.api.room.update_participant(
            api.UpdateParticipantRequest(room="show", identity="bob", permission=ParticipantPermission())
        )
        assert await flows(bob) == set()
        await sees(stranger, RED)


async def test_a_viewer_is_given_other_tracks(livekit: LiveKitServer) -> None:
    async with (
        show(livekit) as bob,
        publishing(f"{livekit.url}/whip/carol@show", video_track=Plain(GREEN), bearer=joining("carol")),
    ):

        async def subscribe(track: TrackInfo, *, subscribe: bool) -> None:
            await livekit.api.room.update_subscriptions(
                api.UpdateSubscriptionsRequest(room="show", identity="bob", track_sids=[track.sid], subscribe=subscribe)
            )

        _, red = await livekit.publisher("show", "alice")
        _, green = await livekit.publisher("show", "carol")
        await subscribe(green, subscribe=True)
        await sees(bob, GREEN)
        muting = api.MuteRoomTrackRequest(room="show", identity="carol", track_sid=green.sid, muted=True)
        await livekit.api.room.mute_published_track(muting)
        assert await flows(bob) == {"audio"}
        muting.muted = False
        await livekit.api.room.mute_published_track(muting)
        await sees(bob, GREEN)
        await subscribe(red, subscribe=False)  # that is not what it gets
        await sees(bob, GREEN)
        await subscribe(green, subscribe=False)
        assert await flows(bob) == {"audio"}
        await subscribe(red, subscribe=True)
        await sees(bob, RED)


async def test_who_watched_a_track_that_is_gone_gets_the_stream_again(livekit: LiveKitServer) -> None:
    async with show(livekit) as bob:
        async with publishing(f"{livekit.url}/whip/carol@show", video_track=Plain(GREEN), bearer=joining("carol")):
            _, green = await livekit.publisher("show", "carol")
            await livekit.api.room.update_subscriptions(
                api.UpdateSubscriptionsRequest(room="show", identity="bob", track_sids=[green.sid], subscribe=True)
            )
            await sees(bob, GREEN)
        await sees(bob, RED)


async def test_a_removed_viewer_sees_the_end(livekit: LiveKitServer) -> None:
    async with show(livekit) as bob, playing(f"{livekit.url}/whep/alice@show") as stranger:
        await livekit.api.room.remove_participant(api.RoomParticipantIdentity(room="show", identity="bob"))

        async def closed() -> bool:
            return bob.connection.connectionState == "closed"

        await eventually(closed)
        await sees(stranger, RED)


async def test_forwarded_it_is_the_same_in_both_rooms(livekit: LiveKitServer) -> None:
    async with show(livekit) as bob:
        forwarding = api.ForwardParticipantRequest(room="show", identity="alice", destination_room="hall")
        await livekit.api.room.forward_participant(forwarding)
        tracks = await livekit.publisher("show", "alice")
        assert sids(await livekit.publisher("hall", "alice")) == sids(tracks)
        async with playing(f"{livekit.url}/whep/alice@hall") as carol:
            await sees(carol, RED)
            muting = api.MuteRoomTrackRequest(room="show", identity="alice", track_sid=tracks[1].sid, muted=True)
            await livekit.api.room.mute_published_track(muting)
            assert await flows(carol) == {"audio"}
            assert (await livekit.publisher("hall", "alice"))[1].muted
            muting.muted = False
            await livekit.api.room.mute_published_track(muting)
            await sees(carol, RED)
            muting = api.MuteRoomTrackRequest(room="hall", identity="alice", track_sid=tracks[1].sid, muted=True)
            await livekit.api.room.mute_published_track(muting)
            assert await flows(carol) == {"audio"}
            await sees(bob, RED)
            await livekit.api.room.remove_participant(api.RoomParticipantIdentity(room="hall", identity="alice"))
            assert await flows(carol) == set()
            await sees(bob, RED)
            await livekit.api.room.forward_participant(forwarding)
            await livekit.publisher("hall", "alice")
            await sees(carol, RED)
            await livekit.api.room.remove_participant(api.RoomParticipantIdentity(room="show", identity="alice"))
            await livekit.until_gone("hall", "alice")
            assert await flows(carol) == set()


async def test_moved_it_is_in_the_other_room_alone(livekit: LiveKitServer) -> None:
    async with (
        show(livekit) as bob,
        playing(f"{livekit.url}/whep/alice@hall", bearer=joining("carol", "hall")) as carol,
    ):
        before = await livekit.participant("show", "alice")
        moving = api.MoveParticipantRequest(room="show", identity="alice", destination_room="hall")
        await livekit.api.room.move_participant(moving)
        after = await livekit.participant("hall", "alice")
        assert (after.sid, sorted(sids(after.tracks))) == (before.sid, sorted(sids(before.tracks)))
        await livekit.until_gone("show", "alice")
        await sees(carol, RED)
        assert await flows(bob) == set()
        with refused("failed_precondition", 412, "has a participant"):
            async with publishing(f"{livekit.url}/whip/alice@show", video_track=Plain(GREEN), bearer=joining("alice")):
                await livekit.publisher("show", "alice")
                await sees(bob, GREEN)
                await livekit.api.room.move_participant(moving)


async def test_a_viewer_is_moved_to_what_the_other_room_shows(livekit: LiveKitServer) -> None:
    async with (
        show(livekit) as bob,
        publishing(f"{livekit.url}/whip/hall", video_track=Plain(GREEN), bearer=joining("carol", "hall")),
    ):
        await livekit.publisher("hall", "carol")
        await livekit.api.room.move_participant(
            api.MoveParticipantRequest(room="show", identity="bob", destination_room="hall")
        )
        await sees(bob, GREEN)
        await livekit.until_gone("show", "bob")
        await livekit.participant("hall", "bob")
    await livekit.until_gone("hall", "bob")


async def test_ffmpeg_is_a_participant_like_any(livekit: LiveKitServer) -> None:
    """FFmpeg by WHIP with a token: seen, forwarded, muted, and put out with its room."""
    camera = ffmpeg_publisher(
        f"{livekit.url}/whip/camera@show",
        inputs=("-f", "lavfi", "-i", "color=red:size=320x180:rate=30", *TEST_TONE),
        token=joining("camera"),
    )
    async with camera, playing(f"{livekit.url}/whep/camera@show", bearer=joining("bob")) as bob:
        await sees(bob, FFMPEG_RED)
        audio, video = await livekit.publisher("show", "camera")
        assert (audio.mime_type, video.mime_type) == ("audio/opus", "video/H264")
        assert (video.width, video.height) == (320, 180)
        await livekit.api.room.forward_participant(
            api.ForwardParticipantRequest(room="show", identity="camera", destination_room="hall")
        )
        async with playing(f"{livekit.url}/whep/camera@hall") as carol:
            await sees(carol, FFMPEG_RED)
            await livekit.api.room.mute_published_track(
                api.MuteRoomTrackRequest(room="show", identity="camera", track_sid=video.sid, muted=True)
            )
            assert await flows(bob) == await flows(carol) == {"audio"}
            await livekit.api.room.delete_room(api.DeleteRoomRequest(room="show"))
            assert list((await livekit.api.room.list_rooms(api.ListRoomsRequest(names=["show"]))).rooms) == []
            await livekit.until_gone("hall", "camera")

            async def closed() -> bool:
                return bob.connection.connectionState == "closed"

            await eventually(closed)
            assert await flows(carol) == set()


async def test_the_layers_of_simulcast_are_those_that_come(livekit: LiveKitServer) -> None:
    """OBS with three layers; forwarded, they are the same."""
    async with obs_publishing(f"{livekit.url}/whip/show", bearer=joining("obs")):

        async def measured(room: str = "show") -> TrackInfo | None:
            _, video = await livekit.publisher(room, "obs")
            return video if all(layer.height for layer in video.layers) else None

        video = await eventually(measured)
        assert video.simulcast
        assert [layer.quality for layer in video.layers] == [VideoQuality.LOW, VideoQuality.MEDIUM, VideoQuality.HIGH]
        sizes = [(layer.width, layer.height) for layer in video.layers]
        assert sizes == sorted(set(SIZES.values()))
        assert (video.width, video.height) == sizes[-1]
        assert [layer.rid for layer in video.layers] == sorted(SIZES, key=lambda rid: SIZES[rid])
        await livekit.api.room.forward_participant(
            api.ForwardParticipantRequest(room="show", identity="obs", destination_room="hall")
        )
        forwarded = await measured("hall")
        assert forwarded is not None
        assert [(layer.rid, layer.width) for layer in forwarded.layers] == [
            (layer.rid, layer.width) for layer in video.layers
        ]
