"""Following what happens to streams without doing work for each event: the views are read again after a change."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from live777py.streams.bus import EventBus, Subscription
    from live777py.streams.events import StreamEvent

MIN_INTERVAL: Final = 0.1
"""Seconds between two refreshes."""
MAX_SHARE: Final = 0.1
"""Of the event loop's time, spent on refreshing while events never end."""


_logger = logging.getLogger(__name__)


class ChangeFollower:
    """Calls `refresh` soon after a change, at most as often as the limits above allow; a burst is one change.

    It is given the newest events since the call before, `capacity` at most, and whether there were more. `ended` is
    called when no more calls come, because the bus has been closed, unless that was asked for by `stop`.
    """

    def __init__(
        self, refresh: Callable[[list[StreamEvent], bool], None], ended: Callable[[], None], *, capacity: int = 1
    ) -> None:
        self._refresh = refresh
        self._ended = ended
        self._capacity = capacity
        self._following: asyncio.Task[None] | None = None

    def start(self, bus: EventBus) -> None:
        """Changes from now on; nothing if it runs already."""
        if self._following is None:
            changes = bus.subscribe(capacity=self._capacity)
            self._following = asyncio.create_task(self._follow(changes), name="change follower")
            self._following.add_done_callback(partial(self._done, changes))

    def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
            self._following = None

    async def _follow(self, changes: Subscription) -> None:
        loop = asyncio.get_running_loop()
        missed = 0
        while events := await changes.batch():
            began = loop.time()
            self._refresh(events, changes.missed > missed)
            missed = changes.missed
            await asyncio.sleep(max(MIN_INTERVAL, (loop.time() - began) / MAX_SHARE))

    def _done(self, changes: Subscription, task: asyncio.Task[None]) -> None:
        changes.close()
        if task.cancelled():
            return
        self._following = None
        self._ended()
        if (fault := task.exception()) is not None:
            _logger.error("following the streams failed", exc_info=fault)
