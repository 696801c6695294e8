"""Which recordings are old or many enough to be deleted, and the pass that deletes them now and then."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from live777py.errors import StorageError, StoreError
from live777py.recorder.deletion import delete_recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live777py.recorder.index import Recording, RecordingIndex
    from live777py.storage import Storage

PASS_SECONDS: Final = 60.0

_DAY_US: Final = 86_400 * 1_000_000

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RetentionRule:
    """`keep_days` counts from the end of a recording. `keep_bytes` is of all streams together that this rule is for.

    0 is without limit. No patterns: all streams.
    """

    streams: tuple[str, ...] = ()
    keep_days: int = 0
    keep_bytes: int = 0

    def is_for(self, stream: str) -> bool:
        return not self.streams or any(fnmatchcase(stream, pattern) for pattern in self.streams)

    @property
    def limits(self) -> bool:
        return bool(self.keep_days or self.keep_bytes)


def superfluous(recordings: Sequence[Recording], rules: Sequence[RetentionRule], now_us: int) -> list[Recording]:
    """Those to be deleted, the oldest first. For each stream the first rule counts that is for it.

    What is being recorded fills the space, and is never among them.
    """
    ours: dict[RetentionRule, list[Recording]] = {rule: [] for rule in rules}
    for recording in recordings:
        rule = next((rule for rule in rules if rule.is_for(recording.stream)), None)
        if rule is not None:
            ours[rule].append(recording)
    return sorted(
        (recording for rule, those in ours.items() for recording in _superfluous(those, rule, now_us)),
        key=lambda recording: recording.start_us,
    )


def _superfluous(recordings: Sequence[Recording], rule: RetentionRule, now_us: int) -> list[Recording]:
    found = []
    size = sum(recording.bytes for recording in recordings)
    for recording in sorted(recordings, key=lambda recording: recording.start_us):
        if recording.active:
            continue
        end_us = recording.start_us if recording.end_us is None else recording.end_us
        old = rule.keep_days and now_us - end_us > rule.keep_days * _DAY_US
        if old or (rule.keep_bytes and size > rule.keep_bytes):
            found.append(recording)
            size -= recording.bytes
    return found


class Retention:
    """Usage: `start()`, `await stop()`. `reconfigure` begins a pass at once."""

    def __init__(self, index: RecordingIndex, storage: Storage, rules: Sequence[RetentionRule]) -> None:
        self._index = index
        self._storage = storage
        self._rules = tuple(rules)
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="retention")

    def reconfigure(self, rules: Sequence[RetentionRule]) -> None:
        self._rules = tuple(rules)
        self._wanted.set()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def clean(self, now_us: int) -> None:
        """One pass. What fails is logged, and tried again in the next one."""
        if not any(rule.limits for rule in self._rules):
            return
        try:
            recordings = await self._index.all()
        except StoreError as error:
            _logger.error("old recordings cannot be looked for: %s", error.detail)  # noqa: TRY400 (nothing to trace)
            return
        for recording in superfluous(recordings, self._rules, now_us):
            await self._delete(recording)

    async def _delete(self, recording: Recording) -> None:
        try:
            await delete_recording(recording, self._index, self._storage)
        except (StorageError, StoreError) as error:
            _logger.error("%s cannot be deleted: %s", recording.directory, error.detail)  # noqa: TRY400
        else:
            _logger.info("%s is deleted: [recorder] keeps it no longer", recording.directory)

    async def _run(self) -> None:
        while True:
            await self.clean(time.time_ns() // 1000)
            self._wanted.clear()
            try:
                async with asyncio.timeout(PASS_SECONDS):
                    await self._wanted.wait()
            except TimeoutError:
                continue
