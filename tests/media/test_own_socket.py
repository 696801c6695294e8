"""Transports with sockets to themselves: whose datagram is whose, who may use them, what is left of them."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aioice
import pytest
from aioice import stun
from aiortc.rtp import RtpPacket

from live777py.media import native
from live777py.media.addresses import SocketAddress
from live777py.media.engine import MediaEngine
from tests.media.peer import TIME_LIMIT, Address, Console, Peer, Refused, parse_address, running_console
from tests.media.test_engine import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live777py._media import IceRole  # noqa: TID251

FRAME: Final = [bytes.fromhex("10 10 02 00 9d 01 2a 80 02 68 01") + bytes(1000)] + [bytes([0]) * 1011] * 9
"""A VP8 key frame of ten packets of one size: one run of GSO."""
SRFLX: Final = ("203.0.113.7", 40_000)


@pytest.fixture
def console() -> Iterator[Console]:
    with running_console() as running:
        yield running


def descriptors() -> set[str]:
    return {f"{entry.name} {entry.readlink()}" for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()}


def ice(role: IceRole, local: str, remote: str | None = None) -> native.IceParameters:
    return native.IceParameters(
        role=role,
        local_ufrag=local,
        local_pwd=f"password of {local:>12}",
        remote_ufrag=remote,
        remote_pwd=remote and f"password of {remote:>12}",
    )


def codec(payload_type: int) -> native.CodecParameters:
    return native.CodecParameters(payload_type=payload_type, name="VP8", clock_rate=90000, nack=True, pli=True)


def test_two_clients_of_one_server_are_told_apart() -> None:
    with running_console([["127.0.0.1:0", "[::1]:0"]]) as clients, running_console() as servers:
        pairs = [(1, 101), (2, 102)]
        for near, far in pairs:
            clients.call(
                clients.engine.open_transport,
                near,
                worker=0,
                ice=ice("controlling", f"near{near}", f"far{far}"),
                own_socket=True,
            )
            servers.call(servers.engine.open_transport, far, worker=0, ice=ice("lite", f"far{far}", f"near{near}"))
        address = servers.engine.addresses()[0][0]
        for near, _ in pairs:
            clients.call(clients.engine.add_remote_candidate, near, address=address, priority=1)
        ends = [
            (clients.wait(native.IceConnected, transport=near), servers.wait(native.IceConnected, transport=far))
            for near, far in pairs
        ]
        assert {near.remote for near, _ in ends} == {address}, "the same 5-tuple but for our end"
        assert len({near.local for near, _ in ends}) == 2
        assert [near.local for near, _ in ends] == [far.remote for _, far in ends]
        for near, far in pairs:
            clients.engine.send_dtls(near, b"\x16 from %d" % near)
            assert servers.wait(native.Dtls).transport == far
            servers.engine.send_dtls(far, b"\x16 from %d" % far)
            told = clients.wait(native.Dtls)
            assert (told.transport, bytes(told.data)) == (near, b"\x16 from %d" % far)
        clients.call(clients.engine.close_transport, 1)
        servers.engine.send_dtls(101, b"\x16 too late")
        servers.engine.send_dtls(102, b"\x16 in time")
        assert clients.wait(native.Dtls).data == b"\x16 in time"
        assert not clients.events


def test_media_flow_over_it_both_ways_and_runs_leave_as_one(console: Console) -> None:
    with (
        contextlib.closing(Peer(console, own_socket=True)) as publisher,
        contextlib.closing(Peer(console, own_socket=True)) as viewer,
    ):
        publisher.connect()
        viewer.connect()
        track = publisher.add_track(
            native.TrackParameters(
                kind="video", mid="0", codecs=[codec(96)], encodings=[native.EncodingParameters(ssrc=1)], local_ssrc=7
            )
        )
        subscription = viewer.subscribe(
            native.SubscriptionParameters(kind="video", mid="0", ssrc=2, cname="viewer", codecs=[codec(100)])
        )
        console.call(console.engine.attach, subscription, track, payload_types=[(96, 100)])
        before = console.stats().workers[0]
        for sequence, payload in enumerate(FRAME):
            publisher.send_rtp(RtpPacket(payload_type=96, sequence_number=sequence, ssrc=1, payload=payload))
        assert [viewer.receive_rtp().payload for _ in FRAME] == FRAME
        after = console.stats().workers[0]
        assert after.datagrams_sent - before.datagrams_sent >= len(FRAME)
        if after.gso:
            assert after.send_calls - before.send_calls <= len(FRAME)


def test_each_socket_is_its_transports_alone(console: Console) -> None:
    with contextlib.closing(Peer(console, own_socket=True)) as own, contextlib.closing(Peer(console)) as other:
        for peer, wrong, right in ((own, console.address(), own.server), (other, own.server, console.address())):
            peer.socket.sendto(bytes(peer.check()), wrong)
            peer.socket.sendto(bytes(peer.check()), right)
            answer = stun.parse_message(peer.socket.recv(2048))
            assert answer.message_class == stun.Class.RESPONSE
            assert console.wait(native.IceConnected, transport=peer.transport).local == "{}:{}".format(*right)
        assert console.stats().workers[0].unknown_datagrams == 2
        dtls = b"\x16\xfe\xfd to the other's socket"
        own.socket.sendto(dtls, console.address())
        other.socket.sendto(dtls, own.server)
        own.socket.sendto(b"\x16 its own", own.server)
        assert console.wait(native.Dtls).data == b"\x16 its own"
        assert not console.events


def test_what_comes_late_for_a_closed_transport_reaches_no_other(console: Console) -> None:
    old = Peer(console, own_socket=True)
    old.connect()
    console.call(console.engine.close_transport, old.transport)
    # The system may give its port to whoever comes next: here it certainly does.
    with running_console([["{}:{}".format(*old.server)]]) as successor:
        assert successor.address() == old.server
        with contextlib.closing(Peer(successor)) as new, contextlib.closing(old):
            old.socket.sendto(bytes(old.check()), old.server)
            old.socket.sendto(b"\x16 late", old.server)
            new.nominate()
            assert not successor.events
            assert successor.stats().workers[0].unknown_datagrams == 2


def test_no_descriptor_is_left() -> None:
    before = descriptors()
    with running_console([["127.0.0.1:0", "[::1]:0"], ["127.0.0.1:0"]]) as console:
        running = descriptors()
        for round_ in range(3):
            transports = range(100 * round_ + 1, 100 * round_ + 51)
            for transport in transports:
                worker = transport % 2
                own = console.call(
                    console.engine.open_transport,
                    transport,
                    worker=worker,
                    ice=ice("lite", f"transport{transport}"),
                    own_socket=True,
                )
                assert len(own) == 2 - worker
            assert len(descriptors() - running) == 75
            with pytest.raises(Refused, match="invalid_argument"):  # its ufrag is taken
                console.call(
                    console.engine.open_transport,
                    999,
                    worker=0,
                    ice=ice("lite", f"transport{transports[1]}"),
                    own_socket=True,
                )
            with pytest.raises(Refused, match="id_in_use"):
                console.call(
                    console.engine.open_transport, transports[0], worker=0, ice=ice("lite", "another"), own_socket=True
                )
            for transport in transports:
                console.call(console.engine.close_transport, transport)
            assert descriptors() <= running
        console.call(console.engine.open_transport, 1000, worker=0, ice=ice("lite", "last"), own_socket=True)
    del console
    assert descriptors() <= before


def test_without_descriptors_there_is_a_clear_refusal_and_nothing_is_lost(console: Console) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = descriptors()
    with contextlib.closing(Peer(console)) as peer:
        highest = max(int(name.split()[0]) for name in descriptors())
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        try:
            filler = []
            with contextlib.suppress(OSError):
                while True:
                    filler.append(socket.socket())
            with pytest.raises(Refused, match="no_socket"):
                console.call(console.engine.open_transport, 7, worker=0, ice=ice("lite", "seven"), own_socket=True)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for one in filler:
                one.close()
        console.call(console.engine.open_transport, 7, worker=0, ice=ice("lite", "seven"), own_socket=True)
        console.call(console.engine.close_transport, 7)
        peer.nominate()
    assert descriptors() <= before


class StunServer:
    """Answers as the test says; `requests` are those that came."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(TIME_LIMIT)
        self.address = "{}:{}".format(*self.socket.getsockname())

    def request(self) -> tuple[stun.Message, Address]:
        data, sender = self.socket.recvfrom(2048)
        message = stun.parse_message(data)
        assert (message.message_method, message.message_class) == (stun.Method.BINDING, stun.Class.REQUEST)
        assert "USERNAME" not in message.attributes
        return message, sender

    @staticmethod
    def answer(request: stun.Message, *, transaction: bytes | None = None) -> bytes:
        message = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=transaction or request.transaction_id,
        )
        message.attributes["XOR-MAPPED-ADDRESS"] = SRFLX
        return bytes(message)


