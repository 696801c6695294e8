"""Who comes, who goes, and who goes with them: the life of streams over the fake engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from live777py.errors import BadRequest, Conflict, NotFound, PreconditionFailed, Unavailable, Unprocessable
from live777py.rtc import peer as peer_module
from live777py.rtc.negotiation import NoCommonCodec
from live777py.streams.clients import Client
from live777py.streams.events import (
    PublishStarted,
    PublishStopped,
    StreamCreated,
    StreamDeleted,
    SubscriberJoined,
    SubscriberLeft,
)
from live777py.streams.settings import ProvisionedStream, StreamSettings
from live777py.streams.strategy import Strategy
from tests.fakes import media as fake_media
from tests.fakes.remote import PASSWORD, UFRAG, offer, watch
from tests.streams.conftest import HERE, House

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from live777py.streams.clients import Answer

    MakeHouse = Callable[[StreamSettings], Awaitable[House]]


# Coming


async def test_a_publisher_makes_its_stream(house: House) -> None:
    answer, _ = await house.publish()
    view = house.manager.stream("s")
    assert [session.id for session in view.publish.sessions] == [answer.session]
    assert [(codec.kind, codec.codec) for codec in view.codecs] == [("audio", "opus"), ("video", "vp8")]
    assert await house.events() == [StreamCreated(stream="s"), PublishStarted(stream="s", session=answer.session)]


async def test_a_viewer_gets_what_is_published(house: House) -> None:
    publisher, _ = await house.publish()
    await house.events()
    viewer, _ = await house.play()
    assert house.flows(viewer) == house.tracks(publisher)
    assert await house.events() == [SubscriberJoined(stream="s", session=viewer.session)]


async def test_a_viewer_may_come_first(house: House) -> None:
    viewer, _ = await house.play()
    assert house.flows(viewer) == {}
    publisher, _ = await house.publish()
    assert house.flows(viewer) == house.tracks(publisher)


async def test_of_two_publishers_at_once_one_is_refused(house: House) -> None:
    outcomes = await asyncio.gather(
        *(house.manager.publish("s", offer("opus"), client=HERE) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 4
    assert len(house.fake.transports) == 1


async def test_the_first_candidate_is_one_that_the_client_can_reach(house: House) -> None:
    for client in (HERE, Client(loopback=False)):
        answer = await house.manager.play("s", watch("opus"), client=client)
        assert "127.0.0.1" in next(line for line in answer.sdp.splitlines() if line.startswith("a=candidate"))


@pytest.mark.parametrize("text", ["", "v=0", "\0", "v=0\r\nm=audio"])
async def test_an_offer_that_is_none_leaves_nothing(house: House, text: str) -> None:
    for use_case in (house.manager.publish, house.manager.play):
        with pytest.raises((BadRequest, Unprocessable)):
            await use_case("s", text, client=HERE)
    assert house.manager.streams() == []
    assert await house.events() == []


async def test_another_node_without_a_common_codec_is_refused(house: House) -> None:
    """It asks with all that a gateway knows; an offer of ours would have nothing new."""
    await house.publish("s", offer("vp8"))
    with pytest.raises(NoCommonCodec):
        await house.manager.play("s", watch("vp9"), client=Client(loopback=True, relay=True))
    assert house.manager.stream("s").subscribe.sessions == ()


async def test_a_publisher_that_changes_while_a_viewer_is_answered(house: House) -> None:
    old, _ = await house.publish("s", offer("vp8"))
    house.fake.held = True
    playing = asyncio.create_task(house.manager.play("s", watch("vp8"), client=HERE))
    await asyncio.sleep(0)
    house.manager._registry.session_ended(house.live(old), "idle-timeout")
    publishing = asyncio.create_task(house.manager.publish("s", offer("vp9"), client=HERE))
    await asyncio.sleep(0)
    house.fake.held = False
    await publishing
    with pytest.raises(Unprocessable, match="has changed"):
        await playing
    assert house.manager.stream("s").subscribe.sessions == ()


async def test_streams_are_made_only_where_that_is_allowed(make_house: MakeHouse) -> None:
    house = await make_house(StreamSettings(strategy=Strategy(auto_create_whip=False, auto_create_whep=False)))
    with pytest.raises(NotFound):
        await house.manager.publish("s", offer("opus"), client=HERE)
    with pytest.raises(NotFound):
        await house.manager.play("s", watch("opus"), client=HERE)
    house.manager.create("s")
    await house.publish()
    await house.play()


async def test_viewers_are_limited(make_house: MakeHouse) -> None:
    house = await make_house(StreamSettings(strategy=Strategy(each_stream_max_sub=1)))
    await house.play()
    with pytest.raises(Unavailable):
        await house.manager.play("s", watch("opus"), client=HERE)


async def test_what_the_engine_refuses_leaves_nothing(house: House, engine_without_workers: None) -> None:
    with pytest.raises(Unavailable):
        await house.manager.publish("s", offer("opus"), client=HERE)
    with pytest.raises(Unavailable):
        await house.manager.play("s", watch("opus"), client=HERE)
    assert house.manager.streams() == []
    assert [type(event) for event in await house.events()] == [StreamCreated, StreamDeleted] * 2


@pytest.fixture
async def engine_without_workers(house: House) -> None:
    for worker in (0, 1):
        house.fake.emit(fake_media.Closed(worker, "a fault"))
    await house.manager._engine.dump()


async def test_a_cancelled_request_leaves_nothing(house: House) -> None:
    house.fake.held = True
    posting = asyncio.create_task(house.manager.publish("s", offer("opus"), client=HERE))
    await asyncio.sleep(0)
    posting.cancel()
    house.fake.held = False
    with pytest.raises(asyncio.CancelledError):
        await posting
    assert house.manager.streams() == []
    assert not house.fake.transports
    await house.publish()


# Going


async def test_a_publisher_that_deletes_takes_all_along(house: House) -> None:
    publisher, _ = await house.publish()
    viewer, remote = await house.play()
    await house.events()
    await house.manager.close_session("s", publisher.session)
    assert house.manager.streams() == []
    assert await house.events() == [
        PublishStopped(stream="s", session=publisher.session, reason="api-deleted"),
        SubscriberLeft(stream="s", session=viewer.session, reason="api-deleted"),
        StreamDeleted(stream="s", reason="api-deleted"),
    ]
    assert not house.fake.transports
    async with asyncio.timeout(5):
        await remote.closed.wait()


async def test_a_viewer_that_deletes_stays_on_the_list(house: House) -> None:
    await house.publish()
    viewer, _ = await house.play()
    await house.manager.close_session("s", viewer.session)
    assert house.state(viewer) == "closed"
    with pytest.raises(NotFound):
        await house.manager.close_session("s", viewer.session)


async def test_the_last_viewer_of_an_unpublished_stream_takes_it_along(house: House) -> None:
    viewer, _ = await house.play()
    await house.manager.close_session("s", viewer.session)
    assert house.manager.streams() == []


async def test_two_deletes_at_once_delete_once(house: House) -> None:
    publisher, _ = await house.publish()
    await house.events()
    await asyncio.gather(
        *(house.manager.close_session("s", publisher.session) for _ in range(3)), return_exceptions=True
    )
    assert [type(event) for event in await house.events()] == [PublishStopped, StreamDeleted]


async def test_a_delete_that_comes_too_late_harms_no_successor(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = await house.publish()
    viewer, _ = await house.play()
    successors: list[Answer] = []

    async def meanwhile() -> None:
        house.fake.emit(fake_media.IceLost(house.transport(first)))
        await house.until(lambda: house.state(first) == "closed")
        successors.append((await house.publish())[0])

    monkeypatch.setattr(house.manager._sampler, "refresh", meanwhile)
    await house.manager.close_session("s", first.session)
    assert [house.state(answer) for answer in (*successors, viewer)] == ["connected", "connected"]


async def test_a_publisher_that_vanishes_leaves_its_viewers_waiting(house: House) -> None:
    publisher, _ = await house.publish()
    viewer, _ = await house.play()
    await house.events()
    house.fake.emit(fake_media.IceLost(house.transport(publisher)))
    await house.until(lambda: house.state(publisher) == "closed")
    assert house.state(viewer) == "connected"
    assert house.flows(viewer) == {}
    assert house.manager.stream("s").publish.leave_at > 0
    assert await house.events() == [PublishStopped(stream="s", session=publisher.session, reason="idle-timeout")]


@pytest.mark.parametrize("codec", ["vp8", "vp9"])
async def test_a_publisher_that_returns_has_its_viewers_again(house: House, codec: str) -> None:
    _, remote = await house.publish("s", offer("opus", "vp8"))
    viewer, _ = await house.play("s", watch("opus", "vp8", "vp9"))
    remote.dtls.shutdown()
    await house.until(lambda: house.manager.stream("s").publish.leave_at > 0)
    again, _ = await house.publish("s", offer("opus", codec))
    assert house.flows(viewer) == house.tracks(again)
    assert house.state(viewer) == "connected"


async def test_viewers_who_cannot_follow_are_closed_when_the_publisher_is_there(house: House) -> None:
    _, remote = await house.publish("s", offer("vp8"))
    stays, _ = await house.play("s", watch("vp8", "vp9"))
    goes, _ = await house.play("s", watch("vp8"))
    remote.dtls.shutdown()
    await house.until(lambda: house.manager.stream("s").publish.leave_at > 0)
    await house.events()
    answer = await house.manager.publish("s", offer("vp9"), client=HERE)
    assert house.state(goes) == "connected", "the new publisher may never come"
    await house.connect(answer)
    assert (house.state(stays), house.state(goes)) == ("connected", "closed")
    assert SubscriberLeft(stream="s", session=goes.session, reason="codec-mismatch") in await house.events()


async def test_a_session_that_never_connects_is_reaped(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as hurry:
        hurry.setattr(peer_module, "SETUP_TIMEOUT", 0.02)
        answer = await house.manager.publish("s", offer("opus"), client=HERE)
    await house.until(lambda: house.state(answer) == "closed")
    assert await house.events() == [StreamCreated(stream="s")]
    await house.publish()


async def test_a_worker_that_ends_takes_its_sessions(house: House) -> None:
    publisher, _ = await house.publish()
    viewer, _ = await house.play()
    house.fake.emit(fake_media.Closed(0, "a fault"))
    await house.until(lambda: house.state(publisher) == house.state(viewer) == "closed")
    again, _ = await house.publish()
    assert house.fake.transports[house.transport(again)].worker == 1


async def test_stop_says_goodbye_to_everybody(make_house: MakeHouse) -> None:
    house = await make_house(StreamSettings())
    _, one = await house.publish()
    _, other = await house.play()
    await house.manager.stop()
    async with asyncio.timeout(5):
        await asyncio.gather(one.closed.wait(), other.closed.wait())
    assert not house.fake.transports
    with pytest.raises(Unavailable):
        await house.manager.publish("s", offer("opus"), client=HERE)


# Streams by the API and by themselves


async def test_create_and_delete(house: House) -> None:
    house.manager.create("s")
    with pytest.raises(Conflict, match="resource already exists"):
        house.manager.create("s")
    viewer, _ = await house.play()
    await house.manager.delete("s")
    with pytest.raises(NotFound):
        await house.manager.delete("s")
    with pytest.raises(NotFound):
        house.manager.stream("s")
    assert await house.events() == [
        StreamCreated(stream="s"),
        SubscriberJoined(stream="s", session=viewer.session),
        SubscriberLeft(stream="s", session=viewer.session, reason="stream-deleted"),
        StreamDeleted(stream="s", reason="api-deleted"),
    ]


async def test_a_stream_of_the_configuration_returns_to_standby(make_house: MakeHouse) -> None:
    house = await make_house(StreamSettings(provisioned={"s": ProvisionedStream()}))
    assert house.manager.stream("s").provisioned
    with pytest.raises(Conflict, match="cannot be created"):
        house.manager.create("s")
    with pytest.raises(Conflict, match="cannot be deleted"):
        await house.manager.delete("s")
    publisher, _ = await house.publish()
    viewer, _ = await house.play()
    await house.events()
    await house.manager.close_session("s", publisher.session)
    view = house.manager.stream("s")
    assert (view.provisioned, view.publish.sessions, view.subscribe.sessions) == (True, (), ())
    assert house.state(viewer) is None
    assert (await house.events())[-2:] == [StreamDeleted(stream="s", reason="reset"), StreamCreated(stream="s")]


async def test_an_orphan_is_forgotten(house: House) -> None:
    house.manager.create("s")
    house.pass_time(4_000)
    assert len(house.manager.streams()) == 1
    house.pass_time(1_001)
    assert house.manager.streams() == []
    assert await house.events() == [StreamCreated(stream="s"), StreamDeleted(stream="s", reason="orphaned")]


async def test_an_unwatched_stream_is_forgotten_where_that_is_wished(make_house: MakeHouse) -> None:
    house = await make_house(StreamSettings(strategy=Strategy(auto_delete_whep=10_000)))
    publisher, _ = await house.publish()
    await house.events()
    house.pass_time(11_000)
    assert await house.events() == [
        PublishStopped(stream="s", session=publisher.session, reason="stream-deleted"),
        StreamDeleted(stream="s", reason="subscribe-leave-timeout"),
    ]


# Trickle


async def test_trickle_finds_its_session(house: House) -> None:
    answer, _ = await house.publish()
    fragment = f"a=ice-ufrag:{UFRAG}\r\na=ice-pwd:{PASSWORD}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    assert await house.patch("s", answer.session, fragment + "a=end-of-candidates\r\n", answer.etag) is None
    for stream, session in (("other", answer.session), ("s", "other")):
        with pytest.raises(NotFound):
            await house.patch(stream, session, fragment)


async def test_ice_restarts_on_the_same_transport(house: House) -> None:
    answer, remote = await house.publish()
    transport = house.fake.transports[house.transport(answer)]
    before = transport.ice
    fragment = f"a=ice-ufrag:again\r\na=ice-pwd:{PASSWORD}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    restarted = await house.patch("s", answer.session, fragment, "*")
    assert restarted is not None
    assert restarted.etag not in {answer.etag, ""}
    assert transport.ice.remote_ufrag == "again"
    assert len({before.local_ufrag, transport.ice.local_ufrag}) == len({before.local_pwd, transport.ice.local_pwd}) == 2
    lines = restarted.fragment.splitlines()
    assert {f"a=ice-ufrag:{transport.ice.local_ufrag}", f"a=ice-pwd:{transport.ice.local_pwd}"} <= set(lines)
    # The same candidates and options as in the answer, and nothing of another kind (RFC 9725 section 4.3.3).
    repeated = {line for line in lines if not line.startswith(("a=ice-ufrag", "a=ice-pwd", "m="))}
    kept = ("a=candidate", "a=end-of", "a=ice-lite", "a=ice-options", "a=group", "a=mid:0")
    assert repeated == {line for line in answer.sdp.splitlines() if line.startswith(kept)}
    assert lines[0] == "a=group:BUNDLE 0 1"
    assert lines[2:4] == ["m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0"]
    assert "a=ice-lite" in lines
    assert (house.state(answer), remote.closed.is_set()) == ("connected", False)
    # An answer that is not heard of costs nothing; a tag of the time before is stale.
    assert await house.patch("s", answer.session, fragment, "*") == restarted
    with pytest.raises(PreconditionFailed):
        await house.patch("s", answer.session, fragment, answer.etag)
