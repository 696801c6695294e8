"""Offers of ours: what stands in them, and that our own two doors and aiortc read them as they are meant."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiortc.sdp import SessionDescription

from live777py.rtc import sdp
from live777py.rtc.codecs import KNOWN
from live777py.rtc.described import FORWARDED_EXTENSIONS, REPAIRED_RID, RID
from live777py.rtc.negotiation import Codec, CodecPolicy, Encoding, PublishedMedia, payload_map, plan_publish
from live777py.rtc.offering import OfferedMedia, offer_to_play, offer_to_publish, write_offer
from tests.rtc.offers import ANYTHING, CLIENT, LOCAL, names, play, recorded, ssrcs, with_simulcast

PUBLISHERS = [name for name in names() if "recvonly" not in name]


def sections(text: str) -> dict[str, sdp.MediaSection]:
    return {section.kind: section for section in sdp.parse(text).media}


def to_publish(*media: PublishedMedia) -> tuple[OfferedMedia, ...]:
    return offer_to_publish(media, new_ssrc=ssrcs(), cname="publisher")


def test_a_player_asks_for_every_codec() -> None:
    text = write_offer(offer_to_play(ANYTHING), CLIENT)
    found = sections(text)
    assert list(found) == ["audio", "video"]
    names = {mapping.name.lower() for s in found.values() for maps in s.rtpmaps.values() for mapping in maps}
    assert names == {*KNOWN, "rtx"}
    numbers = [number for section in found.values() for number in section.payload_types]
    assert len(numbers) == len(set(numbers))
    assert not set(numbers) & set(range(64, 96))
    for section in found.values():
        assert section.direction == "recvonly"
        assert all(section.has(name) for name in ("rtcp-mux", "rtcp-mux-only", "rtcp-rsize"))
        assert section.setup == "actpass"
    assert {extmap.uri for section in found.values() for extmap in section.extmaps} == FORWARDED_EXTENSIONS
    assert found["video"].feedback[96] == {"nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"}
    repaired = {fmtp for number, fmtp in found["video"].fmtps.items() if fmtp.startswith("apt=")}
    assert len(repaired) * 2 == len(found["video"].payload_types)


def test_what_is_not_allowed_is_not_asked_for() -> None:
    text = write_offer(offer_to_play(CodecPolicy(video=("vp8", "H264"), audio=("PCMU",))), CLIENT)
    found = sections(text)
    assert {maps[0].name for maps in found["video"].rtpmaps.values()} == {"VP8", "H264", "rtx"}
    assert {maps[0].name for maps in found["audio"].rtpmaps.values()} == {"PCMU"}
    (video,) = (s for s in offer_to_play(CodecPolicy(video=("VP8",), audio=("none",))) if s.kind == "video")
    assert video.codecs[0].payload_type == offer_to_play(ANYTHING)[1].codecs[0].payload_type


def test_the_transport_stands_in_it() -> None:
    description = sdp.parse(write_offer(offer_to_play(ANYTHING), CLIENT, data_channel=True))
    assert [section.kind for section in description.media] == ["audio", "video", "application"]
    assert description.bundle == ("0", "1", "2")
    first, *others = description.media
    assert [str(candidate) for candidate in first.candidates] == [str(candidate) for candidate in LOCAL.candidates]
    assert first.end_of_candidates
    assert first.port == 7777
    assert "c=IN IP4 192.0.2.7" in first.lines
    assert not any(section.candidates for section in others)
    for section in description.media:
        assert (section.ice_ufrag, section.ice_pwd) == (LOCAL.ice_ufrag, LOCAL.ice_pwd)
        assert section.fingerprints == (LOCAL.fingerprint,)
    assert description.session.ice_options == ("trickle", "ice2")
    assert not description.ice_lite


def test_without_candidates_the_address_is_none() -> None:
    text = write_offer(offer_to_play(ANYTHING), replace(CLIENT, candidates=()))
    assert "m=audio 9 " in text
    assert "c=IN IP4 0.0.0.0" in text


@pytest.mark.parametrize("name", PUBLISHERS)
def test_a_viewer_of_our_own_gets_every_publisher(name: str) -> None:
    """A stream of one gateway is played by another: the publisher's codec comes first in the answer."""
    published = plan_publish(recorded(name), ANYTHING).media
    plan = play(write_offer(offer_to_play(ANYTHING), CLIENT), published)
    assert {section.kind for section in plan.media if section.active} == {track.kind for track in published}
    for track in published:
        (played,) = (section for section in plan.media if section.kind == track.kind)
        assert payload_map(track, played) is not None
        assert played.codecs[0].name == track.codecs[0].name


