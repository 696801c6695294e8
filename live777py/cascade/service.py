"""The owner of all that is kept connected to other servers: configured sources and targets, sources of the API."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from live777py import log
from live777py.cascade.link import Link
from live777py.cascade.settings import CascadeSettings, StreamCascade
from live777py.cascade.streams import SessionWatches, Streams
from live777py.cascade.targets import Targets
from live777py.errors import Conflict, NotFound
from live777py.outbound import Endpoint
from live777py.streams.events import PublishStarted, PublishStopped, SourceUnwanted, SourceWanted, StreamDeleted
from live777py.streams.views import SourceView

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from live777py.streams.bus import Subscription
    from live777py.streams.events import StreamEvent

_NOTHING = StreamCascade()


class CascadeService:
    """Usage: `service = CascadeService(manager, settings)`, `await service.start()` ... `await service.stop()`.

    The streams belong to the caller, who stops them after this.
    """

    def __init__(self, streams: Streams, settings: CascadeSettings, *, random: Random | None = None) -> None:
        self._streams = streams
        self._settings = settings
        self._random = random or Random()  # noqa: S311 (jitter)
        self._watches = SessionWatches(streams)
        self._sources: dict[str, Link] = {}
        self._added: set[str] = set()
        self._wanted: set[str] = set()
        self._targets: dict[str, Targets] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._reader = log.watched(asyncio.create_task(self._follow(self._streams.bus.subscribe()), name="cascade"))
        await self._apply(self._settings)

    async def stop(self) -> None:
        """Every session on other servers is deleted, or its server did not answer in time."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        await asyncio.gather(
            *(link.stop() for link in self._sources.values()),
            *(targets.stop() for targets in self._targets.values()),
            *self._ending,
        )

    async def reconfigure(self, settings: CascadeSettings) -> None:
        """After the streams were reconfigured. What has not changed keeps its sessions."""
        await self._apply(settings)

    # The API (http.keys.Cascade)

    async def cascade(
        self, stream: str, *, source_url: str | None, target_url: str | None, authorization: str | None
    ) -> None:
        """One session, made once; it ends with its DELETE. Raises what `pull` and `push` of the streams raise."""
        if source_url is not None:
            await self._streams.pull(stream, Endpoint.parse(source_url, token=authorization))
        elif target_url is not None:
            await self._streams.push(stream, Endpoint.parse(target_url, token=authorization))

    def sources(self) -> list[SourceView]:
        return [_view(link) for link in self._sources.values()]

    def source(self, stream: str) -> SourceView:
        """Raises NotFound."""
        return _view(self._require_source(stream))

    async def add_source(self, stream: str, url: str) -> SourceView:
        """A source until it or its stream is deleted. Raises why the first attempt failed: then there is none."""
        if stream in self._settings.streams:
            raise Conflict(f"stream '{stream}' is declared in the config file")
        if stream in self._sources:
            raise Conflict(f"stream '{stream}' has a source")
        link = self._sources[stream] = self._source(stream, (Endpoint.parse(url),))
        self._added.add(stream)
        try:
            await link.first()
        except BaseException:
            if stream in self._added and self._sources.get(stream) is link:  # nobody has ended it or taken it over
                self._forget(stream)
                await link.stop()
            raise
        return _view(link)

    async def remove_source(self, stream: str) -> None:
        """Raises NotFound, and Conflict for one of the configuration."""
        self._require_source(stream)
        if stream not in self._added:
            raise Conflict(f"the source of stream '{stream}' is declared in the config file")
        await self._forget(stream).stop()

    # What happens to the streams

    async def _follow(self, events: Subscription) -> None:
        missed = 0
        with events:
            async for event in events:
                self._watches.tell(event)
                self._on(event)
                if events.missed != missed:
                    missed = events.missed
                    self._watches.look()
                    for stream, targets in self._targets.items():
                        self._follow_publisher(stream, targets)

    def _on(self, event: StreamEvent) -> None:
        match event:
            case SourceWanted(stream=stream):
                self._wanted.add(stream)  # a reload may tell the streams of the source before it tells us
                if stream in self._sources:
                    self._sources[stream].start()
            case SourceUnwanted(stream=stream):
                self._wanted.discard(stream)
                if stream in self._sources:
                    self._sources[stream].end()
            case PublishStarted(stream=stream) if stream in self._targets:
                self._targets[stream].publisher_came()
            case PublishStopped(stream=stream, reason=reason) if stream in self._targets:
                self._targets[stream].publisher_left(reason)
            case StreamDeleted(stream=stream, reason="api-deleted" | "subscribe-leave-timeout"):
                if stream in self._added:
                    self._later(self._forget(stream).stop())

    def _follow_publisher(self, stream: str, targets: Targets) -> None:
        """Without an event that says it."""
        published = self._is_published(stream)
        if published and not targets.published:
            targets.publisher_came()
        elif targets.published and not published:
            targets.publisher_left(None)

    def _is_published(self, stream: str) -> bool:
        try:
            publishers = self._streams.stream(stream).publish.sessions
        except NotFound:
            return False
        return any(session.state in {"connected", "disconnected"} and not session.relay for session in publishers)

    # What is kept up

    async def _apply(self, settings: CascadeSettings) -> None:
        previous, self._settings = self._settings, settings
        for stream in {**previous.streams, **settings.streams}:
            wanted = settings.streams.get(stream, _NOTHING)
            await self._apply_sources(stream, wanted)
            await self._apply_targets(stream, wanted)

    async def _apply_sources(self, stream: str, wanted: StreamCascade) -> None:
        link = self._sources.get(stream)
        if not wanted.on_demand:
            self._wanted.discard(stream)
        elif link is not None and link.state == "Connected":
            self._wanted.add(stream)  # until the streams say otherwise
        if link is None or link.endpoints != wanted.sources:
            if link is not None:
                await self._forget(stream).stop()
            if not wanted.sources:
                return
            link = self._sources[stream] = self._source(stream, wanted.sources)
        self._added.discard(stream)
        if not wanted.on_demand or stream in self._wanted:
            link.start()
        else:
            link.end()

    async def _apply_targets(self, stream: str, wanted: StreamCascade) -> None:
        targets = self._targets.get(stream)
        if targets is None:
            if not wanted.targets:
                return
            targets = self._targets[stream] = Targets(lambda endpoint: self._target(stream, endpoint))
            self._follow_publisher(stream, targets)
        await targets.set(wanted.targets)
        if not wanted.targets:
            await self._targets.pop(stream).stop()

    def _source(self, stream: str, endpoints: tuple[Endpoint, ...]) -> Link:
        return Link(
            stream,
            endpoints,
            connect=self._streams.pull,
            disconnect=self._streams.stop_pull,
            watches=self._watches,
            random=self._random,
            silence_ends=True,
            failed=lambda detail: self._streams.source_failed(stream, detail),
        )

    def _target(self, stream: str, endpoint: Endpoint) -> Link:
        return Link(
            stream,
            (endpoint,),
            connect=self._streams.push,
            disconnect=self._close_push,
            watches=self._watches,
            random=self._random,
            # The goodbye of a push would send away the viewers of a server that may only have been out of reach.
            silence_ends=False,
        )

    async def _close_push(self, stream: str, session: str, *, lost: bool) -> None:  # noqa: ARG002 (it never is)
        await self._streams.close_session(stream, session)

    def _require_source(self, stream: str) -> Link:
        if stream not in self._sources:
            raise NotFound("Source not found")
        return self._sources[stream]

    def _forget(self, stream: str) -> Link:
        """Stopping it is the caller's."""
        self._added.discard(stream)
        return self._sources.pop(stream)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        """Where events must not wait for it; `stop` does."""
        task = asyncio.create_task(work, name="cascade ends")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _view(link: Link) -> SourceView:
    return SourceView(id=link.stream, stream_id=link.stream, source_type="whep", state=link.state)
