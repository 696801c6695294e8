from __future__ import annotations

import pytest

from live777py import errors
from live777py.rtc import sdp
from live777py.rtc.negotiation import CodecPolicy, Encoding, plan_publish
from tests.rtc.offers import ANYTHING, LOCAL, OPUS, VP8, build, recorded, video, with_simulcast

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"


def refusal(offer: str, policy: CodecPolicy = ANYTHING) -> str:
    with pytest.raises(errors.Unprocessable) as caught:
        plan_publish(offer, policy)
    return caught.value.detail


def answered(offer: str, policy: CodecPolicy = ANYTHING) -> sdp.SessionDescription:
    return sdp.parse(plan_publish(offer, policy).answer(LOCAL))


@pytest.mark.parametrize("direction", ["recvonly", "inactive"])
def test_an_offer_that_sends_nothing(direction: str) -> None:
    assert "sends nothing" in refusal(build(OPUS, VP8, direction=direction))


@pytest.mark.parametrize("direction", ["sendonly", "sendrecv"])
def test_the_answer_only_receives(direction: str) -> None:
    assert [media.direction for media in answered(build(OPUS, VP8, direction=direction)).media] == ["recvonly"] * 2


def test_a_section_that_sends_nothing_beside_one_that_does() -> None:
    offer = build((*OPUS, "a=recvonly"), VP8)
    assert [media.kind for media in plan_publish(offer, ANYTHING).media] == ["video"]
    assert [media.direction for media in answered(offer).media] == ["inactive", "recvonly"]


def test_an_unusable_section_that_sends_nothing_is_refused_alone() -> None:
    offer = build(("m=audio 9 UDP/TLS/RTP/SAVPF 97", "a=mid:0", "a=rtpmap:97 speex/8000", "a=inactive"), VP8)
    description = answered(offer)
    assert [media.port for media in description.media] == [0, 7777]
    assert description.bundle == ("1",)


def test_two_sections_of_a_kind() -> None:
    assert "4.4.2" in refusal(build(VP8, video(97, "VP9/90000")))


def test_one_codec_the_first_that_is_known() -> None:
    offer = build(("m=video 9 UDP/TLS/RTP/SAVPF 95 96 97 98", "a=mid:v", "a=rtpmap:96 theora/90000", *VP8_VP9_LINES))
    (media,) = plan_publish(offer, ANYTHING).media
    assert [(codec.name, codec.payload_type, codec.rtx_payload_type) for codec in media.codecs] == [("VP9", 97, 98)]
    assert answered(offer).media[0].formats == ("97", "98")


VP8_VP9_LINES = (
    "a=rtpmap:97 VP9/90000",
    "a=rtpmap:98 rtx/90000",
    "a=fmtp:98 apt=97;rtx-time=3000",
    "a=rtpmap:95 VP8/90000",
)


def test_payload_types_that_look_like_rtcp_are_not_used() -> None:
    assert "known and allowed" in refusal(build(video(72, "VP8/90000")))


def test_retransmissions_that_look_like_rtcp_are_not_used() -> None:
    offer = build(("m=video 9 UDP/TLS/RTP/SAVPF 96 72", *VP8[1:], "a=rtpmap:72 rtx/90000", "a=fmtp:72 apt=96"))
    assert plan_publish(offer, ANYTHING).media[0].codecs[0].rtx_payload_type is None


def test_no_known_codec_fails_the_whole_offer() -> None:
    assert "video" in refusal(build(OPUS, video(96, "theora/90000")))


def test_whitelist() -> None:
    offer = recorded("chromium-156-whip.sdp")
    audio, picture = plan_publish(offer, CodecPolicy(video=("av1",), audio=("PCMA",))).media
    assert [codec.name for codec in (*audio.codecs, *picture.codecs)] == ["PCMA", "AV1"]
    assert (audio.codecs[0].payload_type, picture.codecs[0].rtx_payload_type) == (8, 46)
    assert "known and allowed" in refusal(offer, CodecPolicy(video=("H265",)))


RED = ("a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111")


def test_red_is_used_where_it_comes_first() -> None:
    offer = build(("m=audio 9 UDP/TLS/RTP/SAVPF 63 111", *OPUS[1:], *RED))
    (media,) = plan_publish(offer, ANYTHING).media
    assert [codec.name for codec in media.codecs] == ["red", "opus"]
    assert answered(offer).media[0].fmtps == {63: "111/111"}


