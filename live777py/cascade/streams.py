"""The streams as cascade uses them, and its look at the sessions that it has made there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from live777py.errors import NotFound
from live777py.streams.events import SessionStateChanged

if TYPE_CHECKING:
    from live777py.outbound import Endpoint
    from live777py.streams.bus import EventBus
    from live777py.streams.events import StreamEvent
    from live777py.streams.views import SessionState, StreamView


class Streams(Protocol):
    """Implemented by `streams.manager.StreamManager`."""

    @property
    def bus(self) -> EventBus: ...

    async def pull(self, stream: str, endpoint: Endpoint, *, configured: bool = False) -> str: ...
    async def push(self, stream: str, endpoint: Endpoint, *, configured: bool = False) -> str: ...
    async def stop_pull(self, stream: str, session: str, *, lost: bool = False) -> None: ...
    async def close_session(self, stream: str, session: str) -> None: ...
    def source_failed(self, stream: str, detail: str) -> None: ...
    def stream(self, name: str) -> StreamView: ...


class SessionWatch:
    """One session, from when it was made. `look` reads its state anew: events of a namesake before it mean nothing."""

    def __init__(self, streams: Streams, stream: str, session: str, *, silence_ends: bool) -> None:
        self.key = (stream, session)
        self.connected = asyncio.Event()
        self.changed = asyncio.Event()
        self.ended = asyncio.Event()
        self.lost = False
        self._streams = streams
        self._silence_ends = silence_ends
        self.look()

    def look(self) -> None:
        state = self._state()
        self.lost = state == "disconnected" and self._silence_ends
        if state == "connected":
            self.connected.set()
            self.changed.set()
        elif self.lost or state in {None, "closed"}:
            self.ended.set()
            self.changed.set()

    def _state(self) -> SessionState | None:
        stream, session = self.key
        try:
            view = self._streams.stream(stream)
        except NotFound:
            return None
        states = [one.state for one in (*view.publish.sessions, *view.subscribe.sessions) if one.id == session]
        return next((state for state in states if state != "closed"), None)


class SessionWatches:
    """Tells each watch when to look."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._watches: dict[tuple[str, str], SessionWatch] = {}

    def watch(self, stream: str, session: str, *, silence_ends: bool) -> SessionWatch:
        """With `silence_ends` a session counts as ended when its other end is not heard of for some seconds."""
        watch = SessionWatch(self._streams, stream, session, silence_ends=silence_ends)
        self._watches[watch.key] = watch
        return watch

    def forget(self, watch: SessionWatch) -> None:
        if self._watches.get(watch.key) is watch:
            del self._watches[watch.key]

    def tell(self, event: StreamEvent) -> None:
        if isinstance(event, SessionStateChanged) and (watch := self._watches.get((event.stream, event.session))):
            watch.look()

    def look(self) -> None:
        """Events were missed."""
        for watch in tuple(self._watches.values()):
            watch.look()
