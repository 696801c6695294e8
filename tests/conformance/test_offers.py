"""Every recorded offer, and what it must be answered: one row per client and door."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from aiortc.sdp import SessionDescription as AiortcDescription

from live777py.rtc import sdp
from live777py.rtc.negotiation import PlayPlan, PublishPlan, plan_publish
from tests.rtc.offers import ANYTHING, LOCAL, names, play, recorded, with_simulcast

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
ORIENTATION = "urn:3gpp:video-orientation"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
DEPENDENCY = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"

ALL_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"})
CHROMIUM_AUDIO = {1: AUDIO_LEVEL, 2: ABS_SEND_TIME, 3: TRANSPORT_CC, 4: MID}
CHROMIUM_VIDEO = {2: ABS_SEND_TIME, 13: ORIENTATION, 3: TRANSPORT_CC, 5: PLAYOUT_DELAY, 4: MID}
FIREFOX_AUDIO = {1: AUDIO_LEVEL, 3: MID, 7: TRANSPORT_CC}


@dataclass(frozen=True, kw_only=True)
class Section:
    """What the answer's m-section says, and which of it the plan names as the codec in use."""

    kind: str
    mid: str
    direction: str
    formats: str
    codec: str
    fmtp: str | None = None
    feedback: frozenset[str] = frozenset()
    extensions: dict[int, str]
    rids: tuple[str, ...] = ()
    simulcast: str | None = None
    ssrc: int | None = None
    rtx_ssrc: int | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    setup: str = "passive"
    bundle: tuple[str, ...] = ("0", "1")
    allow_mixed: bool = True
    trickle: bool = True
    sections: tuple[Section, ...]


def chromium(ssrc: int, video_ssrc: int, rtx_ssrc: int) -> Row:
    return Row(
        sections=(
            Section(
                kind="audio",
                mid="0",
                direction="recvonly",
                formats="111",
                codec="opus/48000/2",
                fmtp="minptime=10;useinbandfec=1",
                feedback=frozenset({"transport-cc"}),
                extensions=CHROMIUM_AUDIO,
                ssrc=ssrc,
            ),
            Section(
                kind="video",
                mid="1",
                direction="recvonly",
                formats="96 97",
                codec="VP8/90000",
                feedback=ALL_FEEDBACK,
                extensions={**CHROMIUM_VIDEO, 10: RID, 11: REPAIRED_RID},
                ssrc=video_ssrc,
                rtx_ssrc=rtx_ssrc,
            ),
        )
    )


def obs(layers: tuple[str, ...]) -> Row:
    return Row(
        allow_mixed=False,
        sections=(
            Section(
                kind="audio",
                mid="0",
                direction="recvonly",
                formats="111",
                codec="opus/48000/2",
                fmtp="minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1",
                extensions={},
                ssrc=1000000001,
            ),
            Section(
                kind="video",
                mid="1",
                direction="recvonly",
                formats="96",
                codec="H264/90000",
                fmtp="profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1",
                feedback=ALL_FEEDBACK - {"transport-cc"},
                extensions={1: MID, 2: RID},
                rids=layers,
                simulcast=f"recv {';'.join(layers)}" if layers else None,
                ssrc=None if layers else 1000000002,
            ),
        ),
    )


