"""Answers to offers of ours: those of our own two doors, of others, and those that nobody should believe."""

from __future__ import annotations

import pytest

from live777py.errors import UpstreamError
from live777py.rtc.answered import PlayAnswer, PublishAnswer, alternatives, read_play_answer, read_publish_answer
from live777py.rtc.described import MID, RID, TRANSPORT_CC
from live777py.rtc.negotiation import Codec, Encoding, PublishedMedia, payload_map, plan_publish
from live777py.rtc.offering import OfferedMedia, offer_to_play, offer_to_publish, write_offer
from tests.rtc.offers import ANYTHING, CLIENT, LOCAL, names, play, recorded, ssrcs, with_simulcast, without

PUBLISHERS = [name for name in names() if "recvonly" not in name]
ASKED = offer_to_play(ANYTHING)
SIMULCAST = with_simulcast("chromium-156-whip.sdp", "chromium-simulcast-lines.txt")


def published(text: str) -> tuple[PublishedMedia, ...]:
    return plan_publish(text, ANYTHING).media


def played_answer(text: str | None, *, data_channel: bool = False) -> str:
    """What a gateway with this publisher answers to a player of ours."""
    offer = write_offer(ASKED, CLIENT, data_channel=data_channel)
    return play(offer, None if text is None else published(text)).answer(LOCAL)


def offered(text: str) -> tuple[OfferedMedia, ...]:
    return offer_to_publish(published(text), new_ssrc=ssrcs(), cname="publisher")


def published_answer(text: str) -> str:
    return plan_publish(write_offer(offered(text), CLIENT), ANYTHING).answer(LOCAL)


def read_published(text: str, answer: str) -> PublishAnswer:
    return read_publish_answer(answer, offered(text), new_ssrc=iter(range(5000, 6000)).__next__)


def reads(answer: str) -> PlayAnswer:
    return read_play_answer(answer, ASKED)


@pytest.mark.parametrize("name", PUBLISHERS)
def test_what_a_gateway_plays(name: str) -> None:
    answer = reads(played_answer(recorded(name)))
    sent = published(recorded(name))
    assert {media.kind for media in answer.media} == {track.kind for track in sent}
    for media in answer.media:
        (track,) = (track for track in sent if track.kind == media.kind)
        first = alternatives(media)[0]
        assert first.codecs[0].name == track.codecs[0].name
        assert len(first.codecs) == len(track.codecs)
        (encoding,) = media.encodings
        assert encoding.ssrc is not None
        assert (encoding.rtx_ssrc is not None) == (media.kind == "video")
        assert MID in dict(media.extensions).values()
        assert media.msid is not None


def test_the_transport_of_an_answer() -> None:
    answer = reads(played_answer(recorded(PUBLISHERS[0])))
    assert (answer.remote.ice_ufrag, answer.remote.ice_pwd) == (LOCAL.ice_ufrag, LOCAL.ice_pwd)
    assert answer.remote.fingerprints == (LOCAL.fingerprint,)
    assert [(c.address, c.port) for c in answer.remote.candidates] == [("192.0.2.7", 7777), ("2001:db8::7", 7777)]
    assert answer.remote.data_channel is None


@pytest.mark.parametrize(("setup", "ours"), [("passive", "active"), ("active", "passive")])
def test_the_answer_decides_who_speaks_first(setup: str, ours: str) -> None:
    text = played_answer(recorded(PUBLISHERS[0])).replace("a=setup:passive", f"a=setup:{setup}")
    assert reads(text).remote.dtls_role == ours


def test_data_channels() -> None:
    answer = reads(played_answer(recorded(PUBLISHERS[0]), data_channel=True))
    assert answer.remote.data_channel is not None
    assert answer.remote.data_channel.port == 5000


def test_a_server_that_answers_with_all_it_knows() -> None:
    answer = reads(played_answer(None))
    video = next(media for media in answer.media if media.kind == "video")
    choices = alternatives(video)
    assert len(choices) == len(ASKED[1].codecs)
    assert all(len(choice.codecs) == 1 for choice in choices)
    audio = next(media for media in answer.media if media.kind == "audio")
    red = next(choice for choice in alternatives(audio) if choice.codecs[0].name == "red")
    assert [codec.name for codec in red.codecs] == ["red", "opus"]


def test_numbers_that_were_not_offered_are_nothing() -> None:
    text = played_answer(recorded("obs32-h264-1layers.sdp"))
    swapped = text.replace("a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP9/90000")
    (video,) = (media for media in reads(swapped).media if media.kind == "video")
    assert "VP8" not in [codec.name for codec in video.codecs]
    assert 96 not in [codec.payload_type for codec in video.codecs]


def test_feedback_and_extensions_are_those_of_both() -> None:
    text = played_answer(recorded("obs32-h264-1layers.sdp"))
    lines = [line for line in text.splitlines() if "goog-remb" not in line and TRANSPORT_CC not in line]
    answer = reads("\r\n".join([*lines, "a=extmap:9 urn:unknown", "a=extmap:14 " + MID]) + "\r\n")
    video = next(media for media in answer.media if media.kind == "video")
    assert video.codecs[0].feedback == {"nack", "nack pli", "ccm fir"}
    assert TRANSPORT_CC not in dict(video.extensions).values()
    assert dict(video.extensions)[1] == MID


