"""Streams in memory, as HTTP sees them: the refusals of `StreamManager` and no media."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from live777py.errors import BadRequest, Conflict, NotFound, Unprocessable, UnsupportedMediaType
from live777py.rtc.etags import check_match
from live777py.rtc.server import Restarted
from live777py.streams.bus import EventBus
from live777py.streams.clients import Answer, Client, CounterOffer
from live777py.streams.events import StatsSampled
from live777py.streams.layers import AUTOMATIC, Layer
from live777py.streams.strategy import Strategy
from live777py.streams.views import (
    CodecView,
    Counts,
    LayerView,
    PubSubView,
    SessionState,
    SessionView,
    StatsView,
    StreamStatsView,
    StreamView,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from live777py.rtc.parameters import Kind
    from live777py.streams.events import StreamEvent
    from live777py.streams.layers import LayerChoice

CREATED_AT = 1_700_000_000_000
NO_STATS = StatsView(bytes=0, packets=0, bitrate=0)


@dataclass
class FakeStream:
    name: str
    provisioned: bool = False
    publisher: str | None = None
    viewers: dict[str, SessionState] = field(default_factory=dict)


class FakeStreams:
    """`offers`, `clients`, `fragments`, `muted` and `selected` are what came in. `failure` is raised by every POST.

    `counter_offers` are the answers to those, `near` says which fragments came over loopback.

    `encodings` are the publisher's layers, `video` is the index of a viewer's video section, and `listed` how often all
    views were read. `marks` are members of the views of sessions.
    """

    def __init__(self, provisioned: Sequence[str] = (), *, auto_create: bool = True) -> None:
        self.offers: list[str] = []
        self.clients: list[Client] = []
        self.fragments: list[tuple[str, str, str]] = []
        self.failure: Exception | None = None
        self.description = "v=0\r\na=sendonly\r\n"
        self.near: list[bool] = []
        self.counter_offers: dict[tuple[str, str], str | None] = {}
        self.muted: list[tuple[str, str, bool]] = []
        self.encodings: list[LayerView] = []
        self._layers: tuple[Layer, ...] = ()
        self.video: int | None = 1
        self.selected: dict[str, LayerChoice] = {}
        self.marks: dict[str, dict[str, Any]] = {}
        self.global_strategy = Strategy()
        self.bus = EventBus()
        self.version = 0
        self.listed = 0
        self._auto_create = auto_create
        self._streams = {name: FakeStream(name, provisioned=True) for name in provisioned}

    async def publish(self, stream: str, offer: str, *, client: Client) -> Answer:
        self._accept(offer, client)
        entry = self._get_or_create(stream)
        if entry.publisher is not None:
            raise Conflict("the stream has a publisher")
        entry.publisher = str(uuid.uuid4())
        return Answer(session=entry.publisher, sdp="v=0\r\na=recvonly\r\n", etag=f'"{entry.publisher[:8]}"')

    async def play(
        self, stream: str, offer: str | None, *, client: Client, wants_offer: bool = False
    ) -> Answer | CounterOffer:
        self._accept("v=0" if offer is None else offer, client)
        session = str(uuid.uuid4())
        if wants_offer:
            self.counter_offers[stream, session] = None
            return CounterOffer(session=session, sdp="v=0\r\na=sendonly\r\n", etag=f'"{session[:8]}"')
        self._get_or_create(stream).viewers[session] = "connected"
        return Answer(session=session, sdp=self.description, etag=f'"{session[:8]}"')

    async def answer(self, stream: str, session: str, answer: str, *, client: Client) -> None:
        if (stream, session) not in self.counter_offers:
            self._session(stream, session)
            raise UnsupportedMediaType("fragments only")
        if "malformed" in answer:
            raise BadRequest("not an answer")
        self.clients.append(client)
        self.counter_offers[stream, session] = answer
        self._get_or_create(stream).viewers[session] = "connected"

    async def patch_ice(
        self, stream: str, session: str, fragment: str, *, if_match: str | None, strict: bool, loopback: bool
    ) -> Restarted | None:
        self._session(stream, session)
        if "malformed" in fragment:
            raise BadRequest("not a fragment")
        check_match(if_match, f'"{session[:8]}"', strict=strict)
        self.fragments.append((stream, session, fragment))
        self.near.append(loopback)
        if "a=ice-ufrag:new" in fragment:
            return Restarted(fragment="a=ice-ufrag:ours\r\n", etag='"restarted"')
        return None

    async def close_session(self, stream: str, session: str) -> None:
        entry = self._session(stream, session)
        if entry.publisher == session:
            del self._streams[stream]
        else:
            del entry.viewers[session]

    async def mute(self, stream: str, session: str, kind: Kind, enabled: bool) -> None:
        self._session(stream, session)
        self.muted.append((session, kind, enabled))

    def layers(self, stream: str, session: str) -> list[LayerView]:
        self._session(stream, session)
        if not self.encodings:
            raise Conflict("not layers")
        chosen = self.selected.get(session, AUTOMATIC).rid or self.encodings[0].encoding_id
        return [msgspec.structs.replace(layer, selected=layer.encoding_id == chosen) for layer in self.encodings]

    def published_layers(self, stream: str, session: str) -> tuple[Layer, ...]:
        self._session(stream, session)
        layers = tuple(
            Layer(rid=view.encoding_id, width=view.width, height=view.height, bitrate=view.bitrate)
            for view in self.encodings
        )
        if layers != self._layers:
            self._layers = layers
        return self._layers

    def video_section(self, stream: str, session: str) -> int | None:
        self._session(stream, session)
        return self.video

    async def select_layer(self, stream: str, session: str, choice: LayerChoice) -> None:
        layers = self.layers(stream, session)
        if choice.rid is not None and all(layer.encoding_id != choice.rid for layer in layers):
            raise Unprocessable("no such layer")
        self.selected[session] = choice

    def create(self, stream: str) -> None:
        if stream in self._streams:
            raise Conflict("the stream exists")
        self._streams[stream] = FakeStream(stream)

    async def delete(self, stream: str) -> None:
        if self._stream(stream).provisioned:
            raise Conflict("the stream is declared in the configuration file")
        del self._streams[stream]

    def strategy(self) -> Strategy:
        return self.global_strategy

    def changed(self, event: StreamEvent | None = None) -> None:
        """A view may have changed, and readers of the bus are told."""
        self.version += 1
        self.bus.publish(event or StatsSampled())

    def offered_sessions(self) -> list[str]:
        return [session for _, session in self.counter_offers]

    def streams(self) -> list[StreamView]:
        self.listed += 1
        return [_view(entry, self.marks) for entry in self._streams.values()]

    def stream(self, name: str) -> StreamView:
        return _view(self._stream(name), self.marks)

    def viewers(self, stream: str) -> list[str]:
        return list(self._streams[stream].viewers)

    def publishers(self, stream: str) -> list[str]:
        entry = self._streams.get(stream)
        return [] if entry is None or entry.publisher is None else [entry.publisher]

    def counts(self) -> Counts:
        entries = self._streams.values()
        return Counts(
            streams=len(entries),
            publishers=sum(entry.publisher is not None for entry in entries),
            subscribers=sum(len(entry.viewers) for entry in entries),
            reforwards=0,
            rtp_bytes_in=1200,
            rtp_bytes_out=2400,
            data_messages_sent=7,
            data_messages_lost=1,
        )

    def end(self, stream: str, session: str) -> None:
        """The viewer vanished."""
        self._streams[stream].viewers[session] = "closed"

    def lose_publisher(self, stream: str, session: str) -> None:
        """It vanished, and the viewers stay."""
        assert self._streams[stream].publisher == session
        self._streams[stream].publisher = None

    def _accept(self, offer: str, client: Client) -> None:
        if self.failure is not None:
            raise self.failure
        if not offer.startswith("v=0"):
            raise BadRequest("the offer is not SDP")
        self.offers.append(offer)
        self.clients.append(client)

    def _get_or_create(self, name: str) -> FakeStream:
        if name not in self._streams and self._auto_create:
            self._streams[name] = FakeStream(name)
        return self._stream(name)

    def _stream(self, name: str) -> FakeStream:
        if name not in self._streams:
            raise NotFound("no such stream")
        return self._streams[name]

    def _session(self, stream: str, session: str) -> FakeStream:
        entry = self._stream(stream)
        if session != entry.publisher and entry.viewers.get(session) in {None, "closed"}:
            raise NotFound("no such session")
        return entry


def _view(entry: FakeStream, marks: Mapping[str, Mapping[str, Any]]) -> StreamView:
    publishers = {} if entry.publisher is None else {entry.publisher: "connected"}
    return StreamView(
        id=entry.name,
        created_at=CREATED_AT,
        publish=PubSubView(leave_at=0, sessions=tuple(_session_view(name, "connected") for name in publishers)),
        subscribe=PubSubView(
            leave_at=0 if entry.viewers else CREATED_AT,
            sessions=tuple(
                msgspec.structs.replace(_session_view(name, state), **marks.get(name, {}))
                for name, state in entry.viewers.items()
            ),
        ),
        codecs=(CodecView(kind="video", codec="h264", fmtp="packetization-mode=1"),),
        provisioned=entry.provisioned,
        on_demand=False,
        stats=StreamStatsView(publish=NO_STATS, subscribe=NO_STATS),
        stats_scope="node",
    )


def _session_view(name: str, state: SessionState) -> SessionView:
    return SessionView(
        id=name, created_at=CREATED_AT, leave_at=0, state=state, cascade=None, has_data_channel=False, stats=NO_STATS
    )
