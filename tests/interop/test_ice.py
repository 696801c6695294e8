"""Paths that change, and paths that are not there: ICE restarts, networks without UDP, NATs that forget, IPv6."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import socket
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import aiohttp
import aioice
import pytest

from tests.gateway import free_port, running_gateway
from tests.interop.checks import assert_moves_on, assert_sees_the_picture, wait_until
from tests.interop.chromium import chromium_browser
from tests.interop.conftest import load_client, with_client
from tests.interop.firefox import firefox_page
from tests.interop.network import GATEWAY, firewall
from tests.interop.peers import playing, publishing
from tests.interop.test_pages import WITHIN_MS, assert_decodes, open_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from playwright.async_api import Browser, Page, Response

    from tests.gateway import Gateway
    from tests.interop.network import Firewall

Address = tuple[str, int]

LONGEST_GAP_MS: Final = 1500
"""Between two pictures of an uninterrupted viewer on a busy machine."""


async def longest_gap(page: Page) -> float:
    frames: list[dict[str, float]] = await page.evaluate("() => t.frames()")
    return max(later["at"] - earlier["at"] for earlier, later in pairwise(frames))


async def test_restarts_on_both_sides_keep_the_picture(gateway: Gateway, chromium: Browser) -> None:
    publisher = await with_client(await chromium.new_page(), gateway)
    viewer = await with_client(await chromium.new_page(), gateway)
    await publisher.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/show", "video": "VP8"})
    await viewer.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/show"})
    await wait_until(viewer, "t.counters().length >= 15")
    await viewer.evaluate("() => t.inspect()")
    for page, role in ((viewer, "viewer"), (publisher, "publisher"), (viewer, "viewer")):
        ufrag = await page.evaluate("(role) => t.restartIce(role)", role)
        await wait_until(page, f"t.pair('{role}').then(({{ ufrag }}) => ufrag === '{ufrag}')")
        await viewer.evaluate("() => { t.counters().length = 0 }")
        await wait_until(viewer, "t.counters().length >= 15")
        assert_moves_on(await viewer.evaluate("() => t.counters()"), at_least=10)
    assert await longest_gap(viewer) < LONGEST_GAP_MS
    stream = await gateway.stream("show")
    assert stream is not None
    assert [len(stream[side]["sessions"]) for side in ("publish", "subscribe")] == [1, 1]


async def test_restarts_of_firefox_keep_the_picture(gateway_beyond_loopback: Gateway) -> None:
    gateway = gateway_beyond_loopback
    async with firefox_page() as publisher, firefox_page() as viewer:
        for page in (publisher, viewer):
            await with_client(page, gateway)
        await publisher.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/show", "video": "VP8"})
        await viewer.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/show"})
        await wait_until(viewer, "t.counters().length >= 15")
        for page, role in ((viewer, "viewer"), (publisher, "publisher")):
            before = await page.evaluate(f"() => t.pair('{role}')")
            await page.evaluate("(role) => t.restartIce(role)", role)
            await wait_until(page, f"t.pair('{role}').then(({{ id }}) => id !== '{before['id']}')")
            await viewer.evaluate("() => { t.counters().length = 0 }")
            await wait_until(viewer, "t.counters().length >= 15")
            assert_moves_on(await viewer.evaluate("() => t.counters()"), at_least=10)


async def test_a_viewer_answers_the_offer_that_it_asked_for(gateway: Gateway, chromium: Browser) -> None:
    publisher = await with_client(await chromium.new_page(), gateway)
    viewer = await with_client(await chromium.new_page(), gateway)
    await publisher.evaluate("(o) => t.publish(o)", {"url": f"{gateway.url}/whip/show", "video": "H264"})
    await viewer.evaluate("(o) => t.playOffered(o)", {"url": f"{gateway.url}/whep/show"})
    await assert_sees_the_picture(viewer, frames=30)


@pytest.fixture
def wire(own_network: str) -> Iterator[Firewall]:
    with firewall() as between:
        yield between


@contextlib.asynccontextmanager
async def gateway_on_the_wire(directory: Path, *, tcp: bool) -> AsyncIterator[tuple[Gateway, str]]:
    """And its URL for who is behind the firewall."""
    port = free_port()
    environment = {"LIVE777_HTTP_LISTEN": f"0.0.0.0:{port}", "LIVE777_WEBRTC_ICE_UDP_ADDRS": f"{GATEWAY}:0"}
    if tcp:
        environment["LIVE777_WEBRTC_ICE_TCP_ADDRS"] = f"{GATEWAY}:0"
    async with running_gateway(directory, environment=environment, port=port) as gateway:
        yield gateway, f"http://{GATEWAY}:{port}"


@pytest.fixture
def candidates_on_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: [GATEWAY])


@pytest.mark.usefixtures("candidates_on_the_wire")
async def test_where_no_udp_comes_through_media_comes_by_tcp(wire: Firewall, tmp_path: Path) -> None:
    """A viewer of somebody outside, and a publisher."""
    wire.drop_udp()
    async with contextlib.AsyncExitStack() as stack:
        gateway, url = await stack.enter_async_context(gateway_on_the_wire(tmp_path, tcp=True))
        with wire.entered():
            chromium = await stack.enter_async_context(chromium_browser())
        await stack.enter_async_context(publishing(f"{gateway.url}/whip/outside"))
        page = await chromium.new_page()
        await page.goto(f"{url}/metrics")
        await load_client(page)
        await page.evaluate("(o) => t.play(o)", {"url": f"{url}/whep/outside"})
        await wait_until(page, "t.counters().length >= 30")
        assert (await page.evaluate("() => t.pair('viewer')"))["protocol"] == "tcp"
        await page.evaluate("(o) => t.publish(o)", {"url": f"{url}/whip/inside", "audio": False})
        assert (await page.evaluate("() => t.pair('publisher')"))["protocol"] == "tcp"
        viewed = await stack.enter_async_context(playing(f"{gateway.url}/whep/inside"))
        await viewed.frames(30)
        async with aiohttp.ClientSession() as client, client.get(f"{gateway.url}/metrics") as response:
            connections = re.search(r"^live777_tcp_connections\S* (\d+)", await response.text(), re.MULTILINE)
            assert connections is not None
            assert int(connections[1]) >= 2


@pytest.mark.usefixtures("candidates_on_the_wire")
async def test_firefox_without_udp(wire: Firewall, tmp_path: Path) -> None:
    wire.drop_udp()
    async with contextlib.AsyncExitStack() as stack:
        gateway, url = await stack.enter_async_context(gateway_on_the_wire(tmp_path, tcp=True))
        with wire.entered():
            page = await stack.enter_async_context(firefox_page())
        await stack.enter_async_context(publishing(f"{gateway.url}/whip/cam"))
        await page.goto(f"{url}/metrics")
        await load_client(page)
        await page.evaluate("(o) => t.play(o)", {"url": f"{url}/whep/cam"})
        await wait_until(page, "t.counters().length >= 30")
        assert (await page.evaluate("() => t.pair('viewer')"))["protocol"] == "tcp"


@pytest.mark.usefixtures("candidates_on_the_wire")
async def test_the_player_outlives_an_interruption(wire: Firewall, tmp_path: Path) -> None:
    """It restarts ICE when it hears nothing, in the session that it has."""
    async with contextlib.AsyncExitStack() as stack:
        gateway, url = await stack.enter_async_context(gateway_on_the_wire(tmp_path, tcp=False))
        with wire.entered():
            chromium = await stack.enter_async_context(chromium_browser())
        await stack.enter_async_context(publishing(f"{gateway.url}/whip/cam"))
        page, _ = await open_page(chromium, f"{url}/tools/player.html?id=cam&autoplay&muted")
        player = page.locator("whep-player")
        await assert_decodes(player)
        async with page.expect_response(is_restart, timeout=WITHIN_MS):
            wire.drop_udp()
        wire.let_udp_through()
        await assert_decodes(player)
        stream = await gateway.stream("cam")
        assert stream is not None
        assert [session["state"] for session in stream["subscribe"]["sessions"]] == ["connected"]


def is_restart(response: Response) -> bool:
    return response.request.method == "PATCH" and response.status == 200


class Nat:
    """Stands before a media port of the gateway, each client behind an outer port of its own."""

    def __init__(self) -> None:
        self.sockets: dict[Address, asyncio.DatagramTransport] = {}
        self.outside = 2
        """Last part of the address that the gateway sees."""
        self._inner = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._inner.setblocking(False)
        self._inner.bind(("127.0.0.1", 0))
        self.address: Address = self._inner.getsockname()

    async def run(self, gateway: Address) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                datagram, client = await loop.sock_recvfrom(self._inner, 2048)
                if client not in self.sockets:
                    mapping = functools.partial(Mapping, self._inner, client)
                    self.sockets[client], _ = await loop.create_datagram_endpoint(
                        mapping, local_addr=(f"127.0.0.{self.outside}", 0), remote_addr=gateway
                    )
                self.sockets[client].sendto(datagram)
        finally:
            self.forget()
            self._inner.close()

    def move(self) -> None:
        """The next datagram of everybody comes from another address, and another port."""
        self.outside += 1
        self.forget()

    def forget(self) -> None:
        """The next datagram of everybody comes from another port."""
        while self.sockets:
            self.sockets.popitem()[1].close()


class Mapping(asyncio.DatagramProtocol):
    def __init__(self, inner: socket.socket, client: Address) -> None:
        self._inner = inner
        self._client = client

    def datagram_received(self, data: bytes, _gateway: Address) -> None:
        with contextlib.suppress(OSError):
            self._inner.sendto(data, self._client)


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.usefixtures("loopback_candidates")
async def test_clients_whose_address_and_port_change_keep_their_sessions(
    tmp_path: Path, chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The NAT's address is the only one that clients are told. None of them restarts ICE."""
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 1)
    nat = Nat()
    port = free_udp_port()
    outside = f"127.0.0.1:{nat.address[1]}/127.0.0.1:{port}"
    config = f"[webrtc]\nexternal_addrs = ['{outside}']\nexternal_only = true\n"
    environment = {"LIVE777_WEBRTC_ICE_UDP_ADDRS": f"127.0.0.1:{port}"}
    running = asyncio.create_task(nat.run(("127.0.0.1", port)))
    try:
        async with (
            running_gateway(tmp_path, config=config, environment=environment) as gateway,
            publishing(f"{gateway.url}/whip/cam"),
            playing(f"{gateway.url}/whep/cam") as viewed,
        ):
            page = await with_client(await chromium.new_page(), gateway)
            await page.evaluate("(o) => t.play(o)", {"url": f"{gateway.url}/whep/cam"})
            for change in (nat.move, nat.forget, None):
                await page.evaluate("() => { t.counters().length = 0 }")
                await wait_until(page, "t.counters().length >= 30")
                await viewed.frames(30)
                assert len(nat.sockets) >= 3, "Chromium may have several pairs"
                if change is not None:
                    change()
                    viewed.images.clear()
            stream = await gateway.stream("cam")
            assert stream is not None
            for side, sessions in (("publish", 1), ("subscribe", 2)):
                assert [session["state"] for session in stream[side]["sessions"]] == ["connected"] * sessions
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_all_of_it_over_ipv6(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["::1"])
    port = free_port()
    url = f"http://[::1]:{port}"
    environment = {
        "LIVE777_HTTP_LISTEN": f"[::1]:{port}",
        "LIVE777_WEBRTC_ICE_UDP_ADDRS": "[::1]:0",
        "LIVE777_WEBRTC_ICE_TCP_ADDRS": "[::1]:0",
    }
    async with (
        running_gateway(tmp_path, environment=environment, port=port) as gateway,
        publishing(f"{url}/whip/cam") as publisher,
        playing(f"{url}/whep/cam") as viewed,
    ):
        assert await gateway.logged(f"{url}/whip/")
        answer = publisher.remoteDescription.sdp
        addresses = re.findall(r"^a=candidate:\d+ 1 (\w+) \d+ (\S+) \d+ typ host(.*)", answer, re.MULTILINE)
        assert [(protocol, ip) for protocol, ip, _ in addresses][:2] == [("udp", "::1"), ("tcp", "::1")]
        assert "c=IN IP6 ::1" in answer
        await viewed.frames(15)
