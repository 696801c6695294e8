"""What our addresses are called where NAT is between: as configured, and as a STUN server says."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final, cast

import pytest
from aioice import stun

from live777py.config.values import parse_external_address
from live777py.media import external
from live777py.media.addresses import SocketAddress
from live777py.media.engine import MediaEngine
from live777py.media.external import ExternalAddresses, ExternalSettings
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OUTSIDE: Final = "203.0.113.7"


def told(*entries: str) -> ExternalSettings:
    return ExternalSettings(addresses=tuple(parse_external_address(entry) for entry in entries))


@pytest.mark.parametrize(
    ("entries", "local", "worker", "seen"),
    [
        (["203.0.113.7"], "192.0.2.7:7777", 0, ["203.0.113.7:7777"]),
        (["203.0.113.7"], "192.0.2.7:7778", 1, ["203.0.113.7:7778"]),
        (["203.0.113.7"], "127.0.0.1:7777", 0, []),
        (["203.0.113.7"], "[2001:db8::7]:7777", 0, []),
        (["2001:db8::1"], "[2001:db8::7]:7777", 0, ["[2001:db8::1]:7777"]),
        (["2001:db8::1"], "[::1]:7777", 0, []),
        (["203.0.113.7/192.0.2.7"], "192.0.2.7:7777", 0, ["203.0.113.7:7777"]),
        (["203.0.113.7/192.0.2.7"], "192.0.2.8:7777", 0, []),
        (["203.0.113.7/127.0.0.1"], "127.0.0.1:7777", 0, ["203.0.113.7:7777"]),
        (["203.0.113.7:9000"], "192.0.2.7:7777", 0, ["203.0.113.7:9000"]),
        (["203.0.113.7:9000"], "192.0.2.7:7779", 2, ["203.0.113.7:9002"]),
        (["203.0.113.7:9000/192.0.2.7:7777"], "192.0.2.7:7779", 2, ["203.0.113.7:9002"]),
        (["203.0.113.7:9000/192.0.2.7:7777"], "192.0.2.7:8000", 0, []),
        (["[2001:db8::1]:9/[2001:db8::7]:8"], "[2001:db8::7]:8", 0, ["[2001:db8::1]:9"]),
        (["203.0.113.8", "203.0.113.7", "203.0.113.8"], "192.0.2.7:1", 0, ["203.0.113.8:1", "203.0.113.7:1"]),
        (["auto"], "192.0.2.7:7777", 0, []),
        ([], "192.0.2.7:7777", 0, []),
    ],
)
async def test_an_address_is_seen_as(
    engine: MediaEngine, entries: list[str], local: str, worker: int, seen: list[str]
) -> None:
    found = ExternalAddresses(engine, told(*entries)).of(worker, SocketAddress.parse(local))
    assert [str(address) for address in found] == seen


@pytest.mark.parametrize(
    ("entry", "seen"),
    [
        ("203.0.113.7", ["203.0.113.7:7778"]),
        ("203.0.113.7:9000", []),
        ("203.0.113.7:9000/192.0.2.7:7777", []),
        ("203.0.113.7:9000/192.0.2.7:7778", ["203.0.113.7:9000"]),
    ],
)
async def test_a_forwarded_port_without_ours_is_that_of_udp(engine: MediaEngine, entry: str, seen: list[str]) -> None:
    found = ExternalAddresses(engine, told(entry)).of(0, SocketAddress.parse("192.0.2.7:7778"), tcp=True)
    assert [str(address) for address in found] == seen


class StunServer(asyncio.DatagramProtocol):
    """Says that everybody is at `address`, and nothing while that is None."""

    def __init__(self, address: tuple[str, int] | None) -> None:
        self.address = address
        self.asked: set[tuple[str, int]] = set()
        self.transport: asyncio.DatagramTransport

    @property
    def settings(self) -> ExternalSettings:
        return ExternalSettings(addresses=told("auto").addresses, server=self.transport.get_extra_info("sockname")[:2])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.add(addr[:2])
        if self.address is None:
            return
        request = stun.parse_message(data)
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = self.address
        self.transport.sendto(bytes(answer), addr)


@contextlib.asynccontextmanager
async def stun_server(address: tuple[str, int] | None, host: str = "127.0.0.1") -> AsyncIterator[StunServer]:
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: StunServer(address), local_addr=(host, 0)
    )
    try:
        yield server
    finally:
        transport.close()


@contextlib.asynccontextmanager
async def asking(engine: MediaEngine, settings: ExternalSettings) -> AsyncIterator[ExternalAddresses]:
    addresses = ExternalAddresses(engine, settings)
    try:
        await addresses.start()
        yield addresses
    finally:
        await addresses.stop()
        engine.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_stun_server_says_it(host: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    engine = MediaEngine([["127.0.0.1:0", "[::1]:0"]] * 2, listeners=[[], ["127.0.0.1:0", "[::1]:0"]])
    outside = OUTSIDE if host == "127.0.0.1" else "2001:db8::1"
    async with stun_server((outside, 40_000), host) as server, asking(engine, server.settings) as addresses:
        ours = [next(entry for entry in sockets if str(entry.ip) == host) for sockets in engine.addresses]
        other = [next(entry for entry in sockets if str(entry.ip) != host) for sockets in engine.addresses]
        assert server.asked == {(host, local.port) for local in ours}
        for worker, local in enumerate(ours):
            seen = addresses.of(worker, local)
            assert [(str(address.ip), address.port) for address in seen] == [(outside, local.port), (outside, 40_000)]
        assert not any(addresses.of(worker, local) for worker, local in enumerate(other))
        listener = next(entry for entry in engine.tcp_addresses[1] if str(entry.ip) == host)
        assert [str(entry) for entry in addresses.of(1, listener, tcp=True)] == [
            str(SocketAddress(seen[0].ip, listener.port))
        ]
        await engine.stats()
    assert sum(f"external address of {ours[0]}: " in line for line in caplog.messages) == 1


async def test_an_address_that_changes_is_noticed_and_silence_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, seconds in (("ASK_AGAIN", 0.01), ("ASK_SOON", 0.01), ("PATIENCE", 0.3)):
        monkeypatch.setattr(external, name, seconds)
    engine = MediaEngine([["127.0.0.1:0"]])
    (local,) = engine.addresses[0]

    async with stun_server(None) as server, asking(engine, server.settings) as addresses:
        assert not addresses.of(0, local), "the start does not wait for ever"
        for outside in (OUTSIDE, "203.0.113.8"):
            server.address = (outside, local.port)

            async def changed(outside: str = outside) -> bool:
                return [str(address.ip) for address in addresses.of(0, local)] == [outside]

            await eventually(changed)
        server.address = None
        message = "external address: the STUN server 127.0.0.1 does not answer"
        quiet = caplog.messages.count(message)

        async def noticed() -> bool:
            return caplog.messages.count(message) > quiet

        await eventually(noticed)
        assert [str(address.ip) for address in addresses.of(0, local)] == ["203.0.113.8"]


@pytest.mark.parametrize("host", ["stun.invalid", "stun..invalid"])
async def test_a_server_that_is_not_there(caplog: pytest.LogCaptureFixture, host: str) -> None:
    engine = MediaEngine([["127.0.0.1:0"]])
    settings = ExternalSettings(addresses=told("auto").addresses, server=(host, 3478))
    async with asking(engine, settings) as addresses:
        assert not addresses.of(0, engine.addresses[0][0])
    assert any(f"{host} is not found" in line for line in caplog.messages)
