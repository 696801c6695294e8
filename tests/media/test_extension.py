"""The extension as Python sees it: real sockets on loopback, SRTP checked by libsrtp, STUN made by aioice."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import pytest
from aioice import stun
from aiortc.rtp import RTCP_PSFB_PLI, RTCP_RTPFB_NACK, RtcpPsfbPacket, RtcpRtpfbPacket, RtcpSrPacket, RtpPacket

from live777py.media import native
from tests.media.peer import KEY_LENGTHS, TIME_LIMIT, Console, Peer, Refused, running_console
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from live777py._media import SrtpProfile  # noqa: TID251

PUBLISHED_SSRC: Final = 0x1111_1111
VIEWED_SSRC: Final = 0x2222_2222
VIEWED_RTX_SSRC: Final = 0x2222_3333
KEY_FRAME: Final = bytes.fromhex("10 10 02 00 9d 01 2a 80 02 68 01") + bytes(100)
"""VP8 payload descriptor and the start of a key frame of 640x360 (RFC 7741)."""
DELTA_FRAME: Final = bytes.fromhex("10 11 02 00") + bytes(100)

SO_NO_CHECK: Final = 11
SOL_UDP: Final = 17
UDP_SEGMENT: Final = 103


@pytest.fixture
def console() -> Iterator[Console]:
    with running_console() as running:
        yield running


def ice_parameters() -> native.IceParameters:
    return native.IceParameters(role="lite", local_ufrag="ufrag", local_pwd="p" * 22)


def vp8(payload_type: int, *, rtx: int | None = None) -> native.CodecParameters:
    return native.CodecParameters(
        payload_type=payload_type, name="VP8", clock_rate=90000, rtx_payload_type=rtx, nack=True, pli=True
    )


def published() -> native.TrackParameters:
    return native.TrackParameters(
        kind="video",
        mid="0",
        codecs=[vp8(96)],
        encodings=[native.EncodingParameters(ssrc=PUBLISHED_SSRC)],
        local_ssrc=0x9999_9999,
    )


def viewed(*, rtx: bool = False, ssrc: int = VIEWED_SSRC) -> native.SubscriptionParameters:
    return native.SubscriptionParameters(
        kind="video",
        mid="0",
        ssrc=ssrc,
        rtx_ssrc=VIEWED_RTX_SSRC if rtx else None,
        cname="viewer",
        codecs=[vp8(120, rtx=121 if rtx else None)],
    )


def frame(sequence: int, *, key: bool = False) -> RtpPacket:
    """A VP8 frame of one packet."""
    packet = RtpPacket(
        payload_type=96, marker=1, sequence_number=sequence & 0xFFFF, timestamp=3000 * sequence, ssrc=PUBLISHED_SSRC
    )
    packet.payload = KEY_FRAME if key else DELTA_FRAME
    return packet


@contextlib.contextmanager
def connected(console: Console, *, profile: SrtpProfile = "AEAD_AES_128_GCM", worker: int = 0) -> Iterator[Peer]:
    peer = Peer(console, profile=profile, worker=worker)
    try:
        peer.connect()
        yield peer
    finally:
        peer.close()


def attach(console: Console, viewer: Peer, track: int, *, rtx: bool = False) -> int:
    subscription = viewer.subscribe(viewed(rtx=rtx))
    console.call(console.engine.attach, subscription, track, payload_types=[(96, 120)])
    return subscription


class TestArguments:
    def test_a_port_in_use_leaves_nothing_bound(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken, socket.socket(type=socket.SOCK_DGRAM) as free:
            taken.bind(("127.0.0.1", 0))
            free.bind(("127.0.0.1", 0))
            first = f"127.0.0.1:{free.getsockname()[1]}"
            second = f"127.0.0.1:{taken.getsockname()[1]}"
            free.close()
            with pytest.raises(OSError, match="in use") as caught:
                native.Engine(sockets=[[first], [second]])
            assert caught.value.errno == errno.EADDRINUSE
            assert caught.value.filename == f"UDP {second}"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
                again.bind(("127.0.0.1", int(first.rsplit(":", 1)[1])))

    @pytest.mark.parametrize("sockets", [[], [[]], [["localhost:1"]], [["127.0.0.1"]], [["127.0.0.1:65536"]]])
    def test_malformed_addresses(self, sockets: list[list[str]]) -> None:
        with pytest.raises(ValueError, match="sockets"):
            native.Engine(sockets=sockets)

    def test_ipv6_sockets_take_ipv6_only(self) -> None:
        with running_console([["[::1]:0", "127.0.0.1:0"]]) as console:
            (sockets,) = console.engine.addresses()
            assert sockets[0].startswith("[::1]:")
            assert sockets[1].startswith("127.0.0.1:")

    def test_malformed_parameters(self) -> None:
        encodings = [native.EncodingParameters()]
        with pytest.raises(ValueError, match="role"):
            native.IceParameters(role="half", local_ufrag="ufrag", local_pwd="p" * 22)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="name"):
            native.CodecParameters(payload_type=96, name="", clock_rate=90000)
        with pytest.raises(ValueError, match="payload_type"):
            native.CodecParameters(payload_type=128, name="VP8", clock_rate=90000)
        with pytest.raises(ValueError, match="range"):
            native.CodecParameters(payload_type=-1, name="VP8", clock_rate=90000)
        with pytest.raises(ValueError, match="kind"):
            native.TrackParameters(
                kind="text",  # type: ignore[arg-type]
                mid=None,
                codecs=[vp8(96)],
                encodings=encodings,
                local_ssrc=1,
            )
        with pytest.raises(ValueError, match="extensions"):
            native.TrackParameters(
                kind="video", mid=None, codecs=[vp8(96)], encodings=encodings, extensions=[(0, "urn:x")], local_ssrc=1
            )
        with pytest.raises(ValueError, match="encodings"):
            native.TrackParameters(kind="video", mid=None, codecs=[vp8(96)], encodings=[], local_ssrc=1)

    def test_secrets_are_in_no_text(self, console: Console) -> None:
        secret = "s3cret" * 5
        with pytest.raises(ValueError, match="local_pwd") as caught:
            native.IceParameters(role="lite", local_ufrag="ufrag", local_pwd=secret * 10)
        assert "s3cret" not in str(caught.value)
        ice = native.IceParameters(
            role="lite", local_ufrag="ufrag", local_pwd=secret, remote_ufrag="r" * 4, remote_pwd=secret
        )
        assert "s3cret" not in repr(ice)
        with connected(console) as peer:
            with pytest.raises(ValueError, match="local_key") as caught:
                console.engine.install_keys(
                    999,
                    peer.transport,
                    profile="AEAD_AES_256_GCM",
                    local_key=b"s3cret",
                    local_salt=peer.salt,
                    remote_key=peer.key,
                    remote_salt=peer.salt,
                )
            assert "s3cret" not in str(caught.value)
            dump = console.call(console.engine.dump)
            assert "worker 0" in dump
            assert peer.server_pwd not in dump
            assert peer.key.hex() not in dump


class TestCommands:
    def test_each_request_is_answered_once_and_in_order(self, console: Console) -> None:
        engine, ice = console.engine, ice_parameters()
        sent = [
            request
            for transport in range(1, 101)
            for request in (
                console.send(engine.open_transport, transport, worker=0, ice=ice),
                console.send(engine.close_transport, transport),
            )
        ]
        console.stats()
        assert [response.request for response in console.responses] == sent
        assert {response.error for response in console.responses} == {None}

    def test_unknown_ids(self, console: Console) -> None:
        engine = console.engine
        nowhere: tuple[tuple[Callable[..., None], tuple[int, ...], dict[str, object]], ...] = (
            (engine.close_transport, (7,), {}),
            (engine.add_track, (7, 8), {"parameters": published()}),
            (engine.remove_track, (7,), {}),
            (engine.subscribe, (7, 8), {"parameters": viewed()}),
            (engine.unsubscribe, (7,), {}),
            (engine.attach, (7, 8), {"payload_types": [(1, 1)]}),
            (engine.detach, (7,), {}),
            (engine.select_layer, (7,), {"rid": None}),
            (engine.pause, (7,), {"paused": True}),
            (engine.request_key_frame, (7,), {}),
            (engine.add_remote_candidate, (7,), {"address": "127.0.0.1:1", "priority": 1}),
            (engine.restart_ice, (7,), {"ice": ice_parameters()}),
        )
        for command, arguments, options in nowhere:
            with pytest.raises(Refused, match="unknown_id"):
                console.call(command, *arguments, **options)
        engine.send_dtls(7, b"to nobody")

    def test_a_candidate_is_checked_from_the_sockets_that_reach_it(self) -> None:
        ice = native.IceParameters(
            role="controlling", local_ufrag="ufrag", local_pwd="p" * 22, remote_ufrag="peer", remote_pwd="q" * 22
        )
        with (
            running_console([["127.0.0.1:0", "[::1]:0"]]) as console,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as four,
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six,
        ):
            console.call(console.engine.open_transport, 1, worker=0, ice=ice)
            for peer, host in ((six, "::1"), (four, "127.0.0.1")):
                peer.bind((host, 0))
                peer.settimeout(TIME_LIMIT)
                address = f"[{host}]:{peer.getsockname()[1]}" if ":" in host else f"{host}:{peer.getsockname()[1]}"
                console.call(console.engine.add_remote_candidate, 1, address=address, priority=1)
                assert peer.recv(2000)[:2] == b"\x00\x01", "a binding request"

    def test_an_id_is_used_once(self, console: Console) -> None:
        engine, ice = console.engine, ice_parameters()
        console.call(engine.open_transport, 1, worker=0, ice=ice)
        with pytest.raises(Refused, match="id_in_use"):
            console.call(engine.open_transport, 1, worker=0, ice=ice)
        console.call(engine.add_track, 1, 2, parameters=published())
        with pytest.raises(Refused, match="id_in_use"):
            console.call(engine.add_track, 1, 2, parameters=published())

    def test_a_worker_that_never_was(self, console: Console) -> None:
        with pytest.raises(Refused, match="invalid_argument"):
            console.call(console.engine.open_transport, 1, worker=1, ice=ice_parameters())

    async def test_the_queue_wakes_asyncio(self, console: Console) -> None:
        told: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(
            console.engine.fileno(), lambda: told.set_result(list(console.engine.poll()))
        )
        console.send(console.engine.dump)
        (response,) = await asyncio.wait_for(told, TIME_LIMIT)
        assert isinstance(response, native.Response)
        assert repr(response) == f"Response(request={response.request})"
        asyncio.get_running_loop().remove_reader(console.engine.fileno())

    def test_stats_have_a_row_for_everything(self, console: Console) -> None:
        with connected(console) as publisher, connected(console) as viewer:
            subscription = attach(console, viewer, publisher.add_track(published()))
            stats = console.stats()
        assert [row.worker for row in stats.workers] == [0]
        assert stats.workers[0].thread_cpu_seconds > 0
        assert {row.transport for row in stats.transports} == {publisher.transport, viewer.transport}
        assert all(row.connected and row.worker == 0 for row in stats.transports)
        assert [row.transport for row in stats.tracks] == [publisher.transport]
        assert [row.subscription for row in stats.subscriptions] == [subscription]

    def test_what_was_counted_stays(self, console: Console) -> None:
        with connected(console) as publisher, connected(console) as viewer:
            attach(console, viewer, publisher.add_track(published()))
            publisher.send_rtp(frame(1, key=True))
            viewer.receive_rtp()
            (before,) = console.stats().workers
            for peer in (publisher, viewer):
                console.call(console.engine.close_transport, peer.transport)
        stats = console.stats()
        (after,) = stats.workers
        assert (stats.transports, stats.tracks) == ([], [])
        assert after.packets_received == before.packets_received == 1
        assert after.packets_sent >= before.packets_sent >= 1
        assert after.key_frames == before.key_frames == 1


class TestClose:
    def test_threads_and_descriptors_end(self) -> None:
        process = psutil.Process()
        threads, descriptors = process.num_threads(), process.num_fds()
        for _ in range(3):
            with running_console([["127.0.0.1:0", "[::1]:0"], ["127.0.0.1:0"]]) as console:
                console.call(console.engine.open_transport, 1, worker=1, ice=ice_parameters())
                assert process.num_threads() == threads + 2
            assert process.num_threads() == threads
            del console
        assert process.num_fds() == descriptors

    def test_commands_after_it(self, console: Console) -> None:
        sent = console.send(console.engine.stats)
        console.engine.close()
        console.engine.close()
        with pytest.raises(native.EngineClosed):
            console.engine.stats(1)
        with pytest.raises(native.EngineClosed):
            console.engine.send_dtls(1, b"late")
        (response,) = console.engine.poll()
        assert isinstance(response, native.Response)
        assert response.request == sent, "what was queued before is answered"

    def test_what_was_to_be_sent_is_sent(self, console: Console) -> None:
        with connected(console) as peer:
            console.engine.send_dtls(peer.transport, b"\x15goodbye")
            console.engine.close()
            assert peer.socket.recv(100) == b"\x15goodbye"

    async def test_it_happens_when_the_engine_is_forgotten(self) -> None:
        """A thread that was joined may be in the process's list for a moment."""
        threads = psutil.Process().num_threads()
        engine = native.Engine(sockets=[["127.0.0.1:0"]])
        del engine

        async def gone() -> bool:
            return psutil.Process().num_threads() <= threads

        await eventually(gone)


