"""What the recorder stands on: streams that a script publishes, taps, a storage and an index in memory."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from live777py.errors import Conflict, NotFound
from live777py.recorder.index import RecordTaken
from live777py.rtc.parameters import Codec, Encoding, PublishedMedia
from live777py.storage import StoragePath
from live777py.streams.bus import EventBus
from live777py.streams.events import PublishStarted, PublishStopped, StreamCreated, StreamDeleted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from live777py.errors import Live777Error
    from live777py.recorder.frames import Frame
    from live777py.recorder.index import Recording, RecordKey, Status, Written
    from live777py.rtc.parameters import Kind
    from live777py.storage import Data
    from live777py.streams.views import StreamView

_CODECS: dict[Kind, Codec] = {
    "video": Codec(payload_type=96, name="VP8", clock_rate=90_000),
    "audio": Codec(payload_type=111, name="opus", clock_rate=48_000, channels=2),
}


class InlinePool(Executor):
    """Does it at once: for a loop of virtual time."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class FakeTap:
    def __init__(self, track: int, past: float) -> None:
        self.track = track
        self.past = past
        self.dropped = 0
        self._batches: asyncio.Queue[Sequence[Frame] | None] = asyncio.Queue()

    def __aiter__(self) -> FakeTap:
        return self

    def take(self) -> Sequence[Frame] | None:
        frames: list[Frame] = []
        while not self._batches.empty():
            more = self._batches.get_nowait()
            if more is None:
                self._batches.put_nowait(None)
                return frames or None
            frames += more
        return frames

    async def __anext__(self) -> Sequence[Frame]:
        while (frames := self.take()) is not None:
            if frames:
                return frames
            self._batches.put_nowait(await self._batches.get())
        raise StopAsyncIteration

    def push(self, frames: Sequence[Frame]) -> None:
        self._batches.put_nowait(frames)

    def end(self) -> None:
        self._batches.put_nowait(None)


@dataclass
class FakeStreams:
    """Streams and their taps. `publisher = streams.publish("cam", "video")`, `publisher.send(...)`, `.leave()`."""

    bus: EventBus = field(default_factory=EventBus)
    published: dict[str, Publisher] = field(default_factory=dict)
    taps: dict[int, list[FakeTap]] = field(default_factory=dict)
    asked: list[tuple[float, int]] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    numbers: int = 0

    def published_tracks(self, stream: str) -> tuple[tuple[PublishedMedia, int], ...]:
        if stream not in self.known:
            raise NotFound("resource not exists")
        publisher = self.published.get(stream)
        return () if publisher is None else publisher.media

    def streams(self) -> list[StreamView]:
        return []

    @asynccontextmanager
    async def tap(self, track: int, *, past: float) -> AsyncIterator[FakeTap]:
        tap = FakeTap(track, past)
        self.taps.setdefault(track, []).append(tap)
        await asyncio.sleep(0)
        try:
            yield tap
        finally:
            self.taps[track].remove(tap)

    def request_key_frame(self, track: int) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        self.asked.append((loop.time(), track))
        done: asyncio.Future[None] = loop.create_future()
        done.set_result(None)
        return done

    # The script

    def publish(self, stream: str, *kinds: Kind) -> Publisher:
        if stream not in self.known:
            self.known.add(stream)
            self.bus.publish(StreamCreated(stream=stream))
        publisher = Publisher(self, stream, kinds)
        self.published[stream] = publisher
        self.bus.publish(PublishStarted(stream=stream, session=f"s{self.numbers}"))
        return publisher

    def delete(self, stream: str) -> None:
        self.known.discard(stream)
        self.bus.publish(StreamDeleted(stream=stream, reason="api-deleted"))


class Publisher:
    def __init__(self, streams: FakeStreams, stream: str, kinds: Sequence[Kind]) -> None:
        self._streams = streams
        self._stream = stream
        media = []
        for kind in kinds:
            streams.numbers += 1
            media.append((_media(kind), streams.numbers))
        self.media = tuple(media)
        self.session = f"s{streams.numbers}"

    async def send(self, frames: dict[Kind, Sequence[Frame]], *, seconds: float) -> None:
        """As long as they last, by the time of the loop."""
        begin = min(some[0].wallclock for some in frames.values())
        left = {kind: list(some) for kind, some in frames.items()}
        elapsed = 0.0
        while elapsed < seconds:
            await asyncio.sleep(0.1)
            elapsed += 0.1
            for media, track in self.media:
                some = left.get(media.kind, [])
                due = [frame for frame in some if frame.wallclock - begin < elapsed - 1e-6]
                left[media.kind] = some[len(due) :]
                for tap in self._streams.taps.get(track, []):
                    if due:
                        tap.push(due)

    def leave(self) -> None:
        del self._streams.published[self._stream]
        for _, track in self.media:
            for tap in self._streams.taps.get(track, []):
                tap.end()
        self._streams.bus.publish(PublishStopped(stream=self._stream, session=self.session, reason="peer-closed"))


def _media(kind: Kind) -> PublishedMedia:
    return PublishedMedia(kind=kind, mid=kind, codecs=(_CODECS[kind],), encodings=(Encoding(),))


@dataclass
class MemoryStorage:
    """`put` fails with `error` while there is one, and takes `seconds`."""

    objects: dict[str, bytes] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    error: Live777Error | None = None
    seconds: float = 0.0

    async def put(self, path: StoragePath, data: Data, *, durable: bool = True) -> None:  # noqa: ARG002
        assert isinstance(path, StoragePath)
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        self.objects[path] = bytes(data) if isinstance(data, bytes | bytearray | memoryview) else b"".join(data)
        self.order.append(path)


@dataclass
class MemoryIndex:
    rows: dict[RecordKey, Recording] = field(default_factory=dict)
    ends: list[tuple[RecordKey, Status, Written, str | None]] = field(default_factory=list)
    error: Live777Error | None = None
    seconds: float = 0.0

    async def begin(self, recording: Recording) -> None:
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        if recording.key in self.rows:
            raise RecordTaken("the stream has a recording of that second already")
        if any(row.directory == recording.directory for row in self.rows.values()):
            raise Conflict("another recording is in that directory")
        self.rows[recording.key] = recording

    async def active(self) -> list[Recording]:
        if self.error is not None:
            raise self.error
        ended = {key for key, *_ in self.ends}
        return [row for key, row in self.rows.items() if key not in ended]

    async def written(self, key: RecordKey, written: Written) -> None:
        assert key in self.rows
        assert written.bytes
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error

    async def end(self, key: RecordKey, status: Status, written: Written, *, end_us: int, reason: str | None) -> None:
        assert key in self.rows
        assert end_us > 0
        await asyncio.sleep(0)
        self.ends.append((key, status, written, reason))
        if self.error is not None:
            raise self.error