@pytest.mark.parametrize("name", PUBLISHERS)
def test_what_a_gateway_takes(name: str) -> None:
    text = recorded(name)
    answer = read_published(text, published_answer(text))
    for track in published(text):
        entries = [media for media in answer.media if media.kind == track.kind]
        assert [entry.rid for entry in entries] == [encoding.rid for encoding in track.encodings]
        for entry in entries:
            mapped = payload_map(track, entry)
            assert mapped == tuple((codec.payload_type, codec.payload_type) for codec in track.codecs)
    used = [ssrc for media in answer.media for ssrc in (media.ssrc, media.rtx_ssrc) if ssrc is not None]
    assert len(used) == len(set(used))


def test_layers() -> None:
    answer = read_published(SIMULCAST, published_answer(SIMULCAST))
    rids = [encoding.rid for encoding in published(SIMULCAST)[0].encodings]
    assert [media.rid for media in answer.media] == rids
    assert {media.mid for media in answer.media} == {"0"}
    assert all(RID in dict(media.extensions).values() for media in answer.media)


@pytest.mark.parametrize(
    "change",
    [
        ("a=simulcast:", "a=x-simulcast:"),
        ("a=rid:", "a=x-rid:"),
        ("urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", "urn:other"),
        ("a=simulcast:recv ", "a=simulcast:recv ~"),
    ],
)
def test_without_simulcast_the_best_layer_goes(change: tuple[str, str]) -> None:
    text = published_answer(SIMULCAST).replace(*change)
    if "~" in change[1]:
        text = text.replace(";", ";~")
    (media,) = read_published(SIMULCAST, text).media
    assert media.rid is None
    assert media.ssrc == 1000


def test_only_accepted_layers_go() -> None:
    rids = [encoding.rid for encoding in published(SIMULCAST)[0].encodings]
    text = published_answer(SIMULCAST)
    kept = text.replace(";".join(rids), f"{rids[2]};{rids[0]};other")  # type: ignore[arg-type]
    assert [media.rid for media in read_published(SIMULCAST, kept).media] == [rids[0], rids[2]]
    limited = text.replace(f"a=rid:{rids[1]} recv", f"a=rid:{rids[1]} recv pt=1")
    assert [media.rid for media in read_published(SIMULCAST, limited).media] == [rids[0], rids[2]]


def test_a_section_that_was_refused_is_left_out() -> None:
    text = recorded("chromium-156-whip.sdp")
    answer = published_answer(text)
    lines = answer.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0").replace("m=video 7777", "m=video 0")
    assert [media.kind for media in read_published(text, lines).media] == ["audio"]
    inactive = answer.replace("a=recvonly", "a=inactive", 1)
    assert [media.kind for media in read_published(text, inactive).media] == ["video"]


def test_without_retransmission_there_is_no_second_source() -> None:
    text = recorded("chromium-156-whip.sdp")
    answer = "".join(line for line in published_answer(text).splitlines(keepends=True) if "rtx/" not in line)
    assert all(media.rtx_ssrc is None for media in read_published(text, answer).media)


def test_red_needs_its_opus() -> None:
    media = PublishedMedia(
        kind="audio",
        mid="0",
        codecs=(
            Codec(payload_type=63, name="red", clock_rate=48000, channels=2, fmtp="111/111"),
            Codec(payload_type=111, name="opus", clock_rate=48000, channels=2),
        ),
        encodings=(Encoding(),),
    )
    ours = offer_to_publish([media], new_ssrc=ssrcs(), cname="publisher")
    answer = plan_publish(write_offer(ours, CLIENT), ANYTHING).answer(LOCAL)
    (played,) = read_publish_answer(answer, ours, new_ssrc=ssrcs()).media
    assert payload_map(media, played) == ((63, 63), (111, 111))
    with pytest.raises(UpstreamError, match="takes nothing"):
        read_publish_answer(without(answer, "a=rtpmap:111"), ours, new_ssrc=ssrcs())


GOOD = played_answer(recorded("obs32-h264-1layers.sdp"))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("", "not SDP"),
        ("<html>", "not SDP"),
        (GOOD.replace("a=setup:passive", "a=setup:actpass"), "a=setup"),
        (without(GOOD, "a=setup"), "a=setup"),
        (without(GOOD, "a=fingerprint"), "fingerprint"),
        (GOOD.replace("sha-256", "sha-1"), "fingerprint"),
        (without(GOOD, "a=ice-pwd"), "ICE password"),
        (GOOD.replace("a=ice-pwd:local777", "a=ice-pwd:\u00e9", 1), "ICE password"),
        (GOOD.replace("a=mid:0", "a=mid:7").replace("BUNDLE 0", "BUNDLE 7"), "answers nothing"),
        (GOOD.replace("a=mid:0", "a=mid:1"), "one mid"),
        (without(GOOD, "a=rtcp-mux"), "rtcp-mux"),
        (without(GOOD, "a=group"), "BUNDLE"),
        (GOOD.replace("a=sendonly", "a=recvonly"), "sends nothing"),
        (GOOD.replace("a=sendonly", "a=inactive"), "sends nothing"),
        (GOOD.replace("m=audio 7777", "m=audio 0").replace("m=video 7777", "m=video 0"), "is alive"),
    ],
)
def test_what_cannot_be_used_is_the_fault_of_the_other_side(answer: str, expected: str) -> None:
    with pytest.raises(UpstreamError, match=expected):
        reads(answer)


def test_one_source_for_two_tracks_is_none() -> None:
    assert "a=ssrc:1000" in GOOD
    assert "a=ssrc:1001" in GOOD
    with pytest.raises(UpstreamError, match="SSRC"):
        reads(GOOD.replace("1001", "1000"))


def test_an_answer_without_sources_is_known_by_mid() -> None:
    media = reads(without(GOOD, "a=ssrc")).media
    assert [entry.encodings for entry in media] == [(Encoding(),), (Encoding(),)]