class TestIce:
    def test_a_check_is_answered(self, console: Console) -> None:
        peer = Peer(console)
        with contextlib.closing(peer):
            request = peer.check()
            peer.socket.sendto(bytes(request), peer.server)
            response = stun.parse_message(peer.socket.recv(2048))
            assert response.check_message_integrity(peer.server_pwd.encode())
            assert response.message_class == stun.Class.RESPONSE
            assert response.transaction_id == request.transaction_id
            assert response.attributes["XOR-MAPPED-ADDRESS"] == peer.socket.getsockname()
            event = console.wait(native.IceConnected, transport=peer.transport)
            assert event.local == "{}:{}".format(*peer.server)
            assert event.remote == "{}:{}".format(*peer.socket.getsockname())
            assert repr(event).startswith(f"IceConnected(transport={peer.transport}, ")

    def test_a_wrong_password_connects_nobody(self, console: Console) -> None:
        peer = Peer(console)
        with contextlib.closing(peer):
            peer.socket.sendto(bytes(peer.check(pwd="x" * 32)), peer.server)
            peer.socket.sendto(bytes(peer.check(nominate=False)), peer.server)
            response = stun.parse_message(peer.socket.recv(2048))
            while response.message_class == stun.Class.ERROR:
                response = stun.parse_message(peer.socket.recv(2048))
            (row,) = console.stats().transports
            assert not console.events
            assert row.remote is None or not row.connected

    def test_dtls_passes_both_ways(self, console: Console) -> None:
        with connected(console) as peer, socket.socket(type=socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"\x16stranger", peer.server)
            peer.socket.sendto(b"\x16hello", peer.server)
            event = console.wait(native.Dtls)
            assert (event.transport, event.data) == (peer.transport, b"\x16hello")
            assert repr(event) == f"Dtls(transport={peer.transport}, data=<6 bytes>)"
            console.engine.send_dtls(peer.transport, b"\x16answer")
            assert peer.socket.recv(100) == b"\x16answer"


