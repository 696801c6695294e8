"""The client peer against running gateways: what is played from one is published to another, over real sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from live777py.media import native
from live777py.media.engine import MediaEngine
from live777py.outbound import AddressPolicy, Endpoint, Outbound
from live777py.rtc.certificate import Certificate
from live777py.rtc.client import ClientPeer
from live777py.rtc.negotiation import CodecPolicy, payload_map
from tests.fakes import media as fake_media
from tests.gateway import running_gateway
from tests.interop.checks import assert_moves_on, assert_quadrants
from tests.interop.peers import counter_of, playing, publishing, quadrants_of
from tests.rtc.test_peer import Owner
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.gateway import Gateway

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


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    outbound = Outbound(AddressPolicy(allow_private=True))
    yield outbound
    await outbound.close()


def peer(engine: MediaEngine, outbound: Outbound, url: str, owner: Owner | None = None) -> ClientPeer:
    return ClientPeer(
        engine,
        OURS,
        owner=owner or Owner(),
        outbound=outbound,
        endpoint=Endpoint.parse(url),
        stream="stream",
        session="session",
    )


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_what_is_played_from_one_gateway_is_published_to_another(
    gateway: Gateway, other: Gateway, engine: MediaEngine, outbound: Outbound, codec: str
) -> None:
    async with publishing(f"{gateway.url}/whip/a", codec=codec):
        player = peer(engine, outbound, f"{gateway.url}/whep/a")
        media = await player.play(CodecPolicy())
        assert [(track.kind, [codec.name for codec in track.codecs]) for track in media] == [
            ("audio", ["opus"]),
            ("video", [codec]),
        ]
        publisher = peer(engine, outbound, f"{other.url}/whip/b")
        await publisher.publish(media)
        for played, subscription in publisher.subscriptions:
            for published, track in player.tracks:
                types = payload_map(published, played)
                if types is not None:
                    await engine.attach(subscription, track, types)
        async with playing(f"{other.url}/whep/b") as viewed:
            images = await viewed.frames(30)
            assert_moves_on([counter_of(image) for image in images], at_least=20)
            assert_quadrants(quadrants_of(images[-1]))
            assert viewed.audio_level > 0.1
        for one in (publisher, player):
            one.close()
            await one.wait_closed()

    async def gone() -> bool:
        return await other.stream("b") is None

    await eventually(gone)
