"""Where viewers wait for an on-demand source."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from live777py.errors import UpstreamError, UpstreamTimeout

if TYPE_CHECKING:
    from live777py.streams.lifecycle import Refuse


class WaitingRoom:
    """All who wait at the same time share one outcome. Who comes after it waits for the next one."""

    __slots__ = ("_outcome",)

    def __init__(self) -> None:
        self._outcome: asyncio.Future[Refuse | None] | None = None

    async def wait(self, stream: str) -> None:
        """Raises `UpstreamError` or `UpstreamTimeout`."""
        if self._outcome is None:
            self._outcome = asyncio.get_running_loop().create_future()
        refusal = await asyncio.shield(self._outcome)
        if refusal is None:
            return
        error = UpstreamTimeout if refusal.timed_out else UpstreamError
        raise error(f"on-demand source for stream '{stream}' not ready: {refusal.detail}")

    def settle(self, refusal: Refuse | None) -> None:
        """None admits. Without anybody here nothing happens."""
        outcome, self._outcome = self._outcome, None
        if outcome is not None:
            outcome.set_result(refusal)
