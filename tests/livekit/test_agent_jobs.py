"""What becomes of a job, and who is asked: plain objects, every time a parameter."""

from __future__ import annotations

import math

import pytest
from livekit.protocol.agent import Job, JobState, JobStateReason, JobStatus, JobType, UpdateWorkerStatus, WorkerStatus
from livekit.protocol.agent_dispatch import AgentDispatch, JobRestartPolicy
from livekit.protocol.models import ParticipantInfo, ParticipantPermission, Room

from live777py.livekit import agent_jobs
from live777py.livekit.agent_board import MAX_ENDED, Board, Presence
from live777py.livekit.agent_jobs import Target
from live777py.livekit.agent_pool import FIRST_REST, LAST_REST, MAX_ASKED, Pool, Search, Worker

DISPATCH = AgentDispatch(id="AD_1", room="show", agent_name="helper", metadata="m", attributes={"a": "b"})
ROOM = Target(type=JobType.JT_ROOM)


def new(number: int = 1, target: Target = ROOM, dispatch: AgentDispatch = DISPATCH) -> Job:
    return agent_jobs.new_job(f"AJ_{number}", dispatch, target, Room(sid="RM_1", name="show"), 10)


def publisher(sid: str) -> Target:
    return Target(type=JobType.JT_PUBLISHER, participant=ParticipantInfo(sid=sid))


def worker(identifier: str, *, name: str = "helper", kind: JobType = JobType.JT_ROOM, load: float = 0.0) -> Worker:
    made = Worker(
        id=identifier,
        type=kind,
        agent_name=name,
        api_key="devkey",
        permissions=ParticipantPermission(),
        send=lambda _: None,
    )
    made.load = load
    return made


def pool_of(*workers: Worker) -> Pool:
    pool = Pool()
    for each in workers:
        pool.add(each)
    return pool


def test_the_life_of_a_job() -> None:
    job = new()
    assert (job.dispatch_id, job.room.name, job.metadata, dict(job.attributes)) == ("AD_1", "show", "m", {"a": "b"})
    assert agent_jobs.is_unclaimed(job)
    assert agent_jobs.claim(job, "AW_1", 11)
    assert not agent_jobs.claim(job, "AW_2", 12)
    assert agent_jobs.pass_on(job, "AW_1", "AW_2", 13)
    assert not agent_jobs.start(job, "AW_1", "agent-1", 14)
    assert agent_jobs.start(job, "AW_2", "agent-1", 15)
    assert not agent_jobs.report(job, "AW_1", JobStatus.JS_SUCCESS, "", 16)
    assert agent_jobs.report(job, "AW_2", JobStatus.JS_FAILED, "x" * 5000, 17)
    assert job.state == JobState(
        status=JobStatus.JS_FAILED,
        error="x" * agent_jobs.MAX_ERROR,
        worker_id="AW_2",
        participant_identity="agent-1",
        started_at=15,
        ended_at=17,
        updated_at=17,
    )


@pytest.mark.parametrize("status", [*JobStatus.values(), 99])
def test_what_a_worker_says_cannot_bring_a_job_back(status: JobStatus) -> None:
    job = new()
    agent_jobs.claim(job, "AW_1", 11)
    assert not agent_jobs.report(job, "AW_1", status, "", 12), "it has not begun"
    agent_jobs.start(job, "AW_1", "agent", 13)
    assert agent_jobs.report(job, "AW_1", status, "", 14) == (status in agent_jobs.ENDED)
    agent_jobs.finish(job, JobStatus.JS_CANCELLED, 15)
    before = Job.FromString(job.SerializeToString())
    assert not agent_jobs.report(job, "AW_1", status, "", 16)
    assert not agent_jobs.lose(job, "AW_1", 16, again=True)
    assert not agent_jobs.take_over(job, "AW_1", "AW_2", 16)
    assert not agent_jobs.release(job, "AW_1", 16)
    assert job == before


def test_nobody_takes_it() -> None:
    job = new()
    agent_jobs.claim(job, "AW_1", 11)
    assert not agent_jobs.release(job, "AW_2", 12)
    assert agent_jobs.release(job, "AW_1", 12)
    assert agent_jobs.is_unclaimed(job)
    assert job.state.reason == JobStateReason.JSR_NO_CAPACITY
    agent_jobs.claim(job, "AW_2", 13)
    agent_jobs.start(job, "AW_2", "agent", 14)
    assert job.state.reason == JobStateReason.JSR_UNSPECIFIED


