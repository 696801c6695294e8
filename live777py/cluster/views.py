"""One list of streams out of those of the nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.streams.views import PubSubView, StatsView, StreamStatsView, StreamView

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from live777py.streams.views import SessionView


def merge(lists: Iterable[Iterable[StreamView]]) -> list[StreamView]:
    """In the order of the first list, then of what the next ones add."""
    found: dict[str, list[StreamView]] = {}
    for views in lists:
        for view in views:
            found.setdefault(view.id, []).append(view)
    return [_merged(views) for views in found.values()]


def _merged(views: Sequence[StreamView]) -> StreamView:
    """The publisher is that of the node which has it; relays between the nodes are left out."""
    holder = max(views, key=_rank)
    viewers = tuple(session for view in views for session in _own(view.subscribe.sessions))
    return StreamView(
        id=holder.id,
        created_at=min(view.created_at for view in views),
        publish=PubSubView(leave_at=holder.publish.leave_at, sessions=_own(holder.publish.sessions)),
        subscribe=PubSubView(
            leave_at=0
            if any(session.state != "closed" for session in viewers)
            else max(view.subscribe.leave_at for view in views),
            sessions=viewers,
        ),
        codecs=holder.codecs,
        provisioned=any(view.provisioned for view in views),
        on_demand=any(view.on_demand for view in views),
        stats=StreamStatsView(
            publish=holder.stats.publish,
            subscribe=StatsView(
                bytes=sum(view.stats.subscribe.bytes for view in views),
                packets=sum(view.stats.subscribe.packets for view in views),
                bitrate=sum(view.stats.subscribe.bitrate for view in views),
            ),
        ),
        stats_scope="clusterNodeWork",
    )


def _rank(view: StreamView) -> tuple[bool, bool, int]:
    """The one whose publisher is there comes before those who had one, and the newer of those before the older."""
    publishers = _own(view.publish.sessions)
    live = any(session.state != "closed" for session in publishers)
    return live, bool(publishers), view.publish.leave_at


def _own(sessions: Iterable[SessionView]) -> tuple[SessionView, ...]:
    return tuple(session for session in sessions if not session.relay)
