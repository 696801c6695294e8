"""Hot reload: the file and the environment are read again, and every part gets what may change while it runs."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from live777py.config import compare, warnings
from live777py.errors import ConfigError, Live777Error, StartError, Unprocessable
from live777py.http.keys import ReloadReport
from live777py.log import redact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from live777py.config import Config

    Part = Callable[[Config], Awaitable[None]]
    """Takes the new configuration. One that cannot raises ConfigError or StartError."""

_logger = logging.getLogger(__name__)


class Reloader:
    """`config` is what runs, `read` reads what is wanted. Add the parts, those first that may refuse."""

    def __init__(self, config: Config, read: Callable[[], Config]) -> None:
        self._config = config
        self._read = read
        self._parts: list[Part] = []
        self._one_at_a_time = asyncio.Lock()

    def add(self, *parts: Part) -> None:
        self._parts += parts

    async def reload(self) -> ReloadReport:
        """Raises Unprocessable, having changed nothing."""
        async with self._one_at_a_time:
            try:
                new = await asyncio.to_thread(self._read)
                changes = compare(self._config, new)
                if changes.live:
                    await self._apply(changes.config)
            except (ConfigError, StartError) as error:
                detail = redact(error.detail)
                _logger.error("the configuration stays as it was: %s", detail)  # noqa: TRY400 (nothing to trace)
                raise Unprocessable(detail) from None
        for warning in warnings(new, os.environ):
            _logger.warning("%s", warning)
        _logger.info("configuration read again; changed: %s", ", ".join(changes.live) or "nothing")
        if changes.restart_needed:
            _logger.warning("these keys need a restart: %s", ", ".join(changes.restart_needed))
        return ReloadReport(applied=changes.live, restart_needed=changes.restart_needed)

    async def follow(self, wanted: asyncio.Event) -> None:
        """Reload whenever `wanted` is set, until cancelled."""
        while True:
            await wanted.wait()
            wanted.clear()
            try:
                await self.reload()
            except Unprocessable:
                continue  # it has been logged
            except Live777Error as error:
                _logger.error("the configuration stays as it was: %s", error.detail)  # noqa: TRY400 (nothing to trace)

    async def _apply(self, config: Config) -> None:
        done: list[Part] = []
        try:
            for part in self._parts:
                done.append(part)
                await part(config)
        except Live777Error:
            for part in reversed(done):
                await part(self._config)
            raise
        self._config = config
