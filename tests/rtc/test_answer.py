"""What stands in every answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from live777py.rtc import sdp
from live777py.rtc.negotiation import LocalPeer, plan_publish
from tests.rtc.offers import ANYTHING, LOCAL, OPUS, VP8, build, recorded, without


def answer(offer: str, local: LocalPeer = LOCAL) -> str:
    return plan_publish(offer, ANYTHING).answer(local)


def test_lines() -> None:
    text = answer(build((*OPUS, "a=rtcp-rsize"), session=("a=ice-options:trickle",)))
    assert text.split("\r\n") == [
        "v=0",
        "o=- 4242 0 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=msid-semantic:WMS *",
        "a=ice-lite",
        "a=ice-options:trickle",
        "m=audio 7777 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 192.0.2.7",
        "a=candidate:1 1 udp 2130706431 192.0.2.7 7777 typ host",
        "a=candidate:2 1 udp 2130706175 2001:db8::7 7777 typ host",
        "a=end-of-candidates",
        "a=ice-ufrag:local777",
        "a=ice-pwd:local777local777local777",
        f"a=fingerprint:sha-256 {LOCAL.fingerprint[1]}",
        "a=setup:passive",
        "a=mid:0",
        "a=recvonly",
        "a=rtpmap:111 opus/48000/2",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "",
    ]


def test_candidates_stand_in_the_tagged_section_only() -> None:
    audio, video = sdp.parse(answer(build(OPUS, VP8).replace("BUNDLE 0 1", "BUNDLE 1 0"))).media
    assert (audio.candidates, audio.end_of_candidates) == ((), False)
    assert (video.candidates, video.end_of_candidates) == (LOCAL.candidates, True)
    assert audio.ice_ufrag == video.ice_ufrag == LOCAL.ice_ufrag


def test_without_candidates_the_default_destination_is_none() -> None:
    text = answer(build(OPUS), replace(LOCAL, candidates=(), ice_lite=False))
    assert "m=audio 9 UDP" in text
    assert "c=IN IP4 0.0.0.0\r\n" in text
    assert "ice-lite" not in text


def test_an_ipv6_default_destination() -> None:
    assert "c=IN IP6 2001:db8::7\r\n" in answer(build(OPUS), replace(LOCAL, candidates=LOCAL.candidates[1:]))


@pytest.mark.parametrize(
    ("offered", "answered"),
    [("a=ice-options:ice2,trickle trickle", "trickle"), ("a=ice-options:ice2 trickle renomination", "trickle ice2")],
)
def test_ice_options_are_those_of_both(offered: str, answered: str) -> None:
    assert f"a=ice-options:{answered}\r\n" in answer(build(OPUS, session=(offered,)))
    assert "ice-options" not in answer(build(OPUS))


def test_mixed_headers_are_allowed_where_they_were_offered() -> None:
    session_level = sdp.parse(answer(build(OPUS, session=("a=extmap-allow-mixed",))))
    assert (session_level.session.extmap_allow_mixed, session_level.media[0].extmap_allow_mixed) == (True, False)
    media_level = sdp.parse(answer(build((*OPUS, "a=extmap-allow-mixed"))))
    assert (media_level.session.extmap_allow_mixed, media_level.media[0].extmap_allow_mixed) == (False, True)


def test_a_refused_section_keeps_its_place() -> None:
    slides = ("m=application 9 TCP/TLS/BFCP *", "a=mid:d")
    description = sdp.parse(answer(build(slides, OPUS, VP8)))
    assert description.bundle == ("0", "1")
    refused = description.media[0]
    assert refused.header == "m=application 0 TCP/TLS/BFCP *"
    assert (refused.mid, refused.ice_ufrag) == ("d", None)


def test_a_section_without_mid_gets_none() -> None:
    text = answer(without(without(build(OPUS), "a=group"), "a=mid"))
    assert "a=mid" not in text
    assert "a=group" not in text


def test_the_order_of_the_sections_is_that_of_the_offer() -> None:
    description = sdp.parse(answer(recorded("gstreamer-1.22-webrtcbin-whip.sdp")))
    assert [(media.kind, media.mid, media.port) for media in description.media] == [
        ("video", "video0", 7777),
        ("audio", "audio1", 7777),
    ]
    assert not any(media.has("bundle-only") for media in description.media)
