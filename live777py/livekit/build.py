"""The LiveKit door and what is behind it, put together: one object for the composition root."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from live777py.livekit.actions import Actions
from live777py.livekit.agent_dispatch import AgentDispatchService
from live777py.livekit.agent_store import AgentStore
from live777py.livekit.agent_worker import AgentDoor, agent_token
from live777py.livekit.agents import Agents
from live777py.livekit.door import LiveKitDoor
from live777py.livekit.room_service import RoomService
from live777py.livekit.rooms import Rooms, RoomSettings
from live777py.livekit.tokens import TokenVerifier
from live777py.livekit.twirp import NotBuilt, Services
from live777py.livekit.webhooks import RoomWebhooks, WebhookSettings
from live777py.livekit.whip import Surroundings, Whip

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web
    from livekit.protocol.agent import AvailabilityResponse, Job

    from live777py.config import Config
    from live777py.livekit.agent_pool import Worker
    from live777py.store import Database, KeyValue
    from live777py.streams.manager import StreamManager

__all__ = ["LiveKit", "Surroundings"]


class LiveKit:
    """Make it before the routes are closed; `running` is what lives as long as the streams do.

    `door.caller` may be replaced by one that asks other nodes; `services` are those of this one.
    """

    def __init__(self, config: Config, around: Surroundings) -> None:
        self._keys = config.livekit.api_keys
        self.verifier = TokenVerifier(self._keys)
        self.services = Services({name: NotBuilt(name) for name in ("Egress", "Ingress", "SIP")})
        self.door = LiveKitDoor(self.verifier, self.services, around.name_client)
        self._whip = Whip(self.verifier, around)
        self._agent_door = AgentDoor(self.verifier)
        self._webhooks: RoomWebhooks | None = None
        self.rooms: Rooms | None = None

    def register(self, router: web.UrlDispatcher) -> None:
        self.door.register(router)
        self._whip.register(router)
        self._agent_door.register(router)

    @property
    def given_up(self) -> int:
        """Events that a webhook was not told of."""
        return 0 if self._webhooks is None else self._webhooks.given_up

    async def shut(self) -> None:
        """Connections that would last for ever end; for the beginning of the end."""
        await self._agent_door.close()

    @asynccontextmanager
    async def running(
        self,
        config: Config,
        manager: StreamManager,
        store: KeyValue,
        *,
        database: Database,
        node: str | None = None,
    ) -> AsyncIterator[None]:
        """Enter it before the manager is started, leave it after it has stopped.

        `node` is the name of this one where others share the store. `database`: where posts wait, this node's own.
        """
        async with AsyncExitStack() as parts:
            rooms = self.rooms = Rooms(manager, store, room_settings(config), node=node)
            self._webhooks = RoomWebhooks(rooms.events, webhook_settings(config), database)
            agent_store = AgentStore(store, shared=node is not None)
            agents = Agents(rooms, agent_store, self._agent_token)
            self.services.add("RoomService", RoomService(rooms, Actions(rooms)))
            self.services.add("AgentDispatchService", AgentDispatchService(rooms, agents, agent_store))
            manager.clients.doorkeeper = rooms
            parts.push_async_callback(self._webhooks.stop)
            await self._webhooks.start()
            parts.push_async_callback(agents.stop)
            agents.start()
            self._agent_door.agents = agents
            parts.push_async_callback(rooms.stop)
            await rooms.start()
            yield

    async def reconfigure(self, config: Config) -> None:
        """Raises StartError, having changed nothing."""
        if self._webhooks is not None:
            await self._webhooks.reconfigure(webhook_settings(config))
        self._keys = config.livekit.api_keys
        self.verifier.reconfigure(self._keys)
        if self.rooms is not None:
            self.rooms.settings = room_settings(config)

    def _agent_token(self, job: Job, worker: Worker, answer: AvailabilityResponse) -> str:
        return agent_token(self._keys, job, worker, answer)


def webhook_settings(config: Config) -> WebhookSettings:
    webhook = config.livekit.webhook
    return WebhookSettings(
        urls=webhook.urls,
        api_key=webhook.api_key,
        secret=config.livekit.api_keys.get(webhook.api_key, ""),
        include_events=frozenset(webhook.include_events),
        exclude_events=frozenset(webhook.exclude_events),
    )


def room_settings(config: Config) -> RoomSettings:
    room = config.livekit.room
    return RoomSettings(
        auto_create=room.auto_create,
        empty_timeout=room.empty_timeout,
        departure_timeout=room.departure_timeout,
        max_participants=room.max_participants,
        enable_remote_unmute=room.enable_remote_unmute,
    )
