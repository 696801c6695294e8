"""The three shapes were captured from `whip-whep` 1.2.0; Firefox adds component 2 and an empty candidate."""

from __future__ import annotations

import pytest

from live777py import errors
from live777py.rtc import sdpfrag

CREDENTIALS = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n"
CANDIDATE = "a=candidate:1 1 udp 2122194687 192.0.2.2 59609 typ host generation 0 ufrag abcd network-id 1\r\n"
MLINE = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(CREDENTIALS + MLINE + CANDIDATE + "a=end-of-candidates\r\n", id="session-level credentials"),
        pytest.param(MLINE + CREDENTIALS + CANDIDATE + "a=end-of-candidates\r\n", id="media-level credentials"),
        pytest.param((CREDENTIALS + MLINE + CANDIDATE + "a=end-of-candidates").replace("\r\n", "\n"), id="LF"),
        pytest.param(CREDENTIALS + "m=audio 9 RTP/AVP *\r\na=mid:0\r\n" + CANDIDATE + "a=end-of-candidates", id="any"),
    ],
)
def test_shapes(text: str) -> None:
    fragment = sdpfrag.parse_fragment(text)
    assert (fragment.ice_ufrag, fragment.ice_pwd) == ("abcd", "abcdefghijklmnopqrstuv")
    assert [(mid, candidate.port) for mid, candidate in fragment.candidates] == [("0", 59609)]
    assert fragment.end_of_candidates


def test_end_of_candidates_alone() -> None:
    fragment = sdpfrag.parse_fragment("a=end-of-candidates\r\n")
    assert fragment == sdpfrag.Fragment(ice_ufrag=None, ice_pwd=None, candidates=(), end_of_candidates=True)


def test_every_m_line_of_the_bundle() -> None:
    video = "m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:1\r\n"
    fragment = sdpfrag.parse_fragment(CREDENTIALS + MLINE + CANDIDATE + video + CANDIDATE)
    assert [mid for mid, _ in fragment.candidates] == ["0", "1"]


def test_without_a_mid() -> None:
    fragment = sdpfrag.parse_fragment(CREDENTIALS + CANDIDATE)
    assert [mid for mid, _ in fragment.candidates] == [None]


@pytest.mark.parametrize(
    "line",
    [
        "a=candidate:1 1 udp 1 1b9f3d2c-8c1e-4f7a-9d1e-1c2d3e4f5a6b.local 5000 typ host",
        "a=candidate:1 1 tcp 1 192.0.2.2 9 typ host tcptype active",
        "a=candidate:1 2 udp 1 192.0.2.2 5000 typ host",
        "a=candidate:1 1 udp 1 stun.example.org 5000 typ srflx raddr 0.0.0.0 rport 0",
    ],
)
def test_what_a_socket_cannot_use_is_harmless(line: str) -> None:
    ((_, candidate),) = sdpfrag.parse_fragment(CREDENTIALS + MLINE + line).candidates
    assert not candidate.usable


def test_an_empty_candidate_ends_the_list() -> None:
    fragment = sdpfrag.parse_fragment(CREDENTIALS + MLINE + CANDIDATE + "a=candidate:\r\n")
    assert len(fragment.candidates) == 1
    assert fragment.end_of_candidates


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("hello", id="text"),
        pytest.param("a=mid:0\r\n", id="nothing in it"),
        pytest.param(CREDENTIALS + MLINE + "a=candidate:what\r\n", id="candidate"),
        pytest.param(CREDENTIALS + "m=audio\r\n", id="m-line"),
        pytest.param(CREDENTIALS + "a=ice-ufrag:efgh\r\n", id="two ufrags"),
        pytest.param(CREDENTIALS + MLINE + CANDIDATE * 300, id="candidates"),
        pytest.param(CREDENTIALS + MLINE * 100, id="m-lines"),
        pytest.param(CREDENTIALS + "\0", id="NUL"),
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(errors.BadRequest):
        sdpfrag.parse_fragment(text)
