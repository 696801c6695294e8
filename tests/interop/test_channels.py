"""Data channels of real clients through a gateway: who hears whom, and that nothing of a message changes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from tests.gateway import running_gateway
from tests.interop.conftest import with_client
from tests.interop.firefox import firefox_page
from tests.interop.peers import Picture, negotiate
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiortc import RTCDataChannel
    from playwright.async_api import Browser

    from tests.gateway import Gateway
    from tests.interop.conftest import Page

TEXT = "gr\u00fc\u00dfe \U0001f600"
BINARY = [0, 255, 1, 128]
LARGE = [number % 251 for number in range(60_000)]


async def hears(page: Page, role: str, *expected: list[Any]) -> None:
    """All of this, in this order, and it is forgotten."""

    async def all_of_it() -> bool:
        return len(await page.evaluate(f"t.heard('{role}')")) >= len(expected)

    await eventually(all_of_it)
    assert await page.evaluate(f"t.heard('{role}').splice(0)") == list(expected)


async def opened(role: str, *pages: Page) -> None:
    for page in pages:
        await page.evaluate(f"t.opened('{role}')")


async def has_data_channels(gateway: Gateway, name: str) -> list[bool]:
    stream = await gateway.stream(name)
    assert stream is not None
    return [session["hasDataChannel"] for side in ("publish", "subscribe") for session in stream[side]["sessions"]]


async def test_chromium_publisher_and_viewers_talk(gateway: Gateway, chromium: Browser) -> None:
    publisher, viewer, other, mute = [await with_client(await chromium.new_page(), gateway) for _ in range(4)]
    await publisher.evaluate(
        "(o) => t.publish(o)", {"url": f"{gateway.url}/whip/talk", "video": "VP8", "channels": [{"label": "chat"}]}
    )
    whep = f"{gateway.url}/whep/talk"
    await viewer.evaluate("(o) => t.play(o)", {"url": whep, "channels": [{"label": "chat"}, {"label": "log"}]})
    await other.evaluate("(o) => t.play(o)", {"url": whep, "channels": [{"label": "own", "ordered": False}]})
    await mute.evaluate("(o) => t.play(o)", {"url": whep})
    await opened("publisher", publisher)
    await opened("viewer", viewer, other)
    assert await has_data_channels(gateway, "talk") == [True, True, True, False]
    for message in (TEXT, BINARY, "", LARGE, "end"):
        await publisher.evaluate("(m) => t.say('publisher', 'chat', m)", message)
        await hears(viewer, "viewer", ["chat", message])
        await hears(other, "viewer", ["own", message])
        await viewer.evaluate("(m) => t.say('viewer', 'chat', m)", message)
        await hears(publisher, "publisher", ["chat", message])
    assert await viewer.evaluate("t.heard('viewer')") == []
    assert await other.evaluate("t.heard('viewer')") == [], "viewers do not hear each other"


async def test_channels_that_are_made_later(gateway: Gateway, chromium: Browser) -> None:
    publisher, viewer = [await with_client(await chromium.new_page(), gateway) for _ in range(2)]
    first = {"channels": [{"label": "first"}]}
    await publisher.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/later", "video": "VP8", **first})
    await viewer.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/later", **first})
    await opened("viewer", viewer)
    await publisher.evaluate("t.openChannel('publisher', { label: 'later' })")
    await opened("publisher", publisher)
    await publisher.evaluate("t.say('publisher', 'later', 'to the one channel of the viewer')")
    await hears(viewer, "viewer", ["first", "to the one channel of the viewer"])
    await viewer.evaluate("t.openChannel('viewer', { label: 'later' })")
    await opened("viewer", viewer)
    await viewer.evaluate("t.say('viewer', 'later', 'up')")
    await hears(publisher, "publisher", ["later", "up"])
    await publisher.evaluate("t.say('publisher', 'later', 'down')")
    await hears(viewer, "viewer", ["later", "down"])


async def test_channels_that_the_pages_agreed_on(gateway: Gateway, chromium: Browser) -> None:
    """`negotiated: true` tells the gateway nothing but the number, and that with the first message."""
    publisher, viewer = [await with_client(await chromium.new_page(), gateway) for _ in range(2)]
    agreed = {"channels": [{"label": "agreed", "negotiated": True, "id": 3}]}
    await publisher.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/agreed", "video": "VP8", **agreed})
    await viewer.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/agreed", **agreed})
    await opened("publisher", publisher)
    await opened("viewer", viewer)
    await publisher.evaluate("t.say('publisher', 'agreed', 'nobody there yet')")
    await viewer.evaluate("t.say('viewer', 'agreed', 'here')")
    await hears(publisher, "publisher", ["agreed", "here"])
    await viewer.evaluate("t.heard('viewer').splice(0)")
    await publisher.evaluate("t.say('publisher', 'agreed', 'you')")

    async def heard() -> bool:
        return ["agreed", "you"] in await viewer.evaluate("t.heard('viewer')")

    await eventually(heard)


async def test_data_alone_in_firefox(gateway_beyond_loopback: Gateway) -> None:
    gateway = gateway_beyond_loopback
    async with firefox_page() as publisher, firefox_page() as viewer:
        await with_client(publisher, gateway)
        await with_client(viewer, gateway)
        chat = {"kinds": [], "channels": [{"label": "chat"}]}
        await publisher.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whip/data", **chat})
        await viewer.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/data", **chat})
        await opened("viewer", publisher, viewer)
        for message in (TEXT, BINARY, LARGE):
            await publisher.evaluate("(m) => t.say('viewer', 'chat', m)", message)
            await hears(viewer, "viewer", ["chat", message])
            await viewer.evaluate("(m) => t.say('viewer', 'chat', m)", message)
            await hears(publisher, "viewer", ["chat", message])


class Talker:
    """An aiortc peer with data channels; `heard` is what was said on any of them, with its label."""

    def __init__(self, connection: RTCPeerConnection, labels: tuple[str, ...]) -> None:
        self.channels = {label: connection.createDataChannel(label) for label in labels}
        self.heard: asyncio.Queue[tuple[str, str | bytes]] = asyncio.Queue()
        for channel in self.channels.values():
            self._listen(channel)
        connection.on("datachannel", self._listen)

    def _listen(self, channel: RTCDataChannel) -> None:
        channel.on("message", lambda message: self.heard.put_nowait((channel.label, message)))

    async def hear(self) -> tuple[str, str | bytes]:
        async with asyncio.timeout(20):
            return await self.heard.get()

    async def open(self) -> None:
        async def all_open() -> bool:
            return all(channel.readyState == "open" for channel in self.channels.values())

        await eventually(all_open)


@contextlib.asynccontextmanager
async def talking(url: str, *labels: str) -> AsyncIterator[Talker]:
    """Publishes a picture where the URL is WHIP's, plays where it is WHEP's."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    if "/whip/" in url:
        connection.addTransceiver(Picture(), direction="sendonly")
    else:
        connection.addTransceiver("video", direction="recvonly")
    talker = Talker(connection, labels)
    try:
        await negotiate(connection, url)
        await talker.open()
        yield talker
    finally:
        await connection.close()


