"""What an answer offers to whom, first candidate first."""

from __future__ import annotations

import pytest

from live777py.media.addresses import SocketAddress
from live777py.rtc.candidates import offered_candidates

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
    candidates = offered_candidates([SocketAddress.parse(text) for text in bound], loopback=loopback)
    assert [(candidate.address, candidate.port) for candidate in candidates] == [
        (str(address.ip), address.port) for address in map(SocketAddress.parse, offered)
    ]
    priorities = [candidate.priority for candidate in candidates]
    assert priorities == sorted(priorities, reverse=True)
    assert {(candidate.transport, candidate.type) for candidate in candidates} == {("udp", "host")}
