"""Whatever a worker sends to /agent, the gateway makes no error of it, and another worker gets its job."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import aiohttp
from livekit.protocol.agent import JobStatus, JobType, RegisterWorkerRequest, WorkerMessage

from tests.conformance.livekit_server import token
from tests.fuzz.test_sdp import rounds
from tests.livekit.workers import Worker, dispatch, gateway, job_when

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    import pytest

    from tests.conformance.livekit_server import LiveKitServer


def seeds(job: str) -> list[bytes]:
    """Of every kind, with the id of a job that another worker has."""
    messages = [
        WorkerMessage(register=RegisterWorkerRequest(type=JobType.JT_ROOM, agent_name="helper", version="1")),
        WorkerMessage(availability={"job_id": job, "available": True, "participant_identity": "x"}),
        WorkerMessage(update_worker={"load": 0.5, "job_count": 3}),
        WorkerMessage(update_job={"job_id": job, "status": JobStatus.JS_FAILED, "error": "x"}),
        WorkerMessage(migrate_job={"job_ids": [job, "AJ_x", ""]}),
        WorkerMessage(ping={"timestamp": -1}),
        WorkerMessage(simulate_job={"type": JobType.JT_PUBLISHER}),
    ]
    return [message.SerializeToString() for message in messages]


def mutated(random: Random, message: bytes) -> bytes:
    data = bytearray(message)
    for _ in range(random.randrange(4)):
        place = random.randrange(len(data) + 1)
        match random.randrange(4):
            case 0 if place < len(data):
                data[place] = random.randrange(256)
            case 1:
                data[place:place] = random.randbytes(random.randrange(1, 9))
            case 2:
                del data[place : place + random.randrange(1, 5)]
            case _:
                data += data[:place]
    return bytes(data)


async def talk(server: LiveKitServer, random: Random, messages: list[bytes]) -> None:
    headers = {"Authorization": f"Bearer {token(agent=True)}"}
    async with server.http.ws_connect(server.url + "/agent", headers=headers) as ws:
        try:
            if random.random() < 0.9:
                await ws.send_bytes(messages[0])
            for _ in range(random.randrange(1, 30)):
                await ws.send_bytes(mutated(random, random.choice(messages)))
                if random.random() < 0.05:
                    await ws.send_str("x")
        except (ConnectionError, aiohttp.ClientError):
            pass  # it has been ended already
        if random.random() < 0.5:
            await ws.send_bytes(b"\xff")
            async with asyncio.timeout(10):
                while not ws.closed:
                    await ws.receive()


async def test_rubbish_hurts_nobody_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with gateway(tmp_path) as server, Worker(server, "steady") as steady:
        await dispatch(server, "steady")
        job = (await steady.takes()).job
        with caplog.at_level(logging.WARNING):
            for random in rounds():
                await talk(server, random, seeds(job.id))
        await steady.report(job, JobStatus.JS_SUCCESS)
        await job_when(server, JobStatus.JS_SUCCESS)
        await dispatch(server, "steady", room="another")
        await steady.takes()
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