@pytest.mark.parametrize("again", [True, False])
def test_its_worker_is_lost(again: bool) -> None:
    asked, running = new(1), new(2)
    for job in (asked, running):
        agent_jobs.claim(job, "AW_1", 11)
    agent_jobs.start(running, "AW_1", "agent", 12)
    assert agent_jobs.lose(asked, "AW_1", 13, again=again)
    assert agent_jobs.is_unclaimed(asked)
    assert not agent_jobs.lose(running, "AW_2", 13, again=again)
    assert agent_jobs.lose(running, "AW_1", 13, again=again)
    assert (running.state.status, running.state.ended_at) == (JobStatus.JS_FAILED, 13)
    assert running.state.error
    assert agent_jobs.is_to_be_repeated(running) == again


def test_a_worker_that_has_come_back_goes_on() -> None:
    job = new()
    agent_jobs.claim(job, "AW_1", 11)
    assert not agent_jobs.take_over(job, "AW_1", "AW_2", 12), "it has not begun"
    agent_jobs.start(job, "AW_1", "agent", 13)
    assert agent_jobs.take_over(job, "AW_1", "AW_2", 14)
    assert (job.state.worker_id, job.state.started_at) == ("AW_2", 13)


@pytest.mark.parametrize(
    ("participant", "expected"),
    [
        (ParticipantInfo(), False),
        (ParticipantInfo(kind=ParticipantInfo.SIP), False),
        (ParticipantInfo(permission=ParticipantPermission(hidden=True)), False),
        (ParticipantInfo(kind=ParticipantInfo.AGENT), True),
        (ParticipantInfo(kind=ParticipantInfo.EGRESS), True),
        (ParticipantInfo(permission=ParticipantPermission(agent=True)), True),
        (ParticipantInfo(permission=ParticipantPermission(recorder=True)), True),
    ],
)
def test_agents_are_not_for_agents(participant: ParticipantInfo, expected: bool) -> None:
    assert agent_jobs.is_agent(participant) == expected
    presence = Presence()
    participant.sid = "PA_1"
    presence.joined("show", participant)
    assert list(presence.participants("show")) == ([] if expected else ["PA_1"])


# The board


def test_every_target_has_one_job() -> None:
    board = Board()
    board.put_dispatch("d", DISPATCH)
    targets = [ROOM, publisher("PA_1"), publisher("PA_2")]
    assert [number for _, number in board.without_job(DISPATCH, targets)] == [0, 0, 0]
    board.put_job("1", new(1))
    board.put_job("2", new(2, targets[1]))
    assert [target for target, _ in board.without_job(DISPATCH, targets)] == [targets[2]]
    ended = new(1)
    agent_jobs.finish(ended, JobStatus.JS_FAILED, 20)
    board.put_job("1", ended)
    assert [target for target, _ in board.without_job(DISPATCH, targets)] == [targets[2]], "it is not repeated"


def test_a_lost_job_is_repeated_a_few_times() -> None:
    board = Board()
    board.put_dispatch("d", DISPATCH)
    for number in range(agent_jobs.MAX_RESTARTS + 1):
        assert [had for _, had in board.without_job(DISPATCH, [ROOM])] == [number]
        job = new(number)
        agent_jobs.claim(job, "AW_1", 11)
        agent_jobs.start(job, "AW_1", "agent", 12)
        board.put_job(str(number), job)
        again = board.may_be_repeated(job)
        assert again == (number < agent_jobs.MAX_RESTARTS)
        agent_jobs.lose(job, "AW_1", 13, again=again)
        board.put_job(str(number), job)
    assert not list(board.without_job(DISPATCH, [ROOM]))


def test_never_means_never() -> None:
    board = Board()
    dispatch = AgentDispatch(id="AD_2", room="show", restart_policy=JobRestartPolicy.JRP_NEVER)
    board.put_dispatch("d", dispatch)
    assert not board.may_be_repeated(new(dispatch=dispatch))
    assert not board.may_be_repeated(new()), "its dispatch is gone"


def test_the_board_forgets_what_it_is_told_to() -> None:
    board = Board()
    board.put_dispatch("d", DISPATCH)
    board.put_job("1", new(1))
    assert (board.dispatches_of("show"), board.rooms(), board.key_of("AJ_1")) == (("d",), {"show"}, "1")
    assert board.dispatch_of(new()) == "d"
    assert board.drop_job("1") == new(1)
    assert board.drop_job("1") is None
    assert board.drop_dispatch("d") == DISPATCH
    assert board.drop_dispatch("d") is None
    assert (board.dispatches_of("show"), board.rooms(), board.key_of("AJ_1"), board.jobs_of("AD_1")) == (
        (),
        set(),
        None,
        {},
    )
    assert board.dispatch_of(new()) is None


