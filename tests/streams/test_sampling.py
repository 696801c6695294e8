"""Counters of sessions that come and go, and what is left of them, over the fake engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from live777py.streams import manager as manager_module
from live777py.streams import sampler as sampler_module
from live777py.streams.events import (
    StatsSampled,
)
from live777py.streams.settings import StreamSettings
from tests.fakes import media as fake_media

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

    from tests.streams.conftest import House

    MakeHouse = Callable[[StreamSettings], Awaitable[House]]


async def sample(house: House) -> None:
    house.manager._sampler._sampled_at = 0
    await house.manager._sampler.refresh()


async def test_counters_are_summed_and_never_fall(house: House) -> None:
    publisher, remote = await house.publish()
    viewer, _ = await house.play()
    audio, video = house.tracks(publisher)["audio"], house.tracks(publisher)["video"]
    numbers = house.subscriptions(viewer)
    house.fake.counters.tracks = [
        fake_media.TrackStats(track=audio, packets=1, bytes=100),
        fake_media.TrackStats(track=video, rid="h", packets=2, bytes=2_000, lost=1),
        fake_media.TrackStats(track=video, rid="f", packets=3, bytes=3_000, lost=2),
    ]
    house.fake.counters.subscriptions = [
        fake_media.SubscriptionStats(subscription=number, packets=5, bytes=500) for number in numbers
    ]
    await sample(house)
    view = house.manager.stream("s")
    assert (view.stats.publish.bytes, view.stats.publish.packets) == (5_100, 6)
    assert (view.stats.publish.packets_lost, view.stats.subscribe.packets_lost) == (3, None)
    assert (view.stats.subscribe.bytes, view.subscribe.sessions[0].stats.packets) == (1_000, 10)
    counts = house.manager.counts()
    assert (counts.streams, counts.publishers, counts.subscribers) == (1, 1, 1)
    assert (counts.rtp_bytes_in, counts.rtp_bytes_out) == (5_100, 1_000)

    remote.dtls.shutdown()
    await house.until(lambda: house.manager.stream("s").publish.leave_at > 0)
    house.fake.counters.tracks = []
    await sample(house)
    view = house.manager.stream("s")
    assert view.stats.publish.bytes == 5_100
    assert view.publish.sessions[0].stats.bytes == 5_100
    assert house.manager.counts().rtp_bytes_in == 5_100


async def test_a_session_that_is_deleted_has_its_last_counters(house: House) -> None:
    await house.publish()
    viewer, _ = await house.play()
    numbers = house.subscriptions(viewer)
    house.fake.counters.subscriptions = [fake_media.SubscriptionStats(subscription=numbers[0], packets=1, bytes=77)]
    house.manager._registry.clock.offset += 1.0
    await house.manager.close_session("s", viewer.session)
    session = house.session(viewer)
    assert session is not None
    assert (session.stats.bytes, session.stats.bitrate, session.state) == (77, 0, "closed")


async def test_who_is_silent_is_disconnected_until_it_is_heard(house: House) -> None:
    """Live777's case of a silent publisher is another: it sends no media and is heard by STUN."""
    publisher, _ = await house.publish()
    viewer, _ = await house.play()
    rows = [fake_media.TransportStats(transport=house.transport(answer)) for answer in (publisher, viewer)]
    house.fake.counters.transports = rows
    for silent_ms, state in (
        (None, "connected"),
        (sampler_module.SILENT_MS - 1, "connected"),
        (sampler_module.SILENT_MS, "disconnected"),
        (100, "connected"),
    ):
        for row in rows:
            row.silent_ms = silent_ms
        await sample(house)
        assert (house.state(publisher), house.state(viewer)) == (state, state)


async def test_samples_are_taken_again_and_again(make_house: MakeHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler_module, "SAMPLE_SECONDS", 0.001)
    monkeypatch.setattr(sampler_module, "FRESH_MS", 0)
    house = await make_house(StreamSettings())
    with house.manager.bus.subscribe() as events:
        async with asyncio.timeout(5):
            assert [await anext(events) for _ in range(3)] == [StatsSampled()] * 3


async def test_an_engine_without_counters_stops_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher, _ = await house.publish()
    monkeypatch.setattr(house.manager._engine, "stats", lambda: house.manager._engine.detach(99))
    await sample(house)
    await house.manager.close_session("s", publisher.session)


async def test_memory_is_given_back_after_many_have_left(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[int] = []
    monkeypatch.setattr(manager_module, "release_free_memory", lambda: released.append(1))
    monkeypatch.setattr(manager_module, "_RELEASE_AFTER_SESSIONS", 2)
    await house.publish()
    house.manager._released_at = house.manager._registry.clock.now()
    for expected in (0, 1, 1):
        viewer, _ = await house.play()
        await house.manager.close_session("s", viewer.session)
        house.manager._keep_house()
        assert len(released) == expected
    house.manager._registry.clock.offset += 10.0
    house.manager._keep_house()
    assert len(released) == 2, "the last few are not forgotten"


async def test_nothing_is_left_after_many_sessions(house: House) -> None:
    await house.publish()
    tasks = len(asyncio.all_tasks())
    for _ in range(2):
        viewers = [(await house.play())[0] for _ in range(20)]
        for viewer in viewers:
            await house.manager.close_session("s", viewer.session)
    assert len(asyncio.all_tasks()) == tasks
    assert len(house.fake.transports) == len(house.manager._registry.sessions) == house.manager._engine.transports == 1
    assert not house.manager._engine._pending