@pytest.fixture
def stun_server() -> Iterator[StunServer]:
    server = StunServer()
    yield server
    server.socket.close()


def test_a_stun_server_tells_the_address_of_a_transports_own_socket(console: Console, stun_server: StunServer) -> None:
    own = console.call(console.engine.open_transport, 1, worker=0, ice=ice("controlling", "near"), own_socket=True)
    console.call(console.engine.discover_reflexive, 1, server=stun_server.address)
    first, sender = stun_server.request()
    assert sender == parse_address(own[0])
    again, _ = stun_server.request()  # the first was not answered
    assert again.transaction_id == first.transaction_id
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.sendto(stun_server.answer(first), sender)
    stun_server.socket.sendto(stun_server.answer(first, transaction=b"another one!"), sender)
    stats = console.stats()
    assert (stats.transports[0].datagrams_ignored, stats.workers[0].unknown_datagrams) == (1, 1)
    stun_server.socket.sendto(stun_server.answer(first), sender)
    told = console.wait(native.ReflexiveAddress)
    assert (told.transport, told.local, told.address) == (1, own[0], "{}:{}".format(*SRFLX))
    stun_server.socket.sendto(stun_server.answer(first), sender)  # twice
    assert console.stats().workers[0].unknown_datagrams == 2
    assert not console.events


