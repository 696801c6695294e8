"""Who gets the one publisher slot of a stream."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from live777py.errors import ClientError, Conflict
from live777py.outbound import Endpoint
from live777py.streams.events import PublishStarted, PublishStopped
from live777py.streams.lifecycle import GIVES_WAY_MS
from live777py.streams.settings import StreamSettings
from live777py.streams.strategy import Strategy
from tests.fakes import media as fake_media
from tests.fakes.remote import offer, watch
from tests.streams.conftest import HERE, House

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from live777py.streams.clients import Answer

    MakeHouse = Callable[[StreamSettings], Awaitable[House]]

TAKEOVER = StreamSettings(strategy=Strategy(on_publish_conflict="takeover"))
SOURCE = Endpoint("http://elsewhere/whep/origin")


def make_silent(house: House, answer: Answer, milliseconds: float) -> None:
    house.fake.counters.transports = [
        fake_media.TransportStats(transport=house.transport(answer), silent_ms=milliseconds)
    ]
    house.pass_time(1_000)  # the newest sample is not new enough


async def test_of_two_publishers_at_the_same_instant_one_is_refused(house: House) -> None:
    for turn in range(50):
        outcomes = await asyncio.gather(
            *(house.manager.publish("s", offer("opus"), client=HERE) for _ in range(2)), return_exceptions=True
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
        assert len(refused) == 1, turn
        assert refused[0].retry_after == 1
        (session,) = house.manager.stream("s").publish.sessions
        await house.manager.close_session("s", session.id)


async def test_of_two_who_return_at_the_same_instant_one_gets_the_silent_ones_place(house: House) -> None:
    for _ in range(10):
        old, _ = await house.publish()
        make_silent(house, old, GIVES_WAY_MS)
        outcomes = await asyncio.gather(
            *(house.manager.publish("s", offer("opus"), client=HERE) for _ in range(3)), return_exceptions=True
        )
        assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 2
        (session,) = house.manager.stream("s").publish.sessions
        assert session.id != old.session
        await house.manager.close_session("s", session.id)


@pytest.mark.parametrize(("silent_ms", "gives_way"), [(GIVES_WAY_MS - 1, False), (GIVES_WAY_MS, True)])
async def test_a_silent_publisher_makes_room_at_once(house: House, silent_ms: float, gives_way: bool) -> None:
    old, _ = await house.publish()
    viewer, _ = await house.play()
    await house.events()
    make_silent(house, old, silent_ms)
    if not gives_way:
        with pytest.raises(Conflict) as refused:
            await house.manager.publish("s", offer("opus", "vp8"), client=HERE)
        assert refused.value.retry_after == 1
        return
    new, _ = await house.publish()
    assert house.flows(viewer) == house.tracks(new)
    assert await house.events() == [
        PublishStopped(stream="s", session=old.session, reason="idle-timeout"),
        PublishStarted(stream="s", session=new.session),
    ]


async def test_a_pull_gets_the_place_of_a_silent_publisher_too(house: House) -> None:
    old, _ = await house.publish()
    make_silent(house, old, GIVES_WAY_MS)
    session = await house.manager.pull("s", SOURCE)
    assert [view.id for view in house.manager.stream("s").publish.sessions] == [session]


async def test_a_publisher_that_is_not_connected_yet_is_not_silent(house: House) -> None:
    slow = await house.manager.publish("s", offer("opus"), client=HERE)
    make_silent(house, slow, 10_000)
    with pytest.raises(Conflict):
        await house.manager.publish("s", offer("opus"), client=HERE)


async def test_the_silence_of_one_is_not_that_of_its_successor(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else has taken the place while the engine was asked."""
    old, _ = await house.publish()
    make_silent(house, old, 60_000)
    refresh = house.manager._sampler.refresh
    successors: list[Answer] = []

    async def meanwhile() -> None:
        monkeypatch.setattr(house.manager._sampler, "refresh", refresh)
        successors.append(await house.manager.publish("s", offer("opus"), client=HERE))

    monkeypatch.setattr(house.manager._sampler, "refresh", meanwhile)
    with pytest.raises(Conflict):
        await house.manager.publish("s", offer("opus"), client=HERE)
    assert [session.id for session in house.manager.stream("s").publish.sessions] == [successors[0].session]


async def test_takeover_ends_the_old_publisher_and_keeps_the_viewers(make_house: MakeHouse) -> None:
    house = await make_house(TAKEOVER)
    old, remote = await house.publish()
    stays, _ = await house.play()
    goes, _ = await house.play("s", watch("vp8"))
    await house.events()
    new, _ = await house.publish("s", offer("opus", "vp9"))
    async with asyncio.timeout(5):
        await remote.closed.wait()
    assert house.flows(stays) == house.tracks(new)
    assert house.state(goes) == "closed"
    told = await house.events()
    assert told[0] == PublishStopped(stream="s", session=old.session, reason="taken-over")
    assert told[1] == PublishStarted(stream="s", session=new.session)


async def test_takeover_by_a_bad_offer_takes_nothing(make_house: MakeHouse) -> None:
    house = await make_house(TAKEOVER)
    old, _ = await house.publish()
    for text in ("v=0", offer("vp8", direction="recvonly")):
        with pytest.raises(ClientError):
            await house.manager.publish("s", text, client=HERE)
    assert house.state(old) == "connected"


async def test_publishers_that_take_over_at_the_same_instant(make_house: MakeHouse) -> None:
    house = await make_house(TAKEOVER)
    outcomes = await asyncio.gather(
        *(house.manager.publish("s", offer("opus"), client=HERE) for _ in range(3)), return_exceptions=True
    )
    (session,) = [view for view in house.manager.stream("s").publish.sessions if view.state != "closed"]
    winners = [outcome.session for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert session.id in winners
    assert len(house.fake.transports) == 1