PUBLISH: dict[str, Row] = {
    "chromium-156-whip.sdp": chromium(1945467493, 3715067031, 4251563282),
    "eyevinn-whip-web-client-1.1.7-chromium156.sdp": chromium(2809271244, 3222103289, 3791696733),
    "whip-whep-1.2.0-js-whip-chromium156.sdp": chromium(1962986360, 2433436502, 825307787),
    "obs32-h264-1layers.sdp": obs(()),
    "obs32-h264-3layers.sdp": obs(("0", "1", "2")),
    "ffmpeg-9.0.2-whip.sdp": Row(
        setup="active",
        trickle=False,
        sections=(
            Section(
                kind="audio",
                mid="0",
                direction="recvonly",
                formats="111",
                codec="opus/48000/2",
                extensions={},
                ssrc=284406843,
            ),
            Section(
                kind="video",
                mid="1",
                direction="recvonly",
                formats="106 105",
                codec="H264/90000",
                fmtp="level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001e",
                feedback=frozenset({"nack"}),
                extensions={},
                ssrc=284406844,
                rtx_ssrc=284406845,
            ),
        ),
    ),
    "firefox-esr-153-whip.sdp": Row(
        sections=(
            Section(
                kind="audio",
                mid="0",
                direction="recvonly",
                formats="109",
                codec="opus/48000/2",
                fmtp="maxplaybackrate=48000;stereo=1;useinbandfec=1",
                feedback=frozenset({"transport-cc"}),
                extensions=FIREFOX_AUDIO,
                ssrc=2031314992,
            ),
            Section(
                kind="video",
                mid="1",
                direction="recvonly",
                formats="120 124",
                codec="VP8/90000",
                feedback=ALL_FEEDBACK,
                extensions={3: MID, 4: ABS_SEND_TIME, 7: TRANSPORT_CC},
                ssrc=2195459626,
                rtx_ssrc=3346475321,
            ),
        )
    ),
    "gstreamer-1.22-webrtcbin-whip.sdp": Row(
        bundle=("video0", "audio1"),
        allow_mixed=False,
        sections=(
            Section(
                kind="video",
                mid="video0",
                direction="recvonly",
                formats="96",
                codec="H264/90000",
                fmtp="packetization-mode=1;profile-level-id=42c015;level-asymmetry-allowed=1",
                feedback=frozenset({"nack pli", "ccm fir"}),
                extensions={},
                ssrc=1713200513,
            ),
            Section(
                kind="audio",
                mid="audio1",
                direction="recvonly",
                formats="97",
                codec="opus/48000/2",
                fmtp="sprop-stereo=0;sprop-maxcapturerate=48000",
                extensions={},
                ssrc=3793173273,
            ),
        ),
    ),
    "chromium simulcast": Row(
        bundle=("1",),
        sections=(
            Section(
                kind="video",
                mid="1",
                direction="recvonly",
                formats="96 97",
                codec="VP8/90000",
                feedback=ALL_FEEDBACK,
                extensions={
                    2: ABS_SEND_TIME,
                    3: ORIENTATION,
                    4: TRANSPORT_CC,
                    5: PLAYOUT_DELAY,
                    9: MID,
                    10: RID,
                    11: REPAIRED_RID,
                    13: DEPENDENCY,
                },
                rids=("l", "m", "h"),
                simulcast="recv l;m;h",
            ),
        ),
    ),
    "firefox simulcast": Row(
        bundle=("1",),
        sections=(
            Section(
                kind="video",
                mid="1",
                direction="recvonly",
                formats="120 124",
                codec="VP8/90000",
                feedback=ALL_FEEDBACK,
                extensions={3: MID, 4: ABS_SEND_TIME, 7: TRANSPORT_CC, 8: DEPENDENCY, 9: RID, 10: REPAIRED_RID},
                rids=("l", "m", "h"),
                simulcast="recv l;m;h",
            ),
        ),
    ),
}

CHROMIUM_ORDER = "96 97 98 99 100 101 35 36 37 38 102 103 104 107 108 109 114 115 116 117 39 40 41 42 43 44 45 46 47 48"
CHROMIUM_WITHOUT_108 = "96 97 98 99 100 101 35 36 37 38 102 103 104 107 114 115 116 117 39 40 41 42 43 44 45 46 47 48"

