"""Streams pulled from other servers and pushed to them, over the fake engine; the other servers are fakes too."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from live777py.errors import Conflict, NotFound, Unavailable, UpstreamError
from live777py.outbound import Endpoint
from live777py.rtc.negotiation import Encoding
from live777py.streams.events import (
    PublishStarted,
    PublishStopped,
    StreamCreated,
    StreamDeleted,
    SubscriberJoined,
    SubscriberLeft,
)
from live777py.streams.manager import StreamManager
from live777py.streams.settings import ProvisionedStream, StreamSettings
from live777py.streams.strategy import Strategy
from live777py.streams.views import CascadeView
from tests.fakes.client import AUDIO, VIDEO, VP9
from tests.fakes.remote import offer, watch
from tests.streams.conftest import HERE, House

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from live777py.media.engine import MediaEngine
    from live777py.rtc.negotiation import PublishedMedia
    from live777py.streams.views import SessionView

    MakeHouse = Callable[[StreamSettings], Awaitable[House]]

SOURCE = Endpoint("http://elsewhere/whep/origin?token=secret", "Bearer secret")
TARGET = Endpoint("http://elsewhere/whip/copy", "Bearer secret")
LAYERED = replace(VIDEO, encodings=tuple(Encoding(rid=rid) for rid in ("q", "h", "f")))


def viewer_of(house: House, session: str) -> SessionView:
    return next(view for view in house.manager.stream("s").subscribe.sessions if view.id == session)


# Pull


async def test_a_pull_is_a_publisher(house: House) -> None:
    early, _ = await house.play()
    await house.events()
    session = await house.manager.pull("s", SOURCE)
    (peer,) = house.servers.peers
    view = house.manager.stream("s")
    (publisher,) = view.publish.sessions
    assert (publisher.id, publisher.state) == (session, "connected")
    assert publisher.cascade == CascadeView(
        source_url="http://elsewhere/whep/origin", session_url="http://elsewhere/whep/origin"
    )
    assert [(codec.kind, codec.codec) for codec in view.codecs] == [("audio", "opus"), ("video", "vp8")]
    late, _ = await house.play()
    tracks = {media.kind: track for media, track in peer.tracks}
    assert house.flows(early) == house.flows(late) == tracks
    assert [event for event in await house.events() if not isinstance(event, SubscriberJoined)] == [
        PublishStarted(stream="s", session=session)
    ]
    assert peer.offered_channel


async def test_a_pull_takes_the_slot_before_it_asks(house: House) -> None:
    house.servers.answers.clear()
    pulling = asyncio.create_task(house.manager.pull("s", SOURCE))
    await house.until(lambda: bool(house.servers.peers))
    with pytest.raises(Conflict) as refused:
        await house.manager.publish("s", offer("vp8"), client=HERE)
    assert refused.value.retry_after == 1
    with pytest.raises(Conflict):
        await house.manager.pull("s", SOURCE)
    viewer = await house.manager.play("s", watch("opus", "vp8", "vp9"), client=HERE)
    house.servers.answers.set()
    await pulling
    assert len(house.flows(viewer)) == 2, "what is pulled was not known when the viewer came"
    assert len(house.servers.peers) == 1


async def test_a_pull_that_fails_leaves_nothing(house: House) -> None:
    house.servers.failure = UpstreamError("elsewhere answers 404 Not Found", answered=404)
    with pytest.raises(UpstreamError):
        await house.manager.pull("s", SOURCE)
    assert house.manager.streams() == []
    assert not house.fake.transports
    assert await house.events() == [StreamCreated(stream="s"), StreamDeleted(stream="s", reason="refused")]


async def test_a_pull_that_is_cancelled_leaves_nothing(house: House) -> None:
    house.servers.answers.clear()
    pulling = asyncio.create_task(house.manager.pull("s", SOURCE))
    await house.until(lambda: bool(house.servers.peers))
    pulling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pulling
    assert house.manager.streams() == []
    assert house.servers.peers[0].state == "closed"


async def test_a_pull_that_is_deleted_while_it_asks_is_over(house: House) -> None:
    house.servers.answers.clear()
    pulling = asyncio.create_task(house.manager.pull("s", SOURCE))
    await house.until(lambda: bool(house.servers.peers))
    await house.manager.delete("s")
    house.servers.answers.set()
    with pytest.raises(Unavailable):
        await pulling
    assert house.manager.streams() == []
    assert not house.fake.transports


async def test_a_pull_makes_streams_only_where_that_is_allowed(make_house: MakeHouse) -> None:
    house = await make_house(StreamSettings(strategy=Strategy(auto_create_whip=False)))
    with pytest.raises(NotFound):
        await house.manager.pull("s", SOURCE)
    house.manager.create("s")
    await house.manager.pull("s", SOURCE)


async def test_a_viewer_who_cannot_follow_goes_when_the_pull_is_there(house: House) -> None:
    viewer, _ = await house.play("s", watch("vp8"))
    house.servers.media = (replace(VIDEO, codecs=(VP9,)),)
    await house.manager.pull("s", SOURCE)
    assert house.state(viewer) == "closed"
    assert SubscriberLeft(stream="s", session=viewer.session, reason="codec-mismatch") in await house.events()


async def test_the_other_server_is_told_when_a_pull_ends(house: House) -> None:
    manager = house.manager
    for end in (manager.close_session, manager.stop_pull):
        await end("s", await manager.pull("s", SOURCE))
        assert house.servers.peers[-1].said_goodbye
    await manager.pull("s", SOURCE)
    await manager.delete("s")
    assert house.servers.peers[-1].said_goodbye


async def test_a_pull_may_be_stopped_under_its_viewers(house: House) -> None:
    session = await house.manager.pull("s", SOURCE)
    viewer, _ = await house.play()
    await house.events()
    await house.manager.stop_pull("s", session)
    assert house.state(viewer) == "connected"
    assert house.flows(viewer) == {}
    assert await house.events() == [PublishStopped(stream="s", session=session, reason="source-removed")]


async def test_a_configured_source_is_called_as_live777_calls_it(make_house: MakeHouse) -> None:
    provisioned = {name: ProvisionedStream(has_source=True) for name in ("s", "t")}
    house = await make_house(StreamSettings(provisioned=provisioned))
    for name in provisioned:
        assert await house.manager.pull(name, SOURCE, configured=True) == "virtual-source"
        with pytest.raises(Conflict, match=f"stream '{name}' has an active configured source"):
            await house.manager.publish(name, offer("vp8"), client=HERE)
    for name in provisioned:
        (session,) = house.manager.stream(name).publish.sessions
        assert (session.id, session.state) == ("virtual-source", "connected")
    house.servers.peers[0].end()
    assert house.manager.stream("s").publish.sessions[0].state == "closed"
    assert house.manager.stream("t").publish.sessions[0].state == "connected"
    await house.publish("s", offer("vp8"))


async def test_nobody_trickles_to_a_session_of_our_own(house: House) -> None:
    session = await house.manager.pull("s", SOURCE)
    with pytest.raises(Conflict):
        await house.patch("s", session, "")


async def test_without_a_way_to_other_servers_nothing_is_pulled(engine: MediaEngine) -> None:
    manager = StreamManager(engine)
    await manager.start()
    with pytest.raises(Conflict):
        await manager.pull("s", SOURCE)
    await manager.stop()


# Push


async def test_a_push_is_a_viewer(house: House) -> None:
    publisher, _ = await house.publish()
    await house.events()
    session = await house.manager.push("s", TARGET)
    (peer,) = house.servers.peers
    view = viewer_of(house, session)
    assert (view.state, view.cascade) == (
        "connected",
        CascadeView(target_url="http://elsewhere/whip/copy", session_url="http://elsewhere/whip/copy/session"),
    )
    assert {media.kind for media in peer.offered} == {"audio", "video"}
    attached = {house.fake.attached[number][0] for _, number in peer.subscriptions}
    assert attached == set(house.tracks(publisher).values())
    counts = house.manager.counts()
    assert (counts.subscribers, counts.reforwards) == (1, 1)
    assert await house.events() == [SubscriberJoined(stream="s", session=session)]


async def test_a_push_needs_a_publisher(house: House) -> None:
    with pytest.raises(NotFound):
        await house.manager.push("s", TARGET)
    await house.play()
    with pytest.raises(Conflict) as refused:
        await house.manager.push("s", TARGET)
    assert refused.value.retry_after
    assert house.servers.peers == []


async def test_a_push_takes_a_place(make_house: MakeHouse) -> None:
    house = await make_house(StreamSettings(strategy=Strategy(each_stream_max_sub=1)))
    await house.publish()
    await house.manager.push("s", TARGET)
    with pytest.raises(Unavailable):
        await house.manager.push("s", TARGET)
    with pytest.raises(Unavailable):
        await house.manager.play("s", watch("vp8"), client=HERE)


async def test_a_push_that_fails_leaves_nothing(house: House) -> None:
    await house.publish()
    await house.events()
    house.servers.failure = UpstreamError("elsewhere answers 409 Conflict", answered=409)
    with pytest.raises(UpstreamError):
        await house.manager.push("s", TARGET)
    assert house.manager.stream("s").subscribe.sessions == ()
    assert await house.events() == []


@pytest.mark.parametrize("close_sub", [True, False])
async def test_viewers_may_have_to_go_where_the_stream_is_pushed(make_house: MakeHouse, close_sub: bool) -> None:
    house = await make_house(StreamSettings(strategy=Strategy(cascade_push_close_sub=close_sub)))
    await house.publish()
    viewer, _ = await house.play()
    other = await house.manager.push("s", TARGET)
    house.servers.connects = False
    session = await house.manager.push("s", TARGET)
    again, _ = await house.play()
    house.servers.peers[-1].connect()
    assert viewer_of(house, session).state == viewer_of(house, other).state == "connected"
    assert (house.state(viewer), house.state(again)) == (("closed",) * 2 if close_sub else ("connected",) * 2)


async def test_all_layers_are_pushed_and_each_stays_its_own(house: House) -> None:
    house.servers.media = (AUDIO, LAYERED)
    await house.manager.pull("s", SOURCE)
    await house.manager.push("s", TARGET)
    source, target = house.servers.peers
    video = next(track for media, track in source.tracks if media.kind == "video")
    pinned = {
        played.rid: (house.fake.attached[number][0], house.fake.layers.get(number))
        for played, number in target.subscriptions
        if played.kind == "video"
    }
    assert pinned == {"q": (video, "q"), "h": (video, "h"), "f": (video, "f")}


@pytest.mark.parametrize(
    ("media", "follows"),
    [
        ((AUDIO, LAYERED), True),
        ((AUDIO, VIDEO), False),
        ((LAYERED,), False),
        ((AUDIO, replace(LAYERED, codecs=(VP9,))), False),
        ((AUDIO, replace(LAYERED, encodings=LAYERED.encodings[:2])), False),
    ],
)
async def test_a_push_ends_where_its_offer_does_not_fit_any_more(
    house: House, media: tuple[PublishedMedia, ...], follows: bool
) -> None:
    house.servers.media = (AUDIO, LAYERED)
    await house.manager.pull("s", SOURCE)
    session = await house.manager.push("s", TARGET)
    house.servers.peers[0].end()
    await house.events()
    house.servers.media = media
    await house.manager.pull("s", SOURCE)
    assert viewer_of(house, session).state == ("connected" if follows else "closed")
    left = SubscriberLeft(stream="s", session=session, reason="codec-mismatch")
    assert (left in await house.events()) is not follows
    assert house.servers.peers[1].said_goodbye is not follows


async def test_a_publisher_that_changes_while_a_push_asks(house: House) -> None:
    _, remote = await house.publish("s", offer("vp8"))
    house.servers.answers.clear()
    pushing = asyncio.create_task(house.manager.push("s", TARGET))
    await house.until(lambda: bool(house.servers.peers))
    remote.dtls.shutdown()
    await house.until(lambda: house.manager.stream("s").publish.leave_at > 0)
    await house.manager.publish("s", offer("vp9"), client=HERE)
    house.servers.answers.set()
    with pytest.raises(Conflict) as refused:
        await pushing
    assert refused.value.retry_after
    assert house.servers.peers[0].said_goodbye


async def test_a_push_that_is_deleted_tells_the_other_server(house: House) -> None:
    await house.publish()
    session = await house.manager.push("s", TARGET)
    await house.manager.close_session("s", session)
    assert house.servers.peers[0].said_goodbye
    assert house.manager.stream("s").publish.sessions[0].state == "connected"


async def test_a_publisher_that_deletes_takes_its_pushes_along(house: House) -> None:
    publisher, _ = await house.publish()
    await house.manager.push("s", TARGET)
    await house.manager.close_session("s", publisher.session)
    assert house.servers.peers[0].said_goodbye
    assert house.manager.streams() == []