@pytest.mark.usefixtures("loopback_candidates")
async def test_aiortc_publisher_and_viewer_talk(gateway: Gateway) -> None:
    async with (
        talking(f"{gateway.url}/whip/aio", "chat") as publisher,
        talking(f"{gateway.url}/whep/aio", "chat") as viewer,
    ):
        for message in (TEXT, bytes(BINARY), bytes(LARGE), "", b""):
            publisher.channels["chat"].send(message)
            assert await viewer.hear() == ("chat", message)
            viewer.channels["chat"].send(message)
            assert await publisher.hear() == ("chat", message)


@pytest.mark.usefixtures("loopback_candidates")
async def test_a_message_survives_a_pull_and_a_push(tmp_path: Path) -> None:
    """Publisher - A - (B pulls) - B - (B pushes) - C - viewer, and back."""
    async with running_gateway(tmp_path) as a, running_gateway(tmp_path) as c:
        config = (
            f'[[stream.hop.sources]]\nurl = "{a.url.replace("http", "whep")}/whep/hop"\n'
            f'[[stream.hop.targets]]\nurl = "{c.url.replace("http", "whip")}/whip/hop"\n'
        )
        async with (
            talking(f"{a.url}/whip/hop", "chat", "pos") as publisher,
            running_gateway(tmp_path, config=config),
        ):

            async def arrived() -> bool:
                stream = await c.stream("hop")
                return stream is not None and [s["state"] for s in stream["publish"]["sessions"]] == ["connected"]

            await eventually(arrived)
            async with talking(f"{c.url}/whep/hop", "chat", "pos") as viewer:

                async def heard_of() -> bool:
                    publisher.channels["chat"].send("ping")
                    return not viewer.heard.empty()

                await eventually(heard_of)
                publisher.channels["pos"].send("start")
                while await viewer.hear() != ("pos", "start"):
                    pass
                for label, message in (("chat", TEXT), ("pos", bytes(BINARY)), ("chat", bytes(LARGE))):
                    publisher.channels[label].send(message)
                    assert await viewer.hear() == (label, message)
                    viewer.channels[label].send(message)
                    assert await publisher.hear() == (label, message)
