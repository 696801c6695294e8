"""Offers of ours to viewers (draft-ietf-wish-whep-04 section 4.3.2): who gets one, who may answer, and for how long."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from live777py.errors import (
    BadRequest,
    Conflict,
    NotFound,
    Unavailable,
    Unprocessable,
    UnsupportedMediaType,
)
from live777py.rtc.negotiation import CodecPolicy, plan_play
from live777py.rtc.sdpfrag import parse_fragment
from live777py.streams import counter_offers
from live777py.streams.clients import Client, CounterOffer
from live777py.streams.settings import StreamSettings
from live777py.streams.strategy import Strategy
from tests.fakes import media as fake_media
from tests.fakes.remote import CODECS, answer_to, offer, watch
from tests.streams.conftest import HERE, House

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    MakeHouse = Callable[[StreamSettings], Awaitable[House]]


async def offered(house: House, text: str | None = None, *, wants: bool = False, client: Client = HERE) -> CounterOffer:
    made = await house.manager.play("s", text, client=client, wants_offer=wants)
    assert isinstance(made, CounterOffer)
    return made


async def answered(house: House, made: CounterOffer, *names: str, client: Client = HERE, **options: str) -> None:
    await house.manager.answer("s", made.session, answer_to(made.sdp, *names, **options), client=client)


def sections(text: str) -> list[str]:
    """The codec names of each section, the first of them leading."""
    return [
        " ".join(dict.fromkeys(name.lower() for name in re.findall(r"a=rtpmap:\d+ ([\w-]+)/", section)))
        for section in text.split("\r\nm=")[1:]
    ]


async def test_a_viewer_without_a_common_codec_is_made_an_offer(house: House) -> None:
    """Row P05: what the publisher sends comes first, under its own number; every other codec follows."""
    await house.publish("s", offer("opus", "av1"))
    made = await offered(house, watch("opus", "vp8"))
    assert sections(made.sdp) == ["opus g722 pcmu pcma", "av1 rtx vp8 vp9 h264 h265"]
    assert re.findall(r"m=video \d+ \S+ (\d+)", made.sdp) == [str(CODECS["av1"][1])]
    assert re.findall(r"a=(sendonly|sendrecv|recvonly|inactive)", made.sdp) == ["sendonly", "sendonly"]
    assert set(re.findall(r"a=setup:(\w+)", made.sdp)) == {"actpass"}
    assert {"a=ice-lite", "a=rtcp-mux-only", "a=end-of-candidates", "a=group:BUNDLE 0 1"} <= set(made.sdp.splitlines())
    assert len(set(re.findall(r"a=msid:(\S+)", made.sdp))) == 1
    numbers = [number for line in re.findall(r"m=\w+ \d+ \S+ (.*)", made.sdp) for number in line.split()]
    assert len(numbers) == len(set(numbers))
    assert not {int(number) for number in numbers} & set(range(64, 96))
    # It is an offer that our own door would take, too.
    receiving = made.sdp.replace("a=ice-lite\r\n", "").replace("sendonly", "recvonly")
    assert plan_play(receiving, CodecPolicy(), None, new_ssrc=iter(range(9)).__next__, cname="x").media
    # There is no session before the answer: nobody is listed, counted or told of.
    assert house.manager.stream("s").subscribe.sessions == ()
    assert len(house.fake.transports) == 1


async def test_the_answer_makes_the_session(house: House) -> None:
    """Row P06. The transport has the credentials of the offer."""
    publisher, _ = await house.publish("s", offer("opus", "vp8"))
    made = await offered(house, watch("opus", "vp9"))
    await answered(house, made, "opus", "vp8", "vp9")
    transport = house.fake.transports[house.transport(made)]
    assert f"a=ice-ufrag:{transport.ice.local_ufrag}\r\n" in made.sdp
    assert f"a=ice-pwd:{transport.ice.local_pwd}\r\n" in made.sdp
    assert (transport.ice.role, transport.ice.remote_ufrag) == ("lite", "viewer")
    assert made.etag == f'"{transport.ice.local_ufrag}"'
    await house.connect(made)
    assert house.flows(made) == house.tracks(publisher)
    # The SSRCs and payload types are those of the offer; the next publisher may send another codec.
    for _, parameters in (house.fake.subscriptions[number] for number in house.subscriptions(made)):
        assert f"a=ssrc:{parameters.ssrc} cname:{parameters.cname}\r\n" in made.sdp
        if parameters.kind == "video":
            assert [codec.name for codec in parameters.codecs][:2] == ["VP8", "VP9"]
    await house.manager.close_session("s", publisher.session)
    # ICE restarts there as anywhere, and tells what the offer told.
    with pytest.raises(NotFound):
        await house.patch("s", made.session, "a=ice-ufrag:again\r\n")


async def test_ice_of_such_a_session_restarts(house: House) -> None:
    await house.publish("s", offer("opus"))
    made = await offered(house, wants=True)
    await answered(house, made, "opus")
    restarted = await house.patch("s", made.session, f"a=ice-ufrag:again\r\na=ice-pwd:{'p' * 24}\r\n", "*")
    assert restarted is not None
    told = set(restarted.fragment.splitlines())
    head, first = made.sdp.split("\r\nm=")[:2]
    assert {line for line in head.split("\r\n") if line.startswith(("a=ice-lite", "a=ice-options", "a=group"))} < told
    assert {line for line in first.split("\r\n") if line.startswith(("a=candidate", "a=mid"))} < told


async def test_no_password_is_in_what_may_be_logged(house: House) -> None:
    await house.publish("s", offer("opus"))
    made = await offered(house, wants=True)
    waiting = house.manager._registry.counter_offers.begin_answering("s", made.session)
    waiting.answering = False
    await answered(house, made, "opus")
    text = f"a=ice-ufrag:again\r\na=ice-pwd:{'p' * 24}\r\n"
    restarted = await house.patch("s", made.session, text, "*")
    peer = house.live(made).peer
    assert restarted is not None
    own = re.findall(r"a=ice-pwd:(\S+)", made.sdp + restarted.fragment)
    assert len(set(own)) == 2
    for each in (made, waiting, restarted, parse_fragment(text), peer.local(())):
        assert not [pwd for pwd in (*own, "p" * 24) if pwd in repr(each)], type(each)


@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_either_end_may_begin_dtls(house: House, setup: str) -> None:
    await house.publish("s", offer("opus"))
    made = await offered(house, wants=True)
    await answered(house, made, "opus", setup=setup)
    assert house.live(made).peer._dtls_role == {"active": "server", "passive": "client"}[setup]


async def test_a_full_agent_controls_where_it_has_made_the_offer(make_house: MakeHouse) -> None:
    """RFC 8445 section 6.1.1."""
    house = await make_house(StreamSettings(ice_lite=False))
    await house.publish("s", offer("opus"))
    made = await offered(house, wants=True)
    assert "a=ice-lite" not in made.sdp
    await answered(house, made, "opus")
    assert house.fake.transports[house.transport(made)].ice.role == "controlling"


@pytest.mark.parametrize("text", [None, watch("opus", "vp8"), watch("opus", data=True)])
async def test_who_asks_for_an_offer_gets_one(house: House, text: str | None) -> None:
    await house.publish("s", offer("opus", "vp8"))
    made = await offered(house, text, wants=True)
    assert sections(made.sdp)[:2] == ["opus g722 pcmu pcma", "vp8 rtx vp9 h264 h265 av1"]
    with_data = text is not None and "m=application" in text
    assert ("m=application" in made.sdp) == with_data
    await answered(house, made, "opus")
    assert (house.live(made).peer.data_channel is not None) == with_data


async def test_before_the_publisher_everything_is_offered(house: House) -> None:
    made = await offered(house, wants=True)
    assert house.manager.streams() == []
    assert [names.split()[0] for names in sections(made.sdp)] == ["opus", "vp8"]
    assert all("stereo=1" in line for line in made.sdp.splitlines() if line.startswith("a=fmtp:111"))
    await answered(house, made, "opus", "vp9")
    publisher, _ = await house.publish("s", offer("opus", "vp9"))
    assert house.flows(made) == house.tracks(publisher)


async def test_what_the_publisher_lacks_is_not_offered(house: House) -> None:
    await house.publish("s", offer("vp8"))
    assert [names.split()[0] for names in sections((await offered(house, wants=True)).sdp)] == ["vp8"]


async def test_codecs_that_are_not_allowed_are_not_offered(make_house: MakeHouse) -> None:
    house = await make_house(StreamSettings(video_codecs=("VP8", "VP9"), audio_codecs=("opus",)))
    await house.publish("s", offer("opus", "vp9"))
    made = await offered(house, watch("vp8"))
    assert sections(made.sdp) == ["opus", "vp9 rtx vp8"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda _: "", BadRequest),
        (lambda _: "v=0\r\nm=", BadRequest),
        (lambda text: text.replace("a=fingerprint", "a=finger"), Unprocessable),
        (lambda text: text.replace("a=ice-ufrag", "a=ice-ufra"), Unprocessable),
        (lambda text: text.replace("a=setup:active", "a=setup:actpass"), Unprocessable),
        (lambda text: text.replace("recvonly", "sendrecv"), Unprocessable),
        (lambda text: text.replace("recvonly", "sendonly"), Unprocessable),
        (lambda text: text.replace("recvonly", "inactive"), Unprocessable),
        (lambda text: text.replace("a=mid:0", "a=mid:7").replace("BUNDLE 0", "BUNDLE 7"), Unprocessable),
        (lambda text: text.replace("s=-\r\n", "s=-\r\na=ice-lite\r\n"), Unprocessable),
    ],
)
async def test_an_answer_that_is_none_may_be_made_again(
    house: House, change: Callable[[str], str], error: type[Exception]
) -> None:
    """Row P06: 4xx, and the offer stands."""
    await house.publish("s", offer("opus", "vp8"))
    made = await offered(house, wants=True)
    good = answer_to(made.sdp, "opus", "vp8")
    with pytest.raises(error):
        await house.manager.answer("s", made.session, change(good), client=HERE)
    assert house.manager.stream("s").subscribe.sessions == ()
    assert len(house.fake.transports) == 1
    await house.manager.answer("s", made.session, good, client=HERE)
    assert house.state(made) == "new"


async def test_an_answer_without_the_publishers_codec_is_refused(house: House) -> None:
    """Row P18: never a session with a dead picture. Who wants no picture says so."""
    await house.publish("s", offer("opus", "av1"))
    made = await offered(house, watch("opus", "vp8"))
    with pytest.raises(Unprocessable, match="the video section of the answer does not take AV1"):
        await answered(house, made, "opus", "vp8")
    await answered(house, made, "opus")
    assert [played.kind for played, _ in house.live(made).peer.subscriptions] == ["audio"]


async def test_it_is_too_late_after_its_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row P06: 404."""
    monkeypatch.setattr(counter_offers, "VALID_SECONDS", 0.05)
    await house.publish("s", offer("opus"))
    made = await offered(house, wants=True)
    offers = house.manager._registry.counter_offers
    async with asyncio.timeout(5):
        while ("s", made.session) in offers:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    with pytest.raises(NotFound):
        await answered(house, made, "opus")


