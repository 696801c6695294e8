"""A worker process of livekit-agents, which registers, gets jobs, and outlives the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from livekit.protocol.agent import JobStatus

from tests.conformance.livekit_server import KEY, KEYS, SECRET, livekit_server
from tests.gateway import free_port, running_gateway
from tests.livekit.workers import dispatch, jobs
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from livekit.protocol.agent import Job

    from tests.conformance.livekit_server import LiveKitServer

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

PROGRAM = Path(__file__).with_name("livekit_worker.py")
PATIENCE = 60.0


class Program:
    """`lines` is what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode(errors="replace").rstrip())

    async def printed(self, text: str, *, after: int = 0) -> str:
        async def line() -> str | None:
            assert self.process.returncode is None, "\n".join(self.lines)
            return next((line for line in self.lines[after:] if text in line), None)

        try:
            return await eventually(line, within=PATIENCE)
        except TimeoutError:
            raise AssertionError("\n".join((f"{text} is not among:", *self.lines[after:]))) from None


@contextlib.asynccontextmanager
async def worker(url: str, directory: Path) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAM), "start"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=directory,
        start_new_session=True,
        env={**os.environ, "LIVEKIT_URL": url, "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET},
    )
    program = Program(process)
    reader = asyncio.create_task(program.read())
    try:
        yield program
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await reader


async def job_of(server: LiveKitServer, room: str, *statuses: JobStatus) -> Job:
    """The room's only job, when it is in one of these."""

    async def question() -> Job | None:
        found = await jobs(server, room)
        return found[0] if len(found) == 1 and found[0].state.status in statuses else None

    return await eventually(question, within=PATIENCE)


async def test_a_worker_of_livekit_agents(tmp_path: Path) -> None:
    port, config = free_port(), f'[store]\npath = "{tmp_path}/store.db"\n{KEYS}'
    async with worker(f"ws://127.0.0.1:{port}", tmp_path) as program:
        async with running_gateway(tmp_path, config=config, port=port) as gateway:
            async with livekit_server(gateway.url) as server:
                await program.printed("registered worker")

                made = await dispatch(server, metadata="stay", room="stays")
                running = await job_of(server, "stays", JobStatus.JS_RUNNING)
                assert running.dispatch_id == made.id
                assert running.state.participant_identity == f"agent-{running.id}"
                await program.printed(f"JOB {running.id} stay")

                await dispatch(server, metadata="crash", room="crashes")
                crashed = await job_of(server, "crashes", JobStatus.JS_FAILED)
                await program.printed(f"JOB {crashed.id} crash")

                # Nobody can join by /rtc yet, which ends the job; livekit-agents says with which status.
                await dispatch(server, metadata="join", room="joins")
                joined = await job_of(server, "joins", JobStatus.JS_SUCCESS, JobStatus.JS_FAILED)
                await program.printed(f"JOB {joined.id} join")
            known = len(program.lines)
            gateway.process.kill()
            await gateway.process.wait()

        async with (
            running_gateway(tmp_path, config=config, port=port) as gateway,
            livekit_server(gateway.url) as server,
        ):
            await program.printed("registered worker", after=known)

            async def moved() -> bool:
                (job,) = await jobs(server, "stays")
                return job.state.worker_id != running.state.worker_id

            await eventually(moved)
            resumed = await job_of(server, "stays", JobStatus.JS_RUNNING)
            assert resumed.id == running.id
            await server.api.agent_dispatch.delete_dispatch(made.id, "stays")
            await program.printed(f"END {running.id}")
            assert not [line for line in gateway.log if "ERROR" in line]
