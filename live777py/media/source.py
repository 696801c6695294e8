"""A track written as whole frames: viewers subscribe to it and taps open on it as on any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from live777py.media import native

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from live777py.media.engine import MediaEngine


class Source:
    """`async with engine.source(codec, worker=worker) as source: source.write(...)`

    `on_key_frame_needed` is called while a viewer waits for a key frame, twice a second.
    """

    def __init__(
        self,
        engine: MediaEngine,
        codec: native.CodecParameters,
        *,
        worker: int,
        on_key_frame_needed: Callable[[], None] | None,
    ) -> None:
        self.track: Final = engine.next_id()
        self._engine = engine
        self._codec = codec
        self._worker = worker
        self._on_key_frame_needed = on_key_frame_needed

    async def __aenter__(self) -> Self:
        """Raises `CommandError` if the worker has ended, or the codec cannot be written; `EngineGone`."""
        parameters = native.SourceParameters(codec=self._codec)
        await self._engine.open_source(self.track, self, worker=self._worker, parameters=parameters)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the track. Idempotent."""
        self._engine.close_source(self.track)

    def write(
        self,
        data: bytes | bytearray | memoryview | native.Frame,
        *,
        timestamp: int,
        wallclock: float | None = None,
        key_frame: bool,
    ) -> None:
        """One frame in the form of `native.Frame`; `timestamp` in units of the codec's clock.

        `wallclock` is when it was sampled, in Unix seconds; it keeps the tracks of one publisher in sync. What cannot
        be packetised is counted (`SourceStats.refused`), not raised; after the end of the source nothing happens.
        """
        self._engine.write_frame(self.track, data, timestamp=timestamp, wallclock=wallclock, key_frame=key_frame)

    # Called by `MediaEngine`

    def key_frame_needed(self) -> None:
        if self._on_key_frame_needed is not None:
            self._on_key_frame_needed()
