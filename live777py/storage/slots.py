"""How many uploads run at a time: as many as go well."""

from __future__ import annotations

import asyncio


class Slots:
    """`async with slots:` around an upload, then `went_well()` or `failed()`.

    A store that fails is asked by one at a time, and by one more for every success: one that is back is not run over,
    and on a slow line each upload gets enough of it to end within its time limit.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = most
        self._busy = 0
        self._changed = asyncio.Condition()

    @property
    def limit(self) -> int:
        return self._limit

    async def __aenter__(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._busy < self._limit)
            self._busy += 1

    async def __aexit__(self, *_: object) -> None:
        self._busy -= 1
        async with self._changed:
            self._changed.notify_all()

    def went_well(self) -> None:
        self._limit = min(self._limit + 1, self._most)

    def failed(self) -> None:
        self._limit = 1
