"""What the doors show of a stream: frozen values, in JSON named as Live777 names them. Times: unix milliseconds."""

from __future__ import annotations

from typing import Literal

import msgspec

SessionState = Literal["new", "connecting", "connected", "disconnected", "failed", "closed"]
StatsScope = Literal["node", "clusterNodeWork"]


class View(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """A default is None and nothing else: a member that is None is left out of the JSON."""


class StatsView(View, frozen=True, kw_only=True):
    """Totals since the stream or session was made; `bitrate` in bit/s over the newest sample interval."""

    bytes: int
    packets: int
    packets_lost: int | None = None
    """Packets of a publisher that never came, repair included; ours, not Live777's."""
    bitrate: int
    available_bitrate: int | None = None
    """Of one viewer: what its network has been seen to carry, in bit/s; ours."""
    round_trip_ms: int | None = None
    """Of one session; ours."""


class CascadeView(View, frozen=True, kw_only=True):
    source_url: str | None = None
    target_url: str | None = None
    session_url: str | None = None


class SessionView(View, frozen=True, kw_only=True):
    id: str
    created_at: int
    leave_at: int
    """0 while the session lives."""
    state: SessionState
    cascade: CascadeView | None = None
    relay: bool | None = None
    """True where the other end is another node of the cluster; ours, not Live777's."""
    has_data_channel: bool
    stats: StatsView


class PubSubView(View, frozen=True, kw_only=True):
    leave_at: int
    """When the last live session of this side left; 0 while there is one."""
    sessions: tuple[SessionView, ...]


class CodecView(View, frozen=True, kw_only=True):
    kind: Literal["audio", "video"]
    codec: str
    """The rtpmap encoding name in lower case."""
    fmtp: str


class StreamStatsView(View, frozen=True, kw_only=True):
    publish: StatsView
    subscribe: StatsView


class StreamView(View, frozen=True, kw_only=True):
    id: str
    created_at: int
    publish: PubSubView
    subscribe: PubSubView
    codecs: tuple[CodecView, ...]
    provisioned: bool
    on_demand: bool
    stats: StreamStatsView
    stats_scope: StatsScope


class LayerView(View, frozen=True, kw_only=True):
    """An encoding of a simulcast publisher, or a spatial layer of the only one, as one viewer's choice."""

    encoding_id: str | None = None
    """The rid."""
    spatial_layer_id: int | None = None
    """Only of layers of one encoding."""
    width: int
    height: int
    bitrate: int
    active: bool
    """Something is being sent."""
    selected: bool
    """What this viewer gets now."""


SourceState = Literal["Initializing", "Connected", "Disconnected", "Reconnecting", "Error"]


class SourceView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a stream is pulled from; in snake case, unlike everything else: so does Live777. The URL is not shown."""

    id: str
    stream_id: str
    source_type: str
    state: SourceState


class Counts(View, frozen=True, kw_only=True):
    """Live objects of this node, and what it ever did, which never falls.

    RTP bytes that came in or went out; messages to listeners on data channels that were sent, or that were lost because
    the listener was slow or had no channel.
    """

    streams: int
    publishers: int
    subscribers: int
    reforwards: int
    rtp_bytes_in: int
    rtp_bytes_out: int
    data_messages_sent: int
    data_messages_lost: int
