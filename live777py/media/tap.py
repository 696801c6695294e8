"""A track read as whole frames: what recorders and other consumers that decode or remux open on the engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

    from live777py.media import native
    from live777py.media.engine import MediaEngine

CAPACITY: Final = 16 << 20
"""Bytes that wait for a slow reader: four seconds of 32 Mbit/s."""

INTERVAL: Final = 0.1
"""Seconds between two batches. All taps of a process have theirs at the same instants, so hundreds of them wake it ten
times a second."""


class Tap:
    """`async with engine.tap(track) as tap: async for frames in tap: ...`

    Each batch is what has come since the last one, in the order of decoding. The first begins at a key frame, and they
    end when the track is gone. A reader that is slower than the track loses whole groups of pictures, the oldest first:
    `dropped` has grown then, and the next frame has `gap`.
    """

    def __init__(self, engine: MediaEngine, track: int, *, capacity: int, interval: float, past: float) -> None:
        self.track: Final = track
        self.dropped = 0
        """Frames forgotten so far."""
        self._engine = engine
        self._capacity = capacity
        self._interval = interval
        self._past = past
        self._id = engine.next_id()
        self._ready: native.FramesReady | None = None
        self._ended = False
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Raises `CommandError` if there is no such track, or none of its codecs can be read; `EngineGone`."""
        await self._engine.open_tap(
            self._id,
            self,
            capacity=self._capacity,
            interval_ms=round(self._interval * 1000),
            past_ms=round(self._past * 1000),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Read no more. Idempotent; a reader that waits is at its end."""
        self._engine.close_tap(self._id)
        self._ready = None
        self.ended()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[native.Frame]:
        while (frames := self.take()) is not None:
            if frames:
                return frames
            self._changed.clear()
            await self._changed.wait()
        raise StopAsyncIteration

    def take(self) -> list[native.Frame] | None:
        """What has come since the last batch, which may be nothing, without waiting for it; None at the end."""
        ready, self._ready = self._ready, None
        if ready is None:
            return None if self._ended else []
        frames, dropped = ready.take()
        self.dropped += dropped
        return frames

    # Called by `MediaEngine`

    def frames_ready(self, event: native.FramesReady) -> None:
        self._ready = event
        self._changed.set()

    def ended(self) -> None:
        self._ended = True
        self._changed.set()
