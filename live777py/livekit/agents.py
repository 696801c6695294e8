"""Agents: which dispatches a room has, and a job for every target of each. `agent_assigner` finds the workers.

Dispatches and jobs are in the store, where every node sees them.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from livekit.protocol.agent import Job, JobStatus, JobType
from livekit.protocol.agent_dispatch import AgentDispatch, AgentDispatchState
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.room import CreateRoomRequest

from live777py import log
from live777py.errors import Unavailable
from live777py.livekit import agent_jobs
from live777py.livekit.agent_assigner import Assigner
from live777py.livekit.agent_board import Board, Presence
from live777py.livekit.agent_jobs import Target
from live777py.livekit.agent_store import DISPATCHES, JOBS, persist
from live777py.livekit.ids import DISPATCH, JOB, new_id
from live777py.livekit.records import record_of
from live777py.livekit.room_events import (
    ParticipantJoined,
    ParticipantLeft,
    RoomFinished,
    RoomStarted,
    TrackPublished,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from livekit.protocol.agent_dispatch import RoomAgentDispatch
    from livekit.protocol.models import Room

    from live777py.livekit.agent_assigner import MakeToken
    from live777py.livekit.agent_pool import Worker
    from live777py.livekit.agent_store import AgentStore
    from live777py.livekit.records import RoomRecord
    from live777py.livekit.room_events import RoomEvent
    from live777py.livekit.rooms import Rooms

_CAPACITY: Final = 65_536
_CAUGHT_UP_TIMEOUT: Final = 5.0
_STOP_TIMEOUT: Final = 0.5

_logger = logging.getLogger(__name__)


class Agents:
    """Usage: `start()` before the first event that counts, `await stop()` at the end."""

    def __init__(self, rooms: Rooms, store: AgentStore, make_token: MakeToken) -> None:
        self._rooms = rooms
        self._store = store
        self._board = Board()
        self._presence = Presence()
        self.assigner: Final = Assigner(store, self._board, make_token, self._spawn)
        self._pool = self.assigner.pool
        self._events = rooms.events.subscribe(capacity=_CAPACITY)
        self._busy = False
        self._idle = asyncio.Event()
        self._dirty: dict[str, None] = {}
        """Dispatches to be looked at."""
        self._looked = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        for work in (
            self._read_events(),
            persist(self._watch_rooms),
            persist(functools.partial(self._watch, DISPATCHES, self._dispatch_changed)),
            persist(functools.partial(self._watch, JOBS, self._job_changed)),
            self._look_around(),
            self.assigner.keep_time(),
        ):
            self._spawn(work)

    async def stop(self) -> None:
        """What has happened in rooms is done first, if the store lets us."""
        self._events.close()
        with suppress(Unavailable):
            await self.caught_up(_STOP_TIMEOUT)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = log.watched(asyncio.create_task(work, name="agents"))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def dispatch(self, wanted: AgentDispatch) -> AgentDispatch:
        """With its id. Raises StoreError, Unavailable, and what `Rooms.ensure_room` does."""
        async with self._store.asking_for(wanted.room):
            await self._rooms.ensure_room(wanted.room)
            await self.caught_up()
            dispatch = _made(wanted)
            await self._store.add_dispatch(dispatch)
        return dispatch

    async def caught_up(self, within: float = _CAUGHT_UP_TIMEOUT) -> None:
        """All that has happened in rooms until now has been done here too. Raises Unavailable."""
        try:
            async with asyncio.timeout(within):
                while self._busy or self._events.waiting:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            raise Unavailable("agents: the store is away", retry_after=1) from None

    def register(self, worker: Worker) -> None:
        self.assigner.register(worker)
        for key in self._board.dispatches:
            self._look_at(key)
        if not worker.agent_name:
            self._spawn(persist(self._add_defaults))

    # Events of rooms

    async def _read_events(self) -> None:
        missed = 0
        while events := await self._events.batch():
            self._busy = True
            if self._events.missed > missed:
                missed = self._events.missed
                await persist(self._see_who_is_there)
            for event in events:
                await persist(functools.partial(self._happened, event))
            self._busy = False
            self._idle.set()

    async def _happened(self, event: RoomEvent) -> None:
        room = event.room.name
        match event:
            case RoomStarted(agents=agents):
                await self._room_started(room, agents)
                return
            case RoomFinished():
                self._presence.finished(room)
                await self._store.remove_room(room)
                return
            case ParticipantJoined(participant=participant):
                self._presence.joined(room, participant)
            case TrackPublished(participant=participant):
                if not self._presence.published(room, participant):
                    return
            case ParticipantLeft(participant=participant):
                self._presence.left(room, participant.sid)
                await self._participant_left(room, participant.sid)
                return
            case _:
                return
        for key in self._board.dispatches_of(room):
            self._look_at(key)

    async def _room_started(self, room: str, agents: tuple[RoomAgentDispatch, ...]) -> None:
        if not await self._store.dispatches(room):
            for agent in agents:
                await self._store.add_dispatch(
                    _made(
                        AgentDispatch(
                            room=room,
                            agent_name=agent.agent_name,
                            metadata=agent.metadata,
                            attributes=agent.attributes,
                            deployment=agent.deployment,
                            restart_policy=agent.restart_policy,
                        )
                    )
                )

    async def _add_defaults(self) -> None:
        async for stored in self._rooms.records.all():
            await self._add_default(stored.record)

    async def _add_default(self, record: RoomRecord) -> None:
        """Agents without a name come by themselves, where none is asked for by name."""
        if not self._pool.knows("") or CreateRoomRequest.FromString(record.request).agents:
            return
        if not await self._store.is_asked_for(record.name):
            await self._store.add_dispatch(_made(AgentDispatch(room=record.name)), default=True)

    async def _participant_left(self, room: str, sid: str) -> None:
        for key in self._board.dispatches_of(room):
            dispatch = self._board.dispatches[key].id
            for job_key, job in tuple(self._board.jobs_of(dispatch).items()):
                if job.participant.sid == sid and job.state.status == JobStatus.JS_PENDING:
                    await self._store.change_job(
                        job_key, job.id, lambda job: agent_jobs.finish(job, JobStatus.JS_CANCELLED, time.time_ns())
                    )
            for superfluous in self._board.superfluous(dispatch, self._presence.participants(room)):
                await self._store.remove_job(superfluous)

    async def _see_who_is_there(self) -> None:
        """After events were missed."""
        self._presence = Presence()
        rooms = await self._rooms.list_rooms()
        for room in rooms:
            for participant in await self._rooms.list_participants(room.name):
                if participant.state == ParticipantInfo.ACTIVE:
                    self._presence.joined(room.name, participant)
        for name in self._board.rooms() - {room.name for room in rooms}:
            await self._store.remove_room(name)
        for key in self._board.dispatches:
            self._look_at(key)

    # Changes in the store

    async def _watch_rooms(self) -> None:
        """Of every node: `RoomStarted` is told by the one that made it."""
        known: set[str] = set()
        async with self._rooms.records.watch() as changes:
            async for change in changes:
                if change.entry is None:
                    known.discard(change.key)
                elif change.key not in known:
                    known.add(change.key)
                    await persist(functools.partial(self._add_default, record_of(change.entry)))

    async def _watch(self, prefix: str, told: Callable[[str, bytes | None], None]) -> None:
        async with self._store.values.watch(prefix) as changes:
            async for change in changes:
                told(change.key, None if change.entry is None else change.entry.value)

    def _dispatch_changed(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._board.drop_dispatch(key)
        else:
            self._board.put_dispatch(key, AgentDispatch.FromString(value))
            self._look_at(key)

    def _job_changed(self, key: str, value: bytes | None) -> None:
        if value is None:
            if (dropped := self._board.drop_job(key)) is not None:
                self.assigner.terminate(dropped)
            return
        job = Job.FromString(value)
        self._board.put_job(key, job)
        self.assigner.job_changed(job)
        dispatch = self._board.dispatch_of(job)
        if dispatch is not None and (agent_jobs.is_unclaimed(job) or agent_jobs.is_to_be_repeated(job)):
            self._look_at(dispatch)

    # From dispatches to jobs

    def _look_at(self, dispatch: str) -> None:
        self._dirty[dispatch] = None
        self._looked.set()

    async def _look_around(self) -> None:
        while True:
            await self._looked.wait()
            self._looked.clear()
            while self._dirty:
                key = next(iter(self._dirty))
                del self._dirty[key]
                await persist(functools.partial(self._look, key))

    async def _look(self, key: str) -> None:
        dispatch = self._board.dispatches.get(key)
        if dispatch is None or not (types := self._pool.types(dispatch.agent_name, dispatch.deployment)):
            return
        if (room := await self._room(dispatch.room)) is None:
            return
        for target, number in tuple(self._board.without_job(dispatch, self._targets(types, dispatch.room))):
            job = agent_jobs.new_job(new_id(JOB), dispatch, target, room, time.time_ns())
            await self._store.add_job(job, dispatch.room, target, number)
        for job_key, job in self._board.jobs_of(dispatch.id).items():
            # Who is not here may have left, or is another node's.
            here = not job.HasField("participant") or job.participant.sid in self._presence.participants(dispatch.room)
            if here and job.type in types and agent_jobs.is_unclaimed(job):
                self.assigner.seek(job_key, job)

    def _targets(self, types: set[JobType], room: str) -> Iterator[Target]:
        if JobType.JT_ROOM in types:
            yield Target(type=JobType.JT_ROOM)
        if JobType.JT_PUBLISHER in types:
            for participant in self._presence.publishers(room):
                yield Target(type=JobType.JT_PUBLISHER, participant=participant)
        if JobType.JT_PARTICIPANT in types:
            for participant in self._presence.participants(room).values():
                yield Target(type=JobType.JT_PARTICIPANT, participant=participant)

    async def _room(self, name: str) -> Room | None:
        if (room := self._rooms.room(name)) is not None:
            return room
        return next(iter(await self._rooms.list_rooms([name])), None)


def _made(wanted: AgentDispatch) -> AgentDispatch:
    dispatch = AgentDispatch(id=new_id(DISPATCH), state=AgentDispatchState(created_at=time.time_ns()))
    dispatch.MergeFrom(wanted)
    return dispatch
