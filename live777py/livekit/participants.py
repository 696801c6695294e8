"""Who is in a room on this node, as LiveKit describes it. No I/O; times are Unix milliseconds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from livekit.protocol.models import DisconnectReason, ParticipantInfo, ParticipantPermission, TrackSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from livekit.protocol.models import TrackInfo

    from live777py.livekit.tracks import Track
    from live777py.streams.control import SessionKey
    from live777py.streams.events import LeaveReason
    from live777py.streams.participant import Participant, Permission
    from live777py.streams.session import Role

_KINDS: Final[Mapping[str, ParticipantInfo.Kind]] = {
    "standard": ParticipantInfo.Kind.STANDARD,
    "ingress": ParticipantInfo.Kind.INGRESS,
    "egress": ParticipantInfo.Kind.EGRESS,
    "sip": ParticipantInfo.Kind.SIP,
    "agent": ParticipantInfo.Kind.AGENT,
    "connector": ParticipantInfo.Kind.CONNECTOR,
    "bridge": ParticipantInfo.Kind.BRIDGE,
}
_SOURCES: Final = {
    "camera": TrackSource.CAMERA,
    "microphone": TrackSource.MICROPHONE,
    "screen_share": TrackSource.SCREEN_SHARE,
    "screen_share_audio": TrackSource.SCREEN_SHARE_AUDIO,
}
_SOURCE_NAMES: Final = {value: name for name, value in _SOURCES.items()}

_REASONS: Final[Mapping[LeaveReason, DisconnectReason]] = {
    "api-deleted": DisconnectReason.CLIENT_INITIATED,
    "peer-closed": DisconnectReason.CLIENT_INITIATED,
    "stream-deleted": DisconnectReason.ROOM_DELETED,
    "taken-over": DisconnectReason.DUPLICATE_IDENTITY,
    "shutdown": DisconnectReason.SERVER_SHUTDOWN,
    "removed": DisconnectReason.PARTICIPANT_REMOVED,
    "moved": DisconnectReason.MIGRATION,
    "source-removed": DisconnectReason.CLIENT_INITIATED,
    "setup-timeout": DisconnectReason.JOIN_FAILURE,
    "dtls-failed": DisconnectReason.JOIN_FAILURE,
    "idle-timeout": DisconnectReason.CONNECTION_TIMEOUT,
    "engine-failed": DisconnectReason.MEDIA_FAILURE,
    "codec-mismatch": DisconnectReason.MEDIA_FAILURE,
    "codec-changed": DisconnectReason.MEDIA_FAILURE,
}


class Member:
    """One identity: a publisher, a viewer of one or several streams, or both.

    `joined_ms` is 0 until the first session is connected. `copied` marks one whose tracks are those of a member of
    another room. `shown` is what was last known of each track. `counted` is what the room has counted of it.
    """

    __slots__ = (
        "_info",
        "copied",
        "counted",
        "created_ms",
        "joined_ms",
        "participant",
        "sessions",
        "shown",
        "sid",
        "tracks",
    )

    def __init__(self, participant: Participant, now: int, *, sid: str, copied: bool = False) -> None:
        self.participant = participant
        self.sid = sid
        self.created_ms = now
        self.joined_ms = 0
        self.copied = copied
        self.sessions: dict[SessionKey, Role] = {}
        self.tracks: dict[str, Track] = {}
        self.shown: dict[str, TrackInfo] = {}
        self.counted = (0, 0, 0)
        self._info: ParticipantInfo | None = None

    @property
    def identity(self) -> str:
        return self.participant.identity

    @property
    def active(self) -> bool:
        return self.joined_ms > 0

    @property
    def publishes(self) -> bool:
        return "publish" in self.sessions.values()

    @property
    def dependent(self) -> bool:
        return is_dependent(self.participant)

    def sessions_of(self, role: Role) -> list[SessionKey]:
        return [key for key, theirs in self.sessions.items() if theirs == role]

    def changed(self) -> None:
        """Of its state, its sessions or its tracks."""
        self._info = None

    def become(self, participant: Participant) -> None:
        self.participant = participant
        self.changed()

    def updated(self, *, name: str, metadata: str, attributes: Mapping[str, str]) -> Participant:
        """As LiveKit does it: an empty name or metadata changes nothing, an attribute without a value goes."""
        merged = {**self.participant.attributes, **attributes}
        return replace(
            self.participant,
            name=name or self.participant.name,
            metadata=metadata or self.participant.metadata,
            attributes={key: value for key, value in merged.items() if value},
        )

    def describe(self, other: Participant) -> None:
        """As the one whose copy it is is described."""
        self.become(replace(self.participant, name=other.name, metadata=other.metadata, attributes=other.attributes))

    def info(self, tracks: Iterable[TrackInfo] = ()) -> ParticipantInfo:
        """A snapshot that is not to be changed; one of a participant without tracks is made once."""
        if not self.tracks and self._info is not None:
            return self._info
        info = self._describe()
        info.tracks.extend(tracks)
        if not self.tracks:
            self._info = info
        return info

    def _describe(self) -> ParticipantInfo:
        participant = self.participant
        joined_ms = self.joined_ms or self.created_ms
        return ParticipantInfo(
            sid=self.sid,
            identity=participant.identity,
            state=ParticipantInfo.State.ACTIVE if self.active else ParticipantInfo.State.JOINING,
            metadata=participant.metadata,
            joined_at=joined_ms // 1000,
            joined_at_ms=joined_ms,
            name=participant.name,
            permission=permission_message(participant.permission),
            is_publisher=bool(self.tracks),
            kind=_KINDS[participant.kind],
            kind_details=[ParticipantInfo.KindDetail.FORWARDED] if self.copied else [],
            attributes=participant.attributes,
        )


def is_dependent(participant: Participant) -> bool:
    """Who does not keep a room open, and takes no place in it."""
    permission = participant.permission
    return participant.kind in ("agent", "egress") or permission.agent or permission.recorder


def reason_of(reason: LeaveReason | None) -> DisconnectReason:
    """None: nobody knows."""
    return DisconnectReason.UNKNOWN_REASON if reason is None else _REASONS.get(reason, DisconnectReason.UNKNOWN_REASON)


def permission_message(permission: Permission) -> ParticipantPermission:
    return ParticipantPermission(
        can_subscribe=permission.can_subscribe,
        can_publish=permission.can_publish,
        can_publish_data=permission.can_publish_data,
        can_publish_sources=sorted(_SOURCES[source] for source in permission.can_publish_sources),
        hidden=permission.hidden,
        recorder=permission.recorder,
        can_update_metadata=permission.can_update_metadata,
        agent=permission.agent,
    )


def permission_of(message: ParticipantPermission, before: Permission) -> Permission:
    """All of it, what is not said being false; `recorder` and `agent` are not given and not taken."""
    return replace(
        before,
        can_subscribe=message.can_subscribe,
        can_publish=message.can_publish,
        can_publish_data=message.can_publish_data,
        can_publish_sources=frozenset(
            _SOURCE_NAMES[source] for source in message.can_publish_sources if source in _SOURCE_NAMES
        ),
        hidden=message.hidden,
        can_update_metadata=message.can_update_metadata,
    )
