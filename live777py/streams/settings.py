"""What the configuration says about streams, as the streams read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from live777py.streams.strategy import Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping


SocketAddress = tuple[str, int]
"""An IP address without brackets, and a port."""


@dataclass(frozen=True, kw_only=True)
class UdpChannel:
    """Datagrams to `listen` go to data channels, what data channels say goes to `target`."""

    listen: SocketAddress
    target: SocketAddress


@dataclass(frozen=True, kw_only=True)
class ProvisionedStream:
    """A stream of the configuration file. `on_demand` means nothing without a source."""

    strategy: Strategy = field(default_factory=Strategy)
    on_demand: bool = False
    on_demand_close_after_ms: int = 10_000
    on_demand_start_timeout_ms: int = 10_000
    has_source: bool = False
    channel: UdpChannel | None = None


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """The strategy of a provisioned stream replaces the global one."""

    strategy: Strategy = field(default_factory=Strategy)
    provisioned: Mapping[str, ProvisionedStream] = field(default_factory=dict)
    video_codecs: tuple[str, ...] = ()
    audio_codecs: tuple[str, ...] = ()
    ice_lite: bool = True
