"""The asyncio owner of all streams: it changes them, tells the engine, and publishes what happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from live777py.streams.bus import EventBus
from live777py.streams.strategy import Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from live777py.streams.views import Counts, StreamView


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
    """Usage: `manager = StreamManager(engine, settings)`, `await manager.start()` ... `await manager.stop()`."""

    bus: EventBus

    async def start(self) -> None: ...

    async def publish(self, stream: str, offer: str, *, client: Client) -> Answer: ...

    async def play(self, stream: str, offer: str, *, client: Client) -> Answer: ...

    async def trickle(self, stream: str, session: str, fragment: str) -> None: ...

    async def close_session(self, stream: str, session: str) -> None: ...

    def create(self, stream: str) -> None: ...

    async def delete(self, stream: str) -> None: ...

    def streams(self) -> list[StreamView]: ...

    def stream(self, name: str) -> StreamView: ...

    def counts(self) -> Counts: ...

    async def stop(self) -> None: ...