class TestForwarding:
    @pytest.mark.parametrize("profile", KEY_LENGTHS)
    def test_to_two_viewers(self, console: Console, profile: SrtpProfile) -> None:
        with (
            connected(console, profile=profile) as publisher,
            connected(console, profile=profile) as first,
            connected(console) as second,
        ):
            track = publisher.add_track(published())
            viewers = (first, second)
            for viewer in viewers:
                attach(console, viewer, track)
            for sequence in range(65530, 65542):
                publisher.send_rtp(frame(sequence, key=sequence == 65530))
            for viewer in viewers:
                packets = [viewer.receive_rtp() for _ in range(12)]
                assert {packet.ssrc for packet in packets} == {VIEWED_SSRC}
                assert {packet.payload_type for packet in packets} == {120}
                start = packets[0].sequence_number
                assert [packet.sequence_number for packet in packets] == [(start + i) & 0xFFFF for i in range(12)]
                steps = {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(packets)}
                assert steps == {3000}
                assert [packet.payload for packet in packets] == [KEY_FRAME] + [DELTA_FRAME] * 11
            started = console.wait(native.TrackStarted, track=track, width=640)
            assert (started.ssrc, started.payload_type, started.height) == (PUBLISHED_SSRC, 96, 360)

    def test_keys_are_installed_once(self, console: Console) -> None:
        with connected(console) as peer, pytest.raises(Refused, match="invalid_state"):
            peer.install_keys()

    def test_media_before_the_keys_waits_for_them(self, console: Console) -> None:
        publisher = Peer(console)
        with contextlib.closing(publisher), connected(console) as viewer:
            publisher.nominate()
            attach(console, viewer, publisher.add_track(published()))
            publisher.send_rtp(frame(1, key=True))
            publisher.send_rtp(frame(2))
            publisher.socket.sendto(b"\x16marker", publisher.server)
            console.wait(native.Dtls)
            publisher.install_keys()
            assert [viewer.receive_rtp().payload for _ in range(2)] == [KEY_FRAME, DELTA_FRAME]

    def test_forged_and_replayed_packets_go_nowhere(self, console: Console) -> None:
        with connected(console) as publisher, connected(console) as viewer:
            attach(console, viewer, publisher.add_track(published()))
            wire = publisher.protect(frame(1, key=True))
            publisher.socket.sendto(wire[:-1] + bytes([wire[-1] ^ 1]), publisher.server)
            for _ in range(3):
                publisher.socket.sendto(wire, publisher.server)
            publisher.send_rtp(frame(2))
            assert [viewer.receive_rtp().payload for _ in range(2)] == [KEY_FRAME, DELTA_FRAME]
            rejected = {row.transport: row.srtp_rejected for row in console.stats().transports}
            assert rejected[publisher.transport] == 3

    @pytest.mark.parametrize("rtx", [False, True])
    def test_a_nack_is_answered(self, console: Console, rtx: bool) -> None:
        with connected(console) as publisher, connected(console) as viewer:
            subscription = attach(console, viewer, publisher.add_track(published()), rtx=rtx)
            for sequence in range(1, 6):
                publisher.send_rtp(frame(sequence, key=sequence == 1))
            wire = [viewer.receive_datagram() for _ in range(5)][2]
            lost = viewer.unprotect(wire)
            viewer.send_rtcp(
                RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=VIEWED_SSRC, lost=[lost.sequence_number])
            )
            again = viewer.receive_datagram()
            if rtx:
                repaired = viewer.unprotect(again)
                assert (repaired.ssrc, repaired.payload_type) == (VIEWED_RTX_SSRC, 121)
                assert repaired.payload == struct.pack("!H", lost.sequence_number) + lost.payload
            else:
                assert again == wire, "another byte under the same index would break the encryption"
            (row,) = console.stats().subscriptions
            assert (row.subscription, row.retransmitted, row.nacks_received) == (subscription, 1, 1)

    def test_a_gap_is_asked_for_and_repaired(self, console: Console) -> None:
        with connected(console) as publisher, connected(console) as viewer:
            attach(console, viewer, publisher.add_track(published()))
            for sequence in (1, 2, 4, 5, 6):
                publisher.send_rtp(frame(sequence, key=sequence == 1))
            nack = publisher.receive_rtcp(RtcpRtpfbPacket)
            assert (nack.fmt, nack.media_ssrc, nack.lost) == (RTCP_RTPFB_NACK, PUBLISHED_SSRC, [3])
            publisher.send_rtp(frame(3))
            first = viewer.receive_rtp().sequence_number
            assert {(viewer.receive_rtp().sequence_number - first) & 0xFFFF for _ in range(5)} == {1, 2, 3, 4, 5}

    def test_reports_and_key_frame_requests(self, console: Console) -> None:
        with connected(console) as publisher, connected(console) as viewer:
            attach(console, viewer, publisher.add_track(published()))
            publisher.send_rtp(frame(1))
            request = publisher.receive_rtcp(RtcpPsfbPacket)
            assert (request.fmt, request.media_ssrc) == (RTCP_PSFB_PLI, PUBLISHED_SSRC)
            publisher.send_rtp(frame(2, key=True))
            assert viewer.receive_rtcp(RtcpSrPacket).ssrc == VIEWED_SSRC


