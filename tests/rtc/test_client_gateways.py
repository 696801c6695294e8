"""The client peer over the real engine, between real servers: what is played from one is published to another."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psutil
import pytest
from aioice import stun
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsFingerprint

from live777py.errors import UpstreamError
from live777py.media import native
from live777py.media.engine import MediaEngine
from live777py.outbound import AddressPolicy, Endpoint, Outbound
from live777py.rtc import sdp
from live777py.rtc.certificate import Certificate
from live777py.rtc.client import ClientPeer
from live777py.rtc.negotiation import CodecPolicy, payload_map, plan_publish
from live777py.rtc.sdpfrag import parse_fragment
from tests.fakes import media as fake_media
from tests.fakes.remote import offer
from tests.gateway import running_gateway
from tests.interop.aiortc_server import AiortcServer, aiortc_server
from tests.interop.checks import assert_moves_on, assert_quadrants
from tests.interop.peers import counter_of, playing, publishing, quadrants_of
from tests.interop.programs import ffmpeg_publisher
from tests.rtc.test_peer import WRONG, Owner
from tests.rtc.upstream import Upstream, serving
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.gateway import Gateway
    from tests.interop.aiortc_server import Setup
    from tests.interop.peers import Viewed

pytestmark = [
    pytest.mark.usefixtures("loopback_candidates"),
    pytest.mark.skipif(
        native.Engine is fake_media.Engine,  # type: ignore[comparison-overlap]
        reason="the media engine is not built: make ext",
    ),
]

OURS = Certificate.generate()


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running_gateway(tmp_path) as gateway:
        yield gateway


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running_gateway(tmp_path) as gateway:
        yield gateway


@pytest.fixture
async def engine() -> AsyncIterator[MediaEngine]:
    engine = MediaEngine([["127.0.0.1:0"]])
    yield engine
    engine.close()


class Relay:
    """Plays from one URL and publishes to another, through one engine."""

    def __init__(self, engine: MediaEngine, outbound: Outbound) -> None:
        self.engine = engine
        self.outbound = outbound
        self.owners: list[Owner] = []
        self.peers: list[ClientPeer] = []

    def peer(self, url: str) -> ClientPeer:
        self.owners.append(Owner())
        peer = ClientPeer(
            self.engine,
            OURS,
            owner=self.owners[-1],
            outbound=self.outbound,
            endpoint=Endpoint.parse(url),
            stream="stream",
            session="session",
        )
        self.peers.append(peer)
        return peer

    async def run(self, source: str, target: str) -> tuple[ClientPeer, ClientPeer]:
        player = self.peer(source)
        media = await player.play(CodecPolicy())
        publisher = self.peer(target)
        await publisher.publish(media)
        await self.attach(player, publisher)
        return player, publisher

    async def attach(self, player: ClientPeer, publisher: ClientPeer) -> None:
        for played, subscription in publisher.subscriptions:
            for published, track in player.tracks:
                payload_types = payload_map(published, played)
                if payload_types is not None:
                    await self.engine.attach(subscription, track, payload_types)

    async def close(self) -> None:
        for peer in reversed(self.peers):
            peer.close()
            await peer.wait_closed()


@pytest.fixture
async def relay(engine: MediaEngine) -> AsyncIterator[Relay]:
    """At its end nothing of it is left: no transport, socket or task."""
    outbound = Outbound(AddressPolicy(allow_private=True))
    sockets = udp_sockets()
    relay = Relay(engine, outbound)
    yield relay
    await relay.close()
    await outbound.close()
    assert engine.transports == 0
    assert (await engine.stats()).transports == []
    assert udp_sockets() == sockets
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not names & {"session POST", "session DELETE", "STUN", "dtls handshake"}


def udp_sockets() -> int:
    return sum(connection.type == socket.SOCK_DGRAM for connection in psutil.Process().net_connections("inet"))


async def assert_is_the_picture(viewed: Viewed) -> None:
    images = await viewed.frames(30)
    assert_moves_on([counter_of(image) for image in images], at_least=20)
    assert_quadrants(quadrants_of(images[-1]))
    assert viewed.audio_level > 0.1


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_from_one_gateway_to_another(gateway: Gateway, other: Gateway, relay: Relay, codec: str) -> None:
    async with publishing(f"{gateway.url}/whip/a", codec=codec), playing(f"{other.url}/whep/b") as viewed:
        player, _ = await relay.run(f"{gateway.url}/whep/a", f"{other.url}/whip/b")
        assert [[codec.name for codec in media.codecs] for media, _ in player.tracks] == [["opus"], [codec]]
        await assert_is_the_picture(viewed)
        stream = await gateway.stream("a")
        assert stream is not None
        assert len(stream["subscribe"]["sessions"]) == 1
        await relay.close()

        async def gone() -> bool:
            return await other.stream("b") is None

        await eventually(gone)


async def test_two_sessions_with_one_server(gateway: Gateway, relay: Relay) -> None:
    """Their packets come from sockets of their own, or the server could not tell them apart."""
    async with publishing(f"{gateway.url}/whip/a"), playing(f"{gateway.url}/whep/b") as viewed:
        await relay.run(f"{gateway.url}/whep/a", f"{gateway.url}/whip/b")
        await assert_is_the_picture(viewed)


@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_a_foreign_server_with_full_ice(relay: Relay, setup: Setup) -> None:
    """aiortc checks back, takes either part in DTLS, and knows none of most codecs that are asked for."""
    async with aiortc_server(AiortcServer(setup=setup)) as server:
        player, _ = await relay.run(f"{server.url}whep", f"{server.url}whip")
        assert [[codec.name for codec in media.codecs] for media, _ in player.tracks] == [["opus"], ["VP8"]]
        assert server.viewed is not None
        await assert_is_the_picture(server.viewed)
        await relay.close()
        assert server.deleted == 2


@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_no_media_from_a_server_with_another_certificate(
    relay: Relay, monkeypatch: pytest.MonkeyPatch, setup: Setup
) -> None:
    monkeypatch.setattr(RTCCertificate, "getFingerprints", lambda _: [RTCDtlsFingerprint(*WRONG)])
    async with aiortc_server(AiortcServer(setup=setup)) as server:
        with pytest.raises(UpstreamError, match="dtls-failed"):
            await relay.peer(f"{server.url}whep").play(CodecPolicy())
    assert await relay.owners[0].end() == "dtls-failed"
    assert all(track.packets == 0 for track in (await relay.engine.stats()).tracks)


class StunServer(asyncio.DatagramProtocol):
    """Sees everybody behind a NAT at `SEEN`."""

    SEEN = ("203.0.113.9", 4242)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        request = stun.parse_message(data)
        answer = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=request.transaction_id,
        )
        answer.attributes["XOR-MAPPED-ADDRESS"] = self.SEEN
        self.transport.sendto(bytes(answer), addr)


async def test_the_other_side_hears_how_a_stun_server_sees_us(relay: Relay) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(StunServer, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    links = [f'<stun:127.0.0.1:{port}>; rel="ice-server"']
    with contextlib.closing(transport):
        async with serving(Upstream(links=links)) as upstream, asyncio.timeout(10):
            await relay.peer(f"{upstream.url}whip/x").publish(plan_publish(offer("opus", "vp8"), CodecPolicy()).media)
            await upstream.patched.wait()
            ((_, candidate),) = parse_fragment(upstream.requests("PATCH")[0].body).candidates
            assert (candidate.type, candidate.address, candidate.port) == ("srflx", *StunServer.SEEN)
            own = sdp.parse(upstream.requests("POST")[0].body).media[0].candidates[0]
            assert (candidate.related_address, candidate.related_port) == (own.address, own.port)
            await relay.close()


async def test_ffmpeg_behind_a_gateway(gateway: Gateway, other: Gateway, relay: Relay) -> None:
    """Its H264 and Opus arrive as it encoded them: the profile is the publisher's, the sound is stereo."""
    async with ffmpeg_publisher(f"{gateway.url}/whip/demo"):

        async def live() -> bool:
            stream = await gateway.stream("demo")
            return stream is not None and any(s["state"] == "connected" for s in stream["publish"]["sessions"])

        await eventually(live)
        async with playing(f"{other.url}/whep/demo") as viewed:
            player, _ = await relay.run(f"{gateway.url}/whep/demo", f"{other.url}/whip/demo")
            video = next(media for media, _ in player.tracks if media.kind == "video")
            assert video.codecs[0].name == "H264"
            images = await viewed.frames(30)
            assert images[-1].shape == (720, 1280, 3)


