"""The LiveKit door and what is behind it, put together: one object for the composition root."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from live777py.livekit.door import LiveKitDoor
from live777py.livekit.tokens import TokenVerifier
from live777py.livekit.twirp import NotBuilt, Services
from live777py.livekit.whip import Surroundings, Whip

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

    from live777py.config import Config
    from live777py.store import Database
    from live777py.streams.manager import StreamManager

__all__ = ["LiveKit", "Surroundings"]


class LiveKit:
    """Make it before the routes are closed; `running` is what lives as long as the streams do.

    `door.caller` may be replaced by one that asks other nodes; `services` are those of this one.
    """

    def __init__(self, config: Config, around: Surroundings) -> None:
        self.verifier = TokenVerifier(config.livekit.api_keys)
        self.services = Services({name: NotBuilt(name) for name in ("Egress", "Ingress", "SIP")})
        self.door = LiveKitDoor(self.verifier, self.services)
        self._whip = Whip(self.verifier, around)

    def register(self, router: web.UrlDispatcher) -> None:
        self.door.register(router)
        self._whip.register(router)

    @asynccontextmanager
    async def running(
        self,
        config: Config,  # noqa: ARG002
        manager: StreamManager,  # noqa: ARG002
        store: Database,  # noqa: ARG002
    ) -> AsyncIterator[None]:
        """Enter it before the manager is started, leave it after it has stopped."""
        yield

    async def reconfigure(self, config: Config) -> None:
        self.verifier.reconfigure(config.livekit.api_keys)
