"""GET /agent: the WebSocket of a worker of livekit-agents, in messages of livekit_agent.proto.

Whatever a worker does, it ends no more than its own connection.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiohttp import WSCloseCode, WSMsgType, web
from google.protobuf.message import DecodeError
from livekit.protocol.agent import (
    JobType,
    RegisterWorkerResponse,
    ServerMessage,
    WorkerMessage,
    WorkerPong,
)
from livekit.protocol.models import ParticipantPermission, ServerInfo, TrackSource

from live777py import __version__
from live777py.livekit.agent_pool import Worker
from live777py.livekit.errors import PERMISSIONS_DENIED, TwirpError
from live777py.livekit.grants import VideoGrants
from live777py.livekit.ids import WORKER, new_id
from live777py.livekit.limits import MAX_NAME
from live777py.livekit.tokens import create_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from livekit.protocol.agent import AvailabilityResponse, Job

    from live777py.livekit.agents import Agents
    from live777py.livekit.tokens import TokenVerifier

REGISTER_TIMEOUT: Final = 10.0
"""Seconds until the first message must be there."""
HEARTBEAT: Final = 30.0
"""Seconds between pings; a worker that does not answer in half of that is gone."""
SEND_TIMEOUT: Final = 10.0
"""Seconds until a message must be taken."""
MAX_MESSAGE: Final = 1024 * 1024
"""Bytes: an answer may hold a participant's metadata."""
MAX_UNSENT: Final = 1000
"""Messages that wait for a slow worker; with one more its connection ends."""
MAX_UNREAD: Final = 1000
"""Of a worker's messages, those that wait for the store."""
MAX_RATE: Final = 1000
"""Messages in a second."""
MAX_WORKERS: Final = 1000
AGENT_TOKEN_TTL: Final = 3600
"""Seconds, as LiveKit has it: until then its agent must have joined."""

_AGENT_PROTOCOL: Final = 1
_TOO_SLOW: Final = "it does not take its messages"
_CLOSE_TIMEOUT: Final = 1.0
_KEEP_TIMEOUT: Final = 5.0

_logger = logging.getLogger(__name__)


class AgentDoor:
    """`agents` is set before the first request."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self.agents: Agents | None = None
        self._verifier = verifier
        self._connections: set[_Connection] = set()

    def register(self, router: web.UrlDispatcher) -> None:
        router.add_get("/agent", self._answer)

    async def close(self) -> None:
        """All connections; no more are taken."""
        self.agents = None
        await asyncio.gather(*(connection.close(WSCloseCode.GOING_AWAY) for connection in self._connections))

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            grants = self._verifier.from_header(request.headers.get("Authorization"), request.query)
        except TwirpError as error:
            return web.Response(status=error.status, text=error.msg)
        if grants is None or not grants.of_room.agent:
            return web.Response(status=401, text=PERMISSIONS_DENIED)
        if self.agents is None or len(self._connections) >= MAX_WORKERS:
            return web.Response(status=503, text="no more workers are taken")
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT, max_msg_size=MAX_MESSAGE, compress=False, timeout=_CLOSE_TIMEOUT
        )
        if not socket.can_prepare(request):
            return web.Response(status=426, text="this is a WebSocket", headers={"Upgrade": "websocket"})
        await socket.prepare(request)
        connection = _Connection(request, socket, self.agents, grants.iss)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
        return socket


class _Broken(Exception):
    """The worker's side is not as it should be."""

    def __init__(self, why: str, code: WSCloseCode = WSCloseCode.PROTOCOL_ERROR) -> None:
        super().__init__(why)
        self.why = why
        self.code = code


