"""The life of one stream as a state machine: who may come, who must go and why. No I/O; `now` is unix milliseconds.

Each event is a method that returns the actions that follow, in their order; `registry.Registry` executes them. An event
that is refused raises and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from live777py.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection

    from live777py.streams.events import DeleteReason, LeaveReason
    from live777py.streams.session import Session
    from live777py.streams.settings import ProvisionedStream
    from live777py.streams.strategy import Strategy

Phase = Literal["idle", "starting", "running", "closing"]
"""Of an on-demand source. `starting`: asked for and not there. `closing`: there, and nobody watches any more."""

GIVES_WAY_MS: Final = 2_500
"""A publisher of whom nothing was heard for so long makes room for the next one, most likely its own return."""
_RETRY_CONFLICT_SECONDS: Final = 1
_RETRY_FULL_SECONDS: Final = 10


@dataclass(frozen=True)
class Close:
    session: Session
    reason: LeaveReason


@dataclass(frozen=True)
class Delete:
    """Forget the stream, which has no session any more. One of the configuration begins anew."""

    reason: DeleteReason


@dataclass(frozen=True)
class WantSource:
    pass


@dataclass(frozen=True)
class UnwantSource:
    pass


@dataclass(frozen=True)
class Wait:
    """The viewer of this event waits for `Admit` or `Refuse`; afterwards `viewer_stops_waiting` is called."""


@dataclass(frozen=True)
class Admit:
    """To all who wait."""


@dataclass(frozen=True)
class Refuse:
    """To all who wait."""

    detail: str
    timed_out: bool = False


Action = Close | Delete | WantSource | UnwantSource | Wait | Admit | Refuse


class Lifecycle:
    """One publisher slot, `each_stream_max_sub` viewer slots, and the source that is run for viewers only.

    `publish_left_at` is 0 for a side that is occupied or was never. `provisioned` is None for a stream that is not in
    the configuration.
    """

    __slots__ = (
        "_arrived",
        "_closing_at",
        "_deadline",
        "_ended",
        "_wanted",
        "name",
        "provisioned",
        "publish_left_at",
        "publisher",
        "strategy",
        "subscribe_left_at",
        "viewers",
        "waiting",
    )

    def __init__(self, name: str, strategy: Strategy, now: int, provisioned: ProvisionedStream | None = None) -> None:
        self.name = name
        self.strategy = strategy
        self.provisioned = provisioned
        self.publisher: Session | None = None
        self.viewers: dict[str, Session] = {}
        self.waiting = 0
        self.publish_left_at = 0
        self.subscribe_left_at = now
        self._arrived = False
        self._wanted = False
        self._deadline: int | None = None
        self._closing_at: int | None = None
        self._ended = False

    @property
    def sessions(self) -> list[Session]:
        """The publisher comes first."""
        return [*(() if self.publisher is None else (self.publisher,)), *self.viewers.values()]

    @property
    def on_demand(self) -> bool:
        return self.provisioned is not None and self.provisioned.on_demand and self.provisioned.has_source

    @property
    def phase(self) -> Phase:
        if not self._wanted:
            return "idle"
        if self._closing_at is not None:
            return "closing"
        return "running" if self._ready else "starting"

    @property
    def due(self) -> int | None:
        """When `tick` has something to do for an on-demand source."""
        return min((time for time in (self._deadline, self._closing_at) if time is not None), default=None)

    # The publisher's side

    def publisher_comes(self, *, configured: bool = False, silent_ms: int = 0) -> list[Action]:
        """Makes room for `publisher_joins`. `silent_ms` is for how long the present publisher has not been heard.

        Raises `Conflict`.
        """
        present = self.publisher
        if configured and self.on_demand and not self._wanted:
            raise Conflict(f"nobody watches stream '{self.name}', and its source runs on demand")
        if present is None:
            if self._deadline is not None and not configured:
                raise self._source_is_active()
            return []
        if present.established and silent_ms >= GIVES_WAY_MS:
            return [Close(present, "idle-timeout")]
        if present.configured:
            raise self._source_is_active()
        if self.strategy.on_publish_conflict == "takeover" and not configured:
            return [Close(present, "taken-over")]
        raise Conflict("A connection has already been established", retry_after=_RETRY_CONFLICT_SECONDS)

    def publisher_joins(self, session: Session) -> None:
        self.publisher = session
        self._arrived = False
        self.publish_left_at = 0

    def publisher_arrives(self, now: int, unfit: Collection[Session] = ()) -> list[Action]:
        """It is connected, and what it sends is known. `unfit` are viewers who cannot play that."""
        self._arrived = True
        actions: list[Action] = [Close(viewer, "codec-mismatch") for viewer in unfit]
        if self._deadline is not None:
            self._deadline = None
            actions.append(Admit())
        return [*actions, *self._follow_demand(now)]

    def source_failed(self, detail: str) -> list[Action]:
        """The configured source could not be had; who comes next tries again."""
        if self._deadline is None:
            return []
        self._deadline = None
        return [Refuse(detail)]

    # The viewers' side

    def viewer_comes(self, now: int) -> list[Action]:
        """Before `viewer_joins`. Ends with `Wait` where a source must be started first. Raises `Unavailable`."""
        if len(self.viewers) + self.waiting >= self.strategy.each_stream_max_sub:
            raise Unavailable("the stream has as many viewers as it may have", retry_after=_RETRY_FULL_SECONDS)
        if not self.on_demand or self._ready:
            return []
        actions: list[Action] = []
        self.waiting += 1
        self._closing_at = None
        if self._deadline is None and self.provisioned is not None:
            self._deadline = now + self.provisioned.on_demand_start_timeout_ms
            if self.publisher is None:
                self._wanted = True
                actions.append(WantSource())
        return [*actions, Wait()]

    def viewer_stops_waiting(self, now: int) -> list[Action]:
        """It was admitted, refused or has gone away."""
        self.waiting -= 1
        if not self.waiting:
            self._deadline = None
            self.subscribe_left_at = self.subscribe_left_at if self.viewers else now
        return self._follow_demand(now)

    def viewer_joins(self, session: Session, now: int) -> list[Action]:
        self.viewers[session.id] = session
        self.subscribe_left_at = 0
        return self._follow_demand(now)

    def viewer_connects(self, session: Session) -> list[Action]:
        if session.cascade is None or not self.strategy.cascade_push_close_sub:
            return []
        return [Close(viewer, "cascade-push") for viewer in self.viewers.values() if viewer.cascade is None]

    # Either side

    def leaves(self, session: Session, now: int) -> list[Action]:
        """The session has ended, whoever ended it."""
        actions: list[Action] = []
        if session is self.publisher:
            self.publisher = None
            self.publish_left_at = now
            if session.configured and not self._arrived:
                actions = self.source_failed("it did not connect")
        else:
            del self.viewers[session.id]
            if not self.viewers:
                self.subscribe_left_at = now
        return [*actions, *self._follow_demand(now)]

    def client_deletes(self, session: Session) -> list[Action]:
        """DELETE of a session: a publisher takes everybody and the stream along.

        A viewer who was the last of a stream that nobody publishes takes the stream along, where a client can make it
        anew.
        """
        if session is self.publisher:
            return self._end("api-deleted", "reset" if self.provisioned else "api-deleted")
        gone = self.sessions == [session] and self.provisioned is None and self.strategy.auto_create
        return [Close(session, "api-deleted"), *([Delete("api-deleted")] if gone else [])]

    def api_deletes(self) -> list[Action]:
        """DELETE of the stream. Raises `Conflict`."""
        if self.provisioned is not None:
            raise Conflict(f"stream '{self.name}' is declared in the config file and cannot be deleted")
        return self._end("stream-deleted", "api-deleted")

    def tick(self, now: int) -> list[Action]:
        """What is due at `now`."""
        actions: list[Action] = []
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            actions.append(Refuse("it was not there in time", timed_out=True))
        if self._closing_at is not None and now >= self._closing_at:
            actions += self._unwant()
            if self.publisher is not None and self.publisher.configured:
                actions.append(Close(self.publisher, "unwatched"))
        reason = self._expiry(now)
        return [*actions, *(self._end("stream-deleted", reason) if reason is not None else ())]

    def reconfigure(self, strategy: Strategy, provisioned: ProvisionedStream | None, now: int) -> list[Action]:
        """Who is here stays. Who waits for a source that is no longer on demand goes on without it."""
        self.strategy, self.provisioned = strategy, provisioned
        if self.on_demand:
            self._wanted = self._wanted or (self.publisher is not None and self.publisher.configured)
            return self._follow_demand(now)
        waiting, self._deadline = self._deadline is not None, None
        self._wanted, self._closing_at = False, None
        return [Admit()] if waiting else []

    # Steps

    @property
    def _ready(self) -> bool:
        """There is a publisher whose codecs are known: a client's are from its offer on."""
        return self.publisher is not None and (self._arrived or not self.publisher.configured)

    @property
    def _watched(self) -> bool:
        """A configured target takes what is there, and is no reason to have it."""
        return self.waiting > 0 or any(not viewer.configured for viewer in self.viewers.values())

    def _source_is_active(self) -> Conflict:
        return Conflict(f"stream '{self.name}' has an active configured source", retry_after=_RETRY_CONFLICT_SECONDS)

    def _follow_demand(self, now: int) -> list[Action]:
        """Where somebody watches there must be a publisher; where nobody does, the source may go after its time."""
        if not self.on_demand or self._ended:
            return []
        if self._watched:
            self._closing_at = None
            if self.publisher is None and not self._wanted:
                self._wanted = True
                return [WantSource()]
            return []
        if self._wanted and self.publisher is None:
            return self._unwant()
        if self._wanted and self._closing_at is None and self.provisioned is not None:
            self._closing_at = now + self.provisioned.on_demand_close_after_ms
        return []

    def _unwant(self) -> list[Action]:
        self._wanted, self._closing_at = False, None
        return [UnwantSource()]

    def _end(self, leave: LeaveReason, delete: DeleteReason) -> list[Action]:
        self._ended = True
        actions: list[Action] = []
        if self._deadline is not None:
            self._deadline = None
            actions.append(Refuse("the stream was deleted"))
        if self._wanted:
            actions += self._unwant()
        return [*actions, *(Close(session, leave) for session in self.sessions), Delete(delete)]

    def _expiry(self, now: int) -> DeleteReason | None:
        if self.provisioned is not None:
            return None
        return self.strategy.expiry(
            publish_left_at=self.publish_left_at if self.publisher is None else None,
            subscribe_left_at=None if self.viewers or self.waiting else self.subscribe_left_at,
            now=now,
        )