@pytest.mark.parametrize(
    ("formats", "lines"),
    [
        ("111 63", RED),
        ("63 111", RED[:1]),
        ("63 111", (RED[0], "a=fmtp:63 112/112")),
        ("63 111", (RED[0], "a=fmtp:63 0/0")),
    ],
)
def test_red_is_left_out_where_it_does_not_or_wraps_no_opus(formats: str, lines: tuple[str, ...]) -> None:
    offer = build((f"m=audio 9 UDP/TLS/RTP/SAVPF {formats}", *OPUS[1:], *lines))
    assert [codec.name for codec in plan_publish(offer, ANYTHING).media[0].codecs] == ["opus"]


def test_static_payload_types() -> None:
    (media,) = plan_publish(build(("m=audio 9 UDP/TLS/RTP/SAVPF 9 0", "a=mid:0")), ANYTHING).media
    assert [(codec.name, codec.clock_rate) for codec in media.codecs] == [("G722", 8000)]


@pytest.mark.parametrize("rtpmap", ["OPUS/48000", "opus/48000/2", "Opus/48000/2"])
def test_spellings_of_opus(rtpmap: str) -> None:
    offer = build((*OPUS[:2], f"a=rtpmap:111 {rtpmap}"))
    (media,) = plan_publish(offer, ANYTHING).media
    assert media.codecs[0].name == "opus"
    assert answered(offer).media[0].rtpmaps[111][0].channels == media.codecs[0].channels


@pytest.mark.parametrize("rtpmap", ["opus/8000/2", "opus/48000/6", "VP8/90000"])
def test_what_only_looks_like_it(rtpmap: str) -> None:
    assert "known and allowed" in refusal(build((*OPUS[:2], f"a=rtpmap:111 {rtpmap}")))


def test_feedback_by_payload_type_and_for_all() -> None:
    lines = ("a=rtcp-fb:* nack pli", "a=rtcp-fb:96 ccm fir", "a=rtcp-fb:96 ccm tmmbr", "a=rtcp-fb:96 transport-cc")
    (media,) = plan_publish(build((*VP8, *lines)), ANYTHING).media
    assert media.codecs[0].feedback == {"nack pli", "ccm fir"}, "transport-cc needs its header extension"
    (media,) = plan_publish(build((*VP8, *lines, f"a=extmap:3 {TRANSPORT_CC}")), ANYTHING).media
    assert media.codecs[0].feedback == {"nack pli", "ccm fir", "transport-cc"}


def test_extensions() -> None:
    lines = (
        f"a=extmap:4/sendonly {MID}",
        f"a=extmap:5/recvonly {TRANSPORT_CC}",
        "a=extmap:6 urn:ietf:params:rtp-hdrext:toffset",
        f"a=extmap:15 {RID}",
        "a=extmap:20 urn:3gpp:video-orientation",
    )
    offer = build((*VP8, *lines))
    (media,) = plan_publish(offer, ANYTHING).media
    assert media.extensions == ((4, MID),)
    assert answered(offer).media[0].extmaps == ((4, MID, "recvonly", ""),)


def test_long_ids_need_mixed_headers() -> None:
    (media,) = plan_publish(build((*VP8, f"a=extmap:20 {MID}", "a=extmap-allow-mixed")), ANYTHING).media
    assert media.extensions == ((20, MID),)


def test_a_mid_that_no_header_holds_is_not_promised_in_headers() -> None:
    offer = build((VP8[0], "a=mid:0123456789abcdef0", VP8[2], f"a=extmap:4 {MID}"))
    assert plan_publish(offer, ANYTHING).media[0].extensions == ()


@pytest.mark.parametrize(
    "offer",
    [
        pytest.param(build((*VP8, f"a=extmap:4 {MID}", f"a=extmap:4 {RID}")), id="extension id"),
        pytest.param(build((*OPUS, f"a=extmap:4 {MID}"), (*VP8, f"a=extmap:4 {TRANSPORT_CC}")), id="in the bundle"),
        pytest.param(build(OPUS, video(111, "VP8/90000")), id="payload type in the bundle"),
        pytest.param(build((*VP8, "a=rtpmap:96 VP9/90000")), id="payload type"),
        pytest.param(build((*OPUS, "a=ssrc:5 cname:a"), (*VP8, "a=ssrc:5 cname:a")), id="SSRC"),
        pytest.param(build((*VP8, "a=ssrc-group:FID 5 5")), id="SSRC of the retransmission"),
    ],
)
def test_two_meanings_of_one_number(offer: str) -> None:
    assert refusal(offer)


