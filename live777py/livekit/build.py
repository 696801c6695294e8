"""The LiveKit door and what is behind it, put together: one object for the composition root."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from live777py.livekit.actions import Actions
from live777py.livekit.door import LiveKitDoor
from live777py.livekit.room_service import RoomService
from live777py.livekit.rooms import Rooms, RoomSettings
from live777py.livekit.tokens import TokenVerifier
from live777py.livekit.twirp import NotBuilt, Services
from live777py.livekit.whip import Surroundings, Whip

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

    from live777py.config import Config
    from live777py.store import KeyValue
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
        self.rooms: Rooms | None = None

    def register(self, router: web.UrlDispatcher) -> None:
        self.door.register(router)
        self._whip.register(router)

    @asynccontextmanager
    async def running(
        self, config: Config, manager: StreamManager, store: KeyValue, *, node: str | None = None
    ) -> AsyncIterator[None]:
        """Enter it before the manager is started, leave it after it has stopped.

        `node` is the name of this one where others share the store.
        """
        rooms = self.rooms = Rooms(manager, store, room_settings(config), node=node)
        self.services.add("RoomService", RoomService(rooms, Actions(rooms)))
        manager.doorkeeper = rooms
        await rooms.start()
        try:
            yield
        finally:
            await rooms.stop()

    async def reconfigure(self, config: Config) -> None:
        self.verifier.reconfigure(config.livekit.api_keys)
        if self.rooms is not None:
            self.rooms.settings = room_settings(config)


def room_settings(config: Config) -> RoomSettings:
    room = config.livekit.room
    return RoomSettings(
        auto_create=room.auto_create,
        empty_timeout=room.empty_timeout,
        departure_timeout=room.departure_timeout,
        max_participants=room.max_participants,
        enable_remote_unmute=room.enable_remote_unmute,
    )
