from __future__ import annotations

from dataclasses import replace

import pytest

from live777py import errors
from live777py.rtc import sdp
from live777py.rtc.described import DEPENDENCY_DESCRIPTOR
from live777py.rtc.negotiation import CodecPolicy, PublishedMedia, payload_map, plan_play, plan_publish
from tests.rtc.offers import ANYTHING, LOCAL, OPUS, VP8, build, play, recorded, ssrcs, video

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"


def published(offer: str) -> tuple[PublishedMedia, ...]:
    return plan_publish(offer, ANYTHING).media


def publisher(name: str) -> tuple[PublishedMedia, ...]:
    return published(recorded(name))


def answer(offer: str, tracks: tuple[PublishedMedia, ...] | None = None) -> sdp.SessionDescription:
    return sdp.parse(play(offer, tracks).answer(LOCAL))


def refusal(offer: str, tracks: tuple[PublishedMedia, ...] | None = None) -> str:
    with pytest.raises(errors.Unprocessable) as caught:
        play(offer, tracks)
    return caught.value.detail


VIEWER = build(OPUS, VP8, direction="recvonly")


@pytest.mark.parametrize("direction", ["recvonly", "sendrecv"])
def test_the_answer_only_sends(direction: str) -> None:
    assert [media.direction for media in answer(build(OPUS, VP8, direction=direction)).media] == ["sendonly"] * 2


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
def test_an_offer_that_receives_nothing(direction: str) -> None:
    assert "receives nothing" in refusal(build(OPUS, VP8, direction=direction))


def test_the_publishers_codec_comes_first_and_the_others_stay() -> None:
    plan = play(recorded("chromium-recvonly.sdp"), publisher("obs32-h264-1layers.sdp"))
    audio, picture = plan.media
    assert [codec.name for codec in audio.codecs] == ["opus", "red", "G722", "PCMU", "PCMA"]
    assert (picture.codecs[0].payload_type, picture.codecs[0].rtx_payload_type) == (108, 109)
    assert {codec.name for codec in picture.codecs} == {"H264", "VP8", "VP9", "AV1"}
    assert len({codec.payload_type for codec in picture.codecs}) == len(picture.codecs) == 15
    assert sdp.parse(plan.answer(LOCAL)).media[1].formats[:4] == ("108", "109", "96", "97")


@pytest.mark.parametrize(
    ("name", "tracks", "pairs"),
    [
        ("chromium-recvonly.sdp", "obs32-h264-1layers.sdp", [((111, 111),), ((96, 108),)]),
        ("chromium-recvonly.sdp", "ffmpeg-9.0.2-whip.sdp", [((111, 111),), ((106, 102),)]),
        ("chromium-recvonly.sdp", "gstreamer-1.22-webrtcbin-whip.sdp", [((97, 111),), ((96, 108),)]),
        ("chromium-recvonly.sdp", "firefox-esr-153-whip.sdp", [((109, 111),), ((120, 96),)]),
        ("firefox-recvonly.sdp", "chromium-156-whip.sdp", [((111, 109),), ((96, 120),)]),
    ],
)
def test_payload_types_are_mapped(name: str, tracks: str, pairs: list[tuple[tuple[int, int], ...]]) -> None:
    media = publisher(tracks)
    by_kind = {track.kind: track for track in media}
    plan = play(recorded(name), media)
    assert [payload_map(by_kind[played.kind], played) for played in plan.media] == pairs
    assert [played.codecs[0].payload_type for played in plan.media] == [pair[0][1] for pair in pairs]


def test_the_profile_that_comes_is_named() -> None:
    _, picture = play(recorded("chromium-recvonly.sdp"), publisher("ffmpeg-9.0.2-whip.sdp")).media
    assert picture.codecs[0].fmtp == "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001e"


def test_stereo_reaches_the_viewer() -> None:
    media = answer(recorded("chromium-recvonly.sdp"), publisher("obs32-h264-1layers.sdp")).media
    assert "stereo=1;sprop-stereo=1" in media[0].fmtps[111]
    media = answer(recorded("chromium-recvonly.sdp"), publisher("chromium-156-whip.sdp")).media
    assert media[0].fmtps[111] == "minptime=10;useinbandfec=1"


def test_before_a_publisher_everything_is_possible() -> None:
    plan = play(recorded("chromium-recvonly.sdp"))
    assert all(played.active for played in plan.media)
    for name in ("obs32-h264-1layers.sdp", "firefox-esr-153-whip.sdp", "chromium-156-whip.sdp"):
        for track in publisher(name):
            played = next(played for played in plan.media if played.kind == track.kind)
            assert payload_map(track, played) is not None
    assert "stereo=1;sprop-stereo=1" in plan.media[0].codecs[0].fmtp


def test_a_later_publisher_with_another_codec_needs_no_renegotiation() -> None:
    _, picture = play(recorded("chromium-recvonly.sdp"), publisher("chromium-156-whip.sdp")).media
    (track,) = published(build(video(97, "AV1/90000")))
    assert payload_map(track, picture) == ((97, 45),)
    (track,) = published(build(video(97, "H265/90000")))
    assert payload_map(track, picture) is None


def test_no_common_codec() -> None:
    text = refusal(recorded("firefox-recvonly.sdp"), publisher("obs32-h264-1layers.sdp"))
    assert text == "the publisher sends H264; the offer has VP8, VP9, AV1"
    assert "none that is known" in refusal(build(video(96, "x/1"), direction="recvonly"), published(build(VP8)))


