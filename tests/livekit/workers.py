"""A gateway in this process, and workers that say what a test wants them to say."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from aiohttp import web
from livekit import api
from livekit.protocol.agent import (
    AvailabilityRequest,
    AvailabilityResponse,
    Job,
    JobAssignment,
    JobStatus,
    JobType,
    MigrateJobRequest,
    RegisterWorkerRequest,
    ServerMessage,
    UpdateJobStatus,
    UpdateWorkerStatus,
    WorkerMessage,
    WorkerStatus,
)

from live777py.app import build_app
from live777py.config import parse
from tests.conformance.livekit_server import KEY, KEYS, SECRET, LiveKitServer, livekit_server, token
from tests.gateway import free_port
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from livekit.protocol.agent_dispatch import AgentDispatch

PATIENCE = 10.0

__all__ = ["KEY", "SECRET", "Worker", "gateway", "token"]


@contextlib.asynccontextmanager
async def gateway(directory: Path, *, config: str = "", port: int = 0) -> AsyncIterator[LiveKitServer]:
    """With the same directory again it has the same store."""
    port = port or free_port()
    text = f'[webrtc]\nice_udp_addrs = ["127.0.0.1:0"]\n[store]\npath = "{directory}/store.db"\n{KEYS}{config}'
    runner = web.AppRunner(build_app(parse(text, {})), shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        async with livekit_server(f"http://127.0.0.1:{port}") as server:
            yield server
    finally:
        await runner.cleanup()


class Worker:
    """Usage: `async with Worker(server, "helper") as worker`. It takes what it is offered when it is told to."""

    def __init__(self, server: LiveKitServer, agent_name: str = "", *, kind: JobType = JobType.JT_ROOM) -> None:
        self.id = ""
        self._server = server
        self._register = RegisterWorkerRequest(type=kind, agent_name=agent_name, version="1.0")
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._received: list[ServerMessage] = []

    async def __aenter__(self) -> Self:
        self._socket = await self._server.http.ws_connect(
            self._server.url + "/agent", headers={"Authorization": f"Bearer {token(agent=True)}"}
        )
        await self.send(register=self._register)
        self.id = (await self.expect("register")).worker_id
        assert self.id.startswith("AW_")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def socket(self) -> aiohttp.ClientWebSocketResponse:
        assert self._socket is not None
        return self._socket

    async def close(self) -> None:
        await self.socket.close()

    async def send(self, **message: Any) -> None:
        await self.socket.send_bytes(WorkerMessage(**message).SerializeToString())

    async def expect(self, kind: str) -> Any:
        """The next message, which is of this kind."""
        message = ServerMessage.FromString(await self.socket.receive_bytes(timeout=PATIENCE))
        assert message.WhichOneof("message") == kind, message
        return getattr(message, kind)

    async def asked(self) -> Job:
        request: AvailabilityRequest = await self.expect("availability")
        return request.job

    async def answer(self, job: Job, *, available: bool = True, **more: Any) -> None:
        await self.send(availability=AvailabilityResponse(job_id=job.id, available=available, **more))

    async def takes(self) -> JobAssignment:
        """The next job that it is offered."""
        job = await self.asked()
        await self.answer(job)
        assignment: JobAssignment = await self.expect("assignment")
        assert assignment.job.id == job.id
        return assignment

    async def takes_all(self, count: int) -> set[str]:
        """The rooms of the next so many jobs, which may be offered at once."""
        rooms: set[str] = set()
        async with asyncio.timeout(PATIENCE):
            while len(rooms) < count:
                message = ServerMessage.FromString(await self.socket.receive_bytes())
                if message.HasField("availability"):
                    await self.answer(message.availability.job)
                else:
                    rooms.add(message.assignment.job.room.name)
        return rooms

    async def report(self, job: Job | str, status: JobStatus, error: str = "") -> None:
        identifier = job if isinstance(job, str) else job.id
        await self.send(update_job=UpdateJobStatus(job_id=identifier, status=status, error=error))

    async def tell(self, *, load: float = 0.0, full: bool = False) -> None:
        status = WorkerStatus.WS_FULL if full else WorkerStatus.WS_AVAILABLE
        await self.send(update_worker=UpdateWorkerStatus(load=load, status=status))

    async def goes_on_with(self, *jobs: str) -> None:
        await self.send(migrate_job=MigrateJobRequest(job_ids=jobs))

    async def is_left_alone(self) -> None:
        """All that was sent before this has been read, and nothing has come of it."""
        await self.send(ping={"timestamp": 7})
        assert (await self.expect("pong")).last_timestamp == 7

    async def ended(self) -> int | None:
        """The gateway ends the connection; the code that it says."""
        async with asyncio.timeout(PATIENCE):
            while not self.socket.closed:
                await self.socket.receive()
        return self.socket.close_code


async def dispatch(server: LiveKitServer, agent_name: str = "helper", room: str = "show", **more: Any) -> AgentDispatch:
    return await server.api.agent_dispatch.create_dispatch(
        api.CreateAgentDispatchRequest(room=room, agent_name=agent_name, **more)
    )


async def dispatches(server: LiveKitServer, room: str = "show") -> list[AgentDispatch]:
    listed: list[AgentDispatch] = await server.api.agent_dispatch.list_dispatch(room)
    return listed


async def jobs(server: LiveKitServer, room: str = "show") -> list[Job]:
    return [job for each in await dispatches(server, room) for job in each.state.jobs]


async def jobs_when(server: LiveKitServer, are: Callable[[list[Job]], bool], room: str = "show") -> list[Job]:
    async def question() -> list[Job] | None:
        found = await jobs(server, room)
        return found if are(found) else None

    return await eventually(question, within=PATIENCE)


async def job_when(server: LiveKitServer, status: JobStatus, room: str = "show") -> Job:
    """The only one, in that state."""
    (job,) = await jobs_when(server, lambda found: [job.state.status for job in found] == [status], room)
    return job