# (viewer, publisher or nobody yet) -> what the viewer is answered
PLAY: dict[tuple[str, str | None], Row] = {
    ("chromium-recvonly.sdp", "obs32-h264-3layers.sdp"): Row(
        sections=(
            Section(
                kind="audio",
                mid="0",
                direction="sendonly",
                formats="111 63 9 0 8",
                codec="opus/48000/2",
                fmtp="minptime=10;useinbandfec=1;maxaveragebitrate=96000;stereo=1;sprop-stereo=1",
                feedback=frozenset({"transport-cc"}),
                extensions=CHROMIUM_AUDIO,
                ssrc=1000,
            ),
            Section(
                kind="video",
                mid="1",
                direction="sendonly",
                formats=f"108 109 {CHROMIUM_WITHOUT_108}",
                codec="H264/90000",
                fmtp="level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
                feedback=ALL_FEEDBACK,
                extensions=CHROMIUM_VIDEO,
                ssrc=1001,
                rtx_ssrc=1002,
            ),
        )
    ),
    ("firefox-recvonly.sdp", "chromium-156-whip.sdp"): Row(
        sections=(
            Section(
                kind="audio",
                mid="0",
                direction="sendonly",
                formats="109 9 0 8",
                codec="opus/48000/2",
                fmtp="maxplaybackrate=48000;stereo=1;useinbandfec=1;minptime=10",
                feedback=frozenset({"transport-cc"}),
                extensions=FIREFOX_AUDIO,
                ssrc=1000,
            ),
            Section(
                kind="video",
                mid="1",
                direction="sendonly",
                formats="120 124 121 125 99 100",
                codec="VP8/90000",
                fmtp="max-fs=12288;max-fr=60",
                feedback=ALL_FEEDBACK,
                extensions={3: MID, 4: ABS_SEND_TIME, 6: PLAYOUT_DELAY, 7: TRANSPORT_CC},
                ssrc=1001,
                rtx_ssrc=1002,
            ),
        )
    ),
    ("chromium-recvonly.sdp", None): Row(
        sections=(
            Section(
                kind="audio",
                mid="0",
                direction="sendonly",
                formats="111 63 9 0 8",
                codec="opus/48000/2",
                fmtp="minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1",
                feedback=frozenset({"transport-cc"}),
                extensions=CHROMIUM_AUDIO,
                ssrc=1000,
            ),
            Section(
                kind="video",
                mid="1",
                direction="sendonly",
                formats=CHROMIUM_ORDER,
                codec="VP8/90000",
                feedback=ALL_FEEDBACK,
                extensions=CHROMIUM_VIDEO,
                ssrc=1001,
                rtx_ssrc=1002,
            ),
        )
    ),
}


def publish_offer(name: str) -> str:
    if name == "chromium simulcast":
        return with_simulcast("chromium-156-whip.sdp", "chromium-simulcast-lines.txt")
    if name == "firefox simulcast":
        return with_simulcast("firefox-esr-153-whip.sdp", "firefox-simulcast-lines.txt")
    return recorded(name)


def plan_of(viewer: str, publisher: str | None) -> PlayPlan:
    return play(recorded(viewer), None if publisher is None else plan_publish(recorded(publisher), ANYTHING).media)


def check(row: Row, plan: PublishPlan | PlayPlan, offer: str) -> None:
    text = plan.answer(LOCAL)
    description, asked = sdp.parse(text), sdp.parse(offer)
    assert str(description) == text
    assert description.bundle == row.bundle
    assert description.ice_lite
    assert description.session.ice_options == (("trickle",) if row.trickle else ())
    assert any(block.extmap_allow_mixed for block in (description.session, *description.media)) is row.allow_mixed
    assert len(text.encode()) < 8192
    for section, media, offered in zip(row.sections, description.media, asked.media, strict=True):
        assert (media.kind, media.mid, media.direction) == (section.kind, section.mid, section.direction)
        assert (media.port, media.protocol, media.setup) == (7777, offered.protocol, row.setup)
        assert media.fingerprints == (LOCAL.fingerprint,)
        assert (media.ice_ufrag, media.ice_pwd) == (LOCAL.ice_ufrag, LOCAL.ice_pwd)
        assert (media.has("rtcp-mux"), media.has("rtcp-rsize")) == (True, offered.has("rtcp-rsize"))
        assert " ".join(media.formats) == section.formats
        first = media.payload_types[0]
        (rtpmap,) = media.rtpmaps[first]
        assert "/".join(str(part) for part in rtpmap if part is not None) == section.codec
        assert media.fmtps.get(first) == section.fmtp
        assert media.feedback.get(first, set()) == section.feedback
        assert {extmap.id: extmap.uri for extmap in media.extmaps} == section.extensions
        assert tuple(rid.id for rid in media.rids) == section.rids
        assert media.attribute("simulcast") == section.simulcast
        offered_ids = {(extmap.id, extmap.uri) for extmap in offered.extmaps}
        assert {(extmap.id, extmap.uri) for extmap in media.extmaps} <= offered_ids
        assert set(media.formats) <= set(offered.formats)


