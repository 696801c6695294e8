"""Dispatches, jobs and workers, over HTTP and WebSocket, as livekit-agents and livekit-api speak."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from livekit import api
from livekit.protocol.agent import JobStateReason, JobStatus, JobType
from livekit.protocol.agent_dispatch import JobRestartPolicy, RoomAgentDispatch

from live777py.livekit import agent_assigner, agents
from live777py.livekit.agent_pool import MAX_ASKED
from tests.conformance.livekit_server import KEY, KEYS, SECRET, livekit_server, token
from tests.fakes.remote import offer
from tests.gateway import running_gateway
from tests.livekit.workers import Worker, dispatch, dispatches, gateway, job_when, jobs, jobs_when

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.conformance.livekit_server import LiveKitServer

PENDING, RUNNING = JobStatus.JS_PENDING, JobStatus.JS_RUNNING
SUCCESS, FAILED = JobStatus.JS_SUCCESS, JobStatus.JS_FAILED


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LiveKitServer]:
    async with gateway(tmp_path) as server:
        yield server


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_assigner, "SWEEP_INTERVAL", 0.05)
    monkeypatch.setattr(agent_assigner, "RECONNECT_GRACE", 0.3)


async def test_a_dispatch_becomes_a_job_and_shows_its_states(server: LiveKitServer) -> None:
    async with Worker(server, "helper") as worker:
        before = time.time_ns()
        made = await dispatch(server, metadata="about", attributes={"language": "pl"})
        job = await worker.asked()
        assert (job.dispatch_id, job.agent_name, job.metadata, dict(job.attributes)) == (
            made.id,
            "helper",
            "about",
            {"language": "pl"},
        )
        assert (job.type, job.room.name, job.room.sid[:3]) == (JobType.JT_ROOM, "show", "RM_")
        assert job.id.startswith("AJ_")
        assert job.state.worker_id == worker.id
        await worker.answer(
            job,
            participant_identity="agent-7",
            participant_name="Agent",
            participant_metadata="m",
            participant_attributes={"lk.agent.name": "helper"},
        )
        assignment = await worker.expect("assignment")
        assert assignment.job.id == job.id
        assert not assignment.url
        claims = jwt.decode(assignment.token, SECRET, algorithms=["HS256"])
        assert claims["iss"] == KEY
        assert (claims["sub"], claims["name"], claims["metadata"]) == ("agent-7", "Agent", "m")
        assert (claims["kind"], claims["attributes"]) == ("agent", {"lk.agent.name": "helper"})
        assert claims["video"] == {
            "roomJoin": True,
            "room": "show",
            "agent": True,
            "canPublish": True,
            "canSubscribe": True,
            "canPublishData": True,
            "canUpdateOwnMetadata": True,
            "hidden": False,
        }
        shown = await job_when(server, RUNNING)
        assert (shown.id, shown.state.participant_identity) == (job.id, "agent-7")
        assert before < shown.state.started_at < time.time_ns()
        await worker.report(job, FAILED, "it fell over")
        shown = await job_when(server, FAILED)
        assert shown.state.error == "it fell over"
        assert shown.state.ended_at > shown.state.started_at
        await worker.is_left_alone()
    (listed,) = await dispatches(server)
    assert (listed.id, listed.room, listed.state.created_at > before) == (made.id, "show", True)


async def test_a_worker_that_comes_later_gets_what_waits(server: LiveKitServer) -> None:
    await dispatch(server)
    assert await jobs(server) == []
    async with Worker(server, "other") as other, Worker(server, "helper") as worker:
        await worker.takes()
        await other.is_left_alone()


async def test_who_will_not_is_followed_by_who_will(server: LiveKitServer) -> None:
    """The job waits in between, and says why."""
    async with Worker(server, "helper") as unwilling:
        await dispatch(server)
        await unwilling.answer(await unwilling.asked(), available=False)
        (job,) = await jobs_when(server, lambda found: found[0].state.reason == JobStateReason.JSR_NO_CAPACITY)
        assert (job.state.status, job.state.worker_id) == (PENDING, "")
        async with Worker(server, "helper") as willing:
            assert (await willing.takes()).job.id == job.id
            shown = await job_when(server, RUNNING)
            assert (shown.state.worker_id, shown.state.reason) == (willing.id, JobStateReason.JSR_UNSPECIFIED)
        await unwilling.is_left_alone()


async def test_a_worker_that_does_not_answer(server: LiveKitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_assigner, "ANSWER_TIMEOUT", 0.1)
    async with Worker(server, "helper") as silent:
        await dispatch(server)
        job = await silent.asked()
        async with Worker(server, "helper") as other:
            await other.takes()
            await silent.answer(job)
            await silent.is_left_alone()
            assert (await job_when(server, RUNNING)).state.worker_id == other.id


async def test_a_worker_that_goes_while_it_is_asked(server: LiveKitServer) -> None:
    async with Worker(server, "helper") as leaving:
        await dispatch(server)
        await leaving.asked()
        async with Worker(server, "helper") as other:
            await leaving.close()
            await other.takes()


async def test_a_worker_that_has_dealt_with_it(server: LiveKitServer) -> None:
    async with Worker(server, "helper") as worker:
        await dispatch(server)
        await worker.answer(await worker.asked(), available=False, terminate=True)
        assert (await job_when(server, SUCCESS)).state.ended_at


@pytest.mark.parametrize(
    "answer",
    [
        {"participant_identity": "x" * 257},
        {"participant_name": "x" * 257},
        {"participant_metadata": "x" * (512 * 1024 + 1)},
        {"participant_attributes": {"a": "x" * 65_536}},
    ],
)
async def test_an_agent_that_nobody_could_let_in(server: LiveKitServer, answer: dict[str, Any]) -> None:
    async with Worker(server, "helper") as worker:
        await dispatch(server)
        await worker.answer(await worker.asked(), **answer)
        await jobs_when(server, lambda found: found[0].state.reason == JobStateReason.JSR_NO_CAPACITY)
        await worker.is_left_alone()


async def test_an_agent_without_a_name_of_its_own(server: LiveKitServer) -> None:
    async with Worker(server, "helper") as worker:
        await dispatch(server)
        assignment = await worker.takes()
        claims = jwt.decode(assignment.token, SECRET, algorithms=["HS256"])
        assert claims["sub"] == assignment.job.state.participant_identity == f"agent-{assignment.job.id}"


async def test_load_decides(server: LiveKitServer) -> None:
    async with Worker(server, "helper") as busy, Worker(server, "helper") as idle:
        await busy.tell(load=0.6)
        await idle.tell(load=0.1)
        for worker in (busy, idle):
            await worker.is_left_alone()
        for number in range(3):
            await dispatch(server, room=f"room-{number}")
            await idle.takes()
        await idle.tell(full=True)
        await idle.is_left_alone()
        await dispatch(server, room="last")
        await busy.takes()


async def test_a_full_worker_is_asked_when_it_is_not(server: LiveKitServer) -> None:
    async with Worker(server, "helper") as worker:
        await worker.tell(full=True)
        await worker.is_left_alone()
        await dispatch(server)
        assert (await job_when(server, PENDING)).state.worker_id == ""
        await worker.is_left_alone()
        await worker.tell()
        await worker.takes()


async def test_many_jobs_at_once_and_a_slow_worker(server: LiveKitServer) -> None:
    """It is asked for a few at a time, whether they waited for it or come now."""
    names = [f"room-{number}" for number in range(60)]
    for name in names[:40]:
        await dispatch(server, room=name)
    async with Worker(server, "helper") as worker:
        first = [await worker.asked() for _ in range(MAX_ASKED)]
        for name in names[40:]:
            await dispatch(server, room=name)
        await worker.is_left_alone()
        for job in first:
            await worker.answer(job)
        assert await worker.takes_all(len(names)) == set(names)


# What ends a job


async def test_a_dispatch_that_is_deleted_takes_its_job_along(server: LiveKitServer) -> None:
    async with Worker(server, "helper") as worker:
        made = await dispatch(server)
        assignment = await worker.takes()
        deleted = await server.api.agent_dispatch.delete_dispatch(made.id, "show")
        assert deleted.state.deleted_at > deleted.state.created_at
        assert [job.id for job in deleted.state.jobs] == [assignment.job.id]
        assert (await worker.expect("termination")).job_id == assignment.job.id
        assert await dispatches(server) == []
        await worker.report(assignment.job, SUCCESS)
        await worker.is_left_alone()


async def test_a_room_that_ends_takes_its_jobs_along(server: LiveKitServer) -> None:
    async with Worker(server, "helper") as worker:
        await dispatch(server)
        assignment = await worker.takes()
        await server.api.room.delete_room(api.DeleteRoomRequest(room="show"))
        assert (await worker.expect("termination")).job_id == assignment.job.id
        made = await dispatch(server)
        assert [each.id for each in await dispatches(server)] == [made.id]
        assert (await worker.takes()).job.id != assignment.job.id


async def test_a_lost_worker_is_waited_for_and_then_replaced(hurry: None, server: LiveKitServer) -> None:
    async with Worker(server, "helper") as first:
        await dispatch(server)
        lost = (await first.takes()).job
        await first.close()
        async with Worker(server, "helper") as second:
            again = (await second.takes()).job
            assert again.id != lost.id
            found = {job.id: job for job in await jobs(server)}
            assert found[lost.id].state.status == FAILED
            assert found[lost.id].state.reason == JobStateReason.JSR_RETRYING
            assert found[again.id].state.status == RUNNING


async def test_a_lost_worker_is_not_replaced_where_nobody_wants_it(hurry: None, server: LiveKitServer) -> None:
    async with Worker(server, "helper") as first:
        await dispatch(server, restart_policy=JobRestartPolicy.JRP_NEVER)
        await first.takes()
    async with Worker(server, "helper") as second:
        assert (await job_when(server, FAILED)).state.reason == JobStateReason.JSR_UNSPECIFIED
        await second.is_left_alone()


async def test_a_worker_that_comes_back_goes_on(hurry: None, server: LiveKitServer) -> None:
    """While one that went with it, and does not come back, is given up."""
    async with Worker(server, "helper") as worker, Worker(server, "lost") as lost:
        await dispatch(server)
        await dispatch(server, "lost", room="other", restart_policy=JobRestartPolicy.JRP_NEVER)
        job = (await worker.takes()).job
        await lost.takes()
    async with Worker(server, "helper") as back:
        await back.goes_on_with(job.id, "AJ_unknown")
        assert (await back.expect("termination")).job_id == "AJ_unknown"
        (shown,) = await jobs_when(server, lambda found: found[0].state.worker_id == back.id)
        assert (shown.id, shown.state.status) == (job.id, RUNNING)
        await job_when(server, FAILED, "other")
        await job_when(server, RUNNING)
        await back.report(job, SUCCESS)
        await job_when(server, SUCCESS)


async def test_jobs_survive_the_gateway(tmp_path: Path, hurry: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_assigner, "RECONNECT_GRACE", 20.0)
    async with gateway(tmp_path) as server, Worker(server, "helper") as worker:
        made = await dispatch(server)
        await dispatch(server, "later")
        job = (await worker.takes()).job
    async with gateway(tmp_path) as server:
        assert made.id in [each.id for each in await dispatches(server)]
        async with Worker(server, "helper") as worker, Worker(server, "later") as later:
            await later.takes()
            await worker.goes_on_with(job.id)
            await worker.report(job, SUCCESS)
            found = await jobs_when(server, lambda found: len(found) == 2 and found[0].state.ended_at > 0)
            assert found[0].id == job.id
            await worker.is_left_alone()


async def test_who_was_asked_when_the_gateway_died(tmp_path: Path, hurry: None) -> None:
    """The job is free again at once."""
    config = f'[store]\npath = "{tmp_path}/store.db"\n{KEYS}'
    async with (
        running_gateway(tmp_path, config=config) as process,
        livekit_server(process.url) as server,
        Worker(server, "helper") as worker,
    ):
        await dispatch(server)
        job = await worker.asked()
        process.process.kill()
        await process.process.wait()
    async with gateway(tmp_path) as server, Worker(server, "helper") as worker:
        assert (await worker.takes()).job.id == job.id


# Agents without a dispatch of their own


async def test_an_agent_without_a_name_comes_to_every_room(server: LiveKitServer) -> None:
    """But not where one is asked for by name."""
    await server.api.room.create_room(api.CreateRoomRequest(name="before"))
    named = [RoomAgentDispatch(agent_name="helper")]
    await server.api.room.create_room(api.CreateRoomRequest(name="named", agents=named))
    async with Worker(server) as worker:
        assert (await worker.takes()).job.room.name == "before"
        await server.api.room.create_room(api.CreateRoomRequest(name="after"))
        assert (await worker.takes()).job.room.name == "after"
        await dispatch(server, room="asked")
        await server.join("joined", "alice")
        assert (await worker.takes()).job.room.name == "joined"
        await worker.is_left_alone()
    assert [(each.agent_name, len(each.state.jobs)) for each in await dispatches(server, "joined")] == [("", 1)]
    assert [each.agent_name for each in await dispatches(server, "asked")] == ["helper"]


async def test_create_room_with_agents(server: LiveKitServer) -> None:
    wanted = [RoomAgentDispatch(agent_name="helper", metadata="1"), RoomAgentDispatch(agent_name="other")]
    await server.api.room.create_room(api.CreateRoomRequest(name="show", agents=wanted))
    assert [(each.agent_name, each.metadata) for each in await dispatches(server)] == [("helper", "1"), ("other", "")]
    await server.api.room.create_room(api.CreateRoomRequest(name="show", agents=wanted[:1]))
    assert len(await dispatches(server)) == 2, "the room was there"
    async with Worker(server, "helper") as helper, Worker(server, "other") as other:
        assert (await helper.takes()).job.metadata == "1"
        await other.takes()


async def test_the_room_configuration_of_a_token(server: LiveKitServer) -> None:
    async with Worker(server, "helper") as worker:
        bearer = (
            api.AccessToken(KEY, SECRET)
            .with_identity("alice")
            .with_grants(api.VideoGrants(room_join=True, room="show"))
            .with_room_config(api.RoomConfiguration(agents=[RoomAgentDispatch(agent_name="helper", metadata="token")]))
            .to_jwt()
        )
        await server.connect("/whip/v1", offer("opus"), bearer)
        assert (await worker.takes()).job.metadata == "token"


# Jobs of participants


async def test_a_job_for_every_publisher(server: LiveKitServer) -> None:
    async with Worker(server, "helper", kind=JobType.JT_PUBLISHER) as worker:
        await dispatch(server)
        await server.join("show", "alice")
        await server.play("alice@show", identity="bob", room="show")
        first = (await worker.takes()).job
        assert (first.type, first.participant.identity) == (JobType.JT_PUBLISHER, "alice")
        await server.join("show", "carol")
        second = (await worker.takes()).job
        assert second.participant.identity == "carol"
        await worker.is_left_alone()
        assert {job.id for job in await jobs(server)} == {first.id, second.id}


async def test_a_job_for_every_participant(server: LiveKitServer) -> None:
    """Those who were there before the dispatch, and those who come."""
    await server.join("show", "alice")
    await server.publisher("show", "alice")
    async with Worker(server, "helper", kind=JobType.JT_PARTICIPANT) as worker:
        await dispatch(server)
        assert (await worker.takes()).job.participant.identity == "alice"
        await server.play("alice@show", identity="bob", room="show")
        assert (await worker.takes()).job.participant.identity == "bob"


async def test_a_job_for_every_publisher_although_events_were_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "_CAPACITY", 1)
    async with gateway(tmp_path) as server, Worker(server, "helper", kind=JobType.JT_PUBLISHER) as worker:
        await dispatch(server)
        await server.join("show", "alice")
        assert (await worker.takes()).job.participant.identity == "alice"
        await server.join("show", "bob")
        assert (await worker.takes()).job.participant.identity == "bob"


async def test_a_job_for_somebody_who_has_left_is_not_given(server: LiveKitServer) -> None:
    await server.join("show", "alice")
    await server.publisher("show", "alice")
    async with Worker(server, "helper", kind=JobType.JT_PARTICIPANT) as worker:
        await worker.tell(full=True)
        await worker.is_left_alone()
        await dispatch(server)
        await job_when(server, PENDING)
        await server.api.room.remove_participant(api.RoomParticipantIdentity(room="show", identity="alice"))
        await job_when(server, JobStatus.JS_CANCELLED)
        await worker.tell()
        await worker.is_left_alone()


async def test_an_agent_that_comes_by_whip(server: LiveKitServer) -> None:
    """The token of its job lets it in, as an agent, for whom no agent is started."""
    async with (
        Worker(server, "helper") as worker,
        Worker(server, "helper", kind=JobType.JT_PARTICIPANT) as companion,
    ):
        await dispatch(server)
        assignment = await worker.takes()
        await server.connect("/whip/v1", offer("opus"), assignment.token)
        agent = await server.participant("show", assignment.job.state.participant_identity)
        assert agent.kind == agent.AGENT
        assert agent.permission.agent
        await server.join("show", "alice")
        assert (await companion.takes()).job.participant.identity == "alice"
        await companion.is_left_alone()


# The service


async def test_what_is_not_there(server: LiveKitServer) -> None:
    with pytest.raises(api.ServerError, match="requested room does not exist"):
        await dispatches(server)
    with pytest.raises(api.ServerError, match="requested room does not exist"):
        await server.api.agent_dispatch.delete_dispatch("AD_1", "show")
    await server.api.room.create_room(api.CreateRoomRequest(name="show"))
    assert await dispatches(server) == []
    assert await server.api.agent_dispatch.get_dispatch("AD_1", "show") is None
    with pytest.raises(api.ServerError, match="dispatch ID not found"):
        await server.api.agent_dispatch.delete_dispatch("AD_1", "show")


@pytest.mark.parametrize("grants", [{}, {"room_admin": True}, {"room_admin": True, "room": "other"}, {"agent": True}])
@pytest.mark.parametrize("method", ["CreateDispatch", "ListDispatch", "DeleteDispatch"])
async def test_only_an_administrator_of_the_room(server: LiveKitServer, method: str, grants: dict[str, Any]) -> None:
    answer = await server.call(method, '{"room":"show"}', token(**grants), service="AgentDispatchService")
    assert (answer.status, answer.text) == (401, '{"code":"unauthenticated","msg":"permissions denied"}')
    assert await server.api.room.list_rooms(api.ListRoomsRequest()) == api.ListRoomsResponse()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"metadata": "x" * (512 * 1024 + 1)}, "metadata size exceeds limits 524288"),
        ({"attributes": {"a": "x" * 65_536}}, "attribute size exceeds limits 65536"),
        ({"deployment": "x" * 65}, "deployment must be"),
        ({"deployment": "a_b"}, "deployment must be"),
        ({"deployment": "a b"}, "deployment must be"),
    ],
)
async def test_too_much(server: LiveKitServer, wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(api.ServerError, match=message) as caught:
        await dispatch(server, **wanted)
    assert caught.value.code == "invalid_argument"


async def test_a_room_that_may_not_be_made(tmp_path: Path) -> None:
    async with gateway(tmp_path, config="[livekit.room]\nauto_create = false\n") as server:
        with pytest.raises(api.ServerError, match="requested room does not exist"):
            await dispatch(server)
