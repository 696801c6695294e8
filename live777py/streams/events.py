"""What happens to streams, as values on the bus: metrics, SSE, hooks and the recorder read these and nothing else.

That a session between two nodes of one cluster begins or ends is told by `SessionStateChanged` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from live777py.rtc.peer import EndReason

if TYPE_CHECKING:
    from live777py.streams.views import SessionState

DeleteReason = Literal[
    "api-deleted", "publish-leave-timeout", "subscribe-leave-timeout", "orphaned", "reset", "refused"
]
"""`reset`: a provisioned stream went back to standby. `refused`: so was the request that made the stream."""

LeaveReason = (
    EndReason
    | Literal[
        "api-deleted",
        "stream-deleted",
        "codec-mismatch",
        "taken-over",
        "cascade-push",
        "unwatched",
        "source-removed",
        "removed",
        "moved",
        "refused",
        "shutdown",
    ]
)
"""`taken-over`: another publisher has the slot. `cascade-push`: the stream is played elsewhere from now on.
`unwatched`: an on-demand source that nobody watches. `removed`: from its room. `moved`: the session goes on under
another stream. `refused`: the request that made the session was answered with an
error."""


@dataclass(frozen=True, kw_only=True)
class StreamCreated:
    stream: str


@dataclass(frozen=True, kw_only=True)
class StreamDeleted:
    stream: str
    reason: DeleteReason


@dataclass(frozen=True, kw_only=True)
class PublishStarted:
    """The publisher's ICE and DTLS are done."""

    stream: str
    session: str


@dataclass(frozen=True, kw_only=True)
class PublishStopped:
    """Follows exactly one `PublishStarted` of the same session."""

    stream: str
    session: str
    reason: LeaveReason


@dataclass(frozen=True, kw_only=True)
class SubscriberJoined:
    """The viewer's ICE and DTLS are done."""

    stream: str
    session: str


@dataclass(frozen=True, kw_only=True)
class SubscriberLeft:
    """Follows exactly one `SubscriberJoined` of the same session."""

    stream: str
    session: str
    reason: LeaveReason


@dataclass(frozen=True, kw_only=True)
class SessionStateChanged:
    """Any step of any session, `new` and `closed` included."""

    stream: str
    session: str
    state: SessionState


@dataclass(frozen=True, kw_only=True)
class SourceWanted:
    """Somebody wants to watch an on-demand stream that nobody publishes. Said again when another one begins to wait."""

    stream: str


@dataclass(frozen=True, kw_only=True)
class SourceUnwanted:
    """Nobody has watched an on-demand stream for its time. The session of its source is closed already."""

    stream: str


@dataclass(frozen=True, kw_only=True)
class StatsSampled:
    """New counters are in the views (every two seconds)."""


RecordingEndReason = Literal[
    "stopped",
    "publisher-left",
    "stream-deleted",
    "rotated",
    "storage-full",
    "storage-failed",
    "storage-slow",
    "failed",
    "shutdown",
]
"""`stopped`: somebody asked for it. `rotated`: it was as long as it may be, and goes on in another one. `storage-slow`:
more waited to be written than may. `failed`: a fault of ours."""


@dataclass(frozen=True, kw_only=True)
class RecordingStarted:
    """`directory` is the path of what is recorded, below the root of the storage."""

    stream: str
    directory: str


@dataclass(frozen=True, kw_only=True)
class SegmentWritten:
    """`path` is below the root of the storage; times are seconds on the recording's time line."""

    stream: str
    directory: str
    path: str
    start: float
    duration: float
    size: int


@dataclass(frozen=True, kw_only=True)
class RecordingEnded:
    """Follows exactly one `RecordingStarted` of the same directory. `duration` is in seconds."""

    stream: str
    directory: str
    reason: RecordingEndReason
    duration: float


StreamEvent = (
    StreamCreated
    | StreamDeleted
    | PublishStarted
    | PublishStopped
    | SubscriberJoined
    | SubscriberLeft
    | SessionStateChanged
    | SourceWanted
    | SourceUnwanted
    | StatsSampled
    | RecordingStarted
    | SegmentWritten
    | RecordingEnded
)
