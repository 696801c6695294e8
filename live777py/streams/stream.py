"""A stream: a name, at most one publisher, any number of viewers. No I/O; `now` is unix milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.errors import Conflict, Unavailable
from live777py.streams.channels import ChannelHub
from live777py.streams.stats import Total
from live777py.streams.views import CodecView, PubSubView, StreamStatsView, StreamView

if TYPE_CHECKING:
    from live777py.rtc.negotiation import PublishedMedia
    from live777py.streams.session import Session
    from live777py.streams.strategy import ExpiryReason, Strategy

_RETRY_FULL_SECONDS = 10


class Stream:
    """Sessions that were closed stay listed for a while; the counters of all that ever were stay in the totals."""

    def __init__(self, name: str, strategy: Strategy, now: int, *, provisioned: bool = False) -> None:
        self.name = name
        self.strategy = strategy
        self.created_at = now
        self.provisioned = provisioned
        self.publisher: Session | None = None
        self.published: tuple[PublishedMedia, ...] = ()
        self.viewers: dict[str, Session] = {}
        self.channels = ChannelHub()
        self._publish_left_at = 0
        self._subscribe_left_at = now
        self._former_publisher: Session | None = None
        self._former_viewers: list[Session] = []
        self._publish_total = Total()
        self._subscribe_total = Total()

    @property
    def empty(self) -> bool:
        return self.publisher is None and not self.viewers

    def require_publisher_slot(self) -> None:
        """Raises `Conflict`."""
        if self.publisher is not None:
            raise Conflict("A connection has already been established")

    def require_viewer_slot(self) -> None:
        """Raises `Unavailable`."""
        if len(self.viewers) >= self.strategy.each_stream_max_sub:
            raise Unavailable("the stream has as many viewers as it may have", retry_after=_RETRY_FULL_SECONDS)

    def join(self, session: Session, published: tuple[PublishedMedia, ...] = ()) -> None:
        """Take a slot that `require_*_slot` has just found free."""
        if session.role == "publish":
            self.publisher = session
            self.published = published
            self._publish_left_at = 0
        else:
            self.viewers[session.id] = session
            self._subscribe_left_at = 0

    def leave(self, session: Session, now: int) -> None:
        """Give the slot back. `session` is closed, and stays listed for a while."""
        if session.role == "publish":
            self.publisher = None
            self.published = ()
            self._publish_left_at = now
            self._publish_total.fold(session.meter)
            self._former_publisher = session
        else:
            del self.viewers[session.id]
            if not self.viewers:
                self._subscribe_left_at = now
            self._subscribe_total.fold(session.meter)
            self._former_viewers.append(session)

    def expire_listed(self, now: int) -> None:
        """Forget closed sessions whose time on the list is over."""
        if self._former_publisher is not None and not self._former_publisher.listed(now):
            self._former_publisher = None
        if self._former_viewers and not self._former_viewers[0].listed(now):
            self._former_viewers = [session for session in self._former_viewers if session.listed(now)]

    def expiry(self, now: int) -> ExpiryReason | None:
        """Why the stream should go by itself now, if it should."""
        if self.provisioned:
            return None
        return self.strategy.expiry(
            publish_left_at=self._publish_left_at if self.publisher is None else None,
            subscribe_left_at=None if self.viewers else self._subscribe_left_at,
            now=now,
        )

    def view(self) -> StreamView:
        publisher = self.publisher or self._former_publisher
        live = [session.meter for session in self.viewers.values()]
        return StreamView(
            id=self.name,
            created_at=self.created_at,
            publish=PubSubView(
                leave_at=self._publish_left_at, sessions=(publisher.view(),) if publisher is not None else ()
            ),
            subscribe=PubSubView(
                leave_at=self._subscribe_left_at,
                sessions=tuple(session.view() for session in (*self.viewers.values(), *self._former_viewers)),
            ),
            codecs=tuple(
                CodecView(kind=media.kind, codec=media.codecs[0].name.lower(), fmtp=media.codecs[0].fmtp)
                for media in self.published
            ),
            provisioned=self.provisioned,
            on_demand=False,
            stats=StreamStatsView(
                publish=self._publish_total.view([self.publisher.meter] if self.publisher is not None else []),
                subscribe=self._subscribe_total.view(live),
            ),
            stats_scope="node",
        )