def test_a_lite_transport_on_shared_sockets_may_ask_too(console: Console, stun_server: StunServer) -> None:
    console.call(console.engine.open_transport, 1, worker=0, ice=ice("lite", "near"))
    console.call(console.engine.discover_reflexive, 1, server=stun_server.address)
    request, sender = stun_server.request()
    assert sender == console.address()
    stun_server.socket.sendto(stun_server.answer(request), sender)
    assert console.wait(native.ReflexiveAddress).local == "{}:{}".format(*sender)


@pytest.mark.parametrize("role", ["controlling", "controlled"])
async def test_a_full_agent_of_aioice_is_reached(role: IceRole) -> None:
    engine = MediaEngine([["127.0.0.1:0"]])
    handler = Recorder()
    other = aioice.Connection(ice_controlling=role == "controlled")
    try:
        await other.gather_candidates()
        parameters = native.IceParameters(
            role=role,
            local_ufrag="ours",
            local_pwd="p" * 22,
            remote_ufrag=other.local_username,
            remote_pwd=other.local_password,
        )
        transport = engine.next_id()
        own = await engine.open_transport(transport, handler, worker=0, ice=parameters, own_socket=True)
        other.remote_username, other.remote_password = "ours", "p" * 22
        for address in own:
            await other.add_remote_candidate(
                aioice.Candidate("1", 1, "udp", 126 << 24, str(address.ip), address.port, "host")
            )
        await other.add_remote_candidate(None)
        for candidate in other.local_candidates:
            theirs = SocketAddress(ip_address(candidate.host), candidate.port)
            await engine.add_remote_candidate(transport, theirs, candidate.priority)
        async with asyncio.timeout(TIME_LIMIT):
            await other.connect()
        (connected, *_) = await handler.until(1)
        assert connected[:2] == ("connected", str(own[0]))
        engine.send_dtls(transport, b"\x16 hello")
        async with asyncio.timeout(TIME_LIMIT):
            assert await other.recv() == b"\x16 hello"
        await other.send(b"\x16 and back")
        assert ("dtls", b"\x16 and back") in await handler.until(2)
    finally:
        await other.close()
        engine.close()