class _Connection:
    def __init__(self, request: web.Request, socket: web.WebSocketResponse, agents: Agents, api_key: str) -> None:
        self._request = request
        self._socket = socket
        self._agents = agents
        self._api_key = api_key
        self._unsent: asyncio.Queue[ServerMessage] = asyncio.Queue(MAX_UNSENT)
        self._unread: asyncio.Queue[WorkerMessage | None] = asyncio.Queue(MAX_UNREAD)
        self._too_slow = asyncio.Event()
        self._second, self._count = 0, 0

    async def run(self) -> None:
        try:
            async with asyncio.timeout(REGISTER_TIMEOUT):
                first = await self._receive()
            worker = None if first is None else self._worker(first)
        except TimeoutError:
            await self.close(WSCloseCode.POLICY_VIOLATION, "no worker is registered")
        except _Broken as broken:
            await self._end(broken)
        else:
            if worker is not None:
                await self._serve(worker)

    async def close(self, code: WSCloseCode, why: str = "") -> None:
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._socket.close(code=code, message=why.encode())
        except (TimeoutError, ConnectionError):
            if (transport := self._request.transport) is not None:
                transport.abort()

    async def _end(self, broken: _Broken) -> None:
        _logger.warning("the connection of an agent worker ends: %s", broken.why)
        await self.close(broken.code, broken.why)

    async def _serve(self, worker: Worker) -> None:
        self._send(ServerMessage(register=RegisterWorkerResponse(worker_id=worker.id, server_info=_server_info())))
        self._agents.register(worker)
        keeper = asyncio.create_task(self._keep(worker), name="agent-worker-keeper")
        tasks = [asyncio.create_task(work) for work in (self._read(worker), self._write(), self._watch_backlog())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await self._ended(task)
        finally:
            self._agents.assigner.gone(worker)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._finish(keeper)

    async def _ended(self, task: asyncio.Task[None]) -> None:
        try:
            task.result()
        except _Broken as broken:
            await self._end(broken)
        except ConnectionError:
            await self.close(WSCloseCode.GOING_AWAY)

    async def _finish(self, keeper: asyncio.Task[None]) -> None:
        """What it said before it went still counts."""
        with suppress(TimeoutError, asyncio.QueueFull):
            async with asyncio.timeout(_KEEP_TIMEOUT):
                self._unread.put_nowait(None)
                await keeper
        keeper.cancel()

    def _send(self, message: ServerMessage) -> None:
        try:
            self._unsent.put_nowait(message)
        except asyncio.QueueFull:
            self._too_slow.set()

    async def _write(self) -> None:
        try:
            while True:
                message = await self._unsent.get()
                async with asyncio.timeout(SEND_TIMEOUT):
                    await self._socket.send_bytes(message.SerializeToString())
        except TimeoutError:
            raise _Broken(_TOO_SLOW, WSCloseCode.TRY_AGAIN_LATER) from None

    async def _watch_backlog(self) -> None:
        await self._too_slow.wait()
        raise _Broken(_TOO_SLOW, WSCloseCode.TRY_AGAIN_LATER)

    async def _read(self, worker: Worker) -> None:
        while (message := await self._receive()) is not None:
            match message.WhichOneof("message"):
                case "availability":
                    self._agents.assigner.answered(worker, message.availability)
                case "update_worker":
                    worker.update(message.update_worker)
                    self._agents.assigner.has_slots(worker)
                case "update_job" | "migrate_job":
                    if self._unread.full() or len(message.migrate_job.job_ids) > MAX_UNREAD:
                        raise _Broken("it says more than can be kept", WSCloseCode.POLICY_VIOLATION)
                    self._unread.put_nowait(message)
                case "ping":
                    now = time.time_ns() // 1_000_000
                    pong = WorkerPong(last_timestamp=message.ping.timestamp, timestamp=now)
                    self._send(ServerMessage(pong=pong))
                case "register":
                    raise _Broken("it registers twice")
                case _:
                    pass  # a job's simulation, and what newer workers say

    async def _keep(self, worker: Worker) -> None:
        assigner = self._agents.assigner
        while (message := await self._unread.get()) is not None:
            if message.HasField("migrate_job"):
                await assigner.resumed(worker, message.migrate_job.job_ids)
            else:
                update = message.update_job
                await assigner.reported(worker, update.job_id, update.status, update.error)

    async def _receive(self) -> WorkerMessage | None:
        """None at the end. Raises _Broken."""
        frame = await self._socket.receive()
        if frame.type in {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR}:
            return None
        if frame.type != WSMsgType.BINARY:
            raise _Broken("a message is not binary", WSCloseCode.UNSUPPORTED_DATA)
        second = int(asyncio.get_running_loop().time())
        self._second, self._count = second, self._count + 1 if second == self._second else 1
        if self._count > MAX_RATE:
            raise _Broken(f"more than {MAX_RATE} messages in a second", WSCloseCode.POLICY_VIOLATION)
        try:
            return WorkerMessage.FromString(frame.data)
        except DecodeError:
            raise _Broken("a message is not understood", WSCloseCode.INVALID_TEXT) from None

    def _worker(self, first: WorkerMessage) -> Worker:
        """Raises _Broken."""
        if first.WhichOneof("message") != "register":
            raise _Broken("the first message does not register a worker")
        register = first.register
        if register.type not in JobType.values():
            raise _Broken("a worker of an unknown type")
        if len(register.agent_name) > MAX_NAME or len(register.deployment) > MAX_NAME:
            raise _Broken("its name is too long")
        permissions = ParticipantPermission(can_subscribe=True, can_publish=True, can_publish_data=True)
        permissions.can_update_metadata = True
        if register.HasField("allowed_permissions"):
            permissions = register.allowed_permissions
        return Worker(
            id=new_id(WORKER),
            type=register.type,
            agent_name=register.agent_name,
            deployment=register.deployment,
            version=register.version[:MAX_NAME],
            api_key=self._api_key,
            permissions=permissions,
            send=self._send,
        )


def agent_token(keys: Mapping[str, str], job: Job, worker: Worker, answer: AvailabilityResponse) -> str:
    """What the job's agent joins with. It is signed with the key that the worker came with, while there is that key."""
    key = worker.api_key if worker.api_key in keys else next(iter(keys))
    may = worker.permissions
    sources = tuple(TrackSource.Name(each).lower() for each in may.can_publish_sources if each in TrackSource.values())
    return create_token(
        key,
        keys[key],
        identity=answer.participant_identity,
        ttl=AGENT_TOKEN_TTL,
        name=answer.participant_name or None,
        metadata=answer.participant_metadata or None,
        attributes=dict(answer.participant_attributes) or None,
        kind="agent",
        video=VideoGrants(
            room_join=True,
            room=job.room.name,
            agent=True,
            can_publish=may.can_publish,
            can_subscribe=may.can_subscribe,
            can_publish_data=may.can_publish_data,
            can_publish_sources=sources or None,
            can_update_own_metadata=may.can_update_metadata,
            hidden=may.hidden,
        ),
    )


def _server_info() -> ServerInfo:
    return ServerInfo(edition=ServerInfo.Standard, version=__version__, agent_protocol=_AGENT_PROTOCOL)
