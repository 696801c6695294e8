"""What happens to rooms, as values on a bus of their own: webhooks, agents and the web page read these.

The messages are snapshots of the moment. They are shared by all readers: nobody changes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from live777py.streams.bus import Bus, Reader

if TYPE_CHECKING:
    from livekit.protocol.agent_dispatch import RoomAgentDispatch
    from livekit.protocol.models import DisconnectReason, ParticipantInfo, Room, RoomEndReason, TrackInfo


@dataclass(frozen=True, kw_only=True)
class RoomStarted:
    """Made by the API, or by the first who joined. In a cluster one node says so.

    `agents`: those that CreateRoom, or the `roomConfig` of the token that it was made with, asks for.
    """

    room: Room
    agents: tuple[RoomAgentDispatch, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RoomFinished:
    """Deleted, or nobody came (any more). Follows every other event of the room on this node."""

    room: Room
    reason: RoomEndReason


@dataclass(frozen=True, kw_only=True)
class ParticipantJoined:
    """Its media can flow: ICE and DTLS of its first session are done."""

    room: Room
    participant: ParticipantInfo


@dataclass(frozen=True, kw_only=True)
class ParticipantLeft:
    """Follows exactly one `ParticipantJoined` of the same sid. `participant.disconnect_reason` is the reason."""

    room: Room
    participant: ParticipantInfo

    @property
    def reason(self) -> DisconnectReason:
        return self.participant.disconnect_reason


@dataclass(frozen=True, kw_only=True)
class ParticipantAborted:
    """It left before it had joined."""

    room: Room
    participant: ParticipantInfo


@dataclass(frozen=True, kw_only=True)
class TrackPublished:
    """Behind the `ParticipantJoined` of its publisher."""

    room: Room
    participant: ParticipantInfo
    track: TrackInfo


@dataclass(frozen=True, kw_only=True)
class TrackUnpublished:
    """Follows exactly one `TrackPublished` of the same sid in the same room, before the `ParticipantLeft`."""

    room: Room
    participant: ParticipantInfo
    track: TrackInfo


RoomEvent = (
    RoomStarted
    | RoomFinished
    | ParticipantJoined
    | ParticipantLeft
    | ParticipantAborted
    | TrackPublished
    | TrackUnpublished
)

RoomEvents = Bus[RoomEvent]
RoomEventReader = Reader[RoomEvent]
