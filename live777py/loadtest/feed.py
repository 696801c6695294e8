"""A clip as two tracks of the engine that go on for ever; any number of publishers send them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Literal, Self

from live777py import log
from live777py.loadtest.clip import FRAME_RATE, PACKET_RATE
from live777py.media import native
from live777py.rtc.negotiation import Codec, Encoding, PublishedMedia

if TYPE_CHECKING:
    from types import TracebackType

    from live777py.loadtest.clip import Clip, VideoCodec
    from live777py.media.engine import MediaEngine
    from live777py.media.source import Source

_VIDEO_CLOCK: Final = 90_000
_AUDIO_CLOCK: Final = 48_000
_MAX_BEHIND: Final = 0.5
"""Seconds; who is later than this goes on from now, rather than to send all that at once."""
_KEY_FRAME_SPACING: Final = FRAME_RATE // 2

_VIDEO: Final[dict[VideoCodec, Codec]] = {
    "h264": Codec(
        payload_type=96,
        name="H264",
        clock_rate=_VIDEO_CLOCK,
        fmtp="level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    ),
    "vp8": Codec(payload_type=96, name="VP8", clock_rate=_VIDEO_CLOCK),
}
_AUDIO: Final = Codec(
    payload_type=111, name="opus", clock_rate=_AUDIO_CLOCK, channels=2, fmtp="minptime=10;useinbandfec=1;stereo=1"
)


class Feed:
    """`async with Feed(engine, clip) as feed`: `feed.media` are its tracks, sound first.

    Whoever needs a key frame gets one as from an encoder: the clip begins anew, at most twice a second.
    """

    def __init__(self, engine: MediaEngine, clip: Clip) -> None:
        self._clip = clip
        video = _VIDEO[clip.codec]
        self._audio = engine.source(_parameters(_AUDIO), worker=0)
        self._video = engine.source(_parameters(video), worker=0, on_key_frame_needed=self._begin_anew)
        self.media: Final = (_published(_AUDIO, "audio", self._audio), _published(video, "video", self._video))
        self._next = 0
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._audio.__aenter__()
        await self._video.__aenter__()
        self._writing = log.watched(asyncio.create_task(self._write(), name="bench feed"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
        self._video.close()
        self._audio.close()

    def _begin_anew(self) -> None:
        if self._next >= _KEY_FRAME_SPACING:
            self._next = 0

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        begun, unix = loop.time(), time.time()
        frames = packets = 0
        while True:
            elapsed = loop.time() - begun
            while frames / FRAME_RATE <= elapsed:
                at = frames / FRAME_RATE
                stamp = frames * (_VIDEO_CLOCK // FRAME_RATE)
                picture = self._clip.video[self._next]
                self._video.write(picture, timestamp=stamp, wallclock=unix + at, key_frame=self._next == 0)
                self._next = (self._next + 1) % len(self._clip.video)
                frames += 1
            while packets / PACKET_RATE <= elapsed:
                at = packets / PACKET_RATE
                sound = self._clip.audio[packets % len(self._clip.audio)]
                self._audio.write(
                    sound, timestamp=packets * (_AUDIO_CLOCK // PACKET_RATE), wallclock=unix + at, key_frame=True
                )
                packets += 1
            wait = begun + min(frames / FRAME_RATE, packets / PACKET_RATE) - loop.time()
            if wait < -_MAX_BEHIND:
                begun -= wait
            await asyncio.sleep(wait)


def _parameters(codec: Codec) -> native.CodecParameters:
    return native.CodecParameters(payload_type=codec.payload_type, name=codec.name, clock_rate=codec.clock_rate)


def _published(codec: Codec, kind: Literal["audio", "video"], source: Source) -> tuple[PublishedMedia, int]:
    return PublishedMedia(kind=kind, mid=kind, codecs=(codec,), encodings=(Encoding(),)), source.track
