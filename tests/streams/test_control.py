"""What rooms do to sessions, over the fake engine: which track flows to whom, and under which names they go on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from live777py.errors import Conflict, NotFound
from live777py.rtc import channels as channels_module
from live777py.streams.events import PublishStarted, PublishStopped, StreamCreated, SubscriberJoined, SubscriberLeft
from live777py.streams.participant import Participant
from tests.fakes import media as fake_media
from tests.fakes.remote import offer, watch
from tests.streams.conftest import HERE, TIMEOUT

if TYPE_CHECKING:
    from live777py.streams.clients import Answer
    from live777py.streams.control import SessionKey
    from tests.fakes.remote import Remote
    from tests.streams.conftest import House

ALICE = Participant(room="r", identity="alice")


def key(stream: str, answer: Answer) -> SessionKey:
    return stream, answer.session


def paused(house: House, viewer: Answer) -> set[str]:
    """The kinds that are held back from it."""
    numbers = house.fake.paused
    return {media.kind for media, number in house.live(viewer).peer.subscriptions if number in numbers}


# Publishers


async def test_a_publisher_is_muted_for_all_and_for_those_who_come_later(house: House) -> None:
    publisher, _ = await house.publish()
    viewer, _ = await house.play()
    house.manager.control.mute(key("s", publisher), "video", muted=True)
    later, _ = await house.play()
    assert paused(house, viewer) == paused(house, later) == {"video"}
    (track,) = [track for track in house.manager.control.tracks(key("s", publisher)) if track.muted]
    assert track.media.kind == "video"
    house.manager.control.mute(key("s", publisher), "video", muted=False)
    assert paused(house, viewer) == paused(house, later) == set()


async def test_what_is_withheld_is_as_if_it_were_not_there(house: House) -> None:
    publisher, _ = await house.publish()
    viewer, _ = await house.play()
    tracks = house.tracks(publisher)
    house.manager.control.withhold(key("s", publisher), ["video"])
    later, _ = await house.play()
    assert house.flows(viewer) == house.flows(later) == {"audio": tracks["audio"]}
    assert [track.media.kind for track in house.manager.control.tracks(key("s", publisher))] == ["audio"]
    assert [media.kind for media, _ in house.manager.published_tracks("s")] == ["audio"]
    house.manager.control.withhold(key("s", publisher), [])
    assert house.flows(viewer) == house.flows(later) == tracks


async def test_the_size_of_a_picture_is_known_when_it_comes(house: House) -> None:
    publisher, _ = await house.publish()
    number = house.tracks(publisher)["video"]
    sizes = []
    for width, height in ((0, 0), (640, 360), (320, 180)):
        house.fake.emit(fake_media.TrackStarted(number, None, 1, 96, width, height))
        await house.manager._engine.dump()
        track = house.manager.control.tracks(key("s", publisher))[1]
        sizes.append((track.layers[0].width, track.layers[0].height))
    assert sizes == [(0, 0), (640, 360), (320, 180)]


async def test_nothing_is_published_before_it_is_connected(house: House) -> None:
    answer = await house.manager.publish("s", offer("opus"), client=HERE)
    assert house.manager.control.tracks(key("s", answer)) == []
    with pytest.raises(Conflict):
        house.manager.control.copy(key("s", answer), "s@r", ALICE)
    with pytest.raises(Conflict):
        house.manager.control.move(key("s", answer), "s@r", ALICE)


# Viewers


async def test_a_viewer_gets_a_track_of_another_stream(house: House) -> None:
    own, _ = await house.publish("s")
    other, _ = await house.publish("t")
    viewer, _ = await house.play("s")
    control, me, them = house.manager.control, key("s", viewer), key("t", other)
    video = house.tracks(other)["video"]
    control.choose(me, them, video)
    mixed = {"audio": house.tracks(own)["audio"], "video": video}
    assert house.flows(viewer) == mixed
    assert control.playing(me) == {"audio": (key("s", own), mixed["audio"]), "video": (them, video)}
    control.mute(them, "video", muted=True)
    assert paused(house, viewer) == {"video"}
    control.mute(them, "video", muted=False)
    control.mute(key("s", own), "video", muted=True)
    assert paused(house, viewer) == set()
    control.withhold(key("s", own), ["video"])
    assert house.flows(viewer) == mixed
    control.withhold(key("s", own), [])
    control.choose(me, key("s", own), house.tracks(own)["video"])
    assert house.flows(viewer) == house.tracks(own)
    assert paused(house, viewer) == {"video"}


async def test_what_a_viewer_chose_is_gone_and_it_gets_its_streams_own(house: House) -> None:
    own, _ = await house.publish("s")
    other, _ = await house.publish("t")
    viewer, _ = await house.play("s")
    for end in ("withhold", "leave"):
        house.manager.control.choose(key("s", viewer), key("t", other), house.tracks(other)["video"])
        assert house.flows(viewer) != house.tracks(own)
        if end == "withhold":
            house.manager.control.withhold(key("t", other), ["video"])
            assert house.flows(viewer) == house.tracks(own)
            house.manager.control.withhold(key("t", other), [])
        else:
            await house.manager.control.close([key("t", other)], "removed")
    assert house.flows(viewer) == house.tracks(own)


async def test_a_choice_outlasts_the_publisher_of_the_stream(house: House) -> None:
    own, _ = await house.publish("s")
    other, _ = await house.publish("t")
    viewer, _ = await house.play("s")
    video = house.tracks(other)["video"]
    house.manager.control.choose(key("s", viewer), key("t", other), video)
    await house.manager.control.close([key("s", own)], "removed")
    assert house.flows(viewer) == {"video": video}
    again, _ = await house.publish("s")
    assert house.flows(viewer) == {"audio": house.tracks(again)["audio"], "video": video}
    await house.manager.control.close([key("s", viewer)], "removed")
    assert house.live(other).followers == set()


async def test_a_kind_is_dropped_and_comes_back(house: House) -> None:
    publisher, _ = await house.publish()
    viewer, _ = await house.play()
    tracks = house.tracks(publisher)
    house.manager.control.drop(key("s", viewer), "audio")
    assert house.flows(viewer) == {"video": tracks["video"]}
    assert list(house.manager.control.playing(key("s", viewer))) == ["video"]
    house.manager.control.restore(key("s", viewer), "audio")
    house.manager.control.restore(key("s", viewer), "audio")
    assert house.flows(viewer) == tracks


async def test_a_track_that_a_viewer_cannot_play(house: House) -> None:
    own, _ = await house.publish("s", offer("opus", "vp8"))
    other, _ = await house.publish("t", offer("av1"))
    viewer, _ = await house.play("s", watch("opus", "vp8"))
    with pytest.raises(Conflict):
        house.manager.control.choose(key("s", viewer), key("t", other), house.tracks(other)["video"])
    with pytest.raises(NotFound):
        house.manager.control.choose(key("s", viewer), key("t", other), 0)
    assert house.flows(viewer) == house.tracks(own)


# Copies


async def test_a_copy_is_a_stream_of_its_own_with_the_same_tracks(house: House) -> None:
    origin, _ = await house.publish("s")
    waiting, _ = await house.play("alice@r")
    await house.events()
    copy = house.manager.control.copy(key("s", origin), "alice@r", ALICE)
    later, _ = await house.play("alice@r")
    assert house.flows(waiting) == house.flows(later) == house.tracks(origin)
    facts = house.manager.control.session(copy)
    assert facts is not None
    assert (facts.origin, facts.participant) == (key("s", origin), ALICE)
    assert (await house.events())[0] == PublishStarted(stream="alice@r", session=copy[1])
    assert [codec.codec for codec in house.manager.stream("alice@r").codecs] == ["opus", "vp8"]
    with pytest.raises(Conflict):
        await house.publish("alice@r")
    with pytest.raises(Conflict):
        house.manager.control.copy(key("s", origin), "alice@r", ALICE)


async def test_a_copy_is_silent_where_its_origin_is_and_may_be_alone(house: House) -> None:
    origin, _ = await house.publish("s")
    copy = house.manager.control.copy(key("s", origin), "alice@r", ALICE)
    here, _ = await house.play("s")
    there, _ = await house.play("alice@r")
    house.manager.control.mute(key("s", origin), "video", muted=True)
    assert paused(house, here) == paused(house, there) == {"video"}
    house.manager.control.mute(copy, "audio", muted=True)
    assert (paused(house, here), paused(house, there)) == ({"video"}, {"audio", "video"})
    assert [track.muted for track in house.manager.control.tracks(copy)] == [True, True]
    house.manager.control.mute(key("s", origin), "video", muted=False)
    assert (paused(house, here), paused(house, there)) == (set(), {"audio"})
    house.manager.control.withhold(key("s", origin), ["audio"])
    assert list(house.flows(there)) == ["video"]
    assert [track.media.kind for track in house.manager.control.tracks(copy)] == ["video"]
    house.manager.control.withhold(key("s", origin), [])
    assert house.flows(there) == house.tracks(origin)


async def test_a_copy_ends_with_its_origin_or_before(house: House) -> None:
    origin, _ = await house.publish("s")
    viewer, _ = await house.play("alice@r")
    control = house.manager.control
    copy = control.copy(key("s", origin), "alice@r", ALICE)
    await house.events()
    await control.close([copy], "removed")
    assert house.flows(viewer) == {}
    assert await house.events() == [PublishStopped(stream="alice@r", session=copy[1], reason="removed")]
    copy = control.copy(key("s", origin), "alice@r", ALICE)
    assert house.flows(viewer) == house.tracks(origin)
    await house.events()
    await control.close([key("s", origin)], "removed")
    assert await house.events() == [
        PublishStopped(stream="alice@r", session=copy[1], reason="source-removed"),
        PublishStopped(stream="s", session=origin.session, reason="removed"),
    ]
    assert house.flows(viewer) == {}


async def test_the_bytes_of_a_copy_are_counted_once(house: House) -> None:
    origin, _ = await house.publish("s")
    house.manager.control.copy(key("s", origin), "alice@r", ALICE)
    house.fake.counters.tracks = [
        fake_media.TrackStats(track=number, bytes=1000, packets=1) for number in house.tracks(origin).values()
    ]
    house.pass_time(5000)
    await house.manager._sampler.refresh()
    assert house.manager.counts().rtp_bytes_in == 2000


# Moved sessions


async def test_a_publisher_goes_on_under_another_stream(house: House) -> None:
    publisher, remote = await house.publish("s")
    left, _ = await house.play("s")
    found, _ = await house.play("alice@r")
    tracks = house.tracks(publisher)
    await house.events()
    moved = house.manager.control.move(key("s", publisher), "alice@r", ALICE)
    assert moved == ("alice@r", publisher.session)
    assert (house.flows(left), house.flows(found)) == ({}, tracks)
    assert await house.events() == [
        PublishStopped(stream="s", session=publisher.session, reason="moved"),
        PublishStarted(stream="alice@r", session=publisher.session),
    ]
    assert house.manager.stream("s").publish.sessions == ()
    assert [session.state for session in house.manager.stream("alice@r").publish.sessions] == ["connected"]
    successor, _ = await house.publish("s")
    assert house.flows(left) == house.tracks(successor)
    assert not remote.closed.is_set()


async def test_a_moved_session_is_found_by_the_url_that_its_client_has(house: House) -> None:
    publisher, remote = await house.publish("s")
    house.manager.control.move(key("s", publisher), "t", ALICE)
    house.manager.control.move(("t", publisher.session), "u", ALICE)
    await house.patch("s", publisher.session, "a=ice-ufrag:remote\r\na=ice-pwd:" + "p" * 24 + "\r\n")
    await house.manager.mute("t", publisher.session, "audio", enabled=False)
    await house.manager.close_session("s", publisher.session)
    await remote.closed.wait()
    for stream in ("s", "t", "u"):
        with pytest.raises(NotFound):
            await house.manager.close_session(stream, publisher.session)
    assert house.manager._registry._moved == {}


async def test_a_viewer_goes_on_under_another_stream(house: House) -> None:
    await house.publish("s")
    other, _ = await house.publish("t")
    viewer, _ = await house.play("s")
    house.manager.control.choose(key("s", viewer), key("t", other), house.tracks(other)["video"])
    await house.events()
    house.manager.control.move(key("s", viewer), "t", ALICE)
    assert house.flows(viewer) == house.tracks(other)
    assert house.live(viewer).chosen == {}
    assert await house.events() == [
        SubscriberLeft(stream="s", session=viewer.session, reason="moved"),
        SubscriberJoined(stream="t", session=viewer.session),
    ]
    house.manager.control.move(("t", viewer.session), "nobody", ALICE)
    assert house.flows(viewer) == {}
    assert StreamCreated(stream="nobody") in await house.events()
    again, _ = await house.publish("nobody")
    assert house.flows(viewer) == house.tracks(again)


async def test_a_slot_that_is_taken(house: House) -> None:
    publisher, _ = await house.publish("s")
    other, _ = await house.publish("t")
    with pytest.raises(Conflict):
        house.manager.control.move(key("s", publisher), "t", ALICE)
    assert house.manager.control.session(key("s", publisher)) is not None
    assert house.manager.control.session(key("t", other)) is not None


async def test_a_copy_stays_when_its_origin_is_moved(house: House) -> None:
    publisher, _ = await house.publish("s")
    house.manager.control.copy(key("s", publisher), "alice@r", ALICE)
    viewer, _ = await house.play("alice@r")
    moved = house.manager.control.move(key("s", publisher), "t", ALICE)
    assert house.flows(viewer) == house.tracks(publisher)
    await house.manager.control.close([moved], "removed")
    assert house.flows(viewer) == {}


# Data


async def both_open(house: House, *sessions: tuple[Answer, Remote]) -> None:
    for answer, remote in sessions:
        remote.channels.start()
        async with asyncio.timeout(TIMEOUT):
            while not ((channels := house.live(answer).channels) and channels.open):  # noqa: ASYNC110 - packets pass by
                await asyncio.sleep(0)


async def test_one_who_may_not_speak_is_not_heard_and_hears(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels_module, "OPEN_GRACE", 0.0)
    publisher, speaker = await house.publish("s", offer("opus", data=True))
    viewer, listener = await house.play("s", watch("opus", data=True))
    await both_open(house, (publisher, speaker), (viewer, listener))
    house.manager.control.allow_data(key("s", publisher), allowed=False)
    assert speaker.channels.send("chat", "unheard")
    association = speaker.channels._association
    assert association is not None
    async with asyncio.timeout(TIMEOUT):
        while association._sent_queue or association._outbound_queue:  # noqa: ASYNC110 - until it is acknowledged
            await asyncio.sleep(0)
    assert house.manager.control.tell(key("s", viewer), "lk-data", b"from the API")
    assert await listener.hear() == ("lk-data", b"from the API")
    assert listener.heard.empty()
    house.manager.control.allow_data(key("s", publisher), allowed=True)
    assert speaker.channels.send("chat", "heard")
    assert await listener.hear() == ("chat", "heard")


async def test_a_session_without_data_channels_is_told_nothing(house: House) -> None:
    viewer, _ = await house.play("s")
    assert not house.manager.control.tell(key("s", viewer), "lk-data", b"x")
    assert house.manager.counts().data_messages_lost == 0


async def test_a_stream_is_deleted_with_everybody(house: House) -> None:
    await house.publish("s")
    viewer, remote = await house.play("s")
    await house.manager.control.delete_stream("s")
    await house.manager.control.delete_stream("s")
    await remote.closed.wait()
    assert house.manager.control.session(key("s", viewer)) is None
    assert "s" not in house.manager.control.streams()


async def test_a_viewer_is_not_silent_for_what_it_left(house: House) -> None:
    muted, _ = await house.publish("s")
    other, _ = await house.publish("t")
    viewer, _ = await house.play("s")
    house.manager.control.mute(key("s", muted), "video", muted=True)
    assert paused(house, viewer) == {"video"}
    house.manager.control.move(key("s", viewer), "t", ALICE)
    assert (house.flows(viewer), paused(house, viewer)) == (house.tracks(other), set())
