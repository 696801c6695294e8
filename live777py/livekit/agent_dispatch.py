"""AgentDispatchService: agents that are asked for by name."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from livekit.protocol.agent_dispatch import AgentDispatch, ListAgentDispatchResponse

from live777py.livekit.errors import TwirpError
from live777py.livekit.limits import check_attributes, check_metadata

if TYPE_CHECKING:
    from livekit.protocol.agent_dispatch import (
        CreateAgentDispatchRequest,
        DeleteAgentDispatchRequest,
        ListAgentDispatchRequest,
    )

    from live777py.livekit.agent_store import AgentStore
    from live777py.livekit.agents import Agents
    from live777py.livekit.rooms import Rooms
    from live777py.livekit.twirp import Call

MAX_DEPLOYMENT: Final = 64
"""Bytes."""


class AgentDispatchService:
    """Every method raises TwirpError and StoreError."""

    def __init__(self, rooms: Rooms, agents: Agents, store: AgentStore) -> None:
        self._rooms = rooms
        self._agents = agents
        self._store = store

    async def create_dispatch(self, request: CreateAgentDispatchRequest, call: Call) -> AgentDispatch:
        check_metadata(request.metadata)
        check_attributes(request.attributes)
        _check_deployment(request.deployment)
        call.require_room_admin(request.room)
        return await self._agents.dispatch(
            AgentDispatch(
                room=request.room,
                agent_name=request.agent_name,
                metadata=request.metadata,
                attributes=request.attributes,
                deployment=request.deployment,
                restart_policy=request.restart_policy,
            )
        )

    async def list_dispatch(self, request: ListAgentDispatchRequest, call: Call) -> ListAgentDispatchResponse:
        call.require_room_admin(request.room)
        await self._require_room(request.room)
        await self._agents.caught_up()
        found = await self._store.dispatches(request.room)
        wanted = request.dispatch_id
        return ListAgentDispatchResponse(agent_dispatches=[each for each in found if wanted in {"", each.id}])

    async def delete_dispatch(self, request: DeleteAgentDispatchRequest, call: Call) -> AgentDispatch:
        """Its jobs end."""
        call.require_room_admin(request.room)
        await self._require_room(request.room)
        await self._agents.caught_up()
        removed = await self._store.remove_dispatch(request.room, request.dispatch_id)
        if removed is None:
            raise TwirpError("not_found", "dispatch ID not found")
        removed.state.deleted_at = time.time_ns()
        return removed

    async def _require_room(self, room: str) -> None:
        if self._rooms.room(room) is None and not await self._rooms.list_rooms([room]):
            raise TwirpError("not_found", "requested room does not exist")


def _check_deployment(deployment: str) -> None:
    if len(deployment.encode()) > MAX_DEPLOYMENT or "_" in deployment or any(char.isspace() for char in deployment):
        raise TwirpError(
            "invalid_argument", f"deployment must be at most {MAX_DEPLOYMENT} bytes, without underscores and spaces"
        )