class TestWorkers:
    def test_a_track_reaches_viewers_of_another_worker(self) -> None:
        with (
            running_console([["127.0.0.1:0"], ["127.0.0.1:0"]]) as console,
            connected(console, worker=0) as publisher,
            connected(console, worker=1) as far,
            connected(console, worker=1) as farther,
        ):
            track = publisher.add_track(published())
            subscriptions = [attach(console, viewer, track) for viewer in (far, farther)]
            publisher.send_rtp(frame(1))
            assert publisher.receive_rtcp(RtcpPsfbPacket).fmt == RTCP_PSFB_PLI, "their request travels back"
            for sequence in range(2, 5):
                publisher.send_rtp(frame(sequence, key=sequence == 2))
            for viewer in (far, farther):
                packets = [viewer.receive_rtp() for _ in range(3)]
                assert [packet.payload for packet in packets] == [KEY_FRAME, DELTA_FRAME, DELTA_FRAME]
            stats = console.stats()
            assert [row.relay_dropped for row in stats.workers] == [0, 0]
            assert [row.track for row in stats.tracks] == [track]

            for subscription in subscriptions:
                console.call(console.engine.detach, subscription)
            console.call(console.engine.attach, subscriptions[1], track, payload_types=[(96, 120)])
            publisher.send_rtp(frame(5, key=True))
            assert farther.receive_rtp().payload == KEY_FRAME, "the relay came back"
            console.call(console.engine.remove_track, track)
            with pytest.raises(Refused, match="unknown_id"):
                console.call(console.engine.attach, subscriptions[0], track, payload_types=[(96, 120)])


