"""What becomes of a job: it waits, runs and ends, once. No I/O; times are Unix nanoseconds, as in `JobState`.

    JS_PENDING, no worker --claim--> JS_PENDING, a worker is asked --start--> JS_RUNNING --finish--> ended
             ^------------release----------+                                      +--lose--> JS_FAILED, maybe again

Every function changes the job and says whether it did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from livekit.protocol.agent import Job, JobState, JobStateReason, JobStatus, JobType
from livekit.protocol.agent_dispatch import JobRestartPolicy
from livekit.protocol.models import ParticipantInfo

if TYPE_CHECKING:
    from collections.abc import Iterable

    from livekit.protocol.agent_dispatch import AgentDispatch
    from livekit.protocol.models import Room

MAX_RESTARTS: Final = 3
"""Of one target after workers that went away with its job: the job itself may be what ends them."""
MAX_ERROR: Final = 1024
"""Characters of a worker's own words that are kept."""

ENDED: Final = frozenset({JobStatus.JS_SUCCESS, JobStatus.JS_FAILED, JobStatus.JS_CANCELLED})


@dataclass(frozen=True, kw_only=True)
class Target:
    """Whom a job is for: the whole room, or one participant of it."""

    type: JobType
    participant: ParticipantInfo | None = None

    @property
    def key(self) -> str:
        """The same for the same target on every node; it may stand in a store's key."""
        return _key(self.type, self.participant.sid if self.participant is not None else "")


def target_of(job: Job) -> str:
    """Its key."""
    return _key(job.type, job.participant.sid)


def is_agent(participant: ParticipantInfo) -> bool:
    """Or a recorder: nobody that an agent is started for."""
    return (
        participant.kind in {ParticipantInfo.AGENT, ParticipantInfo.EGRESS}
        or participant.permission.agent
        or participant.permission.recorder
    )


def new_job(identifier: str, dispatch: AgentDispatch, target: Target, room: Room, now: int) -> Job:
    return Job(
        id=identifier,
        dispatch_id=dispatch.id,
        type=target.type,
        room=room,
        participant=target.participant,
        metadata=dispatch.metadata,
        attributes=dispatch.attributes,
        agent_name=dispatch.agent_name,
        deployment=dispatch.deployment,
        state=JobState(status=JobStatus.JS_PENDING, updated_at=now),
    )


def has_ended(job: Job) -> bool:
    return job.state.status in ENDED


def is_unclaimed(job: Job) -> bool:
    return job.state.status == JobStatus.JS_PENDING and not job.state.worker_id


def claim(job: Job, worker: str, now: int) -> bool:
    """The worker is asked for it, by the node that it is connected to."""
    if not is_unclaimed(job):
        return False
    job.state.worker_id = worker
    job.state.updated_at = now
    return True


def pass_on(job: Job, worker: str, following: str, now: int) -> bool:
    """The worker will not do it; the following one is asked."""
    if job.state.status != JobStatus.JS_PENDING or job.state.worker_id != worker:
        return False
    job.state.worker_id = following
    job.state.updated_at = now
    return True


def release(job: Job, worker: str, now: int) -> bool:
    """Nobody does it for now."""
    if not pass_on(job, worker, "", now):
        return False
    job.state.reason = JobStateReason.JSR_NO_CAPACITY
    return True


def start(job: Job, worker: str, identity: str, now: int) -> bool:
    """The worker has said yes, and joins the room as `identity`."""
    if job.state.status != JobStatus.JS_PENDING or job.state.worker_id != worker:
        return False
    job.state.status = JobStatus.JS_RUNNING
    job.state.reason = JobStateReason.JSR_UNSPECIFIED
    job.state.participant_identity = identity
    job.state.started_at = job.state.updated_at = now
    return True


def report(job: Job, worker: str, status: JobStatus, error: str, now: int) -> bool:
    """What the worker says of a job of its own that runs. It cannot make it wait again, or bring it back."""
    if job.state.status != JobStatus.JS_RUNNING or job.state.worker_id != worker or status not in ENDED:
        return False
    return finish(job, status, now, error=error[:MAX_ERROR])


def finish(
    job: Job,
    status: JobStatus,
    now: int,
    *,
    error: str = "",
    reason: JobStateReason = JobStateReason.JSR_UNSPECIFIED,
) -> bool:
    if has_ended(job):
        return False
    job.state.status = status
    job.state.reason = reason
    job.state.error = error
    job.state.ended_at = job.state.updated_at = now
    return True


def lose(job: Job, worker: str, now: int, *, again: bool) -> bool:
    """The worker is gone. `again`: another job is made of it."""
    if has_ended(job) or job.state.worker_id != worker:
        return False
    if job.state.status == JobStatus.JS_PENDING:
        return release(job, worker, now)
    reason = JobStateReason.JSR_RETRYING if again else JobStateReason.JSR_UNSPECIFIED
    return finish(job, JobStatus.JS_FAILED, now, error="the connection of the agent worker was lost", reason=reason)


def take_over(job: Job, worker: str, following: str, now: int) -> bool:
    """The worker has come back under another id, and goes on with it."""
    if job.state.status != JobStatus.JS_RUNNING or job.state.worker_id != worker:
        return False
    job.state.worker_id = following
    job.state.updated_at = now
    return True


def is_to_be_repeated(job: Job) -> bool:
    return job.state.reason == JobStateReason.JSR_RETRYING


def may_be_repeated(dispatch: AgentDispatch, jobs: Iterable[Job]) -> bool:
    """If its worker is lost. `jobs`: those that its target has had before."""
    return dispatch.restart_policy == JobRestartPolicy.JRP_ON_FAILURE and sum(1 for _ in jobs) < MAX_RESTARTS


def _key(job_type: JobType, participant: str) -> str:
    name = JobType.Name(job_type)
    return f"{name}:{participant}" if participant else name
