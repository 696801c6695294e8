"""Data channels of real clients through a gateway: who hears whom, and that nothing of a message changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from tests.interop.conftest import with_client
from tests.interop.firefox import firefox_page
from tests.interop.peers import Picture, negotiate
from tests.waiting import eventually

if TYPE_CHECKING:
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
    await publisher.evaluate("t.openChannel('publisher', { label: 'later' })")
    await publisher.evaluate("t.say('publisher', 'later', 'to the one channel of the viewer')")
    await hears(viewer, "viewer", ["first", "to the one channel of the viewer"])
    await viewer.evaluate("t.openChannel('viewer', { label: 'later' })")
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
        for message in (TEXT, BINARY, LARGE):
            await publisher.evaluate("(m) => t.say('viewer', 'chat', m)", message)
            await hears(viewer, "viewer", ["chat", message])
            await viewer.evaluate("(m) => t.say('viewer', 'chat', m)", message)
            await hears(publisher, "viewer", ["chat", message])


@pytest.mark.usefixtures("loopback_candidates")
async def test_aiortc_publisher_and_viewer_talk(gateway: Gateway) -> None:
    publisher, viewer = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    heard: dict[str, asyncio.Queue[str | bytes]] = {"publisher": asyncio.Queue(), "viewer": asyncio.Queue()}
    channels = {}
    try:
        publisher.addTransceiver(Picture(), direction="sendonly")
        viewer.addTransceiver("video", direction="recvonly")
        for name, connection, door in (("publisher", publisher, "whip"), ("viewer", viewer, "whep")):
            channels[name] = connection.createDataChannel("chat")
            channels[name].on("message", heard[name].put_nowait)
            await negotiate(connection, f"{gateway.url}/{door}/aio")
        async with asyncio.timeout(20):
            for channel in channels.values():
                while channel.readyState != "open":  # noqa: ASYNC110 - aiortc's events may come before a listener
                    await asyncio.sleep(0.01)
            for message in (TEXT, bytes(BINARY), bytes(LARGE), "", b""):
                channels["publisher"].send(message)
                assert await heard["viewer"].get() == message
                channels["viewer"].send(message)
                assert await heard["publisher"].get() == message
    finally:
        await publisher.close()
        await viewer.close()
