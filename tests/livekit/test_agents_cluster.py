"""Workers at one node, rooms at another."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from livekit import api
from livekit.protocol.agent import JobStatus

from tests import redis_server
from tests.gateway import free_port
from tests.livekit.workers import Worker, dispatch, dispatches, gateway, job_when, jobs, jobs_when
from tests.redis_server import RedisServer
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.conformance.livekit_server import LiveKitServer

pytestmark = pytest.mark.skipif(not redis_server.available(), reason="redis-server is not installed")


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path) as server:
        yield server


class Nodes:
    def __init__(self, directory: Path, redis: RedisServer) -> None:
        self._directory = directory
        self._redis = redis
        self._running: dict[str, AsyncExitStack] = {}

    async def start(self, name: str) -> LiveKitServer:
        directory = self._directory / name
        directory.mkdir(exist_ok=True)
        port = free_port()
        config = f'[cluster]\nredis_url = "{self._redis.url}"\nnode_id = "{name}"\nurl = "http://127.0.0.1:{port}"\n'
        stack = self._running[name] = AsyncExitStack()
        return await stack.enter_async_context(gateway(directory, config=config, port=port))

    async def stop(self, name: str) -> None:
        await self._running.pop(name).aclose()


@pytest.fixture
async def nodes(tmp_path: Path, redis: RedisServer) -> AsyncIterator[Nodes]:
    nodes = Nodes(tmp_path, redis)
    yield nodes
    for name in tuple(nodes._running):
        await nodes.stop(name)


async def test_a_worker_of_one_node_does_the_jobs_of_another(nodes: Nodes) -> None:
    first, second = await nodes.start("a"), await nodes.start("b")
    async with Worker(first, "helper") as worker, Worker(first) as nameless:
        made = await dispatch(second)
        job = (await worker.takes()).job
        assert job.dispatch_id == made.id
        for node in (first, second):
            assert (await job_when(node, JobStatus.JS_RUNNING)).id == job.id
        await worker.report(job, JobStatus.JS_SUCCESS)
        await job_when(second, JobStatus.JS_SUCCESS)
        await second.api.room.create_room(api.CreateRoomRequest(name="other"))
        assert (await nameless.takes()).job.room.name == "other"
        await second.api.room.delete_room(api.DeleteRoomRequest(room="other"))
        await nameless.expect("termination")
        await second.api.agent_dispatch.delete_dispatch(made.id, "show")
        assert await dispatches(first) == []
        await worker.is_left_alone()


async def test_two_nodes_with_workers_and_one_job(nodes: Nodes) -> None:
    """Whoever claims it first asks, and the other one when nobody there will."""
    first, second = await nodes.start("a"), await nodes.start("b")
    async with Worker(first, "helper") as one, Worker(second, "helper") as other:
        await dispatch(first)
        found = await jobs_when(second, lambda found: bool(found) and bool(found[0].state.worker_id))
        asked, not_asked = (one, other) if found[0].state.worker_id == one.id else (other, one)
        job = await asked.asked()
        await not_asked.is_left_alone()
        await asked.answer(job, available=False)
        assert (await not_asked.takes()).job.id == job.id
        await asked.is_left_alone()
        assert len(await jobs(first)) == 1


async def test_a_worker_that_comes_back_to_another_node(nodes: Nodes) -> None:
    first, second = await nodes.start("a"), await nodes.start("b")
    async with Worker(first, "helper") as worker:
        await dispatch(second)
        job = (await worker.takes()).job
    await nodes.stop("a")
    async with Worker(second, "helper") as back:
        await back.goes_on_with(job.id)
        (shown,) = await jobs_when(second, lambda found: found[0].state.worker_id == back.id)
        assert (shown.id, shown.state.status) == (job.id, JobStatus.JS_RUNNING)


async def test_redis_is_away_for_a_while(nodes: Nodes, redis: RedisServer) -> None:
    """Workers stay, what they say is kept, and calls are 503 meanwhile."""
    node = await nodes.start("a")
    async with Worker(node, "helper") as worker:
        await dispatch(node)
        job = (await worker.takes()).job
        await redis.stop()
        with pytest.raises(api.ServerError) as caught:
            await dispatch(node, room="other")
        assert (caught.value.status, caught.value.code) == (503, "unavailable")
        await worker.report(job, JobStatus.JS_FAILED, "meanwhile")
        await worker.is_left_alone()
        await redis.start()

        async def shown() -> bool:
            try:
                (found,) = await jobs(node)
            except (api.ServerError, ValueError):
                return False
            return found.state.error == "meanwhile"

        await eventually(shown)
        await dispatch(node, room="other")
        await worker.takes()
