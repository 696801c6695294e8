"""What an answer offers to whom, first candidate first."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from live777py.media.addresses import SocketAddress
from live777py.rtc.candidates import Seen, offered_candidates

V6, LOCAL6, V4, LOCAL4 = "[2001:db8::7]:7777", "[::1]:7777", "192.0.2.7:7777", "127.0.0.1:7777"


@pytest.mark.parametrize(
    ("bound", "loopback", "offered"),
    [
        pytest.param([V6, LOCAL6, V4, LOCAL4], False, [V4, V6], id="routed ones only, IPv4 first"),
        pytest.param([V6, LOCAL6, V4, LOCAL4], True, [LOCAL4, LOCAL6, V4, V6], id="a client on this machine"),
        pytest.param([LOCAL6, LOCAL4], False, [LOCAL4, LOCAL6], id="nothing but loopback is configured"),
        pytest.param([V4], True, [V4], id="no loopback is configured"),
    ],
)
def test_candidates(bound: list[str], loopback: bool, offered: list[str]) -> None:
    candidates = offered_candidates([(SocketAddress.parse(text), ()) for text in bound], loopback=loopback)
    assert [(candidate.address, candidate.port) for candidate in candidates] == [
        (str(address.ip), address.port) for address in map(SocketAddress.parse, offered)
    ]
    priorities = [candidate.priority for candidate in candidates]
    assert priorities == sorted(priorities, reverse=True)
    assert {(candidate.transport, candidate.type) for candidate in candidates} == {("udp", "host")}


def seen(*entries: str) -> list[Seen]:
    """`local` or `local>outside`."""
    found = []
    for entry in entries:
        local, _, outside = entry.partition(">")
        found.append((SocketAddress.parse(local), tuple(SocketAddress.parse(text) for text in outside.split() if text)))
    return found


OUTSIDE, OUTSIDE6 = "203.0.113.7:40000", "[2001:db8:1::7]:7777"


@pytest.mark.parametrize(
    ("bound", "loopback", "only", "offered"),
    [
        pytest.param([f"{V4}>{OUTSIDE}", V6], False, False, [OUTSIDE, V4, V6], id="what NAT makes of it comes first"),
        pytest.param([f"{V4}>{OUTSIDE}", V6], False, True, [OUTSIDE, V6], id="in its place"),
        pytest.param(
            [f"{V6}>{OUTSIDE6}", f"{V4}>{OUTSIDE}"], False, False, [OUTSIDE, OUTSIDE6, V4, V6], id="IPv4 first"
        ),
        pytest.param([f"{V4}>{OUTSIDE}", LOCAL4], True, False, [LOCAL4, OUTSIDE, V4], id="on this machine"),
        pytest.param([f"{V4}>{OUTSIDE}", LOCAL4], True, True, [LOCAL4, OUTSIDE], id="on this machine, in its place"),
        pytest.param([f"{V4}>{V4} {OUTSIDE}"], False, False, [V4, OUTSIDE], id="no NAT: once"),
        pytest.param([f"{LOCAL4}>{OUTSIDE}"], False, False, [OUTSIDE, LOCAL4], id="loopback alone"),
        pytest.param([f"{LOCAL4}>{OUTSIDE}"], False, True, [OUTSIDE], id="loopback alone, in its place"),
        pytest.param([f"{V4}>{OUTSIDE}", LOCAL4], False, True, [OUTSIDE], id="in its place, and loopback is nobody's"),
    ],
)
def test_external_addresses(bound: list[str], loopback: bool, only: bool, offered: list[str]) -> None:
    candidates = offered_candidates(seen(*bound), loopback=loopback, external_only=only)
    assert [str(SocketAddress(ip_address(found.address), found.port)) for found in candidates] == offered
    assert {candidate.type for candidate in candidates} == {"host"}


def test_tcp_comes_last_and_is_passive() -> None:
    """RFC 6544 sections 4.2 and 4.5; FFmpeg tries the first candidate only."""
    udp, tcp = seen(V6, V4, LOCAL4), seen("192.0.2.7:7778>203.0.113.7:7778", "[2001:db8::7]:7778", "127.0.0.1:7778")
    candidates = offered_candidates(udp, tcp, loopback=False)
    assert [(found.transport, found.address, found.port) for found in candidates] == [
        ("udp", "192.0.2.7", 7777),
        ("udp", "2001:db8::7", 7777),
        ("tcp", "203.0.113.7", 7778),
        ("tcp", "192.0.2.7", 7778),
        ("tcp", "2001:db8::7", 7778),
    ]
    assert str(candidates[2]) == "candidate:3 1 tcp 1520435199 203.0.113.7 7778 typ host tcptype passive"
    assert len({found.foundation for found in candidates}) == len(candidates)
    priorities = [found.priority for found in candidates]
    assert priorities == sorted(priorities, reverse=True)
    assert [found.usable for found in candidates] == [True, True, False, False, False], "to a UDP socket"