class TestSockets:
    def test_the_largest_datagram_is_harmless(self, console: Console) -> None:
        with connected(console) as peer, socket.socket(type=socket.SOCK_DGRAM) as stranger:
            for first in (0x00, 0x16, 0x80):
                stranger.sendto(bytes([first]) + bytes(65506), peer.server)
                peer.socket.sendto(bytes([first]) + bytes(65506), peer.server)
            stranger.sendto(b"", peer.server)
            peer.socket.sendto(b"\x16hello", peer.server)
            assert console.wait(native.Dtls).data == b"\x16hello"
            (row,) = console.stats().workers
            assert row.datagrams_received >= 8

    @pytest.mark.parametrize("offload", [True, False])
    def test_a_burst_is_one_call_where_the_kernel_segments(self, console: Console, offload: bool) -> None:
        with connected(console) as publisher, connected(console) as viewer:
            if not offload:
                forbid_segmentation(console)
            attach(console, viewer, publisher.add_track(published()))
            publisher.send_rtp(frame(1, key=True))
            viewer.receive_rtp()
            before = console.stats().workers[0]
            burst = [publisher.protect(frame(sequence)) for sequence in range(2, 10)]
            segment = [(SOL_UDP, UDP_SEGMENT, struct.pack("H", len(burst[0])))]
            publisher.socket.sendmsg([b"".join(burst)], segment, 0, publisher.server)
            assert len({viewer.receive_rtp().sequence_number for _ in range(8)}) == 8
            after = console.stats().workers[0]
            assert after.datagrams_received == before.datagrams_received + 8, "UDP_GRO hands them over as one"
            assert after.gso is offload
            assert after.send_errors == 0
            calls = after.send_calls - before.send_calls
            assert calls < 8 if offload else calls > 8


def forbid_segmentation(console: Console) -> None:
    """The kernel does not segment for a socket that sends without checksums: as one that cannot at all."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(descriptor.name))) as candidate:
            if candidate.type == socket.SOCK_DGRAM and candidate.getsockname() == console.address():
                candidate.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)


def test_media_threads_have_names() -> None:
    with running_console([["127.0.0.1:0"], ["127.0.0.1:0"]]) as console:
        assert len(console.stats().workers) == 2
        names = {(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}
    assert {"media-0", "media-1"} <= names
