from __future__ import annotations

import pytest

from live777py import errors
from live777py.rtc.candidate import Candidate, host_candidates

CHROMIUM = "candidate:3096730650 1 udp 2122194687 192.0.2.2 59609 typ host generation 0 network-id 1"
MDNS = "candidate:1 1 UDP 2122252543 1b9f3d2c-8c1e-4f7a-9d1e-1c2d3e4f5a6b.local 50000 typ host"
TCP = "candidate:3327901314 1 tcp 1518214911 192.0.2.2 9 typ host tcptype active generation 0"
REFLEXIVE = "candidate:2 1 udp 1686052607 203.0.113.5 61000 typ srflx raddr 192.0.2.2 rport 59609 generation 0"


@pytest.mark.parametrize("text", [CHROMIUM, TCP, REFLEXIVE])
def test_text_survives(text: str) -> None:
    assert str(Candidate.parse(text)) == text


@pytest.mark.parametrize("prefix", ["a=candidate:", "candidate:", ""])
def test_the_prefix_may_be_missing(prefix: str) -> None:
    assert Candidate.parse(prefix + CHROMIUM.removeprefix("candidate:")) == Candidate.parse(CHROMIUM)


def test_fields() -> None:
    candidate = Candidate.parse(REFLEXIVE)
    assert (candidate.type, candidate.transport, candidate.component) == ("srflx", "udp", 1)
    assert (candidate.related_address, candidate.related_port) == ("192.0.2.2", 59609)
    assert candidate.attributes == (("generation", "0"),)


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        pytest.param(CHROMIUM, True, id="host"),
        pytest.param(REFLEXIVE, True, id="reflexive"),
        pytest.param("candidate:1 1 udp 1 fe80::1%eth0 5000 typ host", True, id="zone id"),
        pytest.param("candidate:1 1 udp 1 2001:db8::1 5000 typ host", True, id="IPv6"),
        pytest.param(MDNS, False, id="mDNS"),
        pytest.param("candidate:1 1 udp 1 turn.example.org 5000 typ relay", False, id="FQDN"),
        pytest.param(TCP, False, id="TCP"),
        pytest.param("candidate:1 2 udp 1 192.0.2.2 5000 typ host", False, id="RTCP component"),
        pytest.param("candidate:1 1 udp 1 192.0.2.2 0 typ host", False, id="port 0"),
        pytest.param("candidate:1 1 udp 1 0.0.0.0 5000 typ host", False, id="unspecified"),
        pytest.param("candidate:1 1 udp 1 224.0.0.1 5000 typ host", False, id="multicast"),
        pytest.param("candidate:1 1 udp 1 255.255.255.255 5000 typ host", False, id="broadcast"),
    ],
)
def test_usable(text: str, usable: bool) -> None:
    assert Candidate.parse(text).usable is usable


def test_zone_id_stays_in_the_text() -> None:
    assert Candidate.parse("candidate:1 1 udp 1 fe80::1%eth0 5000 typ host").address == "fe80::1%eth0"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "candidate:",
        "candidate:1 1 udp 1 192.0.2.2 5000 host",
        "candidate:1 1 udp 1 192.0.2.2 70000 typ host",
        "candidate:1 1 udp 99999999999 192.0.2.2 5000 typ host",
        "candidate:1 x udp 1 192.0.2.2 5000 typ host",
        "candidate:1 \u0661 udp 1 192.0.2.2 5000 typ host",
        "candidate:! 1 udp 1 192.0.2.2 5000 typ host",
        "candidate:1 1 udp 1 192.0.2.2  5000 typ host",
        "candidate:1 1 udp 1 192.0.2.2 5000 typ host rport x raddr",
        f"candidate:1 1 udp 1 {'a' * 300} 5000 typ host",
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(errors.BadRequest):
        Candidate.parse(text)


def test_host_candidates_are_ordered_by_priority() -> None:
    first, second = host_candidates([("192.0.2.7", 7777), ("2001:db8::7", 7778)])
    assert str(first) == "candidate:1 1 udp 2130706431 192.0.2.7 7777 typ host"
    assert str(second) == "candidate:2 1 udp 2130706175 2001:db8::7 7778 typ host"