def test_old_jobs_of_those_who_left_go() -> None:
    board = Board()
    for number in range(MAX_ENDED + 3):
        job = new(number, publisher(f"PA_{number}"))
        agent_jobs.finish(job, JobStatus.JS_SUCCESS, number)
        board.put_job(str(number), job)
    board.put_job("room", new(1000))
    assert board.superfluous("AD_1", {"PA_1"}) == ["0", "2"]


def test_who_is_there() -> None:
    presence = Presence()
    alice, bob = ParticipantInfo(sid="PA_1"), ParticipantInfo(sid="PA_2", is_publisher=True)
    presence.joined("show", alice)
    presence.joined("show", bob)
    assert presence.publishers("show") == [bob]
    assert presence.published("show", alice)
    assert not presence.published("show", alice), "a second track"
    assert not presence.published("show", ParticipantInfo(sid="PA_3"))
    assert presence.publishers("show") == [alice, bob]
    presence.left("show", "PA_2")
    assert presence.publishers("show") == [alice]
    presence.finished("show")
    assert not presence.participants("show")
    presence.joined("show", alice)
    assert presence.publishers("show") == []


# The pool


def test_only_those_who_can_are_asked() -> None:
    able = worker("AW_1")
    full, other, publishers, deployed = (
        worker("AW_2"),
        worker("AW_3", name="other"),
        worker("AW_4", kind=JobType.JT_PUBLISHER),
        worker("AW_5"),
    )
    full.update(UpdateWorkerStatus(status=WorkerStatus.WS_FULL))
    deployed.deployment = "staging"
    pool = pool_of(full, other, publishers, deployed)
    assert pool.choose(new(), set()) is None
    pool.add(able)
    assert pool.choose(new(), set()) is able
    assert pool.choose(new(), {"AW_1"}) is None
    assert pool.types("helper", "") == {JobType.JT_ROOM, JobType.JT_PUBLISHER}
    assert pool.types("helper", "staging") == {JobType.JT_ROOM}
    assert (pool.knows("helper"), pool.knows("nobody"), len(pool)) == (True, False, 5)
    pool.remove(other)
    assert not pool.knows("other")


def test_the_least_loaded_is_asked_and_not_always_the_same() -> None:
    busy, idle = worker("AW_1", load=0.5), worker("AW_2", load=0.3)
    pool = pool_of(busy, idle)
    asked = []
    for number in range(6):
        chosen = pool.choose(new(), set())
        assert chosen is not None
        chosen.ask(f"AJ_{number}")
        asked.append(chosen.id)
    assert sorted(asked) == ["AW_1"] * 2 + ["AW_2"] * 4
    idle.update(UpdateWorkerStatus(load=0.9))
    busy.update(UpdateWorkerStatus(load=0.8))
    assert pool.choose(new(), set()) is busy


@pytest.mark.parametrize(
    ("load", "expected"), [(0.5, 0.5), (-3.0, 0.0), (7.0, 1.0), (math.nan, 1.0), (math.inf, 1.0), (-math.inf, 1.0)]
)
def test_a_load_that_makes_no_sense(load: float, expected: float) -> None:
    liar = worker("AW_1")
    liar.update(UpdateWorkerStatus(load=load))
    assert liar.load == expected


def test_a_worker_that_drains_is_not_asked() -> None:
    leaving = worker("AW_1")
    leaving.update(UpdateWorkerStatus(draining=True))
    assert not leaving.available


def test_no_worker_is_asked_for_too_many_at_a_time() -> None:
    only = worker("AW_1")
    pool = pool_of(only)
    for number in range(MAX_ASKED):
        assert pool.choose(new(), set()) is only
        only.ask(f"AJ_{number}")
    assert pool.choose(new(), set()) is None
    only.asked.discard("AJ_0")
    assert (only.slots, pool.choose(new(), set())) == (1, only)
    only.update(UpdateWorkerStatus(status=WorkerStatus.WS_FULL))
    assert only.slots == 0


def test_who_refused_is_asked_again_later_and_later() -> None:
    only = worker("AW_1")
    pool, search = pool_of(only), Search(new())
    now = 100.0
    rests = []
    for _ in range(8):
        assert search.next(pool, now) is only
        assert search.look_again(pool, now) is None
        search.refused("AW_1", now)
        assert search.next(pool, now) is None
        assert not search.may_ask(only, now)
        until = search.look_again(pool, now)
        assert until is not None
        rests.append(until - now)
        now = until
    assert rests[:3] == [FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST]
    assert rests[-1] == LAST_REST
    search.refused("AW_1", now)
    pool.remove(only)
    assert search.look_again(pool, now) is None
    new_one = worker("AW_2")
    pool.add(new_one)
    assert search.next(pool, now) is new_one
    assert search.may_ask(new_one, now)
    assert not search.may_ask(worker("AW_3", name="other"), now)
