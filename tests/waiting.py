"""Waiting for something that another process does: asked again until it is so, with a time limit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
INTERVAL = 0.05


async def eventually(question: Callable[[], Awaitable[T | None]], *, within: float = 20.0) -> T:
    """The first answer that is not None or False; `TimeoutError` when there is none in time."""
    async with asyncio.timeout(within):
        while True:
            answer = await question()
            if answer is not None and answer is not False:
                return answer
            await asyncio.sleep(INTERVAL)
