"""The time of the streams."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Unix milliseconds that never go back while the process runs."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.offset = time.time() - self._loop.time()
        """Seconds from the loop's time to the unix time."""

    def now(self) -> int:
        return int((self._loop.time() + self.offset) * 1000)

    def call_at(self, unix_ms: int, callback: Callable[..., None], *arguments: object) -> asyncio.TimerHandle:
        return self._loop.call_at(unix_ms / 1000 - self.offset, callback, *arguments)
