"""The dispatches and jobs of all rooms, as the store last told them; who of them is still without a job. No I/O."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from live777py.livekit.agent_jobs import has_ended, is_agent, is_to_be_repeated, may_be_repeated, target_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from livekit.protocol.agent import Job
    from livekit.protocol.agent_dispatch import AgentDispatch
    from livekit.protocol.models import ParticipantInfo

    from live777py.livekit.agent_jobs import Target

MAX_ENDED: Final = 100
"""Jobs of one dispatch that are kept after their end, once their participants have left."""


class Board:
    """Keys are the store's. The messages are not to be changed."""

    def __init__(self) -> None:
        self.dispatches: dict[str, AgentDispatch] = {}
        self.jobs: dict[str, Job] = {}
        self._rooms: defaultdict[str, set[str]] = defaultdict(set)
        self._jobs_of: defaultdict[str, dict[str, Job]] = defaultdict(dict)
        self._keys: dict[str, str] = {}
        self._keys_of_dispatches: dict[str, str] = {}

    def put_dispatch(self, key: str, dispatch: AgentDispatch) -> None:
        self.dispatches[key] = dispatch
        self._rooms[dispatch.room].add(key)
        self._keys_of_dispatches[dispatch.id] = key

    def drop_dispatch(self, key: str) -> AgentDispatch | None:
        dispatch = self.dispatches.pop(key, None)
        if dispatch is not None:
            self._keys_of_dispatches.pop(dispatch.id, None)
            self._rooms[dispatch.room].discard(key)
            if not self._rooms[dispatch.room]:
                del self._rooms[dispatch.room]
        return dispatch

    def put_job(self, key: str, job: Job) -> None:
        self.jobs[key] = job
        self._jobs_of[job.dispatch_id][key] = job
        self._keys[job.id] = key

    def drop_job(self, key: str) -> Job | None:
        job = self.jobs.pop(key, None)
        if job is not None:
            del self._keys[job.id]
            jobs = self._jobs_of[job.dispatch_id]
            del jobs[key]
            if not jobs:
                del self._jobs_of[job.dispatch_id]
        return job

    def rooms(self) -> set[str]:
        return set(self._rooms)

    def dispatches_of(self, room: str) -> Collection[str]:
        """Their keys."""
        return tuple(self._rooms.get(room, ()))

    def jobs_of(self, dispatch: str) -> dict[str, Job]:
        return self._jobs_of.get(dispatch, {})

    def key_of(self, job: str) -> str | None:
        return self._keys.get(job)

    def dispatch_of(self, job: Job) -> str | None:
        """Its key."""
        return self._keys_of_dispatches.get(job.dispatch_id)

    def without_job(self, dispatch: AgentDispatch, targets: Iterable[Target]) -> Iterator[tuple[Target, int]]:
        """And how many jobs each has had, all of which are to be repeated."""
        had: defaultdict[str, list[Job]] = defaultdict(list)
        for job in self.jobs_of(dispatch.id).values():
            had[target_of(job)].append(job)
        for target in targets:
            if all(is_to_be_repeated(job) for job in had[target.key]):
                yield target, len(had[target.key])

    def may_be_repeated(self, job: Job) -> bool:
        """Whether another is to be made of it if its worker is lost."""
        dispatch = self.dispatches.get(self._keys_of_dispatches.get(job.dispatch_id, ""))
        others = self.jobs_of(job.dispatch_id).values()
        had = [each for each in others if each.id != job.id and target_of(each) == target_of(job)]
        return dispatch is not None and may_be_repeated(dispatch, had)

    def superfluous(self, dispatch: str, present: Collection[str]) -> list[str]:
        """Keys of the oldest jobs that have ended, of participants that are not present (their sids)."""
        ended = [
            (job.state.ended_at, key)
            for key, job in self.jobs_of(dispatch).items()
            if has_ended(job) and job.HasField("participant") and job.participant.sid not in present
        ]
        return [key for _, key in sorted(ended)[: max(0, len(ended) - MAX_ENDED)]]


class Presence:
    """Who is in the rooms of this node, of those that an agent may be for."""

    def __init__(self) -> None:
        self._rooms: dict[str, dict[str, ParticipantInfo]] = {}
        self._publishers: set[str] = set()

    def joined(self, room: str, participant: ParticipantInfo) -> None:
        if not is_agent(participant):
            self._rooms.setdefault(room, {})[participant.sid] = participant
            if participant.is_publisher or participant.tracks:
                self._publishers.add(participant.sid)

    def published(self, room: str, participant: ParticipantInfo) -> bool:
        """Whether it is the first that it has published."""
        if participant.sid not in self._rooms.get(room, {}) or participant.sid in self._publishers:
            return False
        self._rooms[room][participant.sid] = participant
        self._publishers.add(participant.sid)
        return True

    def left(self, room: str, sid: str) -> None:
        participants = self._rooms.get(room, {})
        participants.pop(sid, None)
        self._publishers.discard(sid)
        if not participants:
            self._rooms.pop(room, None)

    def finished(self, room: str) -> None:
        for sid in self._rooms.pop(room, {}):
            self._publishers.discard(sid)

    def participants(self, room: str) -> dict[str, ParticipantInfo]:
        return self._rooms.get(room, {})

    def publishers(self, room: str) -> list[ParticipantInfo]:
        return [each for sid, each in self.participants(room).items() if sid in self._publishers]
