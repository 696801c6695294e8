"""Calls among the nodes over Redis's channels: to one node, to all of them, and to the one that has what is meant.

Whoever reaches the Redis server is trusted.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from live777py import errors, log
from live777py.errors import Live777Error, StoreUnavailable, Unavailable
from live777py.store.redis_link import Channel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from live777py.store.redis_link import RedisLink

    Handler = Callable[[bytes], Awaitable[bytes]]
    """Answers a request. A Live777Error that it raises is raised by the caller."""
    Claims = Callable[[bytes], Awaitable[bool]]
    """Whether this node has what is meant."""

RETRY_AFTER: Final = 2
"""Seconds."""
GRACE: Final = 0.3
"""Seconds for nodes that listen, but have given no sign of life: they may hang, or may not be known yet."""

_logger = logging.getLogger(__name__)


class NodeAway(Unavailable):
    """The node that has what is asked for has not answered, or is not there any more."""

    def __init__(self, node: str) -> None:
        super().__init__(f"node {node} of the cluster does not answer", retry_after=RETRY_AFTER)


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, gc=False):
    id: str
    sender: str


class _Ask(_Message, frozen=True, kw_only=True, tag="ask"):
    method: str
    body: bytes


class _Claim(_Message, frozen=True, kw_only=True, tag="claim"):
    has: bool


class _Request(_Message, frozen=True, kw_only=True, tag="request"):
    method: str
    body: bytes


class _Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    kind: str
    detail: str
    retry_after: float | None = None

    @classmethod
    def of(cls, error: Live777Error) -> _Failure:
        return cls(kind=type(error).__name__, detail=error.detail, retry_after=getattr(error, "retry_after", None))

    def error(self) -> Live777Error:
        kind: Callable[..., Live777Error] = getattr(errors, self.kind, Live777Error)
        return kind(self.detail) if self.retry_after is None else kind(self.detail, retry_after=self.retry_after)


class _Response(_Message, frozen=True, kw_only=True, tag="response"):
    body: bytes = b""
    failure: _Failure | None = None


_DECODER: Final = msgspec.msgpack.Decoder(_Ask | _Claim | _Request | _Response)


@dataclass(kw_only=True)
class _Waiting:
    """For the answers to one message. `expected` is known when Redis has said how many listen.

    `needed` are the nodes without which it is not enough when the grace is over.
    """

    needed: frozenset[str]
    answers: dict[str, _Claim | _Response] = field(default_factory=dict)
    expected: int | None = None
    late: bool = False
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, answer: _Claim | _Response) -> None:
        self.answers[answer.sender] = answer
        self.look()

    def look(self) -> None:
        claimed = any(isinstance(answer, _Claim) and answer.has for answer in self.answers.values())
        all_of_them = self.expected is not None and len(self.answers) >= self.expected
        if claimed or all_of_them or (self.late and self.needed <= self.answers.keys()):
            self.enough.set()

    def be_late(self) -> None:
        self.late = True
        self.look()


class Rpc:
    """Usage: `rpc.serve(...)`, `await rpc.start()` ... `await rpc.stop()`. `timeout` is in seconds.

    A node that is gone is found out at once: Redis says how many listen to it. `alive` are the other nodes that give
    signs of life: nobody waits for one that listens and is none of them.
    """

    def __init__(
        self, link: RedisLink, node: str, *, timeout: float, alive: Callable[[], Iterable[str]] = lambda: ()
    ) -> None:
        self.node: Final = node
        self._link = link
        self._timeout = timeout
        self._alive = alive
        self._everybody = f"{{{link.name}}}:nodes"
        self._inbox = Channel(self._address(node), self._heard, lambda: None)
        self._shared = Channel(self._everybody, self._heard, lambda: None)
        self._handlers: dict[str, Handler] = {}
        self._claims: dict[str, Claims] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, method: str, handler: Handler) -> None:
        """For `call` and `gather` of the other nodes."""
        self._handlers[method] = handler

    def claim(self, method: str, claims: Claims) -> None:
        """For `find` of the other nodes."""
        self._claims[method] = claims

    @property
    def listening(self) -> bool:
        return self._inbox.open and self._shared.open

    async def start(self) -> None:
        await self._link.channels.listen(self._inbox)
        await self._link.channels.listen(self._shared)

    async def stop(self) -> None:
        """The link is the caller's."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def call(self, node: str, method: str, body: bytes = b"") -> bytes:
        """Raises NodeAway, StoreUnavailable, and what the handler there has raised."""
        request = _Request(id=_new_id(), sender=self.node, method=method, body=body)
        answers = await self._exchange(self._address(node), request, {node}.intersection(self._alive()), others=1)
        answer = answers.get(node)
        if not isinstance(answer, _Response):
            raise NodeAway(node)
        if answer.failure is not None:
            raise answer.failure.error()
        return answer.body

    async def find(self, method: str, body: bytes) -> str | None:
        """Another node that has what is meant; None if none has. Raises StoreUnavailable."""
        ask = _Ask(id=_new_id(), sender=self.node, method=method, body=body)
        answers = await self._exchange(self._everybody, ask, self._alive())
        return next((node for node, answer in answers.items() if isinstance(answer, _Claim) and answer.has), None)

    async def gather(self, method: str, body: bytes = b"") -> dict[str, bytes | Live777Error]:
        """What every other node answers, without those that do not in time. Raises StoreUnavailable."""
        request = _Request(id=_new_id(), sender=self.node, method=method, body=body)
        answers = await self._exchange(self._everybody, request, self._alive())
        return {
            node: answer.body if answer.failure is None else answer.failure.error()
            for node, answer in answers.items()
            if isinstance(answer, _Response)
        }

    # Steps

    async def _exchange(
        self, channel: str, message: _Ask | _Request, needed: Iterable[str], *, others: int | None = None
    ) -> dict[str, _Claim | _Response]:
        """The answers that came in time. `others` is how many are asked; None: all that listen but we."""
        if not self.listening:
            raise StoreUnavailable("the nodes of this cluster cannot be reached: no connection to the Redis server")
        waiting = self._waiting[message.id] = _Waiting(needed=frozenset(needed))
        grace = asyncio.get_running_loop().call_later(GRACE, waiting.be_late)
        try:
            heard = await self._link.publish(channel, msgspec.msgpack.encode(message))
            waiting.expected = heard - 1 if others is None else min(heard, others)
            waiting.look()
            try:
                async with asyncio.timeout(self._timeout):
                    await waiting.enough.wait()
            except TimeoutError:
                missing = waiting.needed - waiting.answers.keys()
                _logger.warning("no answer in time from %s", ", ".join(sorted(missing)))
            return waiting.answers
        finally:
            grace.cancel()
            del self._waiting[message.id]

    def _heard(self, data: bytes) -> None:
        try:
            message = _DECODER.decode(data)
        except msgspec.DecodeError as error:
            _logger.error("a message of another node is not understood: %s", error)  # noqa: TRY400 (nothing to trace)
            return
        if message.sender == self.node:
            return
        match message:
            case _Claim() | _Response():
                if (waiting := self._waiting.get(message.id)) is not None:
                    waiting.add(message)
            case _Ask():
                self._start(self._claim(message))
            case _Request():
                self._start(self._serve(message))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = log.watched(asyncio.create_task(work, name="call of another node"))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _claim(self, ask: _Ask) -> None:
        claims = self._claims.get(ask.method)
        has = claims is not None and await claims(ask.body)
        await self._send(ask.sender, _Claim(id=ask.id, sender=self.node, has=has))

    async def _serve(self, request: _Request) -> None:
        handler = self._handlers.get(request.method)
        failure: _Failure | None = _Failure(kind="Live777Error", detail="the node failed; its log says why")
        body = b""
        try:
            if handler is None:
                failure = _Failure(kind="NotFound", detail=f"the node does not know {request.method}")
            else:
                body = await handler(request.body)
                failure = None
        except Live777Error as error:
            failure = _Failure.of(error)
        finally:  # also where it is a fault of ours, which is logged when the task ends with it
            response = _Response(id=request.id, sender=self.node, body=body, failure=failure)
            await self._send(request.sender, response)

    async def _send(self, node: str, message: _Claim | _Response) -> None:
        try:
            await self._link.publish(self._address(node), msgspec.msgpack.encode(message))
        except errors.StoreError as error:
            _logger.debug("an answer to node %s is lost: %s", node, error.detail)

    def _address(self, node: str) -> str:
        return f"{self._everybody}:{node}"


def _new_id() -> str:
    return uuid.uuid4().hex
