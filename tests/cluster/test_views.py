"""Lists of several nodes as one."""

from __future__ import annotations

from live777py.cluster.views import merge
from live777py.streams.views import PubSubView, SessionState, SessionView, StatsView, StreamStatsView, StreamView


def stats(count: int) -> StatsView:
    return StatsView(bytes=count, packets=count, bitrate=count)


def session(name: str, state: SessionState = "connected", *, relay: bool = False) -> SessionView:
    return SessionView(
        id=name, created_at=1, leave_at=0, state=state, has_data_channel=False, stats=stats(1), relay=relay or None
    )


def view(
    name: str, publish: tuple[SessionView, ...] = (), subscribe: tuple[SessionView, ...] = (), *, created_at: int = 5
) -> StreamView:
    return StreamView(
        id=name,
        created_at=created_at,
        publish=PubSubView(leave_at=created_at, sessions=publish),
        subscribe=PubSubView(leave_at=created_at, sessions=subscribe),
        codecs=(),
        provisioned=False,
        on_demand=False,
        stats=StreamStatsView(publish=stats(created_at), subscribe=stats(10)),
        stats_scope="node",
    )


def ids(sessions: tuple[SessionView, ...]) -> list[str]:
    return [each.id for each in sessions]


def test_every_stream_once_in_order() -> None:
    merged = merge([[view("a"), view("b")], [view("c"), view("a")], []])
    assert [each.id for each in merged] == ["a", "b", "c"]
    assert {each.stats_scope for each in merged} == {"clusterNodeWork"}


def test_sessions_between_nodes_are_left_out() -> None:
    here = view("a", (session("pull", relay=True),), (session("far"), session("gone", "closed")))
    there = view("a", (session("camera"),), (session("near"), session("pulled", relay=True)), created_at=3)
    (merged,) = merge([[here], [there]])
    assert ids(merged.publish.sessions) == ["camera"]
    assert ids(merged.subscribe.sessions) == ["far", "gone", "near"]
    assert (merged.created_at, merged.subscribe.leave_at) == (3, 0)
    assert (merged.stats.publish.bytes, merged.stats.subscribe.bytes) == (3, 20)


def test_a_publisher_who_is_there_comes_before_one_who_left() -> None:
    left = view("a", (session("old", "closed"),), created_at=9)
    (merged,) = merge([[left], [view("a", (session("new"),))], [view("a")]])
    assert ids(merged.publish.sessions) == ["new"]
    (merged,) = merge([[view("a", (session("older", "closed"),), created_at=4)], [left]])
    assert ids(merged.publish.sessions) == ["old"]
    assert merged.subscribe.leave_at == 9
