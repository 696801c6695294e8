"""`/agent`: who may come, and that a worker which hangs, lies or talks rubbish ends no more than its own connection."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import jwt
import pytest
from livekit.protocol.agent import (
    AvailabilityResponse,
    Job,
    JobStatus,
    JobType,
    RegisterWorkerRequest,
    SimulateJobRequest,
    WorkerMessage,
)
from livekit.protocol.models import ParticipantPermission, Room, TrackSource

from live777py.livekit import agent_worker
from live777py.livekit.agent_pool import Worker as Known
from live777py.livekit.agent_worker import agent_token
from live777py.livekit.tokens import TokenVerifier
from tests.conformance.livekit_server import KEY, SECRET, token
from tests.gateway import running_gateway
from tests.livekit.workers import Worker, dispatch, dispatches, gateway, job_when, jobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.conformance.livekit_server import LiveKitServer

RUNNING = JobStatus.JS_RUNNING


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LiveKitServer]:
    async with gateway(tmp_path) as server:
        yield server


async def knock(server: LiveKitServer, query: str = "", **headers: str) -> int:
    """The status of the handshake."""
    try:
        async with server.http.ws_connect(server.url + "/agent" + query, headers=headers):
            return 101
    except aiohttp.WSServerHandshakeError as error:
        return error.status


def sign(**changes: Any) -> str:
    claims = {"iss": KEY, "exp": int(time.time()) + 60, "video": {"agent": True}}
    return jwt.encode({**claims, **changes}, SECRET, algorithm="HS256")


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


async def test_who_may_come(server: LiveKitServer) -> None:
    good = token(agent=True)
    assert await knock(server, **bearer(good)) == 101
    assert await knock(server, f"?access_token={good}") == 101
    assert await knock(server, "?worker_token=", **bearer(good)) == 101
    assert await knock(server) == 401
    assert await knock(server, Authorization=good) == 401
    assert await knock(server, **bearer(sign())) == 101
    for bad in (
        token(),
        token("alice", room_join=True, room="show"),
        token(room_admin=True, room="show", room_create=True),
        token(agent=True, secret="another secret of thirty-two characters"),
        token(agent=True, key="APIother"),
        sign(agent={"admin": True}, video={}),
        sign(exp=int(time.time()) - 61),
        sign(nbf=int(time.time()) + 120),
        good[:-4],
        "rubbish",
    ):
        assert await knock(server, **bearer(bad)) == 401


async def test_it_is_a_websocket(server: LiveKitServer) -> None:
    good = f"Bearer {token(agent=True)}"
    answer = await server.ask("GET", "/agent", Authorization=good)
    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")


async def test_no_more_than_so_many(server: LiveKitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_worker, "MAX_WORKERS", 1)
    async with Worker(server):
        assert await knock(server, **bearer(token(agent=True))) == 503


async def test_without_keys_there_is_no_door(tmp_path: Path) -> None:
    async with (
        running_gateway(tmp_path) as plain,
        aiohttp.ClientSession() as http,
        http.get(plain.url + "/agent") as response,
    ):
        assert response.status == 404


def register(**more: Any) -> WorkerMessage:
    return WorkerMessage(register=RegisterWorkerRequest(agent_name="helper", **more))


FIRST: dict[str, tuple[bytes | str, int]] = {
    "rubbish": (b"\xff\xff\xff", 1007),
    "text": ("hello", 1003),
    "nothing": (b"", 1002),
    "something else": (WorkerMessage(availability=AvailabilityResponse(available=True)).SerializeToString(), 1002),
    "unknown type": (register(type=77).SerializeToString(), 1002),
    "a long name": (register(deployment="x" * 300).SerializeToString(), 1002),
    "too large": (b"\0" * (agent_worker.MAX_MESSAGE + 1), 1009),
}


@pytest.mark.parametrize("case", FIRST)
async def test_a_first_message_that_is_none(server: LiveKitServer, case: str) -> None:
    message, code = FIRST[case]
    async with server.http.ws_connect(server.url + "/agent", headers=bearer(token(agent=True))) as ws:
        await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))
        async with asyncio.timeout(10):
            while not ws.closed:
                await ws.receive()
        assert ws.close_code == code


async def test_nobody_registers(server: LiveKitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_worker, "REGISTER_TIMEOUT", 0.05)
    async with server.http.ws_connect(server.url + "/agent", headers=bearer(token(agent=True))) as ws:
        assert (await ws.receive(timeout=10)).type == aiohttp.WSMsgType.CLOSE
        assert ws.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION


LATER: dict[str, tuple[list[bytes | str], int]] = {
    "rubbish": ([b"\xff\xff\xff"], 1007),
    "text": (["hello"], 1003),
    "too large": ([b"\0" * (agent_worker.MAX_MESSAGE + 1)], 1009),
    "twice": ([register().SerializeToString()], 1002),
    "too many": ([b""] * (agent_worker.MAX_RATE * 3), 1008),
    "too many jobs": ([WorkerMessage(migrate_job={"job_ids": ["AJ"] * 1001}).SerializeToString()], 1008),
}


@pytest.mark.parametrize("case", LATER)
async def test_the_others_go_on(server: LiveKitServer, case: str, caplog: pytest.LogCaptureFixture) -> None:
    messages, code = LATER[case]
    async with Worker(server, "helper") as good:
        await dispatch(server)
        job = (await good.takes()).job
        async with Worker(server, "helper") as bad:
            with caplog.at_level(logging.WARNING):
                for message in messages:
                    try:
                        await (
                            bad.socket.send_str(message) if isinstance(message, str) else bad.socket.send_bytes(message)
                        )
                    except ConnectionError:
                        break
                assert await bad.ended() == code
        await good.report(job, JobStatus.JS_SUCCESS)
        await job_when(server, JobStatus.JS_SUCCESS)
        await dispatch(server, room="other")
        await good.takes()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_liar(server: LiveKitServer) -> None:
    """It speaks of jobs of others, answers what it was not asked, and reports what cannot be."""
    async with Worker(server, "helper") as good, Worker(server, "liar") as liar:
        await dispatch(server)
        job = (await good.takes()).job
        await liar.answer(job)
        await liar.report(job, JobStatus.JS_FAILED, "no")
        await liar.report("AJ_nobody", JobStatus.JS_FAILED)
        await liar.goes_on_with(job.id)
        assert (await liar.expect("termination")).job_id == job.id
        await liar.send(simulate_job=SimulateJobRequest())
        await liar.send(update_worker={"load": float("nan"), "status": 9})
        await liar.is_left_alone()
        for status in (JobStatus.JS_PENDING, RUNNING):
            await good.report(job, status)
        await good.socket.send_bytes(b"\x22\x13\x0a\x0f" + job.id.encode() + b"\x10\x2a")
        await good.answer(job)
        await good.is_left_alone()
        shown = await job_when(server, RUNNING)
        assert shown.state.worker_id == good.id
        assert len(shown.state.error) == 0


async def test_a_worker_that_takes_nothing(server: LiveKitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its receive buffer is small and never read; jobs with large metadata are offered to it."""
    monkeypatch.setattr(agent_worker, "SEND_TIMEOUT", 0.3)
    monkeypatch.setattr(agent_worker, "_CLOSE_TIMEOUT", 0.1)
    host, port = server.url.removeprefix("http://").split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, (host, int(port)))
    try:
        await loop.sock_sendall(
            raw,
            f"GET /agent HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n"
            f"Authorization: Bearer {token(agent=True)}\r\n\r\n".encode(),
        )
        message = register().SerializeToString()
        frame = struct.pack("!BBI", 0x82, 0x80 | len(message), 0) + message
        await loop.sock_sendall(raw, frame)
        for number in range(12):
            await dispatch(server, room=f"room-{number}", metadata="x" * 500_000)
        async with Worker(server, "helper") as good:
            assert await good.takes_all(12) == {f"room-{number}" for number in range(12)}
    finally:
        raw.close()


