"""Sources that run only while somebody watches."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from live777py.errors import BadRequest, Conflict, Unavailable, UpstreamError, UpstreamTimeout
from live777py.outbound import Endpoint
from live777py.streams.events import (
    PublishStarted,
    PublishStopped,
    SourceUnwanted,
    SourceWanted,
    StreamCreated,
    StreamDeleted,
    StreamEvent,
    SubscriberJoined,
    SubscriberLeft,
)
from live777py.streams.settings import ProvisionedStream, StreamSettings
from live777py.streams.strategy import Strategy
from tests.fakes.client import VIDEO, VP9
from tests.fakes.remote import offer, watch
from tests.streams.conftest import HERE, House

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from live777py.streams.clients import Answer

    MakeHouse = Callable[[StreamSettings], Awaitable[House]]

SOURCE = Endpoint("http://elsewhere/whep/origin")
TARGET = Endpoint("http://elsewhere/whip/copy")
ON_DEMAND = ProvisionedStream(
    on_demand=True, has_source=True, on_demand_start_timeout_ms=10_000, on_demand_close_after_ms=10_000
)
WANTED = SourceWanted(stream="s")
UNWANTED = SourceUnwanted(stream="s")


@pytest.fixture
async def house(make_house: MakeHouse) -> House:
    house = await make_house(StreamSettings(provisioned={"s": ON_DEMAND}))
    await house.events()
    return house


async def waiting(house: House, count: int = 1) -> list[asyncio.Task[Answer]]:
    """Viewers who wait for the source."""
    tasks = [
        asyncio.create_task(house.manager.play("s", watch("opus", "vp8", "vp9"), client=HERE)) for _ in range(count)
    ]
    life = house.manager._registry.streams["s"].life
    before = life.waiting
    await asyncio.sleep(0)  # each task runs until it waits
    assert life.waiting == before + count
    return tasks


async def without_viewers(house: House) -> list[StreamEvent]:
    return [event for event in await house.events() if not isinstance(event, SubscriberJoined | SubscriberLeft)]


async def running(house: House) -> tuple[str, Answer]:
    """The source's session, and a viewer's."""
    (viewer,) = await waiting(house)
    session = await house.manager.pull("s", SOURCE, configured=True)
    answer = await viewer
    await house.connect(answer)
    await house.events()
    return session, answer


async def test_the_first_viewer_wants_the_source_and_waits_for_it(house: House) -> None:
    assert house.manager.stream("s").on_demand
    house.servers.media = (replace(VIDEO, codecs=(VP9,)),)
    viewers = await waiting(house, 3)
    assert await house.events() == [WANTED]
    session = await house.manager.pull("s", SOURCE, configured=True)
    answers = await asyncio.gather(*viewers)
    for answer in answers:
        assert "UDP/TLS/RTP/SAVPF 98 " in answer.sdp, "what the source sends comes first"
        assert len(house.flows(answer)) == 1
    assert await house.events() == [PublishStarted(stream="s", session=session)]
    assert len(house.servers.peers) == 1


async def test_who_comes_while_it_runs_does_not_wait(house: House) -> None:
    await running(house)
    await house.play()
    assert await without_viewers(house) == []


async def test_the_source_stops_some_time_after_the_last_viewer_has_left(house: House) -> None:
    session, viewer = await running(house)
    other, _ = await house.play()
    await house.manager.close_session("s", viewer.session)
    house.pass_time(20_000)
    await house.manager.close_session("s", other.session)
    house.pass_time(5_000)
    assert await without_viewers(house) == []
    house.pass_time(5_001)
    assert await without_viewers(house) == [
        UNWANTED,
        PublishStopped(stream="s", session=session, reason="unwatched"),
    ]
    assert house.servers.peers[0].said_goodbye
    assert house.manager.stream("s").publish.sessions[0].state == "closed"
    await running(house)


async def test_who_comes_back_in_time_stops_the_stopping(house: House) -> None:
    _, viewer = await running(house)
    await house.manager.close_session("s", viewer.session)
    house.pass_time(5_000)
    await house.play()
    house.pass_time(60_000)
    assert await without_viewers(house) == []


async def test_the_times_are_kept_without_a_look_at_the_clock(make_house: MakeHouse) -> None:
    quick = replace(ON_DEMAND, on_demand_start_timeout_ms=20, on_demand_close_after_ms=20)
    house = await make_house(StreamSettings(provisioned={"s": quick}))
    with pytest.raises(UpstreamTimeout):
        await house.manager.play("s", watch("vp8"), client=HERE)
    (viewer,) = await waiting(house)
    await house.manager.pull("s", SOURCE, configured=True)
    answer = await viewer
    await house.manager.close_session("s", answer.session)
    await house.until(lambda: house.manager.stream("s").publish.leave_at > 0)


async def test_a_source_that_fails_is_told_to_all_who_wait_and_tried_again(house: House) -> None:
    viewers = await waiting(house, 2)
    house.manager.source_failed("s", "no such host")
    for outcome in await asyncio.gather(*viewers, return_exceptions=True):
        assert isinstance(outcome, UpstreamError)
        assert outcome.status == 502
        assert outcome.detail == "on-demand source for stream 's' not ready: no such host"
    assert await house.events() == [WANTED, UNWANTED]
    await running(house)


async def test_a_source_that_is_late_is_too_late(house: House) -> None:
    (first,) = await waiting(house)
    house.pass_time(5_000)
    (second,) = await waiting(house)
    house.pass_time(5_001)
    for outcome in await asyncio.gather(first, second, return_exceptions=True):
        assert isinstance(outcome, UpstreamTimeout)
        assert outcome.status == 504
        assert "'s'" in outcome.detail
    assert await house.events() == [WANTED, UNWANTED]
    assert house.manager.stream("s").subscribe.sessions == ()


async def test_a_source_that_does_not_connect_is_one_that_failed(house: House) -> None:
    house.servers.connects = False
    (viewer,) = await waiting(house)
    await house.manager.pull("s", SOURCE, configured=True)
    house.servers.peers[0].end("setup-timeout")
    with pytest.raises(UpstreamError):
        await viewer
    assert await house.events() == [WANTED, UNWANTED]


async def test_a_pull_that_fails_while_somebody_waits(house: House) -> None:
    (viewer,) = await waiting(house)
    house.servers.failure = UpstreamError("refused")
    with pytest.raises(UpstreamError):
        await house.manager.pull("s", SOURCE, configured=True)
    with pytest.raises(UpstreamError):
        await viewer


async def test_who_gives_up_waiting_wants_nothing_any_more(house: House) -> None:
    one, other = await waiting(house, 2)
    one.cancel()
    await asyncio.wait([one])
    assert await house.events() == [WANTED]
    other.cancel()
    await asyncio.wait([other])
    assert await house.events() == [UNWANTED]
    with pytest.raises(Conflict):
        await house.manager.pull("s", SOURCE, configured=True)


async def test_who_waits_has_a_place(make_house: MakeHouse) -> None:
    provisioned = replace(ON_DEMAND, strategy=Strategy(each_stream_max_sub=1))
    house = await make_house(StreamSettings(provisioned={"s": provisioned}))
    (viewer,) = await waiting(house)
    with pytest.raises(Unavailable):
        await house.manager.play("s", watch("vp8"), client=HERE)
    await house.manager.pull("s", SOURCE, configured=True)
    await viewer
    with pytest.raises(Unavailable):
        await house.manager.play("s", watch("vp8"), client=HERE)


async def test_an_offer_that_is_none_wants_no_source(house: House) -> None:
    with pytest.raises(BadRequest):
        await house.manager.play("s", "nonsense", client=HERE)
    assert await house.events() == []


async def test_a_source_that_is_lost_is_wanted_while_somebody_watches(house: House) -> None:
    session, viewer = await running(house)
    house.servers.peers[0].end()
    assert house.state(viewer) == "connected"
    (waits,) = await waiting(house)
    assert await house.events() == [PublishStopped(stream="s", session=session, reason="peer-closed"), WANTED]
    await house.manager.pull("s", SOURCE, configured=True)
    assert len(house.flows(await waits)) == len(house.flows(viewer)) == 2


async def test_a_push_wants_the_source_too(house: House) -> None:
    pushing = asyncio.create_task(house.manager.push("s", TARGET))
    await house.until(lambda: house.manager._registry.streams["s"].life.waiting > 0)
    await house.manager.pull("s", SOURCE, configured=True)
    session = await pushing
    assert [view.id for view in house.manager.stream("s").subscribe.sessions] == [session]
    house.pass_time(60_000)
    assert house.manager.stream("s").publish.sessions[0].state == "connected"


async def test_nobody_publishes_where_the_source_runs(house: House) -> None:
    (viewer,) = await waiting(house)
    with pytest.raises(Conflict, match="stream 's' has an active configured source"):
        await house.manager.publish("s", offer("vp8"), client=HERE)
    viewer.cancel()
    await asyncio.wait([viewer])
    await house.publish()


async def test_a_client_may_publish_instead_of_an_idle_source(house: House) -> None:
    publisher, _ = await house.publish()
    viewer, _ = await house.play()
    assert house.flows(viewer) == house.tracks(publisher)
    assert WANTED not in await house.events()


async def test_a_source_that_is_deleted_resets_the_stream(house: House) -> None:
    session, viewer = await running(house)
    await house.manager.close_session("s", session)
    assert house.state(viewer) is None
    assert await without_viewers(house) == [
        UNWANTED,
        PublishStopped(stream="s", session=session, reason="api-deleted"),
        StreamDeleted(stream="s", reason="reset"),
        StreamCreated(stream="s"),
    ]
    await running(house)


async def test_who_waits_for_a_stream_that_is_deleted_is_told(house: House) -> None:
    house.servers.connects = False
    (viewer,) = await waiting(house)
    session = await house.manager.pull("s", SOURCE, configured=True)
    await house.manager.close_session("s", session)
    with pytest.raises(UpstreamError, match="deleted"):
        await viewer
