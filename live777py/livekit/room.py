"""One room on this node: its record, who is in it, when it ends. No I/O; times are Unix milliseconds."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from livekit.protocol.models import Codec, Room

if TYPE_CHECKING:
    from live777py.livekit.participants import Member
    from live777py.livekit.records import Stored

ENABLED_CODECS: Final = tuple(
    Codec(mime=mime)
    for mime in (
        "audio/PCMU",
        "audio/PCMA",
        "audio/opus",
        "audio/red",
        "video/VP8",
        "video/H264",
        "video/VP9",
        "video/AV1",
        "video/H265",
        "video/rtx",
    )
)

_CLOSING_MS: Final = 10_000


class RoomState:
    """`members` are by identity. `coming` counts, by identity, those who were admitted and are not members yet.
    `joined`: somebody has been here, ever.

    `left_ms` is when somebody who keeps the room open was last here; where that is not known, when we learned of it.
    `ending`: it is being deleted.
    """

    __slots__ = ("_keepers", "_publishers", "_recorders", "coming", "ending", "joined", "left_ms", "members", "stored")

    def __init__(self, stored: Stored, now: int) -> None:
        self.stored = stored
        self.members: dict[str, Member] = {}
        self.coming: Counter[str] = Counter()
        self.left_ms = now
        self.joined = stored.record.joined
        self.ending = False
        self._keepers = self._publishers = self._recorders = 0

    @property
    def name(self) -> str:
        return self.stored.record.name

    @property
    def open(self) -> bool:
        return not self.ending and not self.stored.record.closing

    @property
    def occupied(self) -> bool:
        """By somebody who keeps it open."""
        return bool(self.coming) or self._keepers > 0

    def ends_at(self) -> int | None:
        """None while somebody is here."""
        if self.occupied:
            return None
        record = self.stored.record
        if record.closing:  # the node that was deleting it is no more
            return self.left_ms + _CLOSING_MS
        if self.joined:
            return self.left_ms + record.departure_timeout * 1000
        return record.created_ms + record.empty_timeout * 1000

    def due(self, now: int) -> bool:
        ends_at = self.ends_at()
        return ends_at is not None and now >= ends_at

    @property
    def people(self) -> int:
        """Who take a place on this node, or are about to."""
        return self._keepers + sum(identity not in self.members for identity in self.coming)

    def places_before(self, identity: str) -> int | None:
        """Taken on this node before somebody comes; None for one who has a place."""
        if identity in self.members:
            return None
        return self.people - (identity in self.coming)

    def full_with(self, people: int) -> bool:
        limit = self.stored.record.max_participants
        return 0 < limit <= people

    def comes(self, identity: str) -> None:
        self.coming[identity] += 1

    def goes_in(self, identity: str, now: int) -> None:
        """Or away: who came by `comes` is a member by now, or will not be one."""
        self.coming[identity] -= 1
        if not self.coming[identity]:
            del self.coming[identity]
        if not self.occupied:
            self.left_ms = now

    def count(self, member: Member) -> None:
        """After anything of it has changed, its being here included."""
        here = self.members.get(member.identity) is member
        keeper = here and not member.dependent
        counted = (int(keeper), int(here and bool(member.tracks)), int(here and member.participant.permission.recorder))
        before, member.counted = member.counted, counted
        self._keepers += counted[0] - before[0]
        self._publishers += counted[1] - before[1]
        self._recorders += counted[2] - before[2]

    def info(self) -> Room:
        record = self.stored.record
        return Room(
            sid=record.sid,
            name=record.name,
            empty_timeout=record.empty_timeout,
            departure_timeout=record.departure_timeout,
            max_participants=record.max_participants,
            creation_time=record.created_ms // 1000,
            creation_time_ms=record.created_ms,
            enabled_codecs=ENABLED_CODECS,
            metadata=record.metadata,
            num_participants=self._keepers,
            num_publishers=self._publishers,
            active_recording=self._recorders > 0,
        )
