"""The asyncio owner of all streams: it changes them, tells the engine, and publishes what happened.

Each use case is one method, read downwards. A slot of a stream is taken before the first `await` and given back if
anything fails after it. `docs/closures.md` says who closes whom.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from live777py import log
from live777py.errors import Conflict, NotFound, Unavailable, Unprocessable
from live777py.rtc.candidates import offered_candidates
from live777py.rtc.certificate import Certificate
from live777py.rtc.memory import release_free_memory
from live777py.rtc.negotiation import CodecPolicy, plan_play, plan_publish
from live777py.rtc.sdpfrag import parse_fragment
from live777py.rtc.tracks import random_ssrc
from live777py.streams.bus import EventBus
from live777py.streams.events import (
    PublishStarted,
    PublishStopped,
    SessionStateChanged,
    StatsSampled,
    StreamCreated,
    StreamDeleted,
    SubscriberJoined,
    SubscriberLeft,
)
from live777py.streams.live import LiveSession, routes
from live777py.streams.sampler import Sampler
from live777py.streams.session import Session
from live777py.streams.strategy import Strategy
from live777py.streams.stream import Stream
from live777py.streams.views import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from live777py.media.engine import MediaEngine
    from live777py.rtc.negotiation import PlayPlan, PublishedMedia, PublishPlan
    from live777py.rtc.peer import EndReason, PeerState
    from live777py.streams.events import DeleteReason, LeaveReason
    from live777py.streams.session import Role
    from live777py.streams.views import SessionState, StreamView

_HOUSEKEEPING_SECONDS = 1.0
_RELEASE_AFTER_SESSIONS = 100
_RELEASE_AFTER_MS = 10_000

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Client:
    """Where a request came from. `loopback`: over loopback and without a proxy header."""

    loopback: bool


@dataclass(frozen=True, kw_only=True)
class Answer:
    session: str
    sdp: str


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """`provisioned` names the streams of the configuration file; their strategy replaces the global one."""

    strategy: Strategy = field(default_factory=Strategy)
    provisioned: Mapping[str, Strategy] = field(default_factory=dict)
    video_codecs: tuple[str, ...] = ()
    audio_codecs: tuple[str, ...] = ()
    ice_lite: bool = True


class StreamManager:
    """Usage: `manager = StreamManager(engine, settings)`, `await manager.start()` ... `await manager.stop()`.

    The engine belongs to the caller, who closes it after `stop`.
    """

    def __init__(self, engine: MediaEngine, settings: StreamSettings | None = None) -> None:
        self.bus = EventBus()
        self._engine = engine
        self._settings = settings or StreamSettings()
        self._codecs = CodecPolicy(video=self._settings.video_codecs, audio=self._settings.audio_codecs)
        self._certificate = Certificate.generate()
        self._streams: dict[str, Stream] = {}
        self._sessions: dict[str, LiveSession] = {}
        self._loop = asyncio.get_running_loop()
        self._unix_offset = time.time() - self._loop.time()
        self._sampler = Sampler(engine, self._sessions, self._now, self._on_sampled)
        self._housekeeper: asyncio.TimerHandle | None = None
        self._running = False
        self._closed_since_release = 0
        self._released_at = 0

    async def start(self) -> None:
        for name in self._settings.provisioned:
            self._add_stream(name)
        self._running = True
        self._sampler.start()
        self._housekeeper = self._loop.call_later(_HOUSEKEEPING_SECONDS, self._keep_house)

    async def stop(self) -> None:
        """Close every session with a DTLS close_notify, and wait until the engine has sent it."""
        self._running = False
        if self._housekeeper is not None:
            self._housekeeper.cancel()
        await self._sampler.stop()
        await self._close(tuple(self._sessions.values()), "shutdown")
        self.bus.close()

    # Use cases

    async def publish(self, stream: str, offer: str, *, client: Client) -> Answer:
        """WHIP. Raises `NotFound`, `Conflict`, `BadRequest`, `Unprocessable`, `Unavailable`."""
        self._require_running()
        known = self._streams.get(stream)
        if known is None and not self._settings.strategy.auto_create_whip:
            raise NotFound("stream not exists")
        plan = plan_publish(offer, self._codecs)
        if known is not None:
            self._require_publisher_slot(known)
        with ExitStack() as undo:
            target = known or self._add_stream(stream, undo)
            live = self._join(target, "publish", plan, published=plan.media)
            undo.callback(self._leave, live, "refused")
            await live.peer.open(publish=plan.media)
            sdp = self._answer(live, plan, client)
            for viewer in self._viewers(target):
                self._connect(live, viewer)
            undo.pop_all()
        return Answer(session=live.session.id, sdp=sdp)

    async def play(self, stream: str, offer: str, *, client: Client) -> Answer:
        """WHEP, before or after the publisher. Raises as `publish` does, without `Conflict`."""
        self._require_running()
        known = self._streams.get(stream)
        if known is None and not self._settings.strategy.auto_create_whep:
            raise NotFound("stream not exists")
        if known is not None:
            known.require_viewer_slot()
        published = known.published if known is not None and known.publisher is not None else None
        plan = plan_play(offer, self._codecs, published, new_ssrc=random_ssrc, cname=uuid.uuid4().hex)
        with ExitStack() as undo:
            target = known or self._add_stream(stream, undo)
            live = self._join(target, "subscribe", plan)
            undo.callback(self._leave, live, "refused")
            await live.peer.open(play=plan.media)
            sdp = self._answer(live, plan, client)
            publisher = self._publisher(target)
            if publisher is not None and not self._connect(publisher, live):
                raise Unprocessable("the publisher has changed to a codec that the offer does not name")
            undo.pop_all()
        return Answer(session=live.session.id, sdp=sdp)

    async def trickle(self, stream: str, session: str, fragment: str) -> None:
        """Raises `NotFound`, `BadRequest`, `Unprocessable` (an ICE restart)."""
        live = self._require_session(stream, session)
        live.peer.trickle(parse_fragment(fragment))

    async def close_session(self, stream: str, session: str) -> None:
        """What a publisher or viewer asks for by DELETE. Raises `NotFound`.

        A publisher takes its viewers and its stream along; a stream of the configuration goes back to standby. A viewer
        who was the last of a stream that nobody publishes takes the stream along too, where a client can make it anew.
        """
        live = self._require_session(stream, session)
        target = live.stream
        await self._sampler.refresh()
        if live.session.id not in self._sessions:
            return  # it has ended by itself, and who is on the stream by now is none of its business
        if live.session.role == "publish":
            await self._close((live, *self._viewers(target)), "api-deleted")
            self._delete(target, "reset" if target.provisioned else "api-deleted")
            return
        await self._close((live,), "api-deleted")
        strategy = target.strategy
        if target.empty and not target.provisioned and (strategy.auto_create_whip or strategy.auto_create_whep):
            self._delete(target, "api-deleted")

    def create(self, stream: str) -> None:
        """An empty stream. Raises `Conflict`, `Unavailable`."""
        self._require_running()
        if stream in self._settings.provisioned:
            raise Conflict(f"stream '{stream}' is declared in the config file and cannot be created through the API")
        if stream in self._streams:
            raise Conflict("resource already exists")
        self._add_stream(stream)

    async def delete(self, stream: str) -> None:
        """Close everybody and forget the stream. Raises `NotFound`, `Conflict` for one of the configuration."""
        target = self._require_stream(stream)
        if target.provisioned:
            raise Conflict(f"stream '{stream}' is declared in the config file and cannot be deleted")
        await self._close([live for live in self._sessions.values() if live.stream is target], "stream-deleted")
        self._delete(target, "api-deleted")

    # Views

    def streams(self) -> list[StreamView]:
        return [stream.view() for stream in self._streams.values()]

    def stream(self, name: str) -> StreamView:
        """Raises `NotFound`."""
        return self._require_stream(name).view()

    def counts(self) -> Counts:
        publishers = sum(stream.publisher is not None for stream in self._streams.values())
        return Counts(
            streams=len(self._streams),
            publishers=publishers,
            subscribers=len(self._sessions) - publishers,
            reforwards=0,
            rtp_bytes_in=self._sampler.bytes_in,
            rtp_bytes_out=self._sampler.bytes_out,
        )

    # What the peers tell (streams.live.LiveSessionOwner)

    def session_changed(self, live: LiveSession, state: PeerState) -> None:
        first = state == "connected" and not live.session.established
        self._enter(live, state)
        if not first:
            return
        name, session = live.stream.name, live.session.id
        if live.session.role == "subscribe":
            self.bus.publish(SubscriberJoined(stream=name, session=session))
            return
        self.bus.publish(PublishStarted(stream=name, session=session))
        for viewer in self._viewers(live.stream):
            if routes(live, viewer) is None:
                self._leave(viewer, "codec-mismatch")

    def session_ended(self, live: LiveSession, reason: EndReason) -> None:
        self._leave(live, reason)

    # Steps of the use cases

    def _now(self) -> int:
        """Unix milliseconds that never go back while the process runs."""
        return int((self._loop.time() + self._unix_offset) * 1000)

    def _require_running(self) -> None:
        if not self._running:
            raise Unavailable("the gateway is shutting down", retry_after=5)

    def _require_stream(self, name: str) -> Stream:
        stream = self._streams.get(name)
        if stream is None:
            raise NotFound("resource not exists")
        return stream

    def _require_session(self, stream: str, session: str) -> LiveSession:
        live = self._sessions.get(session)
        if live is None or live.stream.name != stream:
            raise NotFound("session not exists" if stream in self._streams else "stream not exists")
        return live

    def _require_publisher_slot(self, stream: Stream) -> None:
        """A publisher that nothing is heard of makes room for the next one, which is most likely its own return."""
        publisher = self._publisher(stream)
        if publisher is not None and publisher.session.state == "disconnected":
            self._leave(publisher, "idle-timeout")
        stream.require_publisher_slot()

    def _publisher(self, stream: Stream) -> LiveSession | None:
        return None if stream.publisher is None else self._sessions[stream.publisher.id]

    def _viewers(self, stream: Stream) -> list[LiveSession]:
        return [self._sessions[session] for session in stream.viewers]

    def _add_stream(self, name: str, undo: ExitStack | None = None) -> Stream:
        provisioned = self._settings.provisioned.get(name)
        stream = Stream(name, provisioned or self._settings.strategy, self._now(), provisioned=provisioned is not None)
        self._streams[name] = stream
        self.bus.publish(StreamCreated(stream=name))
        if undo is not None:
            undo.callback(self._forget_if_unused, stream)
        return stream

    def _forget_if_unused(self, stream: Stream) -> None:
        if stream.empty:
            self._delete(stream, "refused")

    def _join(
        self, stream: Stream, role: Role, plan: PublishPlan | PlayPlan, published: tuple[PublishedMedia, ...] = ()
    ) -> LiveSession:
        session = Session(str(uuid.uuid4()), role, self._now())
        live = LiveSession(
            self,
            stream,
            session,
            engine=self._engine,
            certificate=self._certificate,
            remote=plan.remote,
            ice_lite=self._settings.ice_lite,
        )
        stream.join(session, published)
        self._sessions[session.id] = live
        self.bus.publish(SessionStateChanged(stream=stream.name, session=session.id, state="new"))
        return live

    def _answer(self, live: LiveSession, plan: PublishPlan | PlayPlan, client: Client) -> str:
        candidates = offered_candidates(self._engine.addresses[live.peer.worker], loopback=client.loopback)
        return plan.answer(live.peer.local(candidates))

    def _connect(self, publisher: LiveSession, viewer: LiveSession) -> bool:
        """Let flow what can; False if the viewer offered nothing that fits a kind that the publisher sends."""
        found = routes(publisher, viewer)
        if found is None:
            return False
        for subscription, track, payload_types in found:
            self._engine.attach(subscription, track, payload_types)
        return True

    def _enter(self, live: LiveSession, state: SessionState) -> None:
        live.session.enter(state, self._now())
        self.bus.publish(SessionStateChanged(stream=live.stream.name, session=live.session.id, state=state))

    def _leave(self, live: LiveSession, reason: LeaveReason) -> None:
        """The end of every session; a second call does nothing. The engine detaches the viewers of a publisher."""
        if self._sessions.pop(live.session.id, None) is None:
            return
        live.close()
        self._closed_since_release += 1
        self._enter(live, "closed")
        live.stream.leave(live.session, self._now())
        log.bind(_logger, stream=live.stream.name, session=live.session.id).info("left: %s", reason)
        if live.session.established:
            left = PublishStopped if live.session.role == "publish" else SubscriberLeft
            self.bus.publish(left(stream=live.stream.name, session=live.session.id, reason=reason))

    async def _close(self, sessions: Iterable[LiveSession], reason: LeaveReason) -> None:
        closing = list(sessions)
        for live in closing:
            self._leave(live, reason)
        for live in closing:
            await live.peer.wait_closed()

    def _delete(self, stream: Stream, reason: DeleteReason) -> None:
        """Forget an empty stream, unless somebody came or it is gone; one of the configuration begins anew."""
        if self._streams.get(stream.name) is not stream or not stream.empty:
            return
        del self._streams[stream.name]
        self.bus.publish(StreamDeleted(stream=stream.name, reason=reason))
        if stream.provisioned:
            self._add_stream(stream.name)

    def _keep_house(self) -> None:
        self._housekeeper = self._loop.call_later(_HOUSEKEEPING_SECONDS, self._keep_house)
        now = self._now()
        for stream in tuple(self._streams.values()):
            stream.expire_listed(now)
            reason = stream.expiry(now)
            if reason is not None:
                for live in [live for live in self._sessions.values() if live.stream is stream]:
                    self._leave(live, "stream-deleted")
                self._delete(stream, reason)
        waited = now - self._released_at >= _RELEASE_AFTER_MS
        if self._closed_since_release >= (1 if waited else _RELEASE_AFTER_SESSIONS):
            self._closed_since_release = 0
            self._released_at = now
            release_free_memory()

    def _on_sampled(self, silent: Sequence[LiveSession], heard: Sequence[LiveSession]) -> None:
        for live in silent:
            self._enter(live, "disconnected")
        for live in heard:
            self._enter(live, "connected")
        self.bus.publish(StatsSampled())