@pytest.mark.parametrize("name", PUBLISH)
def test_publish(name: str) -> None:
    row, offer = PUBLISH[name], publish_offer(name)
    plan = plan_publish(offer, ANYTHING)
    check(row, plan, offer)
    assert plan.remote.dtls_role == row.setup
    for section, media in zip(row.sections, plan.media, strict=True):
        assert (media.kind, media.mid) == (section.kind, section.mid)
        assert dict(media.extensions) == section.extensions
        assert tuple(encoding.rid for encoding in media.encodings if encoding.rid) == section.rids
        if not section.rids:
            assert [(encoding.ssrc, encoding.rtx_ssrc) for encoding in media.encodings] == [
                (section.ssrc, section.rtx_ssrc)
            ]


@pytest.mark.parametrize(("viewer", "publisher"), PLAY)
def test_play(viewer: str, publisher: str | None) -> None:
    row, plan = PLAY[viewer, publisher], plan_of(viewer, publisher)
    check(row, plan, recorded(viewer))
    for section, media, answer in zip(row.sections, plan.media, sdp.parse(plan.answer(LOCAL)).media, strict=True):
        assert (media.kind, media.mid, media.active) == (section.kind, section.mid, True)
        assert (media.ssrc, media.rtx_ssrc) == (section.ssrc, section.rtx_ssrc)
        assert list(answer.ssrcs) == [ssrc for ssrc in (section.ssrc, section.rtx_ssrc) if ssrc is not None]
        assert dict(media.extensions) == section.extensions


def test_every_recorded_offer_has_a_row() -> None:
    assert {*PUBLISH, *(viewer for viewer, _ in PLAY)} >= set(names())


@pytest.mark.parametrize("viewer", ["chromium-recvonly.sdp", "firefox-recvonly.sdp"])
@pytest.mark.parametrize("publisher", [name for name in PUBLISH if name.endswith(".sdp")])
def test_every_publisher_to_every_viewer_or_a_clear_refusal(publisher: str, viewer: str) -> None:
    codecs = {media.kind: media.codecs[0].name for media in plan_publish(recorded(publisher), ANYTHING).media}
    if viewer == "firefox-recvonly.sdp" and codecs["video"] == "H264":
        with pytest.raises(Exception, match="the publisher sends H264"):
            plan_of(viewer, publisher)
        return
    plan = plan_of(viewer, publisher)
    assert {media.kind: media.codecs[0].name for media in plan.media} == codecs


@pytest.mark.parametrize(
    "plan",
    [pytest.param(plan_publish(publish_offer(name), ANYTHING), id=name) for name in PUBLISH]
    + [pytest.param(plan_of(*pair), id="-".join(filter(None, pair))) for pair in PLAY],
)
def test_a_second_parser_reads_the_same(plan: PublishPlan | PlayPlan) -> None:
    """aiortc's, which raises on what it does not expect."""
    text = plan.answer(LOCAL)
    ours, theirs = sdp.parse(text), AiortcDescription.parse(text)
    assert [group.items for group in theirs.group if group.semantic == "BUNDLE"] == [list(ours.bundle)]
    for mine, other in zip(ours.media, theirs.media, strict=True):
        assert (other.kind, other.rtp.muxId, other.direction, other.port) == (
            mine.kind,
            mine.mid,
            mine.direction,
            mine.port,
        )
        assert [codec.payloadType for codec in other.rtp.codecs] == list(mine.payload_types)
        assert [(extension.id, extension.uri) for extension in other.rtp.headerExtensions] == [
            (extmap.id, extmap.uri) for extmap in mine.extmaps if extmap.direction is None
        ] or any(extmap.direction for extmap in mine.extmaps)
        assert [(candidate.ip, candidate.port, candidate.priority) for candidate in other.ice_candidates] == [
            (candidate.address, candidate.port, candidate.priority) for candidate in mine.candidates
        ]
        assert other.ice_candidates_complete is mine.end_of_candidates
        assert other.ice is not None
        assert other.dtls is not None
        assert (other.ice.usernameFragment, other.ice.password) == (mine.ice_ufrag, mine.ice_pwd)
        assert {(item.algorithm, item.value) for item in other.dtls.fingerprints} == set(mine.fingerprints)
        assert other.dtls.role == {"active": "client", "passive": "server"}[mine.setup or ""]
        assert [item.ssrc for item in other.ssrc] == list(mine.ssrcs)