async def test_the_upstream_ends(gateway: Gateway, relay: Relay) -> None:
    """A publisher that DELETEs takes its viewers along, the client peer too."""
    async with publishing(f"{gateway.url}/whip/a"):
        await relay.peer(f"{gateway.url}/whep/a").play(CodecPolicy())
    assert await relay.owners[0].end() == "peer-closed"


async def test_another_codec_upstream(gateway: Gateway, relay: Relay) -> None:
    """The next publisher of the stream sends what the session had as its second choice: time to play anew."""
    async with publishing(f"{gateway.url}/whip/a", codec="VP8", goodbye=False):
        player = relay.peer(f"{gateway.url}/whep/a")
        await player.play(CodecPolicy())
    async with publishing(f"{gateway.url}/whip/a", codec="H264"):
        assert await relay.owners[0].end() == "codec-changed"
        media = await relay.peer(f"{gateway.url}/whep/a").play(CodecPolicy())
        assert media[1].codecs[0].name == "H264"


async def test_the_example_of_the_documentation(gateway: Gateway, other: Gateway) -> None:
    text = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
    names: dict[str, Any] = {}
    exec(text.partition("```python\n")[2].partition("```")[0], names)  # noqa: S102 (it is ours)
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with publishing(f"{gateway.url}/whip/a"), playing(f"{other.url}/whep/b") as viewed:
        relaying = asyncio.create_task(names["relay"](f"{gateway.url}/whep/a", f"{other.url}/whip/b"))
        await assert_is_the_picture(viewed)
    await asyncio.wait_for(relaying, 10)  # the source has gone
    assert faults == []
