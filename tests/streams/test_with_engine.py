"""Publishers and viewers of aiortc through the stream manager and the real engine, with decoded pictures."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

from live777py.errors import Conflict
from live777py.media import native
from live777py.media.engine import MediaEngine
from live777py.streams.clients import Client
from live777py.streams.events import PublishStopped, SubscriberLeft
from live777py.streams.manager import StreamManager
from tests.fakes import media as fake_media
from tests.fakes.remote import offer
from tests.interop.peers import QUADRANTS, Picture, Tone, Viewed, consume, counter_of, quadrants_of
from tests.light import LightPeer
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import numpy as np

    from live777py.streams.clients import Answer
    from live777py.streams.events import StreamEvent

pytestmark = [
    pytest.mark.usefixtures("loopback_candidates"),
    pytest.mark.skipif(
        native.Engine is fake_media.Engine,  # type: ignore[comparison-overlap]
        reason="the media engine is not built: make ext",
    ),
]

HERE = Client(loopback=True)
FRAMES = 10
TOLERANCE = 40


@pytest.fixture
async def manager() -> AsyncIterator[StreamManager]:
    engine = MediaEngine([["127.0.0.1:0"]])
    manager = StreamManager(engine)
    await manager.start()
    yield manager
    await manager.stop()
    engine.close()


def connection() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


@contextlib.asynccontextmanager
async def publishing(manager: StreamManager, *, mangle: tuple[str, str] = ("", "")) -> AsyncIterator[str]:
    """The session's id. `mangle` is replaced in the offer that the gateway gets. Leaves without a DELETE."""
    peer = connection()
    peer.addTransceiver(Tone(), direction="sendonly")
    video = peer.addTransceiver(Picture(), direction="sendonly")
    capable = RTCRtpSender.getCapabilities("video").codecs
    video.setCodecPreferences([codec for codec in capable if codec.mimeType in {"video/VP8", "video/rtx"}])
    await peer.setLocalDescription(await peer.createOffer())
    try:
        answer = await manager.publish("s", peer.localDescription.sdp.replace(*mangle), client=HERE)
        await peer.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        yield answer.session
    finally:
        await peer.close()


@contextlib.asynccontextmanager
async def playing(manager: StreamManager) -> AsyncIterator[Viewed]:
    peer = connection()
    viewed = Viewed(peer)
    tasks: list[asyncio.Task[None]] = []
    peer.on("track", lambda track: tasks.append(asyncio.create_task(consume(track, viewed))))
    peer.addTransceiver("audio", direction="recvonly")
    peer.addTransceiver("video", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    try:
        answer = await manager.play("s", peer.localDescription.sdp, client=HERE)
        viewed.session = answer.session
        await peer.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        yield viewed
    finally:
        await peer.close()
        await asyncio.gather(*tasks)


def assert_is_the_picture(images: list[np.ndarray]) -> None:
    for seen, drawn in zip(quadrants_of(images[-1]), QUADRANTS, strict=True):
        assert max(abs(a - b) for a, b in zip(seen, drawn, strict=True)) < TOLERANCE
    counters = [counter_of(image) for image in images]
    assert counters == sorted(counters)
    assert len(set(counters)) > FRAMES // 2


def from_the_newest_start(images: list[np.ndarray]) -> list[np.ndarray]:
    """Without what was still on its way from a publisher before: each one counts its pictures from 0."""
    counters = [counter_of(image) for image in images]
    starts = [index for index in range(1, len(counters)) if counters[index] < counters[index - 1]]
    return images[max(starts, default=0) :]


async def until(manager: StreamManager, kind: type[StreamEvent]) -> StreamEvent:
    with manager.bus.subscribe() as events:
        async with asyncio.timeout(20):
            async for event in events:
                if isinstance(event, kind):
                    return event
    raise AssertionError("the bus was closed")


async def test_one_publisher_and_two_viewers(manager: StreamManager) -> None:
    async with publishing(manager), playing(manager) as one, playing(manager) as other:
        assert_is_the_picture(await one.frames(FRAMES))
        assert_is_the_picture(await other.frames(FRAMES))
        assert one.audio_level > 0.1
        await manager._sampler.refresh()
        view = manager.stream("s")
        assert view.stats.publish.packets > FRAMES
        assert view.stats.subscribe.bytes > view.stats.publish.bytes // 2


async def test_a_viewer_before_the_publisher(manager: StreamManager) -> None:
    async with playing(manager) as viewer, publishing(manager):
        assert_is_the_picture(await viewer.frames(FRAMES))


async def test_a_publisher_that_goes_and_comes_back(manager: StreamManager) -> None:
    async with playing(manager) as viewer:
        for _ in range(2):
            stopped = asyncio.create_task(until(manager, PublishStopped))
            async with publishing(manager):
                assert_is_the_picture(from_the_newest_start(await viewer.frames(2 * FRAMES)))
            event = await stopped
            assert isinstance(event, PublishStopped)
            assert event.reason == "peer-closed"
        assert [session.state for session in manager.stream("s").subscribe.sessions] == ["connected"]


async def test_the_publisher_deletes_and_the_viewer_is_told(manager: StreamManager) -> None:
    async with publishing(manager) as session, playing(manager) as viewer:
        await viewer.frames(1)
        left = asyncio.create_task(until(manager, SubscriberLeft))
        await asyncio.sleep(0)
        await manager.close_session("s", session)
        await left
        assert manager.streams() == []


@pytest.mark.parametrize("setup", ["actpass", "passive"])
async def test_a_wrong_fingerprint_sends_nothing_on(manager: StreamManager, setup: str) -> None:
    """In the second case the gateway is the DTLS client and aiortc, told so by the answer, the server."""
    stopped = asyncio.create_task(until_closed(manager))
    peer = connection()
    peer.addTransceiver(Tone(), direction="sendonly")
    await peer.setLocalDescription(await peer.createOffer())
    lines = peer.localDescription.sdp.replace("a=setup:actpass", f"a=setup:{setup}").splitlines()
    wrong = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)
    offer = "".join(
        f"{wrong if line.startswith('a=fingerprint:sha-256') else line}\r\n"
        for line in lines
        if not line.startswith(("a=fingerprint:sha-384", "a=fingerprint:sha-512"))
    )
    try:
        answer = await manager.publish("s", offer, client=HERE)
        await peer.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        await stopped
        view = manager.stream("s")
        assert [session.state for session in view.publish.sessions] == ["closed"]
        assert view.stats.publish.packets == 0
    finally:
        await peer.close()


async def until_closed(manager: StreamManager) -> None:
    with manager.bus.subscribe() as events:
        async with asyncio.timeout(20):
            async for event in events:
                if getattr(event, "state", None) == "closed":
                    return


async def test_a_publisher_that_crashed_comes_back_within_seconds(manager: StreamManager) -> None:
    first = await manager.publish("s", offer("opus"), client=HERE)
    crashes = LightPeer()
    await crashes.connect(first.sdp)
    async with playing(manager):
        crashes.close(goodbye=False)
        with pytest.raises(Conflict):
            await manager.publish("s", offer("opus"), client=HERE)

        async def comes_back() -> Answer | None:
            try:
                return await manager.publish("s", offer("opus"), client=HERE)
            except Conflict:
                return None

        answer = await eventually(comes_back, within=6)
        back = LightPeer()
        await back.connect(answer.sdp)
        view = manager.stream("s")
        assert [session.id for session in view.publish.sessions] == [answer.session]
        assert [session.state for session in view.subscribe.sessions] == ["connected"]
        back.close()
