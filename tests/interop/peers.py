"""aiortc as a foreign client: publishes and plays with whole frames, so that a frame's content can be checked."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import aiohttp
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription, VideoStreamTrack
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError
from av import AudioFrame, VideoFrame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiortc import MediaStreamTrack

WIDTH, HEIGHT = 640, 360
QUADRANTS = ((208, 32, 32), (32, 160, 32), (32, 32, 208), (208, 208, 32))
BITS = 16


def picture(count: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """The picture that `client.js` draws: four quadrants and a frame counter in blocks."""
    image = np.empty((height, width, 3), np.uint8)
    for index, colour in enumerate(QUADRANTS):
        row, column = divmod(index, 2)
        image[row * height // 2 :, column * width // 2 :] = colour
    image[height // 2 :, : width // 2] = QUADRANTS[2]
    block = width // BITS
    for bit in range(BITS):
        value = 255 if count >> bit & 1 else 0
        image[height // 2 - block : height // 2 + block, bit * block : (bit + 1) * block] = value
    return image


def counter_of(image: np.ndarray) -> int:
    height, width, _ = image.shape
    block = width // BITS
    row = image[height // 2, block // 2 :: block][:BITS].astype(int).sum(axis=1)
    return sum(1 << bit for bit, value in enumerate(row) if value > 384)


def quadrants_of(image: np.ndarray) -> list[tuple[int, ...]]:
    height, width, _ = image.shape
    side = height // 8
    corners = [(0, 0), (0, width - side), (height - side, 0), (height - side, width - side)]
    return [
        tuple(int(value) for value in image[y : y + side, x : x + side].reshape(-1, 3).mean(axis=0)) for y, x in corners
    ]


class Picture(VideoStreamTrack):
    """30 frames a second of `picture`, counted."""

    def __init__(self, width: int = WIDTH, height: int = HEIGHT, *, start: int = 0) -> None:
        super().__init__()
        self.count = start
        self._size = (width, height)

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame.from_ndarray(picture(self.count, *self._size), format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        self.count += 1
        return frame


class Tone(AudioStreamTrack):
    """440 Hz, stereo, at a quarter of full scale."""

    async def recv(self) -> AudioFrame:
        silent = await super().recv()
        assert isinstance(silent, AudioFrame)
        samples = 960
        at = (silent.pts or 0) // silent.samples * samples
        wave = (np.sin(2 * np.pi * 440 * (at + np.arange(samples)) / 48000) * 8192).astype(np.int16)
        frame = AudioFrame.from_ndarray(np.repeat(wave, 2)[None, :], format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, at, Fraction(1, 48000)
        return frame


@dataclass
class Viewed:
    """What a playing peer has decoded so far."""

    connection: RTCPeerConnection
    session: str = ""
    images: list[np.ndarray] = field(default_factory=list)
    audio_level: float = 0.0
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def frames(self, count: int, *, within: float = 20.0) -> list[np.ndarray]:
        """Waits until `count` pictures more than now are decoded, and returns them."""
        start = len(self.images)
        async with self.arrived, asyncio.timeout(within):
            await self.arrived.wait_for(lambda: len(self.images) >= start + count)
        return self.images[start : start + count]


async def negotiate(connection: RTCPeerConnection, url: str, *, bearer: str = "") -> str:
    """Offer and answer at a WHIP or WHEP door; the session's URL."""
    await connection.setLocalDescription(await connection.createOffer())
    headers = {"Content-Type": "application/sdp", **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
    async with (
        aiohttp.ClientSession() as client,
        client.post(url, data=connection.localDescription.sdp, headers=headers) as response,
    ):
        text = await response.text()
        assert response.status == 201, f"{response.status} {text}"
        await connection.setRemoteDescription(RTCSessionDescription(text, "answer"))
        return urljoin(url, response.headers["Location"])


async def _delete(url: str, bearer: str = "") -> None:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    async with aiohttp.ClientSession() as client, client.delete(url, headers=headers) as response:
        assert response.status in {200, 204, 404}


@contextlib.asynccontextmanager
async def publishing(
    url: str,
    *,
    codec: str = "VP8",
    goodbye: bool = True,
    video_track: MediaStreamTrack | None = None,
    audio_track: MediaStreamTrack | None = None,
    bearer: str = "",
) -> AsyncIterator[RTCPeerConnection]:
    """Without `goodbye` it leaves like one who shuts the lid: DTLS is closed, and there is no DELETE."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver(audio_track or Tone(), direction="sendonly")
    video = connection.addTransceiver(video_track or Picture(), direction="sendonly")
    capable = RTCRtpSender.getCapabilities("video").codecs
    video.setCodecPreferences([c for c in capable if c.mimeType.lower() in {f"video/{codec.lower()}", "video/rtx"}])
    try:
        session = await negotiate(connection, url, bearer=bearer)
        try:
            yield connection
        finally:
            if goodbye:
                await _delete(session, bearer)
    finally:
        await connection.close()


async def consume(track: MediaStreamTrack, viewed: Viewed) -> None:
    with contextlib.suppress(MediaStreamError):
        while True:
            frame = await track.recv()
            async with viewed.arrived:
                if isinstance(frame, VideoFrame):
                    viewed.images.append(frame.to_ndarray(format="rgb24"))
                elif isinstance(frame, AudioFrame):
                    viewed.audio_level = max(viewed.audio_level, float(np.abs(frame.to_ndarray()).max()) / 32768)
                viewed.arrived.notify_all()


@contextlib.asynccontextmanager
async def playing(url: str, *, bearer: str = "") -> AsyncIterator[Viewed]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    viewed = Viewed(connection)
    tasks: list[asyncio.Task[None]] = []
    connection.on("track", lambda track: tasks.append(asyncio.create_task(consume(track, viewed))))
    connection.addTransceiver("audio", direction="recvonly")
    connection.addTransceiver("video", direction="recvonly")
    try:
        viewed.session = await negotiate(connection, url, bearer=bearer)
        try:
            yield viewed
        finally:
            await _delete(viewed.session, bearer)
    finally:
        await connection.close()
        await asyncio.gather(*tasks)
