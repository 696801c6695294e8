"""No text of another server makes the answer reader raise anything but `UpstreamError`, or take what was not asked."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live777py.errors import UpstreamError
from live777py.rtc.answered import alternatives, read_play_answer, read_publish_answer
from live777py.rtc.negotiation import plan_publish
from live777py.rtc.offering import offer_to_play, offer_to_publish, write_offer
from live777py.rtc.tracks import subscription_parameters, track_parameters
from tests.fuzz.test_sdp import PROFILE, PUBLISHED, SEEDS, huge, mutated, rounds
from tests.rtc.offers import ANYTHING, CLIENT, LOCAL, play, ssrcs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from live777py.rtc.negotiation import Codec
    from live777py.rtc.offering import OfferedMedia

ASKED = offer_to_play(ANYTHING)
OFFERED = [offer_to_publish(media, new_ssrc=ssrcs(), cname="publisher") for media in PUBLISHED]
OFFERED.append(offer_to_publish(plan_publish(SEEDS[-4], ANYTHING).media, new_ssrc=ssrcs(), cname="publisher"))

PLAYED = [play(write_offer(ASKED, CLIENT, data_channel=True), media).answer(LOCAL) for media in (None, *PUBLISHED)]
TAKEN = [plan_publish(write_offer(media, CLIENT, data_channel=True), ANYTHING).answer(LOCAL) for media in OFFERED]


def accepts_play(text: str) -> None:
    with suppress(UpstreamError):
        answer = read_play_answer(text, ASKED)
        assert answer.remote.fingerprints
        assert len(answer.remote.candidates) <= 32
        for media in answer.media:
            asked_for(media.codecs, media.extensions, ASKED)
            assert media.encodings
            assert all(len(choice.codecs) <= 2 for choice in alternatives(media))
            track_parameters(media, local_ssrc=1)


def accepts_publish(text: str, offered: tuple[OfferedMedia, ...]) -> None:
    with suppress(UpstreamError):
        answer = read_publish_answer(text, offered, new_ssrc=iter(range(10_000, 10_100)).__next__)
        for media in answer.media:
            asked_for(media.codecs, media.extensions, offered)
            assert media.rid is None or any(media.rid in section.rids for section in offered)
            subscription_parameters(media)
        entries = [(media.mid, media.rid) for media in answer.media]
        assert len(entries) == len(set(entries))


def asked_for(
    codecs: Iterable[Codec], extensions: Iterable[tuple[int, str]], offered: tuple[OfferedMedia, ...]
) -> None:
    ours = {(codec.payload_type, codec.name): codec for section in offered for codec in section.codecs}
    for codec in codecs:
        own = ours[codec.payload_type, codec.name]
        assert codec.rtx_payload_type in (None, own.rtx_payload_type)
        assert codec.feedback <= own.feedback
    assert set(extensions) <= {pair for section in offered for pair in section.extensions}


def test_mutated_answers_to_players() -> None:
    for choice in rounds():
        accepts_play(mutated(choice.choice(PLAYED), choice))


def test_mutated_answers_to_publishers() -> None:
    for choice in rounds():
        index = choice.randrange(len(OFFERED))
        accepts_publish(mutated(TAKEN[index], choice), OFFERED[index])


@PROFILE
@given(st.binary(max_size=600))
def test_bytes(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for answer in (text, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n" + text, PLAYED[0] + text):
        accepts_play(answer)
        accepts_publish(answer, OFFERED[-1])


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in huge()])
def test_the_huge_is_read_or_refused_soon(text: str) -> None:
    started = time.process_time()
    accepts_play(text)
    accepts_publish(text, OFFERED[-1])
    accepts_play(PLAYED[0] + text.partition("m=")[2])
    assert time.process_time() - started < 1.0
