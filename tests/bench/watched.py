"""`python -m tests.bench.watched`: the gateway with its event loop watched. SIGUSR1 prints `Blocks` since the last one.

A callback holds everything else up for as long as it runs. A timer that is late tells the rest: what the interpreter's
lock and the machine's other programs take.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from live777py.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Callable

MARK: Final = "blocks "
_INTERVAL: Final = 0.002


class Blocks(msgspec.Struct, kw_only=True):
    """The longest, in milliseconds."""

    wall_ms: float = 0.0
    """Of one callback."""
    cpu_ms: float = 0.0
    """Of one callback, without what others took meanwhile."""
    callback: str = ""
    """The one of `cpu_ms`."""
    late_ms: float = 0.0
    """Of a timer."""


class _Watch:
    def __init__(self) -> None:
        self._blocks = Blocks()
        self._due: float | None = None

    def watched(self, run: Callable[[asyncio.Handle], None]) -> Callable[[asyncio.Handle], None]:
        def timed(handle: asyncio.Handle) -> None:
            wall, cpu = time.perf_counter(), time.thread_time()
            run(handle)
            wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
            blocks = self._blocks
            blocks.wall_ms = max(blocks.wall_ms, wall * 1000)
            if cpu * 1000 > blocks.cpu_ms:
                blocks.cpu_ms, blocks.callback = cpu * 1000, repr(handle)
            if self._due is None:
                self._wait()

        return timed

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + _INTERVAL
        loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        if self._due is not None:
            late = asyncio.get_running_loop().time() - self._due
            self._blocks.late_ms = max(self._blocks.late_ms, late * 1000)
        self._wait()

    def tell(self, *_: Any) -> None:
        print(MARK + msgspec.json.encode(self._blocks).decode(), flush=True)
        self._blocks = Blocks()


if __name__ == "__main__":
    watch = _Watch()
    handle: Any = asyncio.Handle
    handle._run = watch.watched(handle._run)
    signal.signal(signal.SIGUSR1, watch.tell)
    sys.exit(main())
