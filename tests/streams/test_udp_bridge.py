"""Datagrams of real sockets on loopback to messages and back."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from typing import TYPE_CHECKING

import pytest

from live777py.errors import StartError
from live777py.streams.settings import UdpChannel
from live777py.streams.udp_bridge import UdpBridge, UdpBridges

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = ("127.0.0.1", 0)
PAYLOADS = [b"", b"x", bytes(range(256)), os.urandom(1500), os.urandom(65_507)]


@contextlib.contextmanager
def other_end(address: tuple[str, int] = LOOPBACK) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.bind(address)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        end.settimeout(5)
        yield end


async def test_bytes_pass_both_ways_unchanged() -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    with other_end() as program:
        bridge = UdpBridge(UdpChannel(listen=LOOPBACK, target=program.getsockname()), on_datagram=heard.put_nowait)
        for payload in PAYLOADS:
            program.sendto(payload, bridge.address)
            async with asyncio.timeout(5):
                assert await heard.get() == payload
            bridge.send(payload)
            assert program.recvfrom(65_535) == (payload, bridge.address)
        bridge.close()
    assert bridge.lost == 0


async def test_the_target_may_be_of_the_other_family() -> None:
    with other_end(("::1", 0)) as program:
        bridge = UdpBridge(UdpChannel(listen=LOOPBACK, target=program.getsockname()[:2]), on_datagram=print)
        bridge.send(b"x")
        assert program.recv(10) == b"x"
        bridge.close()


async def test_a_port_in_use_is_told_at_the_start() -> None:
    with other_end() as taken:
        host, port = taken.getsockname()
        with pytest.raises(StartError, match=f"cannot listen on UDP {host}:{port}: Address already in use"):
            UdpBridge(UdpChannel(listen=(host, port), target=LOOPBACK), on_datagram=print)


async def test_what_fits_no_datagram_is_lost_and_counted() -> None:
    with other_end() as program:
        bridge = UdpBridge(UdpChannel(listen=LOOPBACK, target=program.getsockname()), on_datagram=print)
        bridge.send(bytes(65_508))
        bridge.send(b"next")
        assert program.recv(10) == b"next"
        assert bridge.lost == 1
        bridge.close()


async def test_a_flood_leaves_others_their_turn_and_a_closed_bridge_is_silent() -> None:
    heard: list[bytes] = []
    bridge = UdpBridge(UdpChannel(listen=LOOPBACK, target=("127.0.0.1", 9)), on_datagram=heard.append)
    address = bridge.address
    with other_end() as program:
        for _ in range(100):
            program.sendto(b"x", address)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert 0 < len(heard) <= 64
        async with asyncio.timeout(5):
            while len(heard) < 100:  # noqa: ASYNC110 - the loop reads in between
                await asyncio.sleep(0)
        bridge.close()
        UdpBridge(UdpChannel(listen=address, target=address), on_datagram=print).close()


def channel(listen: tuple[str, int], target: tuple[str, int] = ("127.0.0.1", 9)) -> UdpChannel:
    return UdpChannel(listen=listen, target=target)


async def test_what_has_not_changed_is_not_touched() -> None:
    heard: list[tuple[str, bytes]] = []
    bridges = UdpBridges(lambda name, datagram: heard.append((name, datagram)))
    bridges.reconfigure({"a": channel(LOOPBACK), "b": channel(LOOPBACK)})
    a = bridges.get("a")
    assert a is not None
    bridges.reconfigure({"a": channel(LOOPBACK), "c": channel(LOOPBACK)})
    assert (bridges.get("a"), bridges.get("b")) == (a, None)
    with other_end() as program:
        program.sendto(b"x", a.address)
        async with asyncio.timeout(5):
            while not heard:  # noqa: ASYNC110 - the loop reads in between
                await asyncio.sleep(0)
    assert heard == [("a", b"x")]
    bridges.reconfigure({})
    assert bridges.get("a") is None


async def test_a_port_that_cannot_be_had_changes_nothing() -> None:
    bridges = UdpBridges(lambda _name, _datagram: None)
    bridges.reconfigure({"a": channel(LOOPBACK)})
    before = bridges.get("a")
    with other_end() as taken, pytest.raises(StartError):
        bridges.reconfigure({"b": channel(LOOPBACK), "c": channel(taken.getsockname())})
    assert (bridges.get("a"), bridges.get("b"), bridges.get("c")) == (before, None, None)
    bridges.reconfigure({})


async def test_a_system_without_the_family_of_an_address_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr("live777py.streams.udp_bridge.socket.socket", refuse)
    with pytest.raises(StartError, match=r"no UDP socket for \[::1\]:9: Address family"):
        UdpBridge(channel(("::1", 9)), on_datagram=print)