async def test_a_gateway_that_stops_says_so(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as http:
        async with gateway(tmp_path) as server:
            server.http = http
            worker = await Worker(server, "helper").__aenter__()
            ended = asyncio.create_task(worker.ended())
        assert await ended == aiohttp.WSCloseCode.GOING_AWAY


@pytest.mark.parametrize("kind", [JobType.JT_ROOM, JobType.JT_PUBLISHER])
def test_the_token_of_an_agent(kind: JobType) -> None:
    worker = Known(
        id="AW_1",
        type=kind,
        agent_name="helper",
        api_key="gone",
        permissions=ParticipantPermission(
            can_subscribe=True, hidden=True, can_publish_sources=[TrackSource.MICROPHONE]
        ),
        send=lambda _: None,
    )
    answer = AvailabilityResponse(participant_identity="agent")
    job = Job(room=Room(name="show"))
    grants = TokenVerifier({KEY: SECRET}).verify(agent_token({KEY: SECRET}, job, worker, answer))
    assert (grants.iss, grants.sub, grants.kind) == (KEY, "agent", "agent")
    assert grants.exp - (grants.nbf or 0) == 3600
    video = grants.of_room
    assert (video.room_join, video.room, video.agent, video.hidden) == (True, "show", True, True)
    assert (video.can_publish, video.can_subscribe, video.can_publish_data) == (False, True, False)
    assert video.can_publish_sources == ("microphone",)


async def test_dispatches_are_as_before(server: LiveKitServer) -> None:
    """Whoever comes to /agent without a word changes nothing."""
    assert await knock(server, **bearer(token(agent=True))) == 101
    await dispatch(server)
    assert (len(await dispatches(server)), await jobs(server)) == (1, [])
