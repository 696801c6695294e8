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

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from live777py.config import Config
    from live777py.media.native import Stats
    from live777py.streams.manager import Answer, Client
    from live777py.streams.views import Counts, StreamView


class Streams(Protocol):
    """The streams as the handlers use them; implemented by `streams.manager.StreamManager`."""

    async def publish(self, stream: str, offer: str, *, client: Client) -> Answer: ...
    async def play(self, stream: str, offer: str, *, client: Client) -> Answer: ...
    async def trickle(self, stream: str, session: str, fragment: str) -> None: ...
    async def close_session(self, stream: str, session: str) -> None: ...
    def create(self, stream: str) -> None: ...
    async def delete(self, stream: str) -> None: ...
    def streams(self) -> list[StreamView]: ...
    def stream(self, name: str) -> StreamView: ...
    def counts(self) -> Counts: ...


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
ENGINE_STATS: Final[web.AppKey[Callable[[], Awaitable[Stats]]]] = web.AppKey("engine_stats")
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
