"""The workers that are connected here, and whom to ask next for a job. No I/O; times are seconds of one clock."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from livekit.protocol.agent import JobType, WorkerStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Set

    from livekit.protocol.agent import Job, ServerMessage, UpdateWorkerStatus
    from livekit.protocol.models import ParticipantPermission

ANSWER_TIMEOUT: Final = 10.0
"""Seconds that a worker has to say whether it takes a job."""
FIRST_REST: Final = 10.0
LAST_REST: Final = 300.0
"""Seconds until a worker that did not take a job is asked for it again: more each time."""
MAX_ASKED: Final = 10
"""Jobs that a worker is asked for at a time."""
LOAD_OF_A_JOB: Final = 0.1
"""What is added to the load that a worker told for each job that it has got since: it tells every 2.5 s."""


@dataclass(eq=False, kw_only=True)
class Worker:
    id: str
    type: JobType
    agent_name: str
    deployment: str = ""
    version: str = ""
    api_key: str
    """That it connected with; its jobs' tokens are signed with the same."""
    permissions: ParticipantPermission
    send: Callable[[ServerMessage], None] = field(repr=False)

    available: bool = True
    load: float = 0.0
    jobs: set[str] = field(default_factory=set)
    """Those that run there."""
    asked: set[str] = field(default_factory=set)
    """Those that it is asked for."""
    given: int = 0
    """Jobs since the last load, those that it is asked for too."""

    @property
    def slots(self) -> int:
        """So many jobs it may be asked for now."""
        return MAX_ASKED - len(self.asked) if self.available else 0

    def does(self, agent_name: str, job_type: JobType, deployment: str) -> bool:
        return self.agent_name == agent_name and self.type == job_type and self.deployment == deployment

    def ask(self, job: str) -> None:
        self.asked.add(job)
        self.given += 1

    def update(self, status: UpdateWorkerStatus) -> None:
        """What is no number counts as full load."""
        load = status.load
        self.load = min(max(load, 0.0), 1.0) if math.isfinite(load) else 1.0
        self.given = 0
        self.available = status.status == WorkerStatus.WS_AVAILABLE and not status.draining

    @property
    def expected_load(self) -> float:
        return self.load + LOAD_OF_A_JOB * self.given


class Pool:
    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}
        self._names: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._workers)

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers.values())

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._workers

    def get(self, identifier: str) -> Worker | None:
        return self._workers.get(identifier)

    def add(self, worker: Worker) -> None:
        self._workers[worker.id] = worker
        self._names[worker.agent_name] += 1

    def remove(self, worker: Worker) -> None:
        del self._workers[worker.id]
        self._names[worker.agent_name] -= 1

    def knows(self, agent_name: str) -> bool:
        """Somebody here has that name."""
        return self._names[agent_name] > 0

    def types(self, agent_name: str, deployment: str) -> set[JobType]:
        """The kinds of jobs that somebody here does under that name."""
        return {worker.type for worker in self if worker.agent_name == agent_name and worker.deployment == deployment}

    def choose(self, job: Job, without: Set[str]) -> Worker | None:
        """The least loaded of those that can."""
        able = (
            worker
            for worker in self
            if worker.slots > 0 and worker.id not in without and worker.does(job.agent_name, job.type, job.deployment)
        )
        return min(able, key=lambda worker: (worker.expected_load, len(worker.jobs) + worker.given), default=None)


class Search:
    """For somebody who takes the job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._rests: dict[str, tuple[int, float]] = {}
        """How often the worker did not take it, and until when it is left alone."""

    def next(self, pool: Pool, now: float) -> Worker | None:
        return pool.choose(self._job, {worker for worker, (_, until) in self._rests.items() if until > now})

    def may_ask(self, worker: Worker, now: float) -> bool:
        _, until = self._rests.get(worker.id, (0, 0.0))
        job = self._job
        return until <= now and worker.does(job.agent_name, job.type, job.deployment)

    def refused(self, worker: str, now: float) -> None:
        """Or it did not answer, or nothing that makes sense."""
        times, _ = self._rests.get(worker, (0, 0.0))
        self._rests[worker] = times + 1, now + min(FIRST_REST * 2.0**times, LAST_REST)

    def look_again(self, pool: Pool, now: float) -> float | None:
        """When the first of those that are left alone may be asked again; None: of none."""
        self._rests = {worker: rest for worker, rest in self._rests.items() if worker in pool}
        return min((until for _, until in self._rests.values() if until > now), default=None)