@pytest.mark.parametrize("name", PUBLISHERS)
def test_a_publisher_is_passed_on_as_it_is(name: str) -> None:
    published = plan_publish(recorded(name), ANYTHING).media
    plan = plan_publish(write_offer(to_publish(*published), CLIENT), ANYTHING)
    for sent, passed in zip(published, plan.media, strict=True):
        assert passed.kind == sent.kind
        for ours, theirs in zip(sent.codecs, passed.codecs, strict=True):
            assert (theirs.payload_type, theirs.name, theirs.fmtp) == (ours.payload_type, ours.name, ours.fmtp)
        assert [encoding.rid for encoding in passed.encodings] == [encoding.rid for encoding in sent.encodings]
        assert (passed.codecs[0].rtx_payload_type is not None) == (passed.kind == "video")


@pytest.mark.parametrize("lines", ["chromium-simulcast-lines.txt", "firefox-simulcast-lines.txt"])
def test_all_layers_are_offered(lines: str) -> None:
    base = "chromium-156-whip.sdp" if "chromium" in lines else "firefox-esr-153-whip.sdp"
    (published,) = plan_publish(with_simulcast(base, lines), ANYTHING).media
    text = write_offer(to_publish(published), CLIENT)
    (section,) = sdp.parse(text).media
    rids = [encoding.rid for encoding in published.encodings]
    assert len(rids) > 1
    assert [rid.id for rid in section.rids] == rids
    assert [stream[0].rid for stream in section.simulcast_send] == rids
    assert not section.ssrcs
    assert {RID, REPAIRED_RID} <= {extmap.uri for extmap in section.extmaps}


VIDEO = PublishedMedia(
    kind="video",
    mid="x",
    codecs=(Codec(payload_type=97, name="VP8", clock_rate=90000),),
    encodings=(Encoding(rid="a"), Encoding(rid="b")),
)


@pytest.mark.parametrize(
    "encodings",
    [
        (Encoding(),),
        (Encoding(rid="only"),),
        (Encoding(ssrc=1), Encoding(ssrc=2)),
        (Encoding(rid="a"), Encoding(rid="r" * 17)),
        (Encoding(rid="a"), Encoding(rid="b c")),
    ],
)
def test_layers_that_packets_cannot_name_are_one(encodings: tuple[Encoding, ...]) -> None:
    (section,) = sdp.parse(write_offer(to_publish(replace(VIDEO, encodings=encodings)), CLIENT)).media
    assert not section.rids
    assert list(section.ssrcs) == [1000, 1001]
    assert section.ssrc_groups == (("FID", (1000, 1001)),)
    assert section.msid == "publisher video"


def test_retransmission_gets_a_number_that_is_free() -> None:
    audio = PublishedMedia(
        kind="audio",
        mid="y",
        codecs=(Codec(payload_type=96, name="opus", clock_rate=48000, channels=2),),
        encodings=(Encoding(),),
    )
    offered = to_publish(audio, VIDEO)
    assert [codec.rtx_payload_type for section in offered for codec in section.codecs] == [None, 98]


@pytest.mark.parametrize("data_channel", [False, True])
def test_a_foreign_reader_understands(data_channel: bool) -> None:
    for media in (offer_to_play(ANYTHING), to_publish(VIDEO)):
        text = write_offer(media, CLIENT, data_channel=data_channel)
        read = SessionDescription.parse(text)
        assert len(read.media) == len(media) + data_channel
        assert read.media[0].ice_candidates
        assert str(sdp.parse(text)) == text
