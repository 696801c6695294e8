"""`[hooks]` and `[stream.NAME.hooks]`: programs that are run when something happens to a stream."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from live777py import log
from live777py.config import secret_variables
from live777py.hooks.notice import CAPACITY, Notice, notice_of
from live777py.hooks.process import ProgramFailed, Programs

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from live777py.config import Config
    from live777py.streams.bus import EventBus

MAX_WAITING: Final = 1000
"""Events of one stream whose programs have not begun; with one more, the oldest is given up."""
MAX_RUNNING: Final = 32
"""Programs at a time. Those of one stream run one after the other anyway."""
STOP_GRACE: Final = 1.0
"""Seconds that running programs are given at the end."""

_KEYS: Final = {
    "stream-created": "on_stream_created",
    "stream-deleted": "on_stream_deleted",
    "publish-started": "on_publish_started",
    "publish-stopped": "on_publish_stopped",
    "recording_started": "on_recording_started",
    "segment": "on_segment",
    "recording_ended": "on_recording_ended",
}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Job:
    notice: Notice
    programs: tuple[str, ...]


class HookRunner:
    """Usage: `start` before the first event that counts, `await stop()` at the end, which begins no more programs.

    What was begun for one event of a stream is over before anything begins for the stream's next one.
    """

    def __init__(self, bus: EventBus, config: Config) -> None:
        self.given_up = 0
        """Events whose programs were not run, because there were too many."""
        self._config = config
        self._bus = bus
        self._events = bus.subscribe(capacity=CAPACITY)
        self._waiting: dict[str, deque[_Job]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(MAX_RUNNING)
        self._programs = Programs()
        self._stopping = False

    def start(self) -> None:
        self._spawn(self._dispatch())

    def reconfigure(self, config: Config) -> None:
        """For the events from now on."""
        self._config = config

    async def stop(self) -> None:
        """Give what runs a moment, then kill it."""
        self._stopping = True
        self._events.close()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._programs.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = log.watched(asyncio.create_task(work, name="hooks"))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dispatch(self) -> None:
        missed = 0
        async for event in self._events:
            if self._stopping:
                return
            if self._events.missed > missed:
                self._give_up(self._events.missed - missed, "too many events at once")
                missed = self._events.missed
            notice = notice_of(event)
            if notice is not None and (programs := self._programs_for(notice)):
                self._enqueue(_Job(notice=notice, programs=programs))

    def _programs_for(self, notice: Notice) -> tuple[str, ...]:
        key = _KEYS.get(notice.event)
        if key is None:
            return ()
        programs: tuple[str, ...] = getattr(self._config.hooks, key)
        if (stream := self._config.stream.get(notice.stream)) is not None:
            programs += getattr(stream.hooks, key)
        return programs

    def _enqueue(self, job: _Job) -> None:
        stream = job.notice.stream
        waiting = self._waiting.get(stream)
        if waiting is None:
            waiting = self._waiting[stream] = deque()
            self._spawn(self._work(stream, waiting))
        if len(waiting) == MAX_WAITING:
            waiting.popleft()
            self._give_up(1, f"{MAX_WAITING} others wait", stream)
        waiting.append(job)

    def _give_up(self, count: int, why: str, stream: str = "") -> None:
        self.given_up += count
        _logger.error("%sno programs are run for %d events: %s", f"stream={stream}: " if stream else "", count, why)

    async def _work(self, stream: str, waiting: deque[_Job]) -> None:
        while waiting:
            await self._run(waiting.popleft())
        del self._waiting[stream]

    async def _run(self, job: _Job) -> None:
        notice, logger = job.notice, log.bind(_logger, stream=job.notice.stream)
        for program in job.programs:
            async with self._slots:
                if self._stopping:
                    return
                logger.debug("%s: running %s", notice.event, program)
                hooks = self._config.hooks
                try:
                    await self._programs.run(
                        _arguments(program, notice),
                        _environment(notice),
                        limit=hooks.timeout_ms / 1000 or None,
                        log=logger,
                    )
                except ProgramFailed as failure:
                    logger.warning("%s: %s %s", notice.event, program, failure)
                    if hooks.on_error == "stop":
                        return


def _arguments(program: str, notice: Notice) -> list[bytes]:
    """UTF-8 whatever the locale says."""
    words = (program, notice.event, notice.stream, notice.reason)
    return [word.encode() for word in words if word is not None]


def _environment(notice: Notice) -> dict[bytes, bytes]:
    """Our own, but for the secrets of the configuration."""
    told = {
        "LIVE777_EVENT": notice.event,
        "LIVE777_STREAM": notice.stream,
        "LIVE777_REASON": notice.reason,
        "LIVE777_SESSION": notice.session,
        "LIVE777_PATH": notice.path,
    }
    kept = {name: value for name, value in os.environ.items() if name not in secret_variables() | told.keys()}
    own = {os.fsencode(name): os.fsencode(value) for name, value in kept.items()}
    return own | {name.encode(): value.encode() for name, value in told.items() if value is not None}
