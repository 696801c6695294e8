"""Which UDP addresses are bound for which configuration."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from live777py.errors import ConfigError
from live777py.media import addresses
from live777py.media.addresses import SocketAddress, local_addresses, worker_listeners, worker_sockets


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One routed address of each family and loopback."""
    found = [ip_address(text) for text in ("192.0.2.7", "2001:db8::7", "127.0.0.1", "::1")]
    monkeypatch.setattr(addresses, "local_addresses", lambda: list(found))


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("entry", "sockets"),
    [
        ("auto", ["192.0.2.7:7777", "[2001:db8::7]:7777", "127.0.0.1:7777", "[::1]:7777"]),
        ("auto:9", ["192.0.2.7:9", "[2001:db8::7]:9", "127.0.0.1:9", "[::1]:9"]),
        ("0.0.0.0", ["192.0.2.7:7777", "127.0.0.1:7777"]),
        ("[::]:80", ["[2001:db8::7]:80", "[::1]:80"]),
        ("198.51.100.4", ["198.51.100.4:7777"]),
        (" 198.51.100.4:1 ", ["198.51.100.4:1"]),
        ("2001:db8::9", ["[2001:db8::9]:7777"]),
        ("[2001:db8::9]", ["[2001:db8::9]:7777"]),
        ("[2001:db8::9]:5", ["[2001:db8::9]:5"]),
        ("127.0.0.1:0", ["127.0.0.1:0"]),
    ],
)
def test_an_entry_means(entry: str, sockets: list[str]) -> None:
    assert worker_sockets([entry], 1) == [sockets]


@pytest.mark.usefixtures("machine")
def test_each_worker_has_the_next_port_and_port_zero_stays() -> None:
    assert worker_sockets(["192.0.2.1:4000", "192.0.2.1:0"], 3) == [
        ["192.0.2.1:4000", "192.0.2.1:0"],
        ["192.0.2.1:4001", "192.0.2.1:0"],
        ["192.0.2.1:4002", "192.0.2.1:0"],
    ]


@pytest.mark.usefixtures("machine")
def test_an_address_named_twice_is_bound_once() -> None:
    assert worker_sockets(["127.0.0.1", "auto"], 1)[0].count("127.0.0.1:7777") == 1


@pytest.mark.parametrize(
    "entry", ["", "auto:", "auto:x", "localhost", "1.2.3.4:70000", "1.2.3.4:-1", "1.2.3:4", "::1:"]
)
def test_what_is_not_understood_is_named(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"webrtc\.ice_udp_addrs"):
        worker_sockets([entry], 1)


def test_no_entry_and_too_many_workers_are_refused() -> None:
    with pytest.raises(ConfigError):
        worker_sockets([], 1)
    with pytest.raises(ConfigError):
        worker_sockets(["127.0.0.1:65535"], 2)


@pytest.mark.usefixtures("machine")
def test_tcp_has_a_port_of_its_own_and_may_be_missing() -> None:
    assert worker_listeners([], 2) == [[], []]
    assert worker_listeners(["192.0.2.1", "[::1]:9"], 2) == [
        ["192.0.2.1:7778", "[::1]:9"],
        ["192.0.2.1:7779", "[::1]:10"],
    ]
    assert worker_listeners(["auto"], 1)[0][0] == "192.0.2.7:7778"
    for entry in ("localhost", "127.0.0.1:65535"):
        with pytest.raises(ConfigError, match=r"webrtc\.ice_tcp_addrs"):
            worker_listeners([entry], 2)


def test_local_addresses_can_all_be_bound_and_loopback_is_last() -> None:
    found = local_addresses()
    for address in found:
        with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as bound:
            bound.bind((str(address), 0))
    assert ip_address("127.0.0.1") in found
    assert [address.is_loopback for address in found] == sorted(address.is_loopback for address in found)


def test_a_machine_with_loopback_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in ("_route_sources", "_interface_ipv4", "_interface_ipv6"):
        monkeypatch.setattr(addresses, source, lambda: iter(()))
    assert local_addresses()[0] == ip_address("127.0.0.1")


@pytest.mark.parametrize("text", ["1.2.3.4:5", "[2001:db8::1]:65535"])
def test_a_socket_address_is_written_as_it_was_read(text: str) -> None:
    assert str(SocketAddress.parse(text)) == text


@pytest.mark.parametrize("text", ["1.2.3.4", "2001:db8::1:5", "[1.2.3.4:5", "[::1]5", "1.2.3.4:99999", "host:5"])
def test_a_socket_address_needs_ip_and_port(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the type is the contract
        SocketAddress.parse(text)
