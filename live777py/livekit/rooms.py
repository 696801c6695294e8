"""All rooms of this node: who is in them, what they publish, and when they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from livekit.protocol.models import ParticipantInfo, ParticipantPermission, Room, TrackInfo
    from livekit.protocol.room import CreateRoomRequest, UpdateParticipantRequest, UpdateSubscriptionsRequest

    from live777py.livekit.room_events import RoomEvents


@dataclass(frozen=True, kw_only=True)
class RoomSettings:
    """Times in seconds; `max_participants` 0 is no limit."""

    auto_create: bool = True
    empty_timeout: int = 300
    departure_timeout: int = 20
    max_participants: int = 0
    enable_remote_unmute: bool = False


class Rooms(Protocol):
    """The use cases; every method reads or changes what is true now, and raises `TwirpError`.

    `not_found` says `requested room does not exist` or `participant does not exist`.
    """

    events: RoomEvents

    # Rooms

    async def create_room(self, request: CreateRoomRequest) -> Room:
        """A room that is there is returned unchanged."""

    async def list_rooms(self, names: Collection[str] = ()) -> list[Room]:
        """All without names; those that are not there are left out."""

    async def delete_room(self, room: str) -> None:
        """Everybody's sessions end; `RoomFinished` comes last. Returns when they have ended."""

    async def update_room_metadata(self, room: str, metadata: str) -> Room: ...

    def room(self, room: str) -> Room | None:
        """A snapshot, without asking the store."""

    async def ensure_room(self, room: str) -> Room:
        """As a join does: made if it is not there and `auto_create` is set. Raises not_found."""

    # Participants of this node

    def has_participant(self, room: str, identity: str) -> bool: ...
    async def list_participants(self, room: str) -> list[ParticipantInfo]:
        """Nothing for a room that is not there. Shared snapshots: not to be changed."""

    async def participant(self, room: str, identity: str) -> ParticipantInfo: ...
    async def remove_participant(self, room: str, identity: str, *, revoke_token_ts: int = 0) -> None: ...
    async def update_participant(self, request: UpdateParticipantRequest) -> ParticipantInfo: ...
    async def mute_track(self, room: str, identity: str, track_sid: str, *, muted: bool) -> TrackInfo | None:
        """None for a track that is not there."""

    async def update_subscriptions(self, request: UpdateSubscriptionsRequest) -> None: ...
    async def send_data(
        self,
        room: str,
        data: bytes,
        *,
        topic: str = "",
        identities: Iterable[str] = (),
        sids: Iterable[str] = (),
    ) -> int:
        """To everybody without identities and sids; how many sessions it was sent to."""

    async def set_permission(self, room: str, identity: str, permission: ParticipantPermission) -> ParticipantInfo: ...
    async def forward_participant(self, room: str, identity: str, destination_room: str) -> None: ...
    async def move_participant(self, room: str, identity: str, destination_room: str) -> None: ...
