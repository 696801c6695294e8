from __future__ import annotations

import pytest

from live777py import errors
from live777py.rtc import sdp
from tests.rtc import offers

HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


def section(*lines: str, formats: str = "96") -> sdp.MediaSection:
    text = HEAD + f"m=video 9 UDP/TLS/RTP/SAVPF {formats}\r\n" + "".join(f"{line}\r\n" for line in lines)
    return sdp.parse(text).media[0]


@pytest.mark.parametrize("name", offers.names())
def test_real_offers_survive_unchanged(name: str) -> None:
    text = offers.recorded(name)
    assert str(sdp.parse(text)) == text.replace("\r\n", "\n").rstrip("\n").replace("\n", "\r\n") + "\r\n"


def test_unknown_lines_survive() -> None:
    text = HEAD + "a=tool:x\r\nm=audio 9/2 RTP/AVP 0 8\r\ni=title\r\nb=AS:64\r\nk=clear:x\r\na=quality:10\r\ny=what\r\n"
    assert str(sdp.parse(text)) == text
    assert sdp.parse(text).media[0].port_count == 2


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends(end: str) -> None:
    assert str(sdp.parse(HEAD.replace("\r\n", end) + end)) == HEAD


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("hello", id="text"),
        pytest.param("v=1\r\no=x\r\n", id="version"),
        pytest.param("v=0\r\ns=-\r\n", id="no origin"),
        pytest.param("o=x\r\nv=0\r\n", id="order"),
        pytest.param(HEAD + "a=x\x00y\r\n", id="NUL"),
        pytest.param(HEAD + "a=x\x1by\r\n", id="control"),
        pytest.param(HEAD + "a=x\ry\r\n", id="lone CR"),
        pytest.param(HEAD + "a=\ud800\r\n", id="surrogate"),
        pytest.param(HEAD + "a=\u2028\r\n", id="line separator"),
        pytest.param(HEAD + "no line\r\n", id="line without type"),
        pytest.param(HEAD + "m=video\r\n", id="m-line"),
        pytest.param(HEAD + "m=video 9 UDP/TLS/RTP/SAVPF\r\n", id="m-line without formats"),
        pytest.param(HEAD + "m=video 70000 UDP/TLS/RTP/SAVPF 96\r\n", id="port"),
        pytest.param(HEAD + "m=video \u0669 UDP/TLS/RTP/SAVPF 96\r\n", id="digits of another script"),
    ],
)
def test_not_sdp(text: str) -> None:
    with pytest.raises(errors.BadRequest):
        sdp.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(HEAD + "m=audio 9 RTP/AVP 0\r\n" * 10_000, id="m-lines"),
        pytest.param(HEAD + "m=audio 9 RTP/AVP 0\r\na=fmtp:0 " + "x" * 1_000_000, id="1 MB fmtp"),
        pytest.param(HEAD + "m=audio 9 RTP/AVP 0\r\na=fmtp:0 " + "x" * 10_000, id="long line"),
        pytest.param(HEAD + "m=audio 9 RTP/AVP 0\r\n" + "a=x\r\n" * 3_000, id="attributes"),
    ],
)
def test_limits(text: str) -> None:
    with pytest.raises(errors.Unprocessable):
        sdp.parse(text)


def test_text_beyond_ascii_is_kept() -> None:
    assert str(sdp.parse(HEAD.replace("s=-", "s=Übertragung 東京"))) == HEAD.replace("s=-", "s=Übertragung 東京")


def test_direction_of_the_section_overrides_that_of_the_session() -> None:
    text = HEAD + "a=recvonly\r\nm=audio 9 X 0\r\nm=video 9 X 96\r\na=sendonly\r\n"
    description = sdp.parse(text)
    assert [description.direction(media) for media in description.media] == ["recvonly", "sendonly"]
    assert sdp.parse(HEAD + "m=audio 9 X 0\r\n").direction(sdp.parse(HEAD + "m=audio 9 X 0\r\n").media[0]) == "sendrecv"


