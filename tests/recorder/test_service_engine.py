"""The recorder over the real engine, the real index and a directory: frames of real encoders, read back and counted."""

from __future__ import annotations

import asyncio
import io
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import av
import pytest
from av.subtitles.subtitle import SubtitleSet

from live777py.media import native
from live777py.media.engine import MediaEngine
from live777py.recorder.index import RecordingIndex
from live777py.recorder.journal import Journal
from live777py.recorder.service import RecorderService
from live777py.recorder.settings import RecorderSettings
from live777py.rtc.parameters import Codec, Encoding, PublishedMedia
from live777py.storage import LocalStorage
from live777py.store import Database
from live777py.streams.bus import EventBus
from live777py.streams.events import PublishStarted
from tests.fakes import media as fake_media
from tests.interop.peers import counter_of
from tests.recorder.encoded import counted, opus
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    import numpy as np

    from live777py.media.source import Source
    from live777py.recorder.frames import DataFrame
    from live777py.rtc.parameters import Kind
    from live777py.streams.views import StreamView

pytestmark = pytest.mark.skipif(
    native.Engine is fake_media.Engine,  # type: ignore[comparison-overlap]
    reason="the media engine is not built: make ext",
)

SETTINGS = RecorderSettings(segment_seconds=2, resume_seconds=20, max_seconds=0)


@dataclass
class Streams:
    """The streams of sources: what they write is published."""

    engine: MediaEngine
    bus: EventBus = field(default_factory=EventBus)
    media: dict[str, tuple[tuple[PublishedMedia, int], ...]] = field(default_factory=dict)

    def published_tracks(self, stream: str) -> tuple[tuple[PublishedMedia, int], ...]:
        return self.media.get(stream, ())

    def streams(self) -> list[StreamView]:
        return []

    @asynccontextmanager
    async def publishing(self, stream: str, *tracks: Sequence[DataFrame]) -> AsyncIterator[Publisher]:
        publisher = Publisher(self.engine, tracks)
        async with publisher:
            self.media[stream] = publisher.media
            self.bus.publish(PublishStarted(stream=stream, session=str(publisher.media[0][1])))
            yield publisher
            del self.media[stream]


class Publisher:
    """Writes frames at their time."""

    def __init__(self, engine: MediaEngine, tracks: Sequence[Sequence[DataFrame]]) -> None:
        self.media: tuple[tuple[PublishedMedia, int], ...] = ()
        self._tracks = tracks
        self._sources: list[Source] = []
        self._engine = engine

    async def __aenter__(self) -> None:
        for frames in self._tracks:
            first = frames[0]
            codec = native.CodecParameters(payload_type=96, name=first.codec, clock_rate=first.clock_rate)
            source = self._engine.source(codec, worker=0)
            await source.__aenter__()
            self._sources.append(source)
            kind: Kind = "audio" if first.codec == "opus" else "video"
            about = Codec(payload_type=96, name=first.codec, clock_rate=first.clock_rate)
            media = PublishedMedia(kind=kind, mid=kind, codecs=(about,), encodings=(Encoding(),))
            self.media += ((media, source.track),)

    async def __aexit__(self, *_: object) -> None:
        for source in self._sources:
            source.close()

    async def write(self) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        unix = time.time()
        frames = [
            (frame.wallclock - some[0].wallclock, source, frame)
            for source, some in zip(self._sources, self._tracks, strict=True)
            for frame in some
        ]
        for at, source, frame in sorted(frames, key=lambda each: each[0]):
            await asyncio.sleep(begin + at - loop.time())
            source.write(frame, timestamp=frame.timestamp, wallclock=unix + at, key_frame=frame.key_frame)


@dataclass
class Rig:
    engine: MediaEngine
    streams: Streams
    service: RecorderService
    index: RecordingIndex
    root: Path

    async def tapped(self, publisher: Publisher) -> bool:
        """Whether the recorder reads all its tracks."""
        return {tap.track for tap in (await self.engine.stats()).taps} >= {track for _, track in publisher.media}

    def pictures(self, directory: str, prefix: str) -> list[tuple[float, int]]:
        """Seconds and number of each, as FFmpeg's libraries read them."""
        return [(at, counter_of(image)) for at, image in self._decoded(directory, prefix)]

    def sounds(self, directory: str, prefix: str) -> list[float]:
        return [at for at, _ in self._decoded(directory, prefix)]

    def _decoded(self, directory: str, prefix: str) -> list[tuple[float, np.ndarray]]:
        place = self.root / directory
        names = [*place.glob(f"{prefix}_init.*"), *sorted(place.glob(f"{prefix}_seg_*"))]
        decoded = []
        with av.open(io.BytesIO(b"".join(name.read_bytes() for name in names)), "r") as container:
            for frame in container.decode(container.streams[0]):
                assert not isinstance(frame, SubtitleSet)
                image = frame.to_ndarray(format="rgb24") if isinstance(frame, av.VideoFrame) else frame.to_ndarray()
                decoded.append((float(frame.time or 0), image))
        return decoded


@asynccontextmanager
async def rig(root: Path, settings: RecorderSettings = SETTINGS) -> AsyncIterator[Rig]:
    engine = MediaEngine([["127.0.0.1:0"]])
    streams = Streams(engine)
    store = Database(root / "store.db")
    storage = LocalStorage(root / "storage")
    index = RecordingIndex(store)
    journal = Journal(root / "journal")
    service = RecorderService(streams, engine, storage, index, settings, journal=journal)
    await service.open()
    try:
        yield Rig(engine, streams, service, index, root / "storage")
    finally:
        await service.close()
        journal.close()
        assert not list((root / "journal").rglob("*"))
        engine.close()
        await storage.close()
        await store.close()


@pytest.mark.parametrize("codec", ["H264", "H265", "VP8", "VP9", "AV1"])
async def test_every_picture_and_every_sound_is_recorded(codec: str, tmp_path: Path) -> None:
    video, audio = counted(codec, seconds=3), opus(seconds=3)
    async with rig(tmp_path) as it, it.streams.publishing("cam", video, audio) as publisher:
        view = await it.service.start("cam")
        await publisher.write()
        await it.service.stop("cam")
        assert it.service.counts.dropped == 0
        pictures = it.pictures(view.directory, "v")
        assert [number for _, number in pictures] == list(range(len(video)))
        sounds = it.sounds(view.directory, "a")
        assert len(sounds) == pytest.approx(len(audio), abs=1)
        # Both were sampled from the same moment on.
        assert abs((pictures[0][0] - 0) - (sounds[0] - 0)) < 0.04
        assert abs(pictures[-1][0] - pictures[0][0] - (len(video) - 1) / 30) < 0.002
        (row,) = await it.index.of_stream("cam")
        assert (row.status, row.reason) == ("Completed", "stopped")
        assert row.duration_ms == pytest.approx(3000, abs=50)


async def test_a_publisher_that_comes_back_with_another_size(tmp_path: Path) -> None:
    first, second = counted("H264", seconds=3), counted("H264", seconds=3, width=320, height=180)
    async with rig(tmp_path) as it:
        async with it.streams.publishing("cam", first, opus(seconds=3)) as publisher:
            view = await it.service.start("cam")
            await publisher.write()
        async with it.streams.publishing("cam", second, opus(seconds=3)) as publisher:
            await eventually(lambda: it.tapped(publisher))
            await publisher.write()
            await it.service.stop("cam")
        for prefix, video in (("v", first), ("v1", second)):
            assert [number for _, number in it.pictures(view.directory, prefix)] == list(range(len(video)))
