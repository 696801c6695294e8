"""A stream: a name, at most one publisher, any number of viewers, and what was counted of them. No I/O."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from live777py.streams.channels import ChannelHub
from live777py.streams.lifecycle import Lifecycle
from live777py.streams.stats import Total
from live777py.streams.views import CodecView, PubSubView, StreamStatsView, StreamView
from live777py.streams.waiting import WaitingRoom

if TYPE_CHECKING:
    from live777py.rtc.negotiation import PublishedMedia
    from live777py.streams.lifecycle import Action
    from live777py.streams.session import Session
    from live777py.streams.settings import ProvisionedStream
    from live777py.streams.strategy import Strategy


class Stream:
    """Sessions that were closed stay listed for a while; the counters of all that ever were stay in the totals.

    `published` is None until it is known what the publisher sends. `mark` is for
    `outbound.loop`. `now` is unix milliseconds.
    """

    def __init__(
        self,
        name: str,
        strategy: Strategy,
        now: int,
        provisioned: ProvisionedStream | None = None,
        *,
        channels: ChannelHub | None = None,
    ) -> None:
        self.name = name
        self.created_at = now
        self.mark = uuid.uuid4().hex
        self.life = Lifecycle(name, strategy, now, provisioned)
        self.channels = channels or ChannelHub()
        self.waiting_room = WaitingRoom()
        self._published: tuple[PublishedMedia, ...] | None = None
        self._codecs: tuple[CodecView, ...] = ()
        self._former_publisher: Session | None = None
        self._former_viewers: list[Session] = []
        self._publish_total = Total()
        self._subscribe_total = Total()

    @property
    def published(self) -> tuple[PublishedMedia, ...] | None:
        return self._published

    @published.setter
    def published(self, published: tuple[PublishedMedia, ...] | None) -> None:
        self._published = published
        self._codecs = tuple(
            CodecView(kind=media.kind, codec=media.codecs[0].name.lower(), fmtp=media.codecs[0].fmtp)
            for media in published or ()
        )

    def leave(self, session: Session, now: int, *, listed: bool = True) -> list[Action]:
        """Give the slot back. `session` is closed; a session that no client has heard of is not listed any more."""
        if session.role == "publish":
            self.published = None
            self._publish_total.fold(session.meter)
            self._former_publisher = session if listed else self._former_publisher
        else:
            self._subscribe_total.fold(session.meter)
            if listed:
                self._former_viewers.append(session)
        return self.life.leaves(session, now)

    def expire_listed(self, now: int) -> bool:
        """Forget closed sessions whose time on the list is over; whether there were any."""
        expired = False
        if self._former_publisher is not None and not self._former_publisher.listed(now):
            self._former_publisher = None
            expired = True
        if self._former_viewers and not self._former_viewers[0].listed(now):
            self._former_viewers = [session for session in self._former_viewers if session.listed(now)]
            expired = True
        return expired

    def view(self) -> StreamView:
        life = self.life
        publisher = life.publisher or self._former_publisher
        viewers = life.viewers.values()
        return StreamView(
            id=self.name,
            created_at=self.created_at,
            publish=PubSubView(
                leave_at=life.publish_left_at, sessions=(publisher.view(),) if publisher is not None else ()
            ),
            subscribe=PubSubView(
                leave_at=life.subscribe_left_at,
                sessions=tuple([session.view() for session in (*viewers, *self._former_viewers)]),
            ),
            codecs=self._codecs,
            provisioned=life.provisioned is not None,
            on_demand=life.on_demand,
            stats=StreamStatsView(
                publish=self._publish_total.view(() if life.publisher is None else (life.publisher.meter,)),
                subscribe=self._subscribe_total.view([session.meter for session in viewers]),
            ),
            stats_scope="node",
        )
