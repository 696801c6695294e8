"""From jobs to workers: who is asked, who got it, what became of it, and whether the worker is still there."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from typing import TYPE_CHECKING, Final

from livekit.protocol.agent import (
    AvailabilityRequest,
    AvailabilityResponse,
    Job,
    JobAssignment,
    JobStatus,
    JobTermination,
    JobType,
    ServerMessage,
)

from live777py.livekit import agent_jobs
from live777py.livekit.agent_pool import ANSWER_TIMEOUT, Pool, Search
from live777py.livekit.agent_store import JOBS, WORKER_LIFE, job_of, persist
from live777py.livekit.limits import MAX_ATTRIBUTES, MAX_METADATA, MAX_NAME, size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from live777py.livekit.agent_board import Board
    from live777py.livekit.agent_pool import Worker
    from live777py.livekit.agent_store import AgentStore

    MakeToken = Callable[[Job, Worker, AvailabilityResponse], str]
    """The token that a job's agent joins with: the answer names the agent."""

RECONNECT_GRACE: Final = 20.0
"""Seconds that a worker has to come back to its jobs: after the gateway, or its network, was away."""
SWEEP_INTERVAL: Final = 5.0
"""Seconds."""

_logger = logging.getLogger(__name__)


class Assigner:
    """`register` ... `gone` are called by the workers' connections, the rest by `Agents`."""

    def __init__(
        self,
        store: AgentStore,
        board: Board,
        make_token: MakeToken,
        spawn: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        self.pool: Final = Pool()
        self._store = store
        self._board = board
        self._make_token = make_token
        self._spawn = spawn
        self._waiting: dict[str, tuple[Search, asyncio.Event]] = {}
        """The jobs that nobody is asked for at the moment, the oldest first."""
        self._answers: dict[tuple[str, str], asyncio.Future[AvailabilityResponse | None]] = {}
        self._searches: set[str] = set()
        self._keep_at = 0.0
        self._absent: dict[str, float] = {}
        """Workers that jobs run at and no node knows, and since when."""

    # Workers

    def register(self, worker: Worker) -> None:
        self.pool.add(worker)
        _logger.info("agent worker %s has come: %s", worker.id, _described(worker))
        self._spawn(persist(functools.partial(self._store.keep_worker, worker.id)))
        self.has_slots(worker)

    def gone(self, worker: Worker) -> None:
        self.pool.remove(worker)
        _logger.info("agent worker %s has gone: %s", worker.id, _described(worker))
        for (identifier, _), answer in self._answers.items():
            if identifier == worker.id and not answer.done():
                answer.set_result(None)
        self._spawn(persist(functools.partial(self._store.forget_worker, worker.id)))

    def has_slots(self, worker: Worker) -> None:
        """Perhaps: as many as there are of those who wait go on."""
        slots, now = worker.slots, _now()
        for search, woken in self._waiting.values():
            if slots <= 0:
                break
            if search.may_ask(worker, now):
                woken.set()
                slots -= 1

    def answered(self, worker: Worker, response: AvailabilityResponse) -> None:
        """To what it was asked; anything else is nobody's business."""
        answer = self._answers.get((worker.id, response.job_id))
        if answer is not None and not answer.done():
            answer.set_result(response)

    async def reported(self, worker: Worker, job: str, status: JobStatus, error: str) -> None:
        key = self._board.key_of(job)
        if key is None or job not in worker.jobs or status not in agent_jobs.ENDED:
            return
        worker.jobs.discard(job)
        change = functools.partial(_reported, worker.id, status, error)
        if await persist(functools.partial(self._store.change_job, key, job, change)) is not None:
            _logger.info("agent job %s: %s %s", job, JobStatus.Name(status), error[: agent_jobs.MAX_ERROR])

    async def resumed(self, worker: Worker, jobs: Sequence[str]) -> None:
        """It has come back, and still does these."""
        for job in jobs:
            if job in worker.jobs:
                continue
            if await persist(functools.partial(self._take_over, worker, job)):
                worker.jobs.add(job)
                _logger.info("agent job %s goes on at worker %s", job, worker.id)
            else:
                worker.send(ServerMessage(termination=JobTermination(job_id=job)))

    async def _take_over(self, worker: Worker, identifier: str) -> bool:
        key = self._board.key_of(identifier)
        if key is None:  # the board may not have been told of it yet
            entries = await self._store.values.list(JOBS)
            key = next((entry.key for entry in entries if job_of(entry).id == identifier), None)
        if key is None:
            return False
        before = ""

        def change(job: Job) -> bool:
            nonlocal before
            before = job.state.worker_id
            able = worker.does(job.agent_name, job.type, job.deployment)
            return able and agent_jobs.take_over(job, before, worker.id, time.time_ns())

        if await self._store.change_job(key, identifier, change) is None:
            return False
        if (other := self.pool.get(before)) is not None:
            other.jobs.discard(identifier)
        return True

    # Jobs

    def job_changed(self, job: Job) -> None:
        if agent_jobs.has_ended(job):
            self.terminate(job)
        self._look_again(job)

    def terminate(self, job: Job) -> None:
        """Nobody wants it any more."""
        worker = self.pool.get(job.state.worker_id)
        if worker is not None and job.id in worker.jobs:
            worker.jobs.discard(job.id)
            worker.send(ServerMessage(termination=JobTermination(job_id=job.id)))
        self._look_again(job)

    def seek(self, key: str, job: Job) -> None:
        """Somebody to do it, until it is done, gone, or another node's."""
        if job.id not in self._searches:
            self._searches.add(job.id)
            self._spawn(self._seek(key, job))

    async def _seek(self, key: str, job: Job) -> None:
        search, holder = Search(job), ""
        try:
            while self._is_waiting(key, job):
                worker = search.next(self.pool, _now())
                if worker is None:
                    if holder and await self._hold(key, job, holder, "") is None:
                        return
                    holder = ""
                    await self._wait(job, search)
                    continue
                worker.ask(job.id)
                try:
                    if (held := await self._hold(key, job, holder, worker.id)) is None:
                        return
                    holder = worker.id
                    if await self._offer(key, held, worker):
                        return
                finally:
                    worker.asked.discard(job.id)
                    self.has_slots(worker)
                search.refused(worker.id, _now())
        finally:
            self._searches.discard(job.id)

    def _is_waiting(self, key: str, job: Job) -> bool:
        now = self._board.jobs.get(key)
        return now is not None and now.id == job.id and now.state.status == JobStatus.JS_PENDING

    async def _hold(self, key: str, job: Job, holder: str, following: str) -> Job | None:
        def change(job: Job) -> bool:
            now = time.time_ns()
            if not holder:
                return agent_jobs.claim(job, following, now)
            return (
                agent_jobs.pass_on(job, holder, following, now) if following else agent_jobs.release(job, holder, now)
            )

        return await persist(functools.partial(self._store.change_job, key, job.id, change))

    async def _offer(self, key: str, job: Job, worker: Worker) -> bool:
        """Whether the search is over."""
        answer = await self._ask(worker, job)
        if answer is None or worker.id not in self.pool:
            return False
        if answer.terminate:
            # As LiveKit takes it: it has been dealt with.
            change = functools.partial(agent_jobs.finish, status=JobStatus.JS_SUCCESS, now=time.time_ns())
            await persist(functools.partial(self._store.change_job, key, job.id, change))
            return True
        if not answer.available or not _is_usable(answer):
            worker.given = max(0, worker.given - 1)
            return False
        if not answer.participant_identity:
            answer.participant_identity = f"agent-{job.id}"
        change = functools.partial(
            agent_jobs.start, worker=worker.id, identity=answer.participant_identity, now=time.time_ns()
        )
        started = await persist(functools.partial(self._store.change_job, key, job.id, change))
        if started is not None:
            worker.jobs.add(job.id)
            token = self._make_token(started, worker, answer)
            worker.send(ServerMessage(assignment=JobAssignment(job=started, token=token)))
            _logger.info("agent job %s of room %s: worker %s", job.id, job.room.name, worker.id)
        return True

    async def _ask(self, worker: Worker, job: Job) -> AvailabilityResponse | None:
        question = (worker.id, job.id)
        answer: asyncio.Future[AvailabilityResponse | None] = asyncio.get_running_loop().create_future()
        self._answers[question] = answer
        worker.send(ServerMessage(availability=AvailabilityRequest(job=job)))
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return await answer
        except TimeoutError:
            _logger.warning("agent worker %s does not answer", worker.id)
            return None
        finally:
            del self._answers[question]

    async def _wait(self, job: Job, search: Search) -> None:
        """Until somebody may be asked, or something has become of the job."""
        if search.next(self.pool, _now()) is not None:
            return
        woken = asyncio.Event()
        self._waiting[job.id] = (search, woken)
        try:
            async with asyncio.timeout_at(search.look_again(self.pool, _now())):
                await woken.wait()
        except TimeoutError:
            pass
        finally:
            del self._waiting[job.id]

    def _look_again(self, job: Job) -> None:
        if (waiting := self._waiting.get(job.id)) is not None:
            waiting[1].set()

    # Time

    async def keep_time(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            await persist(self._sweep)

    async def _sweep(self) -> None:
        if _now() >= self._keep_at:
            self._keep_at = _now() + WORKER_LIFE / 3
            for worker in tuple(self.pool):
                if worker.id in self.pool:
                    await self._store.keep_worker(worker.id)
        elsewhere = {
            key: job
            for key, job in self._board.jobs.items()
            if job.state.worker_id and not agent_jobs.has_ended(job) and job.state.worker_id not in self.pool
        }
        known = await self._store.workers() if elsewhere else set()
        now = _now()
        absent = {job.state.worker_id for job in elsewhere.values()} - known
        self._absent = {worker: self._absent.get(worker, now) for worker in absent}
        for key, job in elsewhere.items():
            lost = job.state.worker_id
            grace = RECONNECT_GRACE if job.state.status == JobStatus.JS_RUNNING else 0.0
            if lost in self._absent and now - self._absent[lost] >= grace:
                again = self._board.may_be_repeated(job)
                change = functools.partial(agent_jobs.lose, worker=lost, now=time.time_ns(), again=again)
                if await self._store.change_job(key, job.id, change) is not None:
                    _logger.warning("agent job %s: its worker %s has not come back", job.id, lost)


def _reported(worker: str, status: JobStatus, error: str, job: Job) -> bool:
    return agent_jobs.report(job, worker, status, error, time.time_ns())


def _is_usable(answer: AvailabilityResponse) -> bool:
    return (
        len(answer.participant_identity) <= MAX_NAME
        and len(answer.participant_name) <= MAX_NAME
        and len(answer.participant_metadata.encode()) <= MAX_METADATA
        and size_of(answer.participant_attributes) <= MAX_ATTRIBUTES
    )


def _described(worker: Worker) -> str:
    name = repr(worker.agent_name) if worker.agent_name else "no name"
    return f"{name}, {JobType.Name(worker.type)}, livekit-agents {worker.version}"


def _now() -> float:
    return asyncio.get_running_loop().time()