async def test_one_answer_counts(house: House) -> None:
    await house.publish("s", offer("opus"))
    made = await offered(house, wants=True)
    both = await asyncio.gather(answered(house, made, "opus"), answered(house, made, "opus"), return_exceptions=True)
    assert [type(result) for result in both] == [type(None), Conflict]
    with pytest.raises(Conflict):
        await answered(house, made, "opus")
    session, _ = await house.play("s", watch("opus"))
    with pytest.raises(UnsupportedMediaType):
        await house.manager.answer("s", session.session, answer_to(made.sdp, "opus"), client=HERE)
    for stream, number in (("s", "other"), ("other", made.session)):
        with pytest.raises(NotFound):
            await house.manager.answer(stream, number, answer_to(made.sdp, "opus"), client=HERE)


async def test_an_offer_may_be_declined(house: House) -> None:
    await house.publish("s", offer("opus"))
    made = await offered(house, wants=True)
    await house.manager.close_session("s", made.session)
    with pytest.raises(NotFound):
        await answered(house, made, "opus")
    with pytest.raises(NotFound):
        await house.manager.close_session("s", made.session)


async def test_who_goes_while_its_answer_is_looked_at_has_no_session(house: House) -> None:
    await house.publish("s", offer("opus"))
    made = await offered(house, wants=True)
    going = house.manager.close_session("s", made.session)
    answering, _ = await asyncio.gather(answered(house, made, "opus"), going, return_exceptions=True)
    assert isinstance(answering, NotFound)
    assert house.manager.stream("s").subscribe.sessions == ()


