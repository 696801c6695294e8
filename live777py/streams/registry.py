"""All streams and the sessions that live: they join here, leave here, and what follows from it is done here."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from live777py import log
from live777py.errors import NotFound, Unavailable
from live777py.rtc.negotiation import CodecPolicy
from live777py.streams import flow
from live777py.streams.bus import EventBus
from live777py.streams.channels import ChannelHub, ChannelTotals
from live777py.streams.clock import Clock
from live777py.streams.counter_offers import CounterOffers
from live777py.streams.events import (
    PublishStarted,
    PublishStopped,
    SessionStateChanged,
    SourceUnwanted,
    SourceWanted,
    StreamCreated,
    StreamDeleted,
    SubscriberJoined,
    SubscriberLeft,
)
from live777py.streams.layers import LayerMeters
from live777py.streams.lifecycle import Admit, Close, Delete, Refuse, UnwantSource, Wait, WantSource
from live777py.streams.live import LiveSession
from live777py.streams.stream import Stream
from live777py.streams.udp_bridge import UdpBridges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from live777py.media.engine import MediaEngine
    from live777py.rtc.peer import EndReason, Peer, PeerState
    from live777py.streams.events import DeleteReason, LeaveReason, StreamEvent
    from live777py.streams.lifecycle import Action
    from live777py.streams.session import Session
    from live777py.streams.settings import ProvisionedStream, StreamSettings
    from live777py.streams.strategy import Strategy
    from live777py.streams.views import SessionState

_Peer = TypeVar("_Peer", bound="Peer")

_logger = logging.getLogger(__name__)


class Registry:
    """Executes the actions of the streams' lifecycles. `version` grows whenever a view may have changed."""

    def __init__(self, engine: MediaEngine, settings: StreamSettings) -> None:
        self.engine = engine
        self.settings = settings
        self.codecs = CodecPolicy(video=settings.video_codecs, audio=settings.audio_codecs)
        self.bus = EventBus()
        self.clock = Clock()
        self.streams: dict[str, Stream] = {}
        self.sessions: dict[tuple[str, str], LiveSession] = {}
        """By the names of stream and session."""
        self.counter_offers = CounterOffers()
        self.running = False
        self.version = 0
        self.left = 0
        """How many sessions have left."""
        self._moved: dict[tuple[str, str], LiveSession] = {}
        """Sessions by the names of streams that they were moved away from."""
        self._timers: dict[Stream, asyncio.TimerHandle] = {}
        self.channel_totals = ChannelTotals()
        self._bridges = UdpBridges(self._heard_udp)

    def require_running(self) -> None:
        """Raises `Unavailable`."""
        if not self.running:
            raise Unavailable("the gateway is shutting down", retry_after=5)

    # Streams

    def find(self, name: str, *, creatable: bool) -> Stream | None:
        """None where the next client may create it. Raises `NotFound` where it may not."""
        stream = self.streams.get(name)
        if stream is None and not creatable:
            raise NotFound("stream not exists")
        return stream

    def reconfigure(self, settings: StreamSettings) -> None:
        """Streams and strategies at once, codecs for the sessions to come. Nobody is closed.

        Raises `StartError`, and changes nothing, where a UDP port cannot be had.
        """
        self._bridges.reconfigure(
            {name: stream.channel for name, stream in settings.provisioned.items() if stream.channel is not None}
        )
        self.settings = settings
        self.codecs = CodecPolicy(video=settings.video_codecs, audio=settings.audio_codecs)
        for stream in self.streams.values():
            strategy, provisioned = self._rules(stream.name)
            stream.channels.bridge = self._bridges.get(stream.name)
            self.run(stream, stream.life.reconfigure(strategy, provisioned, self.clock.now()))
        for name in settings.provisioned:
            if name not in self.streams:
                self.add_stream(name)
        self.version += 1

    def require_stream(self, name: str) -> Stream:
        """Raises `NotFound`."""
        stream = self.streams.get(name)
        if stream is None:
            raise NotFound("resource not exists")
        return stream

    def add_stream(self, name: str) -> Stream:
        strategy, provisioned = self._rules(name)
        stream = Stream(name, strategy, self.clock.now(), provisioned, channels=ChannelHub(self.channel_totals))
        stream.channels.bridge = self._bridges.get(name)
        self.streams[name] = stream
        self.tell(StreamCreated(stream=name))
        return stream

    def forget_unused(self, stream: Stream) -> None:
        """After the request that made it has failed."""
        self._delete(stream, "refused")

    def forget_orphan(self, stream: Stream) -> None:
        """Unless somebody is there."""
        self._delete(stream, "orphaned")

    # Sessions

    def require_session(self, stream: str, session: str) -> LiveSession:
        """Raises `NotFound`."""
        live = self.sessions.get((stream, session)) or self._moved.get((stream, session))
        if live is None:
            raise NotFound("session not exists" if stream in self.streams else "stream not exists")
        return live

    def is_live(self, live: LiveSession) -> bool:
        return self.sessions.get((live.stream.name, live.session.id)) is live

    def publisher(self, stream: Stream) -> LiveSession | None:
        publisher = stream.life.publisher
        return None if publisher is None else self.sessions[stream.name, publisher.id]

    def publishers(self, name: str) -> list[str]:
        """Sessions: the one that publishes the stream, and those that were moved away from it and still publish."""
        stream = self.streams.get(name)
        present = None if stream is None else stream.life.publisher
        moved = [
            session
            for (former, session), live in self._moved.items()
            if former == name and live.session.role == "publish" and live.session is not present
        ]
        return [*([] if present is None else [present.id]), *moved]

    def viewers(self, stream: Stream) -> list[LiveSession]:
        return [self.sessions[stream.name, viewer] for viewer in stream.life.viewers]

    def listeners(self, publisher: LiveSession) -> list[LiveSession]:
        """All who may get something of it: viewers of its stream, of its copies, and those who chose its tracks."""
        return [viewer for one in publisher.with_copies() for viewer in (*self.viewers(one.stream), *one.followers)]

    def sources(self, stream: Stream) -> frozenset[str]:
        """The marks of the streams that it is known to come from, without its own."""
        return frozenset() if stream.life.publisher is None else stream.life.publisher.marks

    def sinks(self, stream: Stream) -> frozenset[str]:
        """The marks of the streams that it is known to lead to, without its own."""
        return frozenset().union(*(viewer.marks for viewer in stream.life.viewers.values()))

    def join(
        self, stream: Stream, session: Session, make_peer: Callable[[LiveSession], _Peer]
    ) -> tuple[LiveSession, _Peer]:
        """Take the slot that the stream's lifecycle has just found free. Raises `Unavailable` at the very end."""
        self.require_running()
        peers: list[_Peer] = []

        def make(live: LiveSession) -> Peer:
            peers.append(make_peer(live))
            return peers[0]

        live = LiveSession(self, stream, session, make)
        self.sessions[stream.name, session.id] = live
        self.tell(SessionStateChanged(stream=stream.name, session=session.id, state="new"))
        if session.role == "publish":
            stream.life.publisher_joins(session)
        else:
            self.run(stream, stream.life.viewer_joins(session, self.clock.now()))
        return live, peers[0]

    def leave(self, live: LiveSession, reason: LeaveReason) -> None:
        """The end of every session; a second call does nothing."""
        if not self.is_live(live):
            return
        stream, session = live.stream, live.session
        del self.sessions[stream.name, session.id]
        live.close()
        self.left += 1
        self.enter(live, "closed")
        if session.role == "publish":
            for viewer in self.viewers(stream):
                flow.disconnect(self.engine, live, viewer)
        actions = stream.leave(session, self.clock.now(), listed=reason != "refused")
        self._untie(live)
        log.bind(_logger, stream=stream.name, session=session.id).info("left: %s", reason)
        if live.announced:
            left = PublishStopped if session.role == "publish" else SubscriberLeft
            self.tell(left(stream=stream.name, session=session.id, reason=reason))
        self.run(stream, actions)

    def move(self, live: LiveSession, name: str) -> None:
        """The session goes on under the stream `name`, which is made if it is not there. Raises `Conflict`.

        It is still found under the names that it had before.
        """
        before, session, now = live.stream, live.session, self.clock.now()
        target = self.streams.get(name) or self.add_stream(name)
        if session.role == "publish":
            self.run(target, target.life.publisher_comes())
        elif len(target.life.viewers) >= target.life.strategy.each_stream_max_sub:
            raise Unavailable("the stream has as many viewers as it may have", retry_after=1)
        self._take_out(live)
        actions = before.leave(session, now, listed=False)
        if live.announced:
            left = PublishStopped if session.role == "publish" else SubscriberLeft
            self.tell(left(stream=before.name, session=session.id, reason="moved"))
        live.stream = target
        live.former_streams = (*live.former_streams, before.name)
        self.sessions[name, session.id] = live
        for former in live.former_streams:
            self._moved[former, session.id] = live
        if session.has_data_channel:
            target.channels.join(live)
        if session.role == "publish":
            target.life.publisher_joins(session)
            self.publishes(live)
        else:
            self.run(target, target.life.viewer_joins(session, now))
            publisher = self.publisher(target)
            if publisher is not None:
                self.connect(publisher, live)
            if live.announced:
                self.tell(SubscriberJoined(stream=name, session=session.id))
        self.run(before, actions)

    def copy(self, origin: LiveSession, live: LiveSession) -> None:
        """`live` was made to show the tracks of `origin` under the name of its stream: it is a publisher now."""
        live.origin = origin
        origin.copies.append(live)
        self.enter(live, "connecting")
        self.enter(live, "connected")
        self.publishes(live)
        live.layers, live.sizes = origin.layers, origin.sizes

    async def close(self, sessions: Iterable[LiveSession], reason: LeaveReason) -> None:
        closing = list(sessions)
        for live in closing:
            self.leave(live, reason)
        await wait_closed(closing)

    def publishes(self, live: LiveSession) -> None:
        """The publisher's tracks are in the engine: whoever waits gets them."""
        live.layers = live.layers or LayerMeters.of(live)
        live.stream.published = tuple(media for media, _ in live.peer.tracks)
        self.version += 1
        for viewer in self.viewers(live.stream):
            self.connect(live, viewer)
        if live.session.established:
            self._arrive(live)

    def connect(self, publisher: LiveSession, viewer: LiveSession) -> bool:
        """Let flow what can; False if the viewer offered nothing that fits a kind that the publisher sends."""
        return flow.connect(self.engine, publisher, viewer)

    # What follows

    def run(self, stream: Stream, actions: Iterable[Action]) -> list[LiveSession]:
        """Returns the sessions that were closed."""
        closed = []
        for action in actions:
            match action:
                case Close(session, reason):
                    live = self.sessions[stream.name, session.id]
                    closed.append(live)
                    self.leave(live, reason)
                case Delete(reason):
                    self._delete(stream, reason)
                case WantSource():
                    self._log_source(stream)
                    self.tell(SourceWanted(stream=stream.name))
                case UnwantSource():
                    self._log_source(stream)
                    self.tell(SourceUnwanted(stream=stream.name))
                case Admit():
                    stream.waiting_room.settle(None)
                case Refuse():
                    stream.waiting_room.settle(action)
                case Wait():
                    pass
        self._set_timer(stream)
        return closed

    def tell(self, event: StreamEvent) -> None:
        self.version += 1
        self.bus.publish(event)

    def tick(self, stream: Stream) -> None:
        """What time alone makes happen."""
        now = self.clock.now()
        if stream.expire_listed(now):
            self.version += 1
        actions = stream.life.tick(now)
        if actions:
            self.run(stream, actions)

    async def stop(self) -> None:
        """Nobody comes any more; who waits is refused, who is there is closed."""
        self.running = False
        for stream in self.streams.values():
            stream.waiting_room.settle(Refuse("the gateway is shutting down"))
        await self.close(tuple(self.sessions.values()), "shutdown")
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self.counter_offers.clear()
        self._bridges.reconfigure({})
        self.bus.close()

    # What the peers tell (streams.live.LiveSessionOwner)

    def session_changed(self, live: LiveSession, state: PeerState) -> None:
        first = state == "connected" and not live.session.established
        self.enter(live, state)
        if first and live.session.role == "subscribe":
            self._announce(live, SubscriberJoined(stream=live.stream.name, session=live.session.id))
            self.run(live.stream, live.stream.life.viewer_connects(live.session))
        elif first and live.stream.published is not None:
            self._arrive(live)

    def session_ended(self, live: LiveSession, reason: EndReason) -> None:
        self.leave(live, reason)

    def enter(self, live: LiveSession, state: SessionState) -> None:
        live.session.enter(state, self.clock.now())
        self.tell(SessionStateChanged(stream=live.stream.name, session=live.session.id, state=state))

    def _arrive(self, publisher: LiveSession) -> None:
        """It is connected, and what it sends is known: only now do viewers go who cannot play that."""
        stream, session = publisher.stream, publisher.session
        self._announce(publisher, PublishStarted(stream=stream.name, session=session.id))
        unfit = [viewer.session for viewer in self.viewers(stream) if not flow.fits(publisher, viewer)]
        self.run(stream, stream.life.publisher_arrives(self.clock.now(), unfit))

    def _announce(self, live: LiveSession, event: PublishStarted | SubscriberJoined) -> None:
        """What is published at another node is recorded, pushed and told of there."""
        if not live.session.relay:
            live.announced = True
            self.tell(event)

    def _untie(self, live: LiveSession) -> None:
        """From sessions of other streams."""
        for former in live.former_streams:
            self._moved.pop((former, live.session.id), None)
        for choice in live.chosen.values():
            if choice is not None:
                choice.publisher.followers.discard(live)
        for copy in tuple(live.copies):
            self.leave(copy, "source-removed")
        if live.origin is not None:
            live.origin.copies.remove(live)
            for viewer in self.viewers(live.stream):
                flow.detach(self.engine, viewer, ("audio", "video"))
        self._drop_followers(live)

    def _drop_followers(self, publisher: LiveSession) -> None:
        """Who chose its tracks gets those of the own stream again."""
        for follower in tuple(publisher.followers):
            for kind, choice in follower.chosen.items():
                if choice is not None and choice.publisher is publisher:
                    flow.unchoose(self.engine, self.publisher(follower.stream), follower, kind)

    def _take_out(self, live: LiveSession) -> None:
        """Of its stream, while it goes on: nothing of it flows there, and nothing of the stream to it."""
        stream, session = live.stream, live.session
        stream.channels.leave(live)
        if session.role == "publish":
            for viewer in self.viewers(stream):
                flow.detach(self.engine, viewer, ("audio", "video"))
                flow.disconnect(self.engine, live, viewer)
            self._drop_followers(live)
        else:
            for kind in tuple(live.chosen):
                flow.unchoose(self.engine, None, live, kind)
            flow.detach(self.engine, live, ("audio", "video"))
            flow.pause(self.engine, None, live, ("audio", "video"))
        del self.sessions[stream.name, session.id]

    def _log_source(self, stream: Stream) -> None:
        log.bind(_logger, stream=stream.name).info("on-demand source: %s", stream.life.phase)

    def _heard_udp(self, stream: str, datagram: bytes) -> None:
        self.streams[stream].channels.heard_bridge(datagram)

    def _rules(self, name: str) -> tuple[Strategy, ProvisionedStream | None]:
        provisioned = self.settings.provisioned.get(name)
        return (self.settings.strategy if provisioned is None else provisioned.strategy), provisioned

    def _delete(self, stream: Stream, reason: DeleteReason) -> None:
        """Forget an empty stream, unless somebody came or it is gone; one of the configuration begins anew."""
        if self.streams.get(stream.name) is not stream or stream.life.sessions:
            return
        del self.streams[stream.name]
        self.tell(StreamDeleted(stream=stream.name, reason=reason))
        if stream.life.provisioned is not None:
            self.add_stream(stream.name)

    def _set_timer(self, stream: Stream) -> None:
        """The times of on-demand sources are kept to the millisecond; everything else waits for the next look."""
        timer = self._timers.pop(stream, None)
        if timer is not None:
            timer.cancel()
        due = stream.life.due
        if due is not None:
            self._timers[stream] = self.clock.call_at(due, self._on_time, stream)

    def _on_time(self, stream: Stream) -> None:
        self._timers.pop(stream, None)
        self.tick(stream)
        self._set_timer(stream)


async def wait_closed(sessions: Iterable[LiveSession]) -> None:
    """Until the other ends have been told."""
    await asyncio.gather(*(live.peer.wait_closed() for live in sessions))