@pytest.mark.parametrize(
    ("lines", "encodings"),
    [
        ((), (Encoding(),)),
        (("a=ssrc:5 cname:a",), (Encoding(ssrc=5),)),
        (("a=ssrc-group:FID 5 6", "a=ssrc:6 cname:a", "a=ssrc:5 cname:a"), (Encoding(ssrc=5, rtx_ssrc=6),)),
        (
            ("a=ssrc-group:SIM 1 2", "a=ssrc-group:FID 1 3", "a=ssrc-group:FID 2 4"),
            (Encoding(ssrc=1, rtx_ssrc=3), Encoding(ssrc=2, rtx_ssrc=4)),
        ),
        (("a=rid:h send", "a=ssrc:5 cname:a"), (Encoding(rid="h"),)),
    ],
)
def test_encodings(lines: tuple[str, ...], encodings: tuple[Encoding, ...]) -> None:
    assert plan_publish(build((*VP8, *lines)), ANYTHING).media[0].encodings == encodings


@pytest.mark.parametrize(
    ("base", "lines"),
    [
        ("chromium-156-whip.sdp", "chromium-simulcast-lines.txt"),
        ("firefox-esr-153-whip.sdp", "firefox-simulcast-lines.txt"),
    ],
)
def test_simulcast_of_browsers(base: str, lines: str) -> None:
    offer = with_simulcast(base, lines)
    (media,) = plan_publish(offer, ANYTHING).media
    assert [encoding.rid for encoding in media.encodings] == ["l", "m", "h"]
    (answer,) = answered(offer).media
    assert [(rid.id, rid.direction) for rid in answer.rids] == [("l", "recv"), ("m", "recv"), ("h", "recv")]
    assert answer.attribute("simulcast") == "recv l;m;h"


def test_alternatives_paused_layers_and_restrictions() -> None:
    lines = (
        "a=rid:1 send pt=96,97;max-width=1280",
        "a=rid:2 send",
        "a=rid:3 send pt=97",
        "a=rid:4 recv",
        "a=rid:\u00e9 send",
        "a=simulcast:send 1,~2;3;~2;9",
        f"a=extmap:2 {RID}",
    )
    (answer,) = answered(build((*VP8, *lines))).media
    assert answer.attributes("rid") == ["1 recv pt=96;max-width=1280", "2 recv"]
    assert answer.attribute("simulcast") == "recv 1,2;2"


def test_simulcast_that_could_not_be_told_apart() -> None:
    assert "rtp-stream-id" in refusal(build((*VP8, "a=rid:1 send", "a=rid:2 send", "a=simulcast:send 1;2")))


def test_layers_are_bounded() -> None:
    lines = tuple(f"a=rid:{number} send" for number in range(17))
    assert "layers" in refusal(build((*VP8, f"a=extmap:2 {RID}", *lines)))


def test_stereo_is_asked_for() -> None:
    offer = build((*OPUS, "a=fmtp:111 minptime=10;sprop-stereo=1"))
    assert answered(offer).media[0].fmtps[111] == "minptime=10;sprop-stereo=1;stereo=1"


def test_the_published_fmtp_is_the_offers_own() -> None:
    media = plan_publish(recorded("gstreamer-1.22-webrtcbin-whip.sdp"), ANYTHING).media
    assert media[0].codecs[0].fmtp.startswith("packetization-mode=1;sprop-parameter-sets=Z0LAFdkB")
    assert media[0].msid == "user201479307@host-d98f38a7 webrtctransceiver0"


@pytest.mark.parametrize("text", ["", "v=0", "v=0\r\no=x\r\nm=\r\n", "\0", "{}"])
def test_what_is_no_sdp(text: str) -> None:
    with pytest.raises(errors.BadRequest):
        plan_publish(text, ANYTHING)
