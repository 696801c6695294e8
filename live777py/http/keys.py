"""What handlers find in the application and in the request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from aiohttp import web

from live777py.http.auth import Authenticator, Principal, SessionOwners
from live777py.http.client import ClientAddress, ClientResolver
from live777py.http.limits import RateLimiter
from live777py.metrics import Metrics
from live777py.recorder.index import RecordingIndex
from live777py.recorder.parts import Counts as RecorderCounts
from live777py.recorder.thumbnails import Thumbnails

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from live777py.config import Config
    from live777py.media.native import Stats
    from live777py.recorder.live import LiveSegments
    from live777py.rtc.parameters import Kind
    from live777py.rtc.server import Restarted
    from live777py.storage import Storage, StoragePath
    from live777py.streams.bus import EventBus
    from live777py.streams.clients import Answer, Client, CounterOffer
    from live777py.streams.layers import Layer, LayerChoice
    from live777py.streams.strategy import Strategy
    from live777py.streams.views import Counts, LayerView, SourceView, StreamView


class Streams(Protocol):
    """The streams as the handlers use them; implemented by `streams.manager.StreamManager`."""

    async def publish(self, stream: str, offer: str, *, client: Client) -> Answer: ...
    async def play(
        self, stream: str, offer: str | None, *, client: Client, wants_offer: bool = False
    ) -> Answer | CounterOffer: ...
    async def answer(self, stream: str, session: str, answer: str, *, client: Client) -> None:
        """To a `CounterOffer`."""

    def offered_sessions(self) -> Iterable[str]:
        """Those that wait for it."""

    async def patch_ice(
        self, stream: str, session: str, fragment: str, *, if_match: str | None, strict: bool, loopback: bool
    ) -> Restarted | None:
        """Candidates, or an ICE restart."""

    async def close_session(self, stream: str, session: str) -> None: ...
    def create(self, stream: str) -> None: ...
    async def delete(self, stream: str) -> None: ...
    async def mute(self, stream: str, session: str, kind: Kind, enabled: bool) -> None:
        """Of a viewer: what it gets; of the publisher: what everybody gets. `enabled` is False to mute."""

    def layers(self, stream: str, session: str) -> list[LayerView]:
        """Best first. Raises Conflict while the publisher does not send several encodings."""

    def published_layers(self, stream: str, session: str) -> tuple[Layer, ...]:
        """In full, best first; the same object as long as nothing noticeable changes, and empty without a choice."""

    def video_section(self, stream: str, session: str) -> int | None:
        """The index of the m-section in which a session plays video."""

    async def select_layer(self, stream: str, session: str, choice: LayerChoice) -> None:
        """Raises Conflict as `layers` does, and Unprocessable where there is no such layer."""

    def streams(self) -> list[StreamView]: ...
    def stream(self, name: str) -> StreamView: ...
    def publishers(self, stream: str) -> list[str]:
        """The session that publishes it, and those that did before they were moved to another stream."""

    def counts(self) -> Counts: ...
    def strategy(self) -> Strategy:
        """The global one."""

    @property
    def bus(self) -> EventBus: ...

    @property
    def version(self) -> int:
        """Grows whenever a view may have changed."""


class Cascade(Protocol):
    """Streams pulled from and pushed to other nodes. Errors of the others are `UpstreamError`."""

    async def cascade(
        self, stream: str, *, source_url: str | None, target_url: str | None, authorization: str | None
    ) -> None:
        """One of the URLs is given; `authorization` is the value of the header. Returns when the session is made."""

    def sources(self) -> list[SourceView]: ...
    def source(self, stream: str) -> SourceView:
        """Raises NotFound."""

    async def add_source(self, stream: str, url: str) -> SourceView: ...
    async def remove_source(self, stream: str) -> None:
        """Raises NotFound, and Conflict for one of the configuration."""


class Nodes(Protocol):
    """The other nodes of the cluster. Every method may raise StoreUnavailable."""

    async def streams(self, name: str = "") -> list[StreamView]:
        """Of all nodes as one list; with a name that one alone."""

    def place_of_stream(self, stream: str) -> str | None:
        """The URL of another node that publishes it."""

    async def place_of_session(self, stream: str, session: str) -> str | None:
        """The URL of another node that has it; None if it is here, or nowhere."""

    def way_out(self, stream: str) -> str | None:
        """The WHEP endpoint at which viewers can go on when this node ends; None: at the one where they began."""

    async def token(self, stream: str) -> str:
        """What says to another node that one asks."""

    async def is_node(self, token: str, stream: str | None) -> bool:
        """Whether `token` is such a one."""


class RecordingPlace(Protocol):
    """What has begun to be recorded: `directory` is where its objects are."""

    @property
    def directory(self) -> str: ...


class Recorder(Protocol):
    """The recordings that are being made."""

    async def start(self, stream: str, base_dir: StoragePath | None) -> RecordingPlace:
        """One that is being recorded goes on. Raises Conflict without a publisher, and where the directory is taken."""

    @property
    def live(self) -> LiveSegments:
        """Segments that are being made."""

    def recording(self, stream: str) -> bool: ...
    async def stop(self, stream: str) -> None:
        """Nothing happens to a stream that is not being recorded."""


class LiveConfig:
    """The configuration as it is now; a reload replaces `current`."""

    def __init__(self, config: Config) -> None:
        self.current = config


class ReloadReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Dotted names of the keys that changed: those in effect now, and those that the next start will read."""

    applied: tuple[str, ...]
    restart_needed: tuple[str, ...]


CONFIG: Final = web.AppKey("config", LiveConfig)
RELOAD: Final[web.AppKey[Callable[[], Awaitable[ReloadReport]]]] = web.AppKey("reload")
"""Reads the configuration again. Raises Unprocessable, having changed nothing."""
STREAMS: Final[web.AppKey[Streams]] = web.AppKey("streams")
NODES: Final[web.AppKey[Nodes]] = web.AppKey("nodes")
"""Only in a cluster."""
CASCADE: Final[web.AppKey[Cascade]] = web.AppKey("cascade")
RECORDER: Final[web.AppKey[Recorder]] = web.AppKey("recorder")
RECORDINGS: Final = web.AppKey("recordings", RecordingIndex)
THUMBNAILS: Final = web.AppKey("thumbnails", Thumbnails)
STORAGE: Final[web.AppKey[Storage]] = web.AppKey("storage")
ENGINE_STATS: Final[web.AppKey[Callable[[], Awaitable[Stats]]]] = web.AppKey("engine_stats")
RECORDER_COUNTS: Final = web.AppKey("recorder_counts", RecorderCounts)
GIVEN_UP: Final[web.AppKey[Callable[[], Mapping[str, int]]]] = web.AppKey("given_up")
"""Events that those who had to be told were not told of, by what tells them."""
METRICS: Final = web.AppKey("metrics", Metrics)
AUTHENTICATOR: Final = web.AppKey("authenticator", Authenticator)
OWNERS: Final = web.AppKey("owners", SessionOwners)
RATE_LIMITER: Final = web.AppKey("rate_limiter", RateLimiter)
CLIENTS: Final = web.AppKey("clients", ClientResolver)
PAGES: Final = web.AppKey("pages", Path)

STREAM: Final = web.RequestKey("stream", str)
"""The validated name of the stream in the path."""
PRINCIPAL: Final = web.RequestKey("principal", Principal)
CLIENT: Final = web.RequestKey("client", ClientAddress)
