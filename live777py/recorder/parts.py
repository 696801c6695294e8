"""What the recorder uses of the parts beneath it, and what it counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence
    from concurrent.futures import Executor
    from contextlib import AbstractAsyncContextManager

    from live777py.recorder.frames import Frame
    from live777py.recorder.index import Recording as Row
    from live777py.recorder.index import RecordKey, Status, Written
    from live777py.recorder.journal import Journal
    from live777py.recorder.live import LiveSegments
    from live777py.rtc.parameters import PublishedMedia
    from live777py.storage import Storage
    from live777py.streams.bus import EventBus
    from live777py.streams.views import StreamView


class Streams(Protocol):
    """Implemented by `streams.manager.StreamManager`."""

    @property
    def bus(self) -> EventBus: ...

    def published_tracks(self, stream: str) -> tuple[tuple[PublishedMedia, int], ...]: ...
    def streams(self) -> list[StreamView]: ...


class Tap(Protocol):
    """Implemented by `media.tap.Tap`. `take` does not wait; None is the end of the track. `dropped` frames came while
    nobody read."""

    @property
    def track(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    def take(self) -> Sequence[Frame] | None: ...
    def __aiter__(self) -> AsyncIterator[Sequence[Frame]]: ...
    async def __anext__(self) -> Sequence[Frame]: ...


class Taps(Protocol):
    """Implemented by `media.engine.MediaEngine`."""

    def tap(self, track: int, *, past: float) -> AbstractAsyncContextManager[Tap]: ...
    def request_key_frame(self, track: int) -> Awaitable[None]: ...


class Index(Protocol):
    """Implemented by `index.RecordingIndex`. Every method raises StoreError."""

    async def begin(self, recording: Row) -> None:
        """Raises Conflict."""

    async def active(self) -> list[Row]: ...
    async def written(self, key: RecordKey, written: Written) -> None: ...
    async def end(
        self, key: RecordKey, status: Status, written: Written, *, end_us: int, reason: str | None
    ) -> None: ...


@dataclass(kw_only=True)
class Counts:
    """What the recorder ever did. `dropped` are frames that are in no segment."""

    active: int = 0
    segments: int = 0
    bytes: int = 0
    dropped: int = 0
    ended: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """`pool` is where frames become segments."""

    streams: Streams
    taps: Taps
    storage: Storage
    index: Index
    pool: Executor
    counts: Counts
    live: LiveSegments
    journal: Journal
