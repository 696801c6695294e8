"""One publisher or viewer of a stream: its states, its times and its counters. No I/O; `now` is unix milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from live777py.streams.stats import Meter
from live777py.streams.views import SessionView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from live777py.streams.participant import Participant
    from live777py.streams.views import CascadeView, SessionState

Role = Literal["publish", "subscribe"]

LISTED_AFTER_CLOSE_MS: Final = 30_000

# Any state may become `closed`; a state that may follow none of the others is where a session begins.
TRANSITIONS: Final[Mapping[SessionState, frozenset[SessionState]]] = {
    "new": frozenset({"connecting", "failed", "closed"}),
    "connecting": frozenset({"connected", "failed", "closed"}),
    "connected": frozenset({"disconnected", "failed", "closed"}),
    "disconnected": frozenset({"connected", "failed", "closed"}),
    "failed": frozenset({"closed"}),
    "closed": frozenset(),
}


class IllegalTransitionError(AssertionError):
    """A fault of ours: the table above does not know this step."""


class Session:
    """`leave_at` is 0 until the session is closed. `established` tells whether it was ever connected.

    `cascade` is set where the other end is a server that we asked; `configured` where the configuration says so.
    `marks` are the streams behind the other end (`outbound.loop`). `participant` is who the other end is, where that is
    known. `relay`: the other end is a node of our own cluster, which has or is to have the stream for its viewers; it
    is nobody's participant.
    """

    __slots__ = (
        "cascade",
        "configured",
        "created_at",
        "established",
        "has_data_channel",
        "id",
        "leave_at",
        "marks",
        "meter",
        "participant",
        "relay",
        "role",
        "state",
    )

    def __init__(
        self,
        session_id: str,
        role: Role,
        now: int,
        *,
        cascade: CascadeView | None = None,
        configured: bool = False,
        marks: frozenset[str] = frozenset(),
        participant: Participant | None = None,
        relay: bool = False,
    ) -> None:
        self.id = session_id
        self.role = role
        self.created_at = now
        self.leave_at = 0
        self.state: SessionState = "new"
        self.established = False
        self.cascade = cascade
        self.configured = configured
        self.marks = marks
        self.participant = participant
        self.relay = relay
        self.has_data_channel = False
        self.meter = Meter(now)

    def enter(self, state: SessionState, now: int) -> None:
        if state not in TRANSITIONS[self.state]:
            raise IllegalTransitionError(f"{self.role} session: {self.state} -> {state}")
        self.state = state
        if state == "connected":
            self.established = True
        elif state == "closed":
            self.leave_at = now
            self.meter.stop()

    def listed(self, now: int) -> bool:
        return self.state != "closed" or now - self.leave_at < LISTED_AFTER_CLOSE_MS

    def view(self) -> SessionView:
        return SessionView(
            id=self.id,
            created_at=self.created_at,
            leave_at=self.leave_at,
            state=self.state,
            cascade=self.cascade,
            relay=self.relay or None,
            has_data_channel=self.has_data_channel,
            stats=self.meter.view(),
        )
