"""No text makes the SDP rooms raise anything but their two errors, or take long.

Seeded and short by default; `LIVE777_FUZZ_SECONDS` makes each search run that long with fresh seeds (`make fuzz`).
"""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from live777py import errors
from live777py.rtc import sctp_section, sdp
from live777py.rtc.candidate import Candidate
from live777py.rtc.negotiation import plan_publish
from live777py.rtc.sdpfrag import parse_fragment
from tests.rtc.offers import ANYTHING, LOCAL, OPUS, VP8, build, names, play, recorded, with_simulcast

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = float(os.environ.get("LIVE777_FUZZ_SECONDS", "0"))
ROUNDS = 1500
PROFILE = settings(
    max_examples=400 + int(1000 * SECONDS),
    derandomize=not SECONDS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

PUBLISHED = [plan_publish(recorded(name), ANYTHING).media for name in names() if "recvonly" not in name]
SEEDS = [
    *map(recorded, names()),
    with_simulcast("chromium-156-whip.sdp", "chromium-simulcast-lines.txt"),
    with_simulcast("firefox-esr-153-whip.sdp", "firefox-simulcast-lines.txt"),
    build(OPUS, VP8, sctp_section.offer_lines("d")),
    build(sctp_section.offer_lines("d")),
]
_FULL_FRAGMENT = (
    "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    "a=candidate:1 1 udp 2122194687 192.0.2.2 59609 typ host generation 0\r\na=end-of-candidates\r\n"
)
FRAGMENTS = [_FULL_FRAGMENT, "a=end-of-candidates\r\n"]
WORDS = [
    "", "\0", "\r", "\n", "\r\n", "\t", " ", ":", "/", ";", "=", ",", "~", "*", "-1", "0", "255", "256", "65536",
    "4294967295", "4294967296", "9" * 30, "\u0661", "\u2028", "\ud800", "\u00e9",
]  # fmt: skip
LINES = [
    "a=", "m=audio 9 X 0", "m=video 0 UDP/TLS/RTP/SAVPF 96", "a=mid:0", "a=mid:1",
    "a=rtpmap:96 H264/90000", "a=fmtp:96 apt=96", "a=fmtp:97 apt=97", "a=rtcp-fb:* nack", "a=rid:1 send pt=96",
    "a=simulcast:send 1;1,1;;~1", "a=ssrc-group:FID 1 1", "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
    "m=application 9 DTLS/SCTP 5000", "a=sctpmap:5000 webrtc-datachannel 1", "a=sctp-port:0", "a=max-message-size:0",
    "a=setup:passive", "a=group:BUNDLE", "a=group:BUNDLE 0 0 1", "a=bundle-only", "a=ice-lite", "a=inactive",
]  # fmt: skip


def accepts(text: str) -> None:
    """Both doors and the model take the text, or refuse it in the two ways they have."""
    with suppress(errors.BadRequest, errors.Unprocessable):
        description = sdp.parse(text)
        assert sdp.parse(str(description)) == description
    with suppress(errors.BadRequest, errors.Unprocessable):
        answered(plan_publish(text, ANYTHING).answer(LOCAL))
    for published in (None, (), PUBLISHED[len(text) % len(PUBLISHED)]):
        with suppress(errors.BadRequest, errors.Unprocessable):
            answered(play(text, published).answer(LOCAL))


def answered(text: str) -> None:
    text.encode()
    description = sdp.parse(text)
    assert str(description) == text
    assert any(media.port for media in description.media)


def accepts_fragment(text: str) -> None:
    with suppress(errors.BadRequest):
        parse_fragment(text)


def rounds() -> Iterator[random.Random]:
    """Generators of random choices: the same ones each time, or new ones for as long as was asked for."""
    first = random.SystemRandom().getrandbits(32) if SECONDS else 777
    end = time.monotonic() + SECONDS
    number = 0
    while number < ROUNDS or time.monotonic() < end:
        yield random.Random(first + number)
        number += 1


def mutated(text: str, choice: random.Random) -> str:
    lines = text.splitlines()
    for _ in range(choice.choice((1, 1, 2, 3, 8))):
        where = choice.randrange(len(lines)) if lines else 0
        match choice.randrange(7):
            case 0 if lines:
                del lines[where]
            case 1 if lines:
                lines.insert(choice.randrange(len(lines)), lines[where])
            case 2:
                lines.insert(where, choice.choice(LINES))
            case 3 if lines:
                words = lines[where].split(" ")
                words[choice.randrange(len(words))] = choice.choice(WORDS)
                lines[where] = " ".join(words)
            case 4 if lines:
                cut = choice.randrange(len(lines[where]) + 1)
                lines[where] = lines[where][:cut] + choice.choice(WORDS) + lines[where][cut:]
            case 5 if lines:
                lines = lines[: choice.randrange(len(lines)) + 1]
            case _ if lines:
                other = choice.choice(SEEDS).splitlines()
                start = choice.randrange(len(other))
                lines[where:where] = other[start : start + choice.randrange(1, 30)]
    return choice.choice(("\r\n", "\n")).join(lines) + "\r\n"


def test_mutated_offers() -> None:
    for choice in rounds():
        accepts(mutated(choice.choice(SEEDS), choice))


def test_mutated_fragments() -> None:
    for choice in rounds():
        accepts_fragment(mutated(choice.choice(FRAGMENTS), choice))


@PROFILE
@given(st.binary(max_size=600))
def test_bytes(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    accepts(text)
    accepts("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n" + text)
    accepts_fragment(text)


LINE = st.builds(
    "{}={}".format,
    st.sampled_from("vosiuepcbtrzkam"),
    st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=40),
)


@PROFILE
@given(st.lists(LINE | st.sampled_from(recorded("firefox-esr-153-whip.sdp").split("\r\n")), max_size=60))
def test_parse_undoes_str(lines: list[str]) -> None:
    text = "\r\n".join(["v=0", "o=- 1 1 IN IP4 127.0.0.1", *lines])
    with suppress(errors.BadRequest, errors.Unprocessable):
        description = sdp.parse(text)
        assert sdp.parse(str(description)) == description
    accepts(text)


WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


@PROFILE
@given(
    st.builds(
        Candidate,
        foundation=st.text("abcXYZ019+/", min_size=1, max_size=32),
        component=st.integers(0, 256),
        transport=st.sampled_from(("udp", "tcp", "tcptls")),
        priority=st.integers(0, 2**32 - 1),
        address=st.ip_addresses().map(str) | WORD,
        port=st.integers(0, 65535),
        type=st.sampled_from(("host", "srflx", "prflx", "relay", "new")),
        related_address=st.none() | WORD,
        related_port=st.none() | st.integers(0, 65535),
        attributes=st.lists(st.tuples(WORD.filter(lambda word: word not in ("raddr", "rport")), WORD), max_size=4).map(
            tuple
        ),
    )
)
def test_candidates_survive(candidate: Candidate) -> None:
    assert Candidate.parse(str(candidate)) == candidate


@PROFILE
@given(st.text(max_size=120))
def test_candidate_text(text: str) -> None:
    with suppress(errors.BadRequest):
        assert Candidate.parse(str(Candidate.parse(text))) == Candidate.parse(text)


def huge() -> Iterator[tuple[str, str]]:
    base = recorded("chromium-156-whip.sdp")
    yield "10 000 m-lines", base + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * 10_000
    yield "64 sections", base.split("m=")[0] + ("m=" + base.split("m=")[1]) * 64
    yield "1 MB fmtp", base + "a=fmtp:96 " + "x;" * 500_000
    yield "8 kB fmtp", base + "a=fmtp:120 " + "x=1;" * 2_000
    yield "2 000 rtpmaps", base + "".join(f"a=rtpmap:{number % 128} H264/{number}\r\n" for number in range(1_700))
    yield "2 000 rids", base + "".join(f"a=rid:{number} send\r\n" for number in range(1_700))
    yield "2 000 ssrcs", base + "".join(f"a=ssrc:{number} cname:x\r\n" for number in range(1_700))
    yield "2 000 extmaps", base + "".join(f"a=extmap:{number} urn:{number}\r\n" for number in range(1_700))
    yield "2 000 candidates", base + "a=candidate:1 1 udp 1 192.0.2.2 5000 typ host\r\n" * 1_700
    yield "2 000 groups", base.replace("t=0 0", "t=0 0\r\n" + "\r\n".join(["a=group:BUNDLE 0 1"] * 1_700))
    yield "deep simulcast", base + "a=simulcast:send " + ",".join(map(str, range(1_900))) + "\r\n"
    yield "many formats", base.replace("SAVPF 96 97", "SAVPF " + " ".join(map(str, range(2_000))))
    yield "spaces", base.replace("SAVPF 96", "SAVPF" + " " * 8_000 + "96")


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in huge()])
def test_the_huge_is_answered_or_refused_soon(text: str) -> None:
    started = time.process_time()
    accepts(text)
    accepts_fragment(text)
    assert time.process_time() - started < 1.0
