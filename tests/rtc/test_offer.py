"""What an offer must hold whichever door it comes to."""

from __future__ import annotations

import pytest

from live777py import errors
from live777py.rtc.offer import read_offer
from tests.rtc.offers import FINGERPRINT, OPUS, TRANSPORT, VP8, build, recorded, without

SHA1 = ":".join(["AB"] * 20)
SHA512 = ":".join(["CD"] * 64)


def refusal(offer: str) -> str:
    with pytest.raises(errors.Unprocessable) as caught:
        read_offer(offer)
    return caught.value.detail


def test_the_built_offer_is_good() -> None:
    offer = read_offer(build(OPUS, VP8))
    assert [section.mid for section in offer.sections] == ["0", "1"]
    assert (offer.remote.ice_ufrag, offer.remote.ice_pwd) == ("abcd", "abcdefghijklmnopqrstuv")
    assert offer.remote.fingerprints == (("sha-256", FINGERPRINT),)


@pytest.mark.parametrize(("setup", "role"), [("actpass", "passive"), ("active", "passive"), ("passive", "active")])
def test_dtls_roles(setup: str, role: str) -> None:
    assert read_offer(build(OPUS, VP8).replace("actpass", setup)).remote.dtls_role == role


def test_dtls_role_of_an_offer_that_does_not_say() -> None:
    assert read_offer(without(build(OPUS), "a=setup")).remote.dtls_role == "passive"


@pytest.mark.parametrize("setup", ["holdconn", "", "x"])
def test_setup_that_cannot_be_served(setup: str) -> None:
    text = build(OPUS, VP8).replace("actpass", setup)
    if setup:
        assert "a=setup" in refusal(text)
    else:
        assert read_offer(text).remote.dtls_role == "passive"


def test_setups_that_disagree() -> None:
    assert "a=setup" in refusal(build(OPUS, (*VP8, "a=setup:active")))


@pytest.mark.parametrize("prefix", ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=rtcp-mux"])
def test_what_is_missing(prefix: str) -> None:
    assert refusal(without(build(OPUS, VP8), prefix))


@pytest.mark.parametrize("line", TRANSPORT[:4])
def test_transport_attributes_at_session_level(line: str) -> None:
    text = build(OPUS, VP8)
    assert (
        read_offer(without(text, line).replace("t=0 0\r\n", f"t=0 0\r\n{line}\r\n")).remote == read_offer(text).remote
    )


@pytest.mark.parametrize("line", TRANSPORT[:4])
def test_a_bundled_section_may_leave_the_transport_to_the_tagged_one(line: str) -> None:
    text = build(OPUS, VP8)
    first, second = text.split("m=video")
    assert read_offer(first + "m=video" + without(second, line)).remote == read_offer(text).remote


@pytest.mark.parametrize(
    "line",
    [
        "a=ice-ufrag:other",
        "a=ice-pwd:otherotherotherotherother",
        f"a=fingerprint:sha-256 {FINGERPRINT.replace('AB', 'CD')}",
    ],
)
def test_sections_that_disagree(line: str) -> None:
    assert "disagree" in refusal(build(OPUS, (*VP8, line)))


@pytest.mark.parametrize(
    "line",
    [
        "a=ice-ufrag:abc",
        "a=ice-ufrag:" + "a" * 257,
        "a=ice-ufrag:ab:cd",
        "a=ice-pwd:tooshort",
        "a=ice-pwd:" + "a" * 257,
        "a=ice-pwd:abcdefghijklmnopqrstu\u00e9",
    ],
)
def test_credentials_of_another_length_or_alphabet(line: str) -> None:
    assert "RFC 8839" in refusal(build((*OPUS, line)))


@pytest.mark.parametrize(
    "value",
    [f"sha-1 {SHA1}", "md5 " + ":".join(["AB"] * 16), "sha-256 AB:CD", f"sha-256 {SHA512}", "sha-256", "", "x y z"],
)
def test_fingerprints_that_prove_nothing(value: str) -> None:
    assert "fingerprint" in refusal(build((*OPUS, f"a=fingerprint:{value}")))


def test_strong_fingerprints_are_kept_in_order() -> None:
    lines = (
        f"a=fingerprint:SHA-512 {SHA512}",
        f"a=fingerprint:sha-1 {SHA1}",
        f"a=fingerprint:sha-256 {FINGERPRINT.lower()}",
    )
    assert read_offer(build((*OPUS, *lines))).remote.fingerprints == (("sha-256", FINGERPRINT), ("sha-512", SHA512))


def test_every_section_must_be_in_the_bundle() -> None:
    assert "BUNDLE" in refusal(build(OPUS, VP8).replace("BUNDLE 0 1", "BUNDLE 0"))
    assert "BUNDLE" in refusal(without(build(OPUS, VP8), "a=group"))


def test_a_lone_section_needs_no_bundle_and_no_mid() -> None:
    (section,) = read_offer(without(without(build(OPUS), "a=group"), "a=mid")).sections
    assert (section.mid, section.mid_written) == ("0", False)


def test_mids_are_those_of_the_group_where_the_sections_have_none() -> None:
    sections = read_offer(without(build(OPUS, VP8), "a=mid")).sections
    assert [(section.mid, section.mid_written) for section in sections] == [("0", True), ("1", True)]


@pytest.mark.parametrize("mid", ["a=mid:", "a=mid:a b", "a=mid:" + "x" * 300, "a=mid:\u00e9", "a=mid:a/b"])
def test_mids_that_are_no_token(mid: str) -> None:
    assert "a=mid" in refusal(build((OPUS[0], mid, OPUS[2])))


def test_duplicate_mids() -> None:
    assert "one mid" in refusal(build(OPUS, (VP8[0], "a=mid:0", VP8[2])))


def test_a_bundle_only_section_is_alive() -> None:
    text = build(OPUS, ("m=video 0 UDP/TLS/RTP/SAVPF 96", *VP8[1:], "a=bundle-only"))
    assert [section.kind for section in read_offer(text).sections] == ["audio", "video"]


def test_port_0_without_bundle_only_is_dead() -> None:
    text = build(OPUS, ("m=video 0 UDP/TLS/RTP/SAVPF 96", *VP8[1:]))
    assert [section.kind for section in read_offer(text).sections] == ["audio"]


def test_other_media_are_left_aside() -> None:
    text = ("m=text 9 UDP/TLS/RTP/SAVPF 98", "a=mid:2", "a=rtpmap:98 t140/1000")
    assert [section.index for section in read_offer(build(text, OPUS)).sections] == [1]
    assert "audio, video or data" in refusal(build(text))
    assert "audio, video or data" in refusal("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n")


def test_media_without_dtls() -> None:
    assert "DTLS" in refusal(build(("m=audio 9 RTP/XYZ 111", *OPUS[1:])))


def test_two_lite_agents_never_meet() -> None:
    assert "ICE-lite" in refusal(build(OPUS, session=("a=ice-lite",)))


def test_candidates_are_those_of_the_bundle_once() -> None:
    remote = read_offer(recorded("gstreamer-1.22-webrtcbin-whip.sdp")).remote
    assert len(remote.candidates) == 9
    assert [candidate.address for candidate in remote.candidates if candidate.usable] == [
        "192.0.2.2",
        "fd00::2",
        "fe80::fc:ff:fe00:1",
    ]


def test_candidates_are_bounded() -> None:
    lines = tuple(f"a=candidate:1 1 udp 1 192.0.2.2 {port} typ host" for port in range(5000, 5100))
    assert len(read_offer(build((*OPUS, *lines))).remote.candidates) == 32
