"""Media over TCP (RFC 6544), and over IPv6, with the built engine on loopback."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, cast

import pytest
from aioice import stun

from live777py.media import native
from tests.media.peer import TIME_LIMIT, Console, FramedSocket, Peer, framed_socket, parse_address, running_console
from tests.media.test_extension import attach, frame, published

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["127.0.0.1:0", "[::1]:0"], ids=["IPv4", "IPv6"])
def console(request: pytest.FixtureRequest) -> Iterator[Console]:
    with running_console([[request.param]], [[request.param]]) as running:
        yield running


def listener(console: Console) -> str:
    return console.engine.tcp_addresses()[0][0]


@contextlib.contextmanager
def connected(console: Console, *, tcp: bool = True) -> Iterator[Peer]:
    peer = Peer(console, tcp=listener(console) if tcp else None)
    try:
        peer.connect()
        yield peer
    finally:
        peer.close()


@pytest.mark.parametrize(("publishes", "views"), [(True, True), (True, False), (False, True), (False, False)])
def test_media_flows_whatever_carries_it(console: Console, publishes: bool, views: bool) -> None:
    with connected(console, tcp=publishes) as publisher, connected(console, tcp=views) as viewer:
        track = publisher.add_track(published())
        attach(console, viewer, track)
        for sequence in range(3):
            publisher.send_rtp(frame(sequence, key=sequence == 0))
        received = [viewer.receive_rtp() for _ in range(3)]
        assert [len(packet.payload) for packet in received] == [len(frame(n, key=n == 0).payload) for n in range(3)]
        worker = console.stats().workers[0]
        assert worker.tcp_connections == worker.tcp_accepted == publishes + views
        assert bool(worker.tcp_datagrams_sent) is (publishes or views)
        assert (worker.tcp_refused, worker.tcp_rejected, worker.tcp_datagrams_dropped) == (0, 0, 0)


def test_the_path_is_told(console: Console) -> None:
    peer = Peer(console, tcp=listener(console))
    peer.socket.sendto(bytes(peer.check()), peer.server)
    connected = console.wait(native.IceConnected, transport=peer.transport)
    assert (connected.local, connected.protocol) == (listener(console), "tcp")
    assert parse_address(connected.remote) == peer.socket.getsockname()
    answer = stun.parse_message(peer.socket.recv(2048))
    assert answer.check_message_integrity(peer.server_pwd.encode())
    assert tuple(answer.attributes["XOR-MAPPED-ADDRESS"]) == peer.socket.getsockname()
    peer.close()


def test_a_message_may_come_in_pieces_and_several_in_one(console: Console) -> None:
    peer = Peer(console, tcp=listener(console))
    framed = [len(bytes(check)).to_bytes(2, "big") + bytes(check) for check in (peer.check(), peer.check())]
    data = b"".join(framed)
    for part in (data[:1], data[1:2], data[2:40], data[40:]):
        cast("FramedSocket", peer.socket).stream.sendall(part)
    for _ in range(2):
        assert stun.parse_message(peer.socket.recv(2048)).message_class == stun.Class.RESPONSE
    peer.close()


def test_a_viewer_goes_from_udp_to_tcp_and_back(console: Console) -> None:
    """What a client does whose network begins to drop UDP: it nominates its other pair."""
    with connected(console, tcp=False) as publisher, connected(console, tcp=False) as viewer:
        track = publisher.add_track(published())
        attach(console, viewer, track)
        publisher.send_rtp(frame(0, key=True))
        viewer.receive_rtp()
        udp, udp_server = viewer.socket, viewer.server
        viewer.server = parse_address(listener(console))
        viewer.socket = framed_socket(viewer.server)
        viewer.nominate()
        viewer.socket.recv(2048)
        publisher.send_rtp(frame(1))
        assert len(viewer.receive_rtp().payload) == len(frame(1).payload)
        viewer.socket.close()
        viewer.socket, viewer.server = udp, udp_server
        viewer.nominate()
        viewer.socket.recv(2048)
        publisher.send_rtp(frame(2))
        assert len(viewer.receive_rtp().payload) == len(frame(2).payload)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"], ids=["HTTP", "TLS"])
def test_what_is_no_media_is_shown_the_door(console: Console, data: bytes) -> None:
    with connected(console) as peer, socket.create_connection(parse_address(listener(console)), TIME_LIMIT) as stranger:
        stranger.sendall(data)
        with contextlib.suppress(ConnectionResetError):
            assert stranger.recv(100) == b""
        peer.socket.sendto(bytes(peer.check()), peer.server)
        assert stun.parse_message(peer.socket.recv(2048)).message_class == stun.Class.RESPONSE
        worker = console.stats().workers[0]
        assert (worker.tcp_connections, worker.tcp_rejected) == (1, 1)


def test_one_who_does_not_read_costs_the_others_nothing(console: Console) -> None:
    """More than the kernel and the engine keep for it: the rest is dropped, and it ends with what it has not read."""
    with connected(console) as publisher, connected(console) as viewer, connected(console) as slow:
        track = publisher.add_track(published())
        for each in (viewer, slow):
            attach(console, each, track)
        cast("FramedSocket", slow.socket).stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sequence = 0
        while console.stats().workers[0].tcp_datagrams_dropped == 0:
            assert sequence < 50_000, "nothing fills a connection that nobody reads"
            for _ in range(100):
                packet = frame(sequence, key=sequence == 0)
                packet.payload += bytes(1000)
                publisher.send_rtp(packet)
                assert len(viewer.receive_rtp().payload) == len(packet.payload)
                sequence += 1
        slow.socket.close()
        console.wait_for_connections(2)
        publisher.send_rtp(frame(sequence))
        assert len(viewer.receive_rtp().payload) == len(frame(sequence).payload)


@pytest.mark.parametrize("console", ["127.0.0.1:0"], indirect=True, ids=["IPv4"])
def test_strangers_at_the_door_keep_nobody_out(console: Console) -> None:
    port = parse_address(listener(console))[1]
    with contextlib.ExitStack() as stack:
        for host in ("127.0.0.2", "127.0.0.3"):
            for number in range(70):
                stranger = stack.enter_context(socket.socket())
                stranger.bind((host, 0))
                stranger.connect(("127.0.0.1", port))
                with contextlib.suppress(ConnectionError):  # one too many from there
                    stranger.sendall(b"\0" if number % 2 else b"\0\0" * 100)
        with connected(console) as publisher, connected(console) as viewer:
            attach(console, viewer, publisher.add_track(published()))
            publisher.send_rtp(frame(0, key=True))
            assert len(viewer.receive_rtp().payload) == len(frame(0, key=True).payload)
        worker = console.stats().workers[0]
        assert (worker.tcp_refused, worker.tcp_accepted) == (2 * (70 - 64), 2 * 64 + 2)


def test_nobody_is_answered_who_proves_nothing(console: Console) -> None:
    with connected(console) as peer:
        stranger = FramedSocket(peer.server)
        forged, true = peer.check(pwd="p" * 22), peer.check()
        for message in (b"", b"\x16\xfe\xff" + bytes(60), b"\x80" + bytes(40), bytes(forged), bytes(true)):
            stranger.sendto(message, peer.server)
        assert stun.parse_message(stranger.recv(2048)).transaction_id == true.transaction_id
        stranger.close()