async def test_the_limits_of_a_stream_are_those_at_the_answer(make_house: MakeHouse) -> None:
    house = await make_house(StreamSettings(strategy=Strategy(each_stream_max_sub=1)))
    await house.publish("s", offer("opus"))
    first, second = await offered(house, wants=True), await offered(house, wants=True)
    await answered(house, first, "opus")
    with pytest.raises(Unavailable):
        await answered(house, second, "opus")


async def test_a_publisher_that_changed_meanwhile(house: House) -> None:
    publisher, _ = await house.publish("s", offer("vp8"))
    made = await offered(house, wants=True)
    await house.manager.close_session("s", publisher.session)
    await house.publish("s", offer("vp9"))
    with pytest.raises(Unprocessable, match="VP9"):
        await answered(house, made, "vp8")
    await answered(house, made, "vp8", "vp9")


async def test_offers_are_bounded_and_end_with_the_gateway(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter_offers, "MAX_OFFERS", 3)
    await house.publish("s", offer("opus"))
    made = [await offered(house, wants=True) for _ in range(5)]
    offers = house.manager._registry.counter_offers
    assert [("s", each.session) in offers for each in made] == [False, False, True, True, True]
    await house.manager.stop()
    assert len(offers) == 0


async def test_a_worker_that_has_gone_takes_its_offers_along(house: House) -> None:
    await house.publish("s", offer("opus"))
    made = await offered(house, wants=True)
    house.fake.emit(fake_media.Closed(0, "a fault"))
    await house.manager._engine.dump()
    with pytest.raises(Unavailable):
        await answered(house, made, "opus")
