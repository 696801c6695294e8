"""What an operation needs, and what somebody may do."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from live777py.errors import Forbidden

if TYPE_CHECKING:
    from live777py.streams.participant import Participant


class Mode(enum.IntFlag):
    """The bits of the `mode` claim."""

    ADMIN = 1
    WRITE = 2
    READ = 4


class Access(enum.Enum):
    """What an operation needs; every route names one."""

    PUBLIC = enum.auto()
    PUBLISH = enum.auto()
    PLAY = enum.auto()
    SEE_STREAM = enum.auto()
    DELETE_STREAM = enum.auto()
    CASCADE = enum.auto()
    RECORD = enum.auto()
    """Begin, end and delete recordings of the stream."""
    PLAY_BACK = enum.auto()
    """What was recorded of the stream, and how it looks."""
    SESSION = enum.auto()
    """A session of the stream; `SessionOwners.check` says which."""
    EVERYTHING = enum.auto()


_NEEDED: Final = {
    Access.PUBLISH: Mode.WRITE,
    Access.PLAY: Mode.READ,
    Access.SEE_STREAM: Mode(0),
    Access.DELETE_STREAM: Mode.ADMIN,
    Access.CASCADE: Mode.ADMIN,
    Access.RECORD: Mode.ADMIN,
    Access.PLAY_BACK: Mode.READ,
    Access.SESSION: Mode(0),
}


@dataclass(frozen=True, kw_only=True)
class AccessRequest:
    """What of an HTTP request decides about it. `stream` and `session` are those of the path, if it has any."""

    authorization: str | None = field(repr=False)
    access: Access
    method: str = "GET"
    stream: str | None = None
    session: str | None = None
    address: str = "-"
    user_agent: str = ""

    @property
    def token(self) -> str | None:
        """The bearer token (RFC 6750 section 2.1), or None."""
        scheme, _, credential = (self.authorization or "").strip().partition(" ")
        return (credential.strip() or None) if scheme.lower() == "bearer" else None


@dataclass(frozen=True, kw_only=True)
class Principal:
    """`stream` is None for one who may do everything. `identity` is the same for requests of the same holder.

    With `participant`, what they may do in their room counts instead of `stream` and `mode`. `node`: it is another
    node of the cluster.
    """

    stream: str | None
    mode: Mode
    identity: bytes = field(repr=False)
    participant: Participant | None = None
    node: bool = False

    def authorize(self, access: Access, stream: str | None) -> None:
        """Raises Forbidden."""
        if self.participant is not None:
            if access is not Access.PUBLIC and not _allowed(self.participant, access, stream):
                raise Forbidden("this token does not allow that")
            return
        if access is Access.PUBLIC or self.stream is None:
            return
        needed = _NEEDED.get(access)
        if needed is None or self.stream != stream or (needed and not self.mode & needed):
            raise Forbidden("this token does not allow that")


def _allowed(participant: Participant, access: Access, stream: str | None) -> bool:
    if stream is None or not participant.may_be_at(stream):
        return False
    match access:
        case Access.PUBLISH:
            return participant.permission.can_publish and participant.may_publish_as(stream)
        case Access.PLAY | Access.SEE_STREAM:
            return participant.permission.can_subscribe
        case Access.SESSION:
            return True
        case _:
            return False


ANYBODY: Final = Principal(stream=None, mode=Mode(7), identity=b"")