def test_a_kind_that_the_publisher_lacks_is_inactive() -> None:
    tracks = published(build(VP8))
    plan = play(VIEWER, tracks)
    assert [(played.kind, played.active) for played in plan.media] == [("audio", False), ("video", True)]
    description = sdp.parse(plan.answer(LOCAL))
    assert [media.direction for media in description.media] == ["inactive", "sendonly"]
    assert description.media[0].ssrcs == {}
    assert payload_map(replace(tracks[0], kind="audio"), plan.media[0]) is None
    assert payload_map(tracks[0], plan.media[0]) is None


def test_a_viewer_may_want_one_kind_only() -> None:
    assert [played.kind for played in play(build(OPUS, direction="recvonly"), published(build(OPUS, VP8))).media] == [
        "audio"
    ]
    assert "receives nothing" in refusal(build(OPUS, direction="recvonly"), published(build(VP8)))


def test_a_second_section_of_a_kind_is_inactive() -> None:
    offer = build(VP8, ("m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:2", VP8[2]), direction="recvonly")
    assert [played.active for played in play(offer).media] == [True, False]


def test_an_unknown_codec_is_refused_alone_before_a_publisher() -> None:
    description = answer(build(video(96, "theora/90000"), OPUS, direction="recvonly"))
    assert [media.port for media in description.media] == [0, 7777]
    assert description.bundle == ("0",)


def test_red_of_a_publisher() -> None:
    tracks = published(
        build(("m=audio 9 UDP/TLS/RTP/SAVPF 63 111", *OPUS[1:], "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111"))
    )
    lines = (*OPUS[1:], "a=rtpmap:51 red/48000/2", "a=fmtp:51 111/111")
    (played,) = play(build(("m=audio 9 UDP/TLS/RTP/SAVPF 111 51", *lines), direction="recvonly"), tracks).media
    assert [(codec.name, codec.fmtp) for codec in played.codecs] == [("red", "111/111"), ("opus", "")]
    assert payload_map(tracks[0], played) == ((63, 51), (111, 111))
    assert "sends red around opus 111; the offer has opus" in refusal(build(OPUS, direction="recvonly"), tracks)


def test_red_around_another_payload_type_would_not_be_understood() -> None:
    red = ("a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111")
    tracks = published(build(("m=audio 9 UDP/TLS/RTP/SAVPF 63 111", *OPUS[1:], *red)))
    lines = ("a=mid:0", "a=rtpmap:50 opus/48000/2", "a=rtpmap:51 red/48000/2", "a=fmtp:51 50/50")
    offer = build(("m=audio 9 UDP/TLS/RTP/SAVPF 50 51", *lines), direction="recvonly")
    assert "red around opus 111" in refusal(offer, tracks)
    assert payload_map(tracks[0], play(offer).media[0]) is None


def test_sources_of_one_stream() -> None:
    plan = play(recorded("chromium-recvonly.sdp"), publisher("chromium-156-whip.sdp"))
    audio, picture = plan.media
    assert (audio.ssrc, audio.rtx_ssrc, picture.ssrc, picture.rtx_ssrc) == (1000, None, 1001, 1002)
    sound, image = sdp.parse(plan.answer(LOCAL)).media
    assert (sound.msid, image.msid) == ("viewer audio", "viewer video")
    assert sound.ssrcs == {1000: {"cname": "viewer", "msid": "viewer audio"}}
    assert set(image.ssrcs) == {1001, 1002}
    assert image.ssrc_groups == (("FID", (1001, 1002)),)


def test_extensions_are_the_viewers_own_without_layers() -> None:
    lines = (f"a=extmap:9/recvonly {MID}", f"a=extmap:10 {RID}", "a=extmap:11/sendonly urn:3gpp:video-orientation")
    offer = build((*VP8, *lines), direction="recvonly")
    assert play(offer).media[0].extensions == ((9, MID),)
    assert answer(offer).media[0].extmaps == ((9, MID, "sendonly", ""),)


def test_the_dependency_descriptor_is_for_those_who_take_both_forms_of_extensions() -> None:
    line = f"a=extmap:20 {DEPENDENCY_DESCRIPTOR}"
    assert play(build((*VP8, line.replace("20", "9")), direction="recvonly")).media[0].extensions == ()
    mixed = build((*VP8, line), session=("a=extmap-allow-mixed",), direction="recvonly")
    assert play(mixed).media[0].extensions == ((20, DEPENDENCY_DESCRIPTOR),)
    assert answer(mixed).session.extmap_allow_mixed


def test_one_payload_type_for_two_codecs_in_the_bundle() -> None:
    assert "payload type" in refusal(build(OPUS, video(111, "VP8/90000"), direction="recvonly"))


def test_codecs_are_bounded() -> None:
    numbers = [number for number in range(128) if not 64 <= number < 96]
    lines = tuple(f"a=rtpmap:{number} VP8/90000" for number in numbers)
    offer = build(
        (f"m=video 9 UDP/TLS/RTP/SAVPF {' '.join(map(str, numbers))}", "a=mid:1", *lines), direction="recvonly"
    )
    assert len(play(offer).media[0].codecs) == 64


def test_whitelist() -> None:
    plan = plan_play(
        recorded("chromium-recvonly.sdp"), CodecPolicy(video=("H264",)), None, new_ssrc=ssrcs(), cname="viewer"
    )
    assert {codec.name for codec in plan.media[1].codecs} == {"H264"}


@pytest.mark.parametrize("text", ["", "v=0", "\0"])
def test_what_is_no_sdp(text: str) -> None:
    with pytest.raises(errors.BadRequest):
        play(text)
