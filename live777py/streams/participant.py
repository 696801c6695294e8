"""Who is at the other end of a session, and what they may do in the room: LiveKit's words, without its wire format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from live777py.rtc.parameters import Kind

ParticipantKind = Literal["standard", "ingress", "egress", "sip", "agent", "connector", "bridge"]

_SOURCES_OF: Final[Mapping[Kind, frozenset[str]]] = {
    "audio": frozenset({"microphone", "screen_share_audio"}),
    "video": frozenset({"camera", "screen_share"}),
}


@dataclass(frozen=True, kw_only=True)
class Permission:
    """`can_publish_sources`: of camera, microphone, screen_share and screen_share_audio; empty: all."""

    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool = True
    can_publish_sources: frozenset[str] = frozenset()
    can_update_metadata: bool = False
    hidden: bool = False
    recorder: bool = False
    agent: bool = False

    def may_publish(self, kind: Kind) -> bool:
        """WHIP does not say what a track is of, so one source of its kind is enough."""
        return self.can_publish and (not self.can_publish_sources or bool(self.can_publish_sources & _SOURCES_OF[kind]))


@dataclass(frozen=True, kw_only=True)
class Participant:
    """`issued_at` is when its token was made or began (unix seconds); None where no token says it.

    `room_config` is what the room is like if it is made for this participant: LiveKit's RoomConfiguration, in JSON.
    """

    room: str
    identity: str
    name: str = ""
    metadata: str = field(default="", repr=False)
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    kind: ParticipantKind = "standard"
    permission: Permission = Permission()
    issued_at: float | None = None
    can_create_room: bool = False
    room_config: Mapping[str, Any] | None = field(default=None, repr=False)

    def may_be_at(self, stream: str) -> bool:
        """The room's own stream, and those of its participants."""
        return room_of(stream) == self.room

    def may_publish_as(self, stream: str) -> bool:
        return stream in {self.room, f"{self.identity}@{self.room}"}


def room_of(stream: str) -> str:
    """`standup` of `alice@standup`; a stream without "@" is a room of its own name."""
    return stream.rpartition("@")[2]
