"""Another configuration while sessions live, and what tells that a view has changed."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from live777py.errors import Conflict, Unprocessable, UpstreamError
from live777py.streams.events import SourceWanted, StreamCreated, StreamDeleted
from live777py.streams.manager import StreamManager
from live777py.streams.settings import ProvisionedStream, StreamSettings
from live777py.streams.strategy import Strategy
from tests.fakes import media as fake_media
from tests.fakes.remote import offer, watch
from tests.streams.conftest import HERE, House

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from live777py.media.engine import MediaEngine

    MakeHouse = Callable[[StreamSettings], Awaitable[House]]

STREAMS = 2_000


async def test_sessions_survive(house: House) -> None:
    publisher, _ = await house.publish()
    viewer, _ = await house.play()
    await house.events()
    house.manager.reconfigure(
        StreamSettings(
            strategy=Strategy(each_stream_max_sub=1), provisioned={"new": ProvisionedStream(), "s": ProvisionedStream()}
        )
    )
    assert (house.state(publisher), house.state(viewer)) == ("connected", "connected")
    assert house.manager.strategy().each_stream_max_sub == 1
    assert [(view.id, view.provisioned) for view in house.manager.streams()] == [("s", True), ("new", True)]
    assert await house.events() == [StreamCreated(stream="new")]
    house.manager.reconfigure(StreamSettings())
    assert [(view.id, view.provisioned) for view in house.manager.streams()] == [("s", False), ("new", False)]
    house.pass_time(6_000)
    assert await house.events() == [StreamDeleted(stream="new", reason="orphaned")]
    assert (house.state(publisher), house.state(viewer)) == ("connected", "connected")


async def test_a_strategy_is_replaced_in_what_is_there(make_house: MakeHouse) -> None:
    own = StreamSettings(provisioned={"own": ProvisionedStream(strategy=Strategy(each_stream_max_sub=1))})
    house = await make_house(own)
    await house.play("s")
    await house.play("own")
    house.manager.reconfigure(
        StreamSettings(
            strategy=Strategy(each_stream_max_sub=1),
            provisioned={"own": ProvisionedStream(strategy=Strategy(each_stream_max_sub=2))},
        )
    )
    await house.play("own")
    for stream in ("s", "own"):
        with pytest.raises(Exception, match="as many viewers as it may have"):
            await house.manager.play(stream, watch("vp8"), client=HERE)


async def test_codecs_change_for_who_comes(house: House) -> None:
    await house.publish("old", offer("vp8"))
    house.manager.reconfigure(StreamSettings(video_codecs=("VP9",)))
    with pytest.raises(Unprocessable):
        await house.manager.publish("new", offer("vp8"), client=HERE)
    await house.publish("new", offer("vp9"))


async def test_a_stream_becomes_on_demand_under_its_viewers(house: House) -> None:
    await house.play()
    await house.events()
    on_demand = ProvisionedStream(on_demand=True, has_source=True)
    house.manager.reconfigure(StreamSettings(provisioned={"s": on_demand}))
    assert await house.events() == [SourceWanted(stream="s")]
    waiting = asyncio.create_task(house.manager.play("s", watch("vp8"), client=HERE))
    await house.until(lambda: house.manager._registry.streams["s"].life.waiting > 0)
    house.manager.reconfigure(StreamSettings())
    await waiting


async def test_names_of_the_configuration_are_taken(house: House) -> None:
    house.manager.reconfigure(StreamSettings(provisioned={"s": ProvisionedStream()}))
    with pytest.raises(Conflict):
        house.manager.create("s")


async def test_who_waits_at_the_end_is_told(make_house: MakeHouse) -> None:
    on_demand = ProvisionedStream(on_demand=True, has_source=True)
    house = await make_house(StreamSettings(provisioned={"s": on_demand}))
    waiting = asyncio.create_task(house.manager.play("s", watch("vp8"), client=HERE))
    await house.until(lambda: house.manager._registry.streams["s"].life.waiting > 0)
    await house.manager.stop()
    with pytest.raises(UpstreamError, match="shutting down"):
        await waiting


# What has changed


async def test_the_version_grows_with_what_is_seen_and_with_nothing_else(house: House) -> None:
    seen = house.manager.version

    def grown() -> bool:
        nonlocal seen
        before, seen = seen, house.manager.version
        return seen > before

    house.manager.create("empty")
    assert grown()
    publisher, _ = await house.publish()
    assert grown()
    viewer, _ = await house.play()
    assert grown()
    house.manager.streams()
    house.manager._keep_house()
    assert not grown()
    tracks = house.tracks(publisher)
    house.fake.counters.tracks = [fake_media.TrackStats(track=tracks["audio"], packets=1, bytes=100)]
    for expected in (True, True, False):  # bytes; the rate back to 0; nothing
        house.pass_time(1_000)
        await house.manager._sampler.refresh()
        assert grown() is expected
    await house.manager.close_session("s", viewer.session)
    assert grown()
    house.pass_time(30_000)
    assert grown(), "the closed session is not listed any more"


async def test_two_thousand_streams_are_listed(engine: MediaEngine) -> None:
    """The time is printed for docs/streams.md, and bounded by nothing here."""
    manager = StreamManager(engine)
    await manager.start()
    for number in range(STREAMS):
        await manager.publish(f"stream-{number}", offer("opus", "vp8"), client=HERE)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        body = msgspec.json.encode(manager.streams())
        times.append(1000 * (time.perf_counter() - started))
    print(f"{STREAMS} streams: {min(times):.1f} to {max(times):.1f} ms, {len(body)} bytes")
    assert len(msgspec.json.decode(body)) == STREAMS
    await manager.stop()
