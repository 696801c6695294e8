"""Data channels in offers and answers (RFC 8841)."""

from __future__ import annotations

import pytest

from live777py import errors
from live777py.rtc import sctp_section, sdp
from live777py.rtc.negotiation import DataChannelParameters, plan_publish
from tests.rtc.offers import ANYTHING, LOCAL, OPUS, VP8, build, play, without

DATA = ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:d", "a=sctp-port:5001", "a=max-message-size:262144")
OLD = ("m=application 9 DTLS/SCTP 5002", "a=mid:d", "a=sctpmap:5002 webrtc-datachannel 1024")
AGREED = DataChannelParameters(port=5001, max_message_size=262_144)


def section(*lines: str) -> sdp.MediaSection:
    return sdp.parse(build(lines)).media[0]


@pytest.mark.parametrize(
    ("lines", "agreed"),
    [
        (DATA, AGREED),
        (("m=application 9 TCP/DTLS/SCTP webrtc-datachannel", *DATA[1:]), AGREED),
        (DATA[:3], DataChannelParameters(port=5001, max_message_size=65_536)),
        ((*DATA[:2], "a=max-message-size: 0"), DataChannelParameters(port=5000, max_message_size=0)),
        ((*DATA[:2], "a=max-message-size:-1"), DataChannelParameters(port=5000, max_message_size=65_536)),
        (OLD, DataChannelParameters(port=5002, max_message_size=65_536)),
        ((*DATA[:2], "a=sctp-port:0"), None),
        ((*DATA[:2], "a=sctp-port:65536"), None),
        (OLD[:2], None),
        ((*OLD[:2], "a=sctpmap:5003 webrtc-datachannel"), None),
        ((*OLD[:2], "a=sctpmap:5002 other"), None),
        (("m=application 9 TCP/TLS/BFCP *", "a=mid:d"), None),
        (("m=audio 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:d"), None),
    ],
)
def test_what_a_section_says(lines: tuple[str, ...], agreed: DataChannelParameters | None) -> None:
    assert sctp_section.read_section(section(*lines)) == agreed


@pytest.mark.parametrize("sections", [(OPUS, VP8, DATA), (DATA, OPUS, VP8), (DATA,)])
def test_both_doors_take_data_channels_in_the_bundle(sections: tuple[tuple[str, ...], ...]) -> None:
    publish = plan_publish(build(*sections), ANYTHING)
    watch = play(build(*sections, direction="recvonly"))
    for plan in (publish, watch):
        assert plan.data_channel
        assert plan.remote.data_channel == AGREED
        answer = sdp.parse(plan.answer(LOCAL))
        assert len(answer.bundle) == len(sections)
        data = next(media for media in answer.media if media.kind == "application")
        assert data.header == "m=application 7777 UDP/DTLS/SCTP webrtc-datachannel"
        assert (data.attribute("sctp-port"), data.attribute("max-message-size")) == ("5000", "262144")
        assert (data.ice_ufrag, data.setup, data.mid) == (LOCAL.ice_ufrag, "passive", "d")
        assert data.fingerprints == (LOCAL.fingerprint,)
        assert not data.has("rtcp-mux")
        assert sum(bool(media.candidates) for media in answer.media) == 1
    assert len(publish.media) == len(sections) - 1


def test_the_old_form_is_answered_in_the_old_form() -> None:
    answer = sdp.parse(plan_publish(build(OPUS, OLD), ANYTHING).answer(LOCAL)).media[1]
    assert answer.header == "m=application 7777 DTLS/SCTP 5000"
    assert answer.attribute("sctpmap") == "5000 webrtc-datachannel 65535"
    assert not answer.has("sctp-port")


def test_an_offer_of_ours_is_one_that_we_take() -> None:
    plan = plan_publish(build(OPUS, sctp_section.offer_lines("d")), ANYTHING)
    assert plan.remote.data_channel == DataChannelParameters(port=5000, max_message_size=262_144)
    answered = sdp.parse(plan.answer(LOCAL)).media[1]
    assert sctp_section.read_section(answered) == plan.remote.data_channel


@pytest.mark.parametrize(
    "more",
    [
        (DATA, ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:e")),
        (DATA, ("m=application 9 UDP/DTLS/SCTP other", "a=mid:e")),
    ],
)
def test_a_second_section_is_refused_alone(more: tuple[tuple[str, ...], ...]) -> None:
    answer = sdp.parse(plan_publish(build(OPUS, *more), ANYTHING).answer(LOCAL))
    assert [media.port for media in answer.media] == [7777, 7777, 0]
    assert answer.bundle == ("0", "d")


def test_a_section_beside_the_bundle_is_refused_alone() -> None:
    offer = build(OPUS, VP8, DATA).replace("BUNDLE 0 1 d", "BUNDLE 0 1")
    plan = plan_publish(offer, ANYTHING)
    assert not plan.data_channel
    assert [media.port for media in sdp.parse(plan.answer(LOCAL)).media] == [7777, 7777, 0]


def test_port_0_is_dead_unless_it_is_bundle_only() -> None:
    dead = ("m=application 0 UDP/DTLS/SCTP webrtc-datachannel", *DATA[1:])
    assert not plan_publish(build(OPUS, dead), ANYTHING).data_channel
    assert plan_publish(build(OPUS, (*dead, "a=bundle-only")), ANYTHING).data_channel


def test_a_lone_section_may_have_no_mid() -> None:
    offer = without(without(build(DATA), "a=mid"), "a=group")
    answer = play(offer).answer(LOCAL)
    assert "a=mid" not in answer
    assert "a=group" not in answer
    assert "m=application 7777" in answer


def test_a_viewer_of_nothing_but_data_is_answered_beside_silent_media() -> None:
    offer = build(OPUS, DATA, direction="recvonly")
    answer = sdp.parse(play(offer, ()).answer(LOCAL))
    assert answer.media[0].direction == "inactive"
    with pytest.raises(errors.Unprocessable):
        play(build(OPUS, direction="recvonly"), ())


def test_a_publisher_that_only_receives_is_still_refused() -> None:
    with pytest.raises(errors.Unprocessable, match="sends nothing"):
        plan_publish(build(OPUS, DATA, direction="recvonly"), ANYTHING)


def test_the_transport_of_the_data_section_is_that_of_all() -> None:
    with pytest.raises(errors.Unprocessable, match="disagree"):
        plan_publish(build(OPUS, (*DATA, "a=ice-ufrag:other")), ANYTHING)
