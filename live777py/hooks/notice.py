"""The events that are told outside, by the names that Live777 gave them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from live777py.streams.events import (
    PublishStarted,
    PublishStopped,
    RecordingEnded,
    RecordingStarted,
    SegmentWritten,
    StreamCreated,
    StreamDeleted,
    SubscriberJoined,
    SubscriberLeft,
)

if TYPE_CHECKING:
    from live777py.streams.events import StreamEvent

CAPACITY: Final = 65_536
"""Events that a reader of the bus may lag behind before it loses some."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    event: str
    stream: str
    session: str | None = None
    reason: str | None = None
    path: str | None = None
    """Of a recording's directory, or of a segment of it, below the root of the storage."""


def notice_of(event: StreamEvent) -> Notice | None:
    """None for what is nobody's business outside."""
    match event:
        case StreamCreated(stream=stream):
            return Notice(event="stream-created", stream=stream)
        case StreamDeleted(stream=stream, reason=reason):
            return Notice(event="stream-deleted", stream=stream, reason=reason)
        case PublishStarted(stream=stream, session=session):
            return Notice(event="publish-started", stream=stream, session=session)
        case PublishStopped(stream=stream, session=session, reason=why):
            return Notice(event="publish-stopped", stream=stream, session=session, reason=why)
        case SubscriberJoined(stream=stream, session=session):
            return Notice(event="subscriber-joined", stream=stream, session=session)
        case SubscriberLeft(stream=stream, session=session, reason=why):
            return Notice(event="subscriber-left", stream=stream, session=session, reason=why)
        case RecordingStarted(stream=stream, directory=directory):
            return Notice(event="recording_started", stream=stream, path=directory)
        case SegmentWritten(stream=stream, path=path):
            return Notice(event="segment", stream=stream, path=path)
        case RecordingEnded(stream=stream, directory=directory, reason=end):
            return Notice(event="recording_ended", stream=stream, reason=end, path=directory)
        case _:
            return None
