"""Reads the engine's counters every two seconds into the sessions' meters, and notices peers that fall silent."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from live777py import log
from live777py.media.engine import CommandError, EngineGone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from live777py.media import native
    from live777py.media.engine import MediaEngine
    from live777py.media.native import Stats
    from live777py.streams.live import LiveSession

SAMPLE_SECONDS: Final = 2.0
FRESH_MS: Final = 200
"""A sample younger than this is new enough for the last counters of a session that is being closed."""
SILENT_MS: Final = 6_500
"""A peer that sent no RTP, RTCP or STUN for so long counts as disconnected. One that has no media to send is heard at
least every six seconds (RFC 7675 section 5.1)."""

_logger = logging.getLogger(__name__)


class Sampler:
    """`bytes_in` and `bytes_out` are RTP bytes of all sessions that ever were.

    `on_sampled(silent, heard)` is called after each sample with the connected sessions that have just fallen silent,
    and the disconnected ones that were heard again.
    """

    def __init__(
        self,
        engine: MediaEngine,
        sessions: Mapping[tuple[str, str], LiveSession],
        now: Callable[[], int],
        on_sampled: Callable[[list[LiveSession], list[LiveSession]], None],
    ) -> None:
        self.bytes_in = 0
        self.bytes_out = 0
        self.changes = 0
        """Grows with each sample that changed a counter or a rate."""
        self._engine = engine
        self._sessions = sessions
        self._now = now
        self._on_sampled = on_sampled
        self._sampled_at = 0
        self._sampling: asyncio.Task[None] | None = None
        self._periodic: asyncio.Task[None] | None = None
        self._silent_ms: dict[int, int] = {}

    def start(self) -> None:
        self._periodic = log.watched(asyncio.create_task(self._repeat(), name="stats sampler"))

    async def stop(self) -> None:
        for task in (self._periodic, self._sampling):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])

    async def refresh(self) -> None:
        """Make sure that the meters are not older than `FRESH_MS`; callers at the same time share one sample."""
        if self._now() - self._sampled_at < FRESH_MS:
            return
        if self._sampling is None:
            self._sampling = asyncio.create_task(self._sample(), name="stats sample")
        await asyncio.wait([self._sampling])

    def silent_ms(self, live: LiveSession) -> int:
        """For how long nothing had been heard of the peer when the newest sample was taken."""
        return self._silent_ms.get(live.peer.transport, 0)

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            await self.refresh()

    async def _sample(self) -> None:
        try:
            stats = await self._engine.stats()
        except (CommandError, EngineGone) as error:
            _logger.debug("no counters: %s", error.detail)
            return
        finally:
            self._sampling = None
        self._sampled_at = self._now()
        self._measure(stats)
        self._on_sampled(*self._listen(stats))

    def _measure(self, stats: Stats) -> None:
        counters: dict[int, list[int]] = {}
        encodings: dict[int, list[native.TrackStats]] = {}
        for track in stats.tracks:  # one row for each encoding
            total = counters.setdefault(track.track, [0, 0, 0])
            total[0] += track.bytes
            total[1] += track.packets
            total[2] += track.lost
            encodings.setdefault(track.track, []).append(track)
        for subscription in stats.subscriptions:
            counters[subscription.subscription] = [subscription.bytes, subscription.packets]
        changed = False
        paths = {row.transport: row for row in stats.transports}
        for live in self._sessions.values():
            rows = [counters[number] for number in live.media_ids() if number in counters]
            meter = live.session.meter
            before = meter.bitrate
            lost = sum(row[2] for row in rows) if rows and live.session.role == "publish" else None
            grown = meter.sample(sum(row[0] for row in rows), sum(row[1] for row in rows), self._sampled_at, lost)
            if (path := paths.get(live.peer.transport)) is not None:
                meter.know_path(path.available_bitrate, path.rtt_ms)
            changed = changed or grown > 0 or meter.bitrate != before
            if live.session.role == "publish":
                self.bytes_in += grown
            else:
                self.bytes_out += grown
            if live.layers is not None:
                for row in encodings.get(live.layers.track, ()):
                    live.layers.sample(row)
        self.changes += changed

    def _listen(self, stats: Stats) -> tuple[list[LiveSession], list[LiveSession]]:
        self._silent_ms = {transport.transport: int(transport.silent_ms or 0) for transport in stats.transports}
        silent, heard = [], []
        for live in self._sessions.values():
            is_silent = self.silent_ms(live) >= SILENT_MS
            if live.session.state == "connected" and is_silent:
                silent.append(live)
            elif live.session.state == "disconnected" and not is_silent:
                heard.append(live)
        return silent, heard
