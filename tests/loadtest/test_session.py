"""What one session of a run amounts to, against a server that does as the test says, over the fake engine."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from live777py.loadtest.clip import load
from live777py.loadtest.feed import Feed
from live777py.loadtest.session import Publisher, Viewer
from live777py.outbound import AddressPolicy, Endpoint, Outbound
from live777py.rtc.certificate import Certificate
from tests.fakes import media as fake_media
from tests.fakes.client import AUDIO, VIDEO
from tests.fakes.remote import Remote
from tests.rtc.upstream import Upstream, serving
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from live777py.loadtest.session import BenchSession
    from live777py.media.engine import MediaEngine

CERTIFICATE = Certificate.generate()


class House:
    """`upstream` is the server."""

    def __init__(self, engine: MediaEngine, fake: fake_media.Engine, outbound: Outbound, upstream: Upstream) -> None:
        self.engine = engine
        self.fake = fake
        self.upstream = upstream
        self._outbound = outbound
        self._stack = AsyncExitStack()

    def viewer(self) -> Viewer:
        self.upstream.published = (AUDIO, VIDEO)
        return Viewer(0, self._endpoint("whep/x"), **self._common())

    async def publisher(self) -> Publisher:
        feed = await self._stack.enter_async_context(Feed(self.engine, load("vp8")))
        return Publisher(0, self._endpoint("whip/x"), **self._common(), feed=feed)

    async def connect(self, session: BenchSession, *codecs: tuple[str, int]) -> None:
        """Media of these kinds and payload types begin then."""
        starting = asyncio.create_task(session.start())

        async def opened() -> bool:
            await self.engine.dump()
            known = (*self.fake.tracks.values(), *self.fake.subscriptions.values())
            return session.transport in [transport for transport, _ in known]

        await eventually(opened)
        await Remote(self.fake, session.transport, server=True).connect(CERTIFICATE.fingerprint)
        for kind, payload_type in codecs:
            self.fake.emit(fake_media.TrackStarted(self.track(session, kind), None, 1, payload_type, 0, 0))
        async with asyncio.timeout(10):
            await starting

    def track(self, session: BenchSession, kind: str) -> int:
        (track,) = (
            number
            for number, (transport, parameters) in self.fake.tracks.items()
            if transport == session.transport and parameters.kind == kind
        )
        return track

    async def close(self) -> None:
        await self._stack.aclose()

    def _endpoint(self, path: str) -> Endpoint:
        return Endpoint.parse(f"{self.upstream.url}{path}")

    def _common(self) -> dict[str, Any]:
        return {"engine": self.engine, "certificate": CERTIFICATE, "outbound": self._outbound}


@pytest.fixture
async def house(engine: MediaEngine, fake: fake_media.Engine) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(serving(Upstream()))
        outbound = Outbound(AddressPolicy(allow_private=True))
        stack.push_async_callback(outbound.close)
        house = House(engine, fake, outbound, upstream)
        stack.push_async_callback(house.close)
        yield house


@pytest.mark.parametrize(
    ("sound", "picture", "failure"),
    [
        ({"first_packet_ms": 5.0}, {"first_packet_ms": 6.0, "first_key_frame_ms": 7.0}, None),
        ({}, {}, "connected, and nothing came"),
        ({"first_packet_ms": 5.0}, {}, "sound came, and no picture"),
        ({"first_packet_ms": 5.0}, {"first_packet_ms": 6.0}, "pictures came, and no whole key frame"),
        ({}, {"first_packet_ms": 6.0}, "pictures came, and no whole key frame"),
    ],
)
async def test_a_viewer_must_have_seen_a_picture(
    house: House, sound: dict[str, Any], picture: dict[str, Any], failure: str | None
) -> None:
    viewer = house.viewer()
    await house.connect(viewer, ("audio", 111), ("video", 96))
    rows = [("audio", sound), ("video", picture)]
    viewer.sample([fake_media.TrackStats(track=house.track(viewer, kind), **times) for kind, times in rows])
    assert viewer.report().failure == failure
    await viewer.end()


async def test_a_publisher_of_whom_not_everything_is_taken_has_failed(house: House) -> None:
    house.upstream.change = lambda text: text.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0").replace(
        "m=video 7777", "m=video 0"
    )
    publisher = await house.publisher()
    await house.connect(publisher)
    publisher.sample([fake_media.SubscriptionStats(subscription=1, packets=100)])
    assert publisher.report().failure == "the server takes no video"
    await publisher.end()
