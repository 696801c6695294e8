"""Dispatches, jobs and workers in the store, where every node of a cluster sees them.

agent_dispatch/ROOM/ID              AgentDispatch, without its jobs: written once
agent_dispatch/ROOM/default         that of a room for which no agent is asked for by name
agent_job/ROOM/ID/TARGET/NUMBER     Job; NUMBER counts those that the target has had
agent_worker/ID                     of a worker that is connected to some node; expires
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

from livekit.protocol.agent import Job
from livekit.protocol.agent_dispatch import AgentDispatch

from live777py.errors import StoreError, Unavailable
from live777py.livekit.errors import TwirpError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from live777py.livekit.agent_jobs import Target
    from live777py.store import Entry, KeyValue

DISPATCHES: Final = "agent_dispatch/"
JOBS: Final = "agent_job/"
ASKED: Final = "agent_asked/"
WORKERS: Final = "agent_worker/"
WORKER_LIFE: Final = 30.0
"""Seconds that a worker is known for after its node has said so."""
_ASKING: Final = 10.0
_RETRY: Final = 1.0

_T = TypeVar("_T")
_logger = logging.getLogger(__name__)


class AgentStore:
    """Every method raises StoreError. `shared`: other nodes have it too."""

    def __init__(self, values: KeyValue, *, shared: bool = False) -> None:
        self.values = values
        self._shared = shared

    async def add_dispatch(self, dispatch: AgentDispatch, *, default: bool = False) -> str | None:
        """Its key; None if the room has a default one already."""
        key = f"{_dispatches(dispatch.room)}{'default' if default else dispatch.id}"
        return key if await self.values.compare_and_swap(key, None, dispatch.SerializeToString()) else None

    async def dispatches(self, room: str) -> list[AgentDispatch]:
        """The oldest first, with their jobs."""
        found = [(await self._with_jobs(dispatch_of(entry))) for entry in await self.values.list(_dispatches(room))]
        return sorted(found, key=lambda dispatch: dispatch.state.created_at)

    @asynccontextmanager
    async def asking_for(self, room: str) -> AsyncIterator[None]:
        """The room may be made meanwhile, and no node is to give it a default dispatch."""
        key = ASKED + quote(room, safe="")
        await self.values.put(key, b"", expires=_ASKING)
        try:
            yield
        finally:
            with suppress(StoreError):
                await self.values.delete(key)

    async def is_asked_for(self, room: str) -> bool:
        """An agent is, by name."""
        asked = await self.values.get(ASKED + quote(room, safe=""))
        return asked is not None or bool(await self.values.list(_dispatches(room)))

    async def remove_dispatch(self, room: str, identifier: str) -> AgentDispatch | None:
        """As it was, with its jobs."""
        for entry in await self.values.list(_dispatches(room)):
            if (dispatch := dispatch_of(entry)).id == identifier:
                dispatch = await self._with_jobs(dispatch)
                removed = await self.values.delete(entry.key)
                await self._remove_jobs(_jobs(room, identifier))
                return dispatch if removed else None
        return None

    async def remove_room(self, room: str) -> None:
        for entry in await self.values.list(_dispatches(room)):
            await self.values.delete(entry.key)
        await self._remove_jobs(_jobs(room))

    async def add_job(self, job: Job, room: str, target: Target, number: int) -> str | None:
        """Its key; None if another node was quicker."""
        key = f"{_jobs(room, job.dispatch_id)}{target.key}/{number}"
        return key if await self.values.compare_and_swap(key, None, job.SerializeToString()) else None

    async def change_job(self, key: str, identifier: str, change: Callable[[Job], bool]) -> Job | None:
        """As it is after `change` has changed it; None if it is gone, or `change` said no."""
        while (entry := await self.values.get(key)) is not None:
            job = job_of(entry)
            if job.id != identifier or not change(job):
                return None
            if await self.values.compare_and_swap(key, entry.version, job.SerializeToString()) is not None:
                return job
        return None

    async def remove_job(self, key: str) -> None:
        await self.values.delete(key)

    async def keep_worker(self, identifier: str) -> None:
        """Known to the other nodes, for WORKER_LIFE."""
        if self._shared:
            await self.values.put(WORKERS + identifier, b"", expires=WORKER_LIFE)

    async def forget_worker(self, identifier: str) -> None:
        if self._shared:
            await self.values.delete(WORKERS + identifier)

    async def workers(self) -> set[str]:
        """Of all nodes where there are others."""
        return {entry.key.removeprefix(WORKERS) for entry in await self.values.list(WORKERS)}

    async def _with_jobs(self, dispatch: AgentDispatch) -> AgentDispatch:
        jobs = [job_of(entry) for entry in await self.values.list(_jobs(dispatch.room, dispatch.id))]
        dispatch.state.jobs.extend(jobs)
        return dispatch

    async def _remove_jobs(self, prefix: str) -> None:
        for entry in await self.values.list(prefix):
            await self.values.delete(entry.key)


async def persist(work: Callable[[], Awaitable[_T]]) -> _T:
    """For what must be done some time: again and again while the store is away."""
    while True:
        try:
            return await work()
        except (StoreError, Unavailable) as error:
            problem = error.detail
        except TwirpError as error:
            if error.code != "unavailable":
                raise
            problem = error.msg
        _logger.error("agents: %s", problem)
        await asyncio.sleep(_RETRY)


def dispatch_of(entry: Entry) -> AgentDispatch:
    return AgentDispatch.FromString(entry.value)


def job_of(entry: Entry) -> Job:
    return Job.FromString(entry.value)


def _dispatches(room: str) -> str:
    return f"{DISPATCHES}{quote(room, safe='')}/"


def _jobs(room: str, dispatch: str | None = None) -> str:
    prefix = f"{JOBS}{quote(room, safe='')}/"
    return prefix if dispatch is None else f"{prefix}{dispatch}/"
