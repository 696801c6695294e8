"""Streams as cascade sees them: sessions that a script makes succeed, fail and end."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from live777py.errors import Conflict, NotFound
from live777py.streams.bus import EventBus
from live777py.streams.events import PublishStarted, PublishStopped, SessionStateChanged, StreamEvent
from live777py.streams.views import (
    CascadeView,
    PubSubView,
    SessionState,
    SessionView,
    StatsView,
    StreamStatsView,
    StreamView,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live777py.outbound import Endpoint
    from live777py.streams.events import LeaveReason

Direction = Literal["pull", "push"]
NO_STATS = StatsView(bytes=0, packets=0, bitrate=0)


@dataclass
class FakeSession:
    id: str
    direction: Direction | None
    endpoint: str
    state: SessionState = "connecting"


@dataclass
class FakeCascadeStreams:
    """`attempts` are (seconds, pull or push, stream, URL). `answers` has, by URL, what each attempt in turn meets.

    An error is raised; "connected" connects at once, "silent" never does. The last one stays. Without any: connected.
    """

    bus: EventBus = field(default_factory=EventBus)
    attempts: list[tuple[float, Direction, str, str]] = field(default_factory=list)
    answers: dict[str, list[Exception | str]] = field(default_factory=dict)
    ended: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    sessions: dict[str, list[FakeSession]] = field(default_factory=lambda: defaultdict(list))
    _number: int = 0

    async def pull(self, stream: str, endpoint: Endpoint, *, configured: bool = False) -> str:
        if any(session.direction != "push" for session in self.live(stream)):
            raise Conflict("A connection has already been established", retry_after=1)
        return await self._connect("pull", stream, endpoint, "virtual-source" if configured else None)

    async def push(self, stream: str, endpoint: Endpoint, *, configured: bool = False) -> str:  # noqa: ARG002
        return await self._connect("push", stream, endpoint, None)

    async def stop_pull(self, stream: str, session: str, *, lost: bool = False) -> None:
        await self._disconnect("pull", stream, session, "idle-timeout" if lost else "source-removed")

    async def close_session(self, stream: str, session: str) -> None:
        await self._disconnect("push", stream, session)

    def source_failed(self, stream: str, detail: str) -> None:
        self.failures.append((stream, detail))

    def stream(self, name: str) -> StreamView:
        if name not in self.sessions:
            raise NotFound("resource not exists")
        publishers = [one for one in self.sessions[name] if one.direction != "push"]
        viewers = [one for one in self.sessions[name] if one.direction == "push"]
        return StreamView(
            id=name,
            created_at=0,
            publish=_side(publishers),
            subscribe=_side(viewers),
            codecs=(),
            provisioned=True,
            on_demand=False,
            stats=StreamStatsView(publish=NO_STATS, subscribe=NO_STATS),
            stats_scope="node",
        )

    # The script

    def live(self, stream: str) -> list[FakeSession]:
        return [one for one in self.sessions[stream] if one.state != "closed"]

    def publish(self, stream: str) -> FakeSession:
        """A client does."""
        session = FakeSession(self._next(), None, "")
        self.sessions[stream].append(session)
        self._connected(stream, session)
        return session

    def end_only(self, stream: str, reason: LeaveReason = "peer-closed") -> None:
        """The one session that there is."""
        (session,) = self.live(stream)
        self.end(stream, session, reason)

    def end(self, stream: str, session: FakeSession, reason: LeaveReason = "peer-closed") -> None:
        established = session.state == "connected"
        session.state = "closed"
        self.bus.publish(SessionStateChanged(stream=stream, session=session.id, state="closed"))
        if established and session.direction != "push":
            self.bus.publish(PublishStopped(stream=stream, session=session.id, reason=reason))

    def fall_silent(self, stream: str, direction: Direction) -> FakeSession:
        """Nothing is heard any more of the session's other end."""
        (session,) = (one for one in self.live(stream) if one.direction == direction)
        session.state = "disconnected"
        self.bus.publish(SessionStateChanged(stream=stream, session=session.id, state="disconnected"))
        return session

    def say(self, event: StreamEvent) -> None:
        self.bus.publish(event)

    def times(self, url: str) -> Iterator[float]:
        """Seconds between the attempts there."""
        at = [time for time, _, _, attempted in self.attempts if attempted == url]
        return (later - earlier for earlier, later in pairwise(at))

    async def _connect(self, direction: Direction, stream: str, endpoint: Endpoint, session_id: str | None) -> str:
        url = str(endpoint)
        self.attempts.append((asyncio.get_running_loop().time(), direction, stream, url))
        script = self.answers.get(url, [])
        answer = (script.pop(0) if len(script) > 1 else script[0]) if script else "connected"
        await asyncio.sleep(0.01)
        if isinstance(answer, Exception):
            raise answer
        session = FakeSession(session_id or self._next(), direction, url)
        self.sessions[stream].append(session)
        if answer == "connected":
            asyncio.get_running_loop().call_later(0.1, self._connected, stream, session)
        elif answer == "refused":
            asyncio.get_running_loop().call_later(0.1, self.end, stream, session)
        return session.id

    async def _disconnect(
        self, direction: Direction, stream: str, session: str, reason: LeaveReason = "api-deleted"
    ) -> None:
        for one in self.live(stream):
            if one.id == session:
                assert one.direction == direction
                self.ended.append((stream, one.endpoint))
                self.end(stream, one, reason)
                await asyncio.sleep(0.01)
                return
        raise NotFound("session not exists")

    def _connected(self, stream: str, session: FakeSession) -> None:
        if session.state == "closed":
            return
        session.state = "connected"
        self.bus.publish(SessionStateChanged(stream=stream, session=session.id, state="connected"))
        if session.direction != "push":
            self.bus.publish(PublishStarted(stream=stream, session=session.id))

    def _next(self) -> str:
        self._number += 1
        return f"session-{self._number}"


def _side(sessions: list[FakeSession]) -> PubSubView:
    return PubSubView(
        leave_at=0,
        sessions=tuple(
            SessionView(
                id=one.id,
                created_at=0,
                leave_at=0,
                state=one.state,
                cascade=CascadeView(source_url=one.endpoint, target_url=None, session_url=None),
                has_data_channel=False,
                stats=NO_STATS,
            )
            for one in sessions
        ),
    )
