"""The life of a stream as a table: in this state, upon this event, these actions follow."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from live777py.errors import Conflict, Unavailable
from live777py.streams.lifecycle import (
    GIVES_WAY_MS,
    Action,
    Admit,
    Close,
    Delete,
    Lifecycle,
    Refuse,
    UnwantSource,
    Wait,
    WantSource,
)
from live777py.streams.session import Session
from live777py.streams.settings import ProvisionedStream
from live777py.streams.strategy import ORPHAN_MS, Strategy
from live777py.streams.views import CascadeView

if TYPE_CHECKING:
    from collections.abc import Callable

    from live777py.streams.lifecycle import Phase

    Event = Callable[["World"], list[Action]]
    Expected = list[object] | type[Exception]

NOW = 1_000_000
START = 10_000
CLOSE = 5_000
ON_DEMAND = ProvisionedStream(
    on_demand=True, has_source=True, on_demand_start_timeout_ms=START, on_demand_close_after_ms=CLOSE
)


class World:
    """A stream with sessions that are called by letters: p publisher, v w viewers, c a cascade push."""

    def __init__(self, strategy: Strategy, provisioned: ProvisionedStream | None) -> None:
        self.life = Lifecycle("s", strategy, NOW, provisioned)
        self.known: dict[str, Session] = {}

    def session(self, name: str) -> Session:
        return self.known[name]

    def publish(self, name: str = "p", *, connected: bool = True, configured: bool = False) -> World:
        session = self.known[name] = Session(name, "publish", NOW, configured=configured)
        assert self.life.publisher_comes(configured=configured) == []
        self.life.publisher_joins(session)
        if connected:
            self.connect(name)
        return self

    def connect(self, name: str) -> list[Action]:
        session = self.known[name]
        session.enter("connecting", NOW)
        session.enter("connected", NOW)
        if session.role == "publish":
            return self.life.publisher_arrives(NOW)
        return self.life.viewer_connects(session)

    def watch(self, name: str = "v", *, cascade: bool = False) -> World:
        view = CascadeView(target_url="http://elsewhere/whip/s") if cascade else None
        session = self.known[name] = Session(name, "subscribe", NOW, cascade=view)
        assert Wait() not in self.life.viewer_comes(NOW)
        self.life.viewer_joins(session, NOW)
        return self

    def wait(self) -> World:
        assert self.life.viewer_comes(NOW)[-1] == Wait()
        return self

    def admitted(self, name: str = "v") -> World:
        """One who has waited takes a slot."""
        self.life.viewer_stops_waiting(NOW)
        return self.watch(name)

    def leave(self, name: str, now: int = NOW) -> World:
        self.life.leaves(self.known[name], now)
        return self


def ordinary(**strategy: Any) -> World:
    return World(replace(Strategy(), **strategy), None)


def on_demand(**strategy: Any) -> World:
    return World(replace(Strategy(), **strategy), ON_DEMAND)


def running() -> World:
    return on_demand().wait().publish(configured=True).admitted()


STATES: dict[str, Callable[[], World]] = {
    "empty": ordinary,
    "published": lambda: ordinary().publish(),
    "being published": lambda: ordinary().publish(connected=False),
    "published, takeover": lambda: ordinary(on_publish_conflict="takeover").publish(),
    "watched": lambda: ordinary().watch(),
    "watched by two": lambda: ordinary().watch("v").watch("w"),
    "watched, nobody creates": lambda: ordinary(auto_create_whip=False, auto_create_whep=False).watch(),
    "full": lambda: ordinary(each_stream_max_sub=1).watch(),
    "published and watched": lambda: ordinary().publish().watch("v").watch("w"),
    "pushed": lambda: ordinary(cascade_push_close_sub=True).publish().watch("v").watch("c", cascade=True),
    "pushed, viewers stay": lambda: ordinary().publish().watch("v").watch("c", cascade=True),
    "left by its publisher": lambda: ordinary(auto_delete_whip=500).publish().watch().leave("p"),
    "unwatched": lambda: ordinary(auto_delete_whep=500).publish(),
    "provisioned": lambda: World(Strategy(), ProvisionedStream()),
    "provisioned, published and watched": lambda: World(Strategy(), ProvisionedStream()).publish().watch(),
    "provisioned, with a source": lambda: World(Strategy(), ProvisionedStream(has_source=True)).publish(
        configured=True
    ),
    "takeover, with a source": lambda: World(
        Strategy(on_publish_conflict="takeover"), ProvisionedStream(has_source=True)
    ).publish(configured=True),
    "idle": on_demand,
    "idle, published by a client": lambda: on_demand().publish(),
    "idle, being published by a client": lambda: on_demand().publish(connected=False),
    "waited for": lambda: on_demand().wait(),
    "waited for by two": lambda: on_demand().wait().wait(),
    "waited for, full": lambda: on_demand(each_stream_max_sub=2).wait().wait(),
    "starting": lambda: on_demand().wait().publish(connected=False, configured=True),
    "running": running,
    "running for a push": lambda: (
        on_demand().wait().publish(configured=True).admitted("v").watch("c", cascade=True).leave("v")
    ),
    "lost its source": lambda: running().leave("p"),
    "lost its source, and waited for": lambda: running().leave("p").wait(),
    "closing": lambda: running().leave("v"),
    "closing, published by a client": lambda: running().leave("p").publish("q").leave("v"),
}


def publisher_comes(silent_ms: int = 0, *, configured: bool = False) -> Event:
    return lambda world: world.life.publisher_comes(configured=configured, silent_ms=silent_ms)


def viewer_comes(world: World) -> list[Action]:
    return world.life.viewer_comes(NOW)


def connects(name: str) -> Event:
    return lambda world: world.connect(name)


def leaves(name: str) -> Event:
    return lambda world: world.life.leaves(world.known[name], NOW)


def client_deletes(name: str) -> Event:
    return lambda world: world.life.client_deletes(world.known[name])


def api_deletes(world: World) -> list[Action]:
    return world.life.api_deletes()


def source_fails(world: World) -> list[Action]:
    return world.life.source_failed("no such host")


def stops_waiting(world: World) -> list[Action]:
    return world.life.viewer_stops_waiting(NOW)


def after(milliseconds: int) -> Event:
    return lambda world: world.life.tick(NOW + milliseconds)


def configured_as(provisioned: ProvisionedStream | None, strategy: Strategy | None = None) -> Event:
    return lambda world: world.life.reconfigure(strategy or Strategy(), provisioned, NOW)


TIMED_OUT = Refuse("it was not there in time", timed_out=True)
DELETED = Refuse("the stream was deleted")

TABLE: list[tuple[str, Event, Expected]] = [
    # Who publishes
    ("empty", publisher_comes(), []),
    ("watched", publisher_comes(), []),
    ("left by its publisher", publisher_comes(), []),
    ("provisioned", publisher_comes(), []),
    ("published", publisher_comes(), Conflict),
    ("published", publisher_comes(GIVES_WAY_MS - 1), Conflict),
    ("published", publisher_comes(GIVES_WAY_MS), [("p", "idle-timeout")]),
    ("published", publisher_comes(GIVES_WAY_MS, configured=True), [("p", "idle-timeout")]),
    ("being published", publisher_comes(GIVES_WAY_MS), Conflict),
    ("published, takeover", publisher_comes(), [("p", "taken-over")]),
    ("published, takeover", publisher_comes(configured=True), Conflict),
    ("published, takeover", publisher_comes(GIVES_WAY_MS), [("p", "idle-timeout")]),
    ("provisioned, with a source", publisher_comes(), Conflict),
    ("provisioned, with a source", publisher_comes(GIVES_WAY_MS), [("p", "idle-timeout")]),
    ("takeover, with a source", publisher_comes(), Conflict),
    ("idle", publisher_comes(), []),
    ("idle", publisher_comes(configured=True), Conflict),
    ("waited for", publisher_comes(configured=True), []),
    ("waited for", publisher_comes(), Conflict),
    ("starting", publisher_comes(), Conflict),
    ("running", publisher_comes(), Conflict),
    ("lost its source", publisher_comes(), []),
    ("lost its source", publisher_comes(configured=True), []),
    # Who watches
    ("empty", viewer_comes, []),
    ("published", viewer_comes, []),
    ("full", viewer_comes, Unavailable),
    ("waited for, full", viewer_comes, Unavailable),
    ("provisioned, with a source", viewer_comes, []),
    ("idle", viewer_comes, [WantSource(), Wait()]),
    ("idle, published by a client", viewer_comes, []),
    ("idle, being published by a client", viewer_comes, []),
    ("waited for", viewer_comes, [Wait()]),
    ("starting", viewer_comes, [Wait()]),
    ("running", viewer_comes, []),
    ("closing", viewer_comes, []),
    ("lost its source", viewer_comes, [WantSource(), Wait()]),
    # Who is there
    ("being published", connects("p"), []),
    ("starting", connects("p"), [Admit()]),
    ("watched", connects("v"), []),
    ("pushed", connects("v"), []),
    ("pushed", connects("c"), [("v", "cascade-push")]),
    ("pushed, viewers stay", connects("c"), []),
    # Who goes by itself
    ("published and watched", leaves("p"), []),
    ("published and watched", leaves("v"), []),
    ("starting", leaves("p"), [Refuse("it did not connect")]),
    ("running", leaves("p"), []),
    ("running", leaves("v"), []),
    ("closing", leaves("p"), [UnwantSource()]),
    ("lost its source", leaves("v"), [UnwantSource()]),
    ("lost its source, and waited for", leaves("v"), []),
    ("idle, published by a client", leaves("p"), []),
    ("waited for", stops_waiting, [UnwantSource()]),
    ("waited for by two", stops_waiting, []),
    ("starting", stops_waiting, []),
    ("lost its source, and waited for", stops_waiting, []),
    # Who says goodbye
    (
        "published and watched",
        client_deletes("p"),
        [("p", "api-deleted"), ("v", "api-deleted"), ("w", "api-deleted"), Delete("api-deleted")],
    ),
    ("published and watched", client_deletes("v"), [("v", "api-deleted")]),
    ("watched by two", client_deletes("v"), [("v", "api-deleted")]),
    ("watched", client_deletes("v"), [("v", "api-deleted"), Delete("api-deleted")]),
    ("watched, nobody creates", client_deletes("v"), [("v", "api-deleted")]),
    (
        "provisioned, published and watched",
        client_deletes("p"),
        [("p", "api-deleted"), ("v", "api-deleted"), Delete("reset")],
    ),
    ("provisioned, published and watched", client_deletes("v"), [("v", "api-deleted")]),
    ("starting", client_deletes("p"), [DELETED, UnwantSource(), ("p", "api-deleted"), Delete("reset")]),
    ("running", client_deletes("p"), [UnwantSource(), ("p", "api-deleted"), ("v", "api-deleted"), Delete("reset")]),
    ("running", client_deletes("v"), [("v", "api-deleted")]),
    # DELETE of the stream
    ("empty", api_deletes, [Delete("api-deleted")]),
    (
        "published and watched",
        api_deletes,
        [("p", "stream-deleted"), ("v", "stream-deleted"), ("w", "stream-deleted"), Delete("api-deleted")],
    ),
    ("provisioned", api_deletes, Conflict),
    # The source
    ("idle", source_fails, []),
    ("waited for", source_fails, [Refuse("no such host")]),
    ("starting", source_fails, [Refuse("no such host")]),
    ("running", source_fails, []),
    ("lost its source", source_fails, []),
    ("lost its source, and waited for", source_fails, [Refuse("no such host")]),
    # Time
    ("empty", after(ORPHAN_MS), []),
    ("empty", after(ORPHAN_MS + 1), [Delete("orphaned")]),
    ("provisioned", after(10**9), []),
    ("published and watched", after(10**9), []),
    ("left by its publisher", after(499), []),
    ("left by its publisher", after(500), [("v", "stream-deleted"), Delete("publish-leave-timeout")]),
    ("unwatched", after(499), []),
    ("unwatched", after(500), [("p", "stream-deleted"), Delete("subscribe-leave-timeout")]),
    ("waited for", after(START - 1), []),
    ("waited for", after(START), [TIMED_OUT]),
    ("starting", after(START), [TIMED_OUT]),
    ("running", after(10**9), []),
    ("running for a push", after(10**9), []),
    ("lost its source, and waited for", after(START), [TIMED_OUT]),
    ("closing", after(CLOSE - 1), []),
    ("closing", after(CLOSE), [UnwantSource(), ("p", "unwatched")]),
    ("closing, published by a client", after(CLOSE), [UnwantSource()]),
    # Another configuration
    ("published and watched", configured_as(ProvisionedStream()), []),
    ("published and watched", configured_as(ON_DEMAND), []),
    ("watched", configured_as(ON_DEMAND), [WantSource()]),
    ("provisioned, published and watched", configured_as(None), []),
    ("waited for", configured_as(None), [Admit()]),
    ("running", configured_as(None), []),
    ("watched by two", configured_as(None, Strategy(each_stream_max_sub=1)), []),
]


@pytest.mark.parametrize(("state", "event", "expected"), TABLE)
def test_table(state: str, event: Event, expected: Expected) -> None:
    world = STATES[state]()
    if isinstance(expected, type):
        before = {name: getattr(world.life, name) for name in Lifecycle.__slots__}
        with pytest.raises(expected) as refused:
            event(world)
        assert getattr(refused.value, "retry_after", None) or state == "idle" or event is api_deletes
        assert before == {name: getattr(world.life, name) for name in Lifecycle.__slots__}
        return
    actions = [(action.session.id, action.reason) if isinstance(action, Close) else action for action in event(world)]
    assert actions == expected


@pytest.mark.parametrize(
    ("state", "phase", "due"),
    [
        ("published", "idle", None),
        ("idle", "idle", None),
        ("idle, published by a client", "idle", None),
        ("waited for", "starting", NOW + START),
        ("starting", "starting", NOW + START),
        ("running", "running", None),
        ("running for a push", "running", None),
        ("lost its source", "starting", None),
        ("lost its source, and waited for", "starting", NOW + START),
        ("closing", "closing", NOW + CLOSE),
    ],
)
def test_phases_of_an_on_demand_source(state: str, phase: Phase, due: int | None) -> None:
    life = STATES[state]().life
    assert (life.phase, life.due) == (phase, due)


def test_viewers_share_one_wait() -> None:
    world = on_demand().wait()
    world.life.viewer_comes(NOW + START - 1)
    assert world.life.tick(NOW + START) == [TIMED_OUT]
    assert world.life.viewer_stops_waiting(NOW + START) == []
    assert world.life.viewer_stops_waiting(NOW + START) == [UnwantSource()]
    assert world.life.viewer_comes(NOW + START) == [WantSource(), Wait()], "the next one tries again"
    assert world.life.due == NOW + 2 * START


def test_who_comes_back_in_time_keeps_the_source() -> None:
    world = running().leave("v", NOW)
    world.watch("w")
    assert (world.life.phase, world.life.due) == ("running", None)
    assert world.life.tick(NOW + CLOSE) == []


def test_a_target_of_the_configuration_is_no_reason_to_run_the_source() -> None:
    world = running()
    world.known["t"] = target = Session("t", "subscribe", NOW, configured=True)
    world.life.viewer_joins(target, NOW)
    world.leave("v", NOW)
    assert (world.life.phase, world.life.due) == ("closing", NOW + CLOSE)
    world.leave("p", NOW)
    assert world.life.phase == "idle"


def test_viewers_who_cannot_follow_go_before_those_who_wait_come() -> None:
    world = running().leave("p").wait()
    world.known["p"] = again = Session("p", "publish", NOW, configured=True)
    world.life.publisher_joins(again)
    again.enter("connecting", NOW)
    again.enter("connected", NOW)
    actions = world.life.publisher_arrives(NOW, [world.known["v"]])
    assert actions == [Close(world.known["v"], "codec-mismatch"), Admit()]


def test_what_ends_wants_no_source_any_more() -> None:
    """While the sessions of a stream that is deleted leave one by one."""
    world = running()
    world.life.client_deletes(world.known["p"])
    assert world.life.leaves(world.known["p"], NOW) == []
    assert world.life.leaves(world.known["v"], NOW) == []


def test_a_source_that_runs_already_stops_when_nobody_watches_it_on_demand() -> None:
    world = World(Strategy(), ProvisionedStream(has_source=True)).publish(configured=True)
    assert world.life.reconfigure(Strategy(), ON_DEMAND, NOW) == []
    assert world.life.tick(NOW + CLOSE) == [UnwantSource(), Close(world.known["p"], "unwatched")]


def test_times_of_the_sides() -> None:
    world = ordinary()
    assert (world.life.publish_left_at, world.life.subscribe_left_at) == (0, NOW)
    world.publish().watch()
    assert (world.life.publish_left_at, world.life.subscribe_left_at) == (0, 0)
    world.leave("p", NOW + 1).leave("v", NOW + 2)
    assert (world.life.publish_left_at, world.life.subscribe_left_at) == (NOW + 1, NOW + 2)
    assert world.life.sessions == []


def test_who_waits_watches() -> None:
    """A stream is not deleted under somebody who waits for it."""
    world = World(Strategy(auto_delete_whep=500), ON_DEMAND).wait()
    world.life.reconfigure(Strategy(auto_delete_whep=500), None, NOW)
    assert world.life.tick(NOW + 10_000) == []
    world.life.viewer_stops_waiting(NOW + 10_000)
    assert world.life.tick(NOW + 10_499) == []
    assert world.life.tick(NOW + 10_500) == [Delete("subscribe-leave-timeout")]
