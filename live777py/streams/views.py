"""What the doors show of a stream: frozen values, named as Live777's JSON in snake case. Times: unix milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SessionState = Literal["new", "connecting", "connected", "disconnected", "failed", "closed"]
StatsScope = Literal["node", "clusterNodeWork"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StatsView:
    """Totals since the stream or session was made; `bitrate` in bit/s over the newest sample interval."""

    bytes: int
    packets: int
    bitrate: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CascadeView:
    source_url: str | None
    target_url: str | None
    session_url: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionView:
    id: str
    created_at: int
    leave_at: int
    """0 while the session lives."""
    state: SessionState
    cascade: CascadeView | None
    has_data_channel: bool
    stats: StatsView


@dataclass(frozen=True, kw_only=True, slots=True)
class PubSubView:
    leave_at: int
    """When the last live session of this side left; 0 while there is one."""
    sessions: tuple[SessionView, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CodecView:
    kind: Literal["audio", "video"]
    codec: str
    """The rtpmap encoding name in lower case."""
    fmtp: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamStatsView:
    publish: StatsView
    subscribe: StatsView


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamView:
    id: str
    created_at: int
    publish: PubSubView
    subscribe: PubSubView
    codecs: tuple[CodecView, ...]
    provisioned: bool
    on_demand: bool
    stats: StreamStatsView
    stats_scope: StatsScope


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Live objects of this node, and RTP bytes that ever came in or went out (they never fall)."""

    streams: int
    publishers: int
    subscribers: int
    reforwards: int
    rtp_bytes_in: int
    rtp_bytes_out: int