def test_static_payload_types_need_no_rtpmap() -> None:
    media = section("a=rtpmap:8 L8/8000", "a=rtpmap:97 opus/48000", formats="0 8 9 96 97 x 999")
    assert media.payload_types == (0, 8, 9, 96, 97)
    assert media.rtpmaps == {
        8: (("L8", 8000, None),),
        97: (("opus", 48000, None),),
        0: (("PCMU", 8000, None),),
        9: (("G722", 8000, None),),
    }


def test_conflicting_rtpmaps_are_both_seen() -> None:
    media = section("a=rtpmap:96 VP8/90000", "a=rtpmap:96 H264/90000", "a=rtpmap:96 VP8/90000")
    assert [mapping.name for mapping in media.rtpmaps[96]] == ["VP8", "H264"]


@pytest.mark.parametrize(
    "value", ["96", "96 ", "x VP8/90000", "96 VP8", "96 VP8/x", "96 VP8/1/2/3", "200 VP8/90000", ""]
)
def test_malformed_rtpmap_describes_nothing(value: str) -> None:
    assert section(f"a=rtpmap:{value}").rtpmaps == {}


def test_fmtp_is_verbatim() -> None:
    media = section("a=fmtp:96 minptime=10; useinbandfec=1", "a=fmtp:x y", "a=fmtp:97 a=b:c")
    assert media.fmtps == {96: "minptime=10; useinbandfec=1", 97: "a=b:c"}


def test_feedback() -> None:
    media = section("a=rtcp-fb:* transport-cc", "a=rtcp-fb:96 nack pli", "a=rtcp-fb:96 nack", "a=rtcp-fb:y nack")
    assert media.feedback == {None: {"transport-cc"}, 96: {"nack pli", "nack"}}


def test_extmap() -> None:
    media = section(
        "a=extmap:1/recvonly urn:a p q", "a=extmap:2 urn:b", "a=extmap:x urn:c", "a=extmap:3/up urn:d", "a=extmap:4"
    )
    assert media.extmaps == ((1, "urn:a", "recvonly", "p q"), (2, "urn:b", None, ""))


def test_rids_and_simulcast() -> None:
    media = section(
        "a=rid:1 send pt=96,97;max-width=1280",
        "a=rid:2 recv",
        "a=rid:1 recv",
        "a=rid:3",
        "a=simulcast:send 1,~4;5 recv 2",
    )
    assert media.rids == (("1", "send", (("pt", "96,97"), ("max-width", "1280"))), ("2", "recv", ()))
    assert media.simulcast_send == ((("1", False), ("4", True)), (("5", False),))
    assert media.simulcast_recv == ((("2", False),),)
    assert section("a=simulcast:send").simulcast_send == ()


def test_sources() -> None:
    media = section(
        "a=ssrc:1 cname:x",
        "a=ssrc:1 msid:a b",
        "a=ssrc:2",
        "a=ssrc:4294967296 cname:x",
        "a=ssrc-group:FID 1 2",
        "a=ssrc-group:FID x",
        "a=ssrc-group:",
    )
    assert media.ssrcs == {1: {"cname": "x", "msid": "a b"}, 2: {"": ""}}
    assert media.ssrc_groups == (("FID", (1, 2)),)


def test_session_attributes() -> None:
    description = sdp.parse(
        HEAD
        + "a=group:LS 0 1\r\na=group:BUNDLE 0 1\r\na=group:\r\na=ice-lite\r\na=ice-options:ice2,trickle trickle\r\n"
        + "a=fingerprint:SHA-256 ab:cd\r\na=setup:ActPass\r\na=extmap-allow-mixed\r\n"
    )
    assert description.bundle == ("0", "1")
    assert description.ice_lite
    assert description.session.ice_options == ("ice2,trickle", "trickle")
    assert description.session.fingerprints == (("sha-256", "AB:CD"),)
    assert description.session.setup == "actpass"
    assert description.session.extmap_allow_mixed


def test_candidates_of_unknown_form_are_skipped() -> None:
    media = section(
        "a=candidate:1 1 udp 1 192.0.2.2 5000 typ host", "a=candidate:", "a=candidate:x", "a=end-of-candidates"
    )
    assert [candidate.address for candidate in media.candidates] == ["192.0.2.2"]
    assert media.end_of_candidates
