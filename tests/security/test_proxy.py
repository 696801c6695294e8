"""S20 and S23: behind a real reverse proxy, and requests that two HTTP servers might read differently."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from tests.fakes.remote import watch
from tests.gateway import running_gateway
from tests.http.doors import SDP
from tests.light import LightPeer
from tests.security.nginx import reverse_proxy
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateway import Gateway

PROXY, CLIENT = "127.0.0.1", "127.0.0.2"
SMUGGLED = "POST /api/streams/smuggled HTTP/1.1\r\nHost: gateway\r\nContent-Length: 0\r\n\r\n"

AMBIGUOUS = {
    "both lengths": f"Content-Length: {{length}}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}",
    "two lengths": f"Content-Length: 0\r\nContent-Length: {{length}}\r\n\r\n{SMUGGLED}",
    "a list of lengths": f"Content-Length: 0, {{length}}\r\n\r\n{SMUGGLED}",
    "a signed length": f"Content-Length: +0\r\n\r\n{SMUGGLED}",
    "a hexadecimal length": f"Content-Length: 0x0\r\n\r\n{SMUGGLED}",
    "an underscore in the length": f"Content-Length: 0_0\r\n\r\n{SMUGGLED}",
    "a space before the colon": f"Transfer-Encoding : chunked\r\nContent-Length: {{length}}\r\n\r\n0\r\n\r\n{SMUGGLED}",
    "another coding": f"Transfer-Encoding: xchunked\r\nContent-Length: {{length}}\r\n\r\n0\r\n\r\n{SMUGGLED}",
    "chunked twice": f"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n{SMUGGLED}",
    "chunked is not last": f"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{SMUGGLED}",
    "a folded header": f"Transfer-Encoding:\r\n chunked\r\nContent-Length: {{length}}\r\n\r\n0\r\n\r\n{SMUGGLED}",
    "a bare CR": f"X: a\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n{SMUGGLED}",
    "a NUL": f"X: a\0b\r\nContent-Length: 0\r\n\r\n{SMUGGLED}",
    "a chunk size with a sign": f"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n{SMUGGLED}",
    "a chunk size of many digits": f"Transfer-Encoding: chunked\r\n\r\n{'0' * 17}1\r\n\r\n0\r\n\r\n{SMUGGLED}",
}
"""Headers and what follows them. `{length}` hides the second request in the body of the first."""


async def _send(url: str, text: str) -> str:
    """All that is answered until the connection is closed, or nothing more comes."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(text.encode())
    answer = b""
    try:
        async with asyncio.timeout(0.5):
            while chunk := await reader.read(65536):
                answer += chunk
    except (TimeoutError, ConnectionResetError):
        pass
    writer.close()
    return answer.decode()


async def test_an_ambiguous_request_hides_no_other(tmp_path: Path) -> None:
    """Directly the first request is refused, and nothing after it is read; through a proxy no hidden one arrives.

    What a proxy itself takes for a second request of its client is not hidden: then the answers are two.
    """
    async with (
        running_gateway(tmp_path) as gateway,
        reverse_proxy(tmp_path, urlsplit(gateway.url).netloc) as proxy,
        aiohttp.ClientSession() as client,
    ):
        for case, text in AMBIGUOUS.items():
            rest = text.replace("{length}", str(len(SMUGGLED) + len("0\r\n\r\n")))
            request = f"POST /api/streams/first HTTP/1.1\r\nHost: gateway\r\n{rest}"
            answer = await _send(gateway.url, request)
            assert re.match("HTTP/1.[01] 400 ", answer), (case, answer)
            assert answer.count("HTTP/1.") == 1, case
            assert await gateway.get("/api/streams/") == [], case
            answers = (await _send(proxy, request)).count("HTTP/1.1 ")
            made = [stream["id"] for stream in await gateway.get("/api/streams/")]
            assert "smuggled" not in made or answers == 2, case
            for name in made:
                async with client.delete(f"{gateway.url}/api/streams/{name}") as response:
                    assert response.status == 204


async def test_everything_works_behind_a_proxy(tmp_path: Path) -> None:
    async with (
        running_gateway(tmp_path) as gateway,
        reverse_proxy(tmp_path, urlsplit(gateway.url).netloc) as proxy,
        aiohttp.ClientSession() as client,
        client.get(f"{proxy}/api/sse/streams") as events,
    ):
        assert await events.content.readline() == b"data: []\n"
        async with client.post(f"{proxy}/whep/gr%C3%B6%C3%9Fe", data=watch("opus", "vp8"), headers=SDP) as response:
            assert response.status == 201
            answer, location = await response.text(), response.headers["Location"]
        peer = LightPeer()
        await peer.connect(answer)
        # Events are not held back until a buffer of the proxy is full.
        async with asyncio.timeout(10):
            while True:
                line = (await events.content.readline()).decode()
                if line.startswith("data: "):
                    (stream,) = json.loads(line.removeprefix("data: "))
                    if [session["state"] for session in stream["subscribe"]["sessions"]] == ["connected"]:
                        break
        async with client.delete(proxy + location) as response:
            assert response.status == 204
        await asyncio.wait_for(peer.closed.wait(), 10)
        peer.close()


async def _status(url: str, forwarded: str, *, address: str = CLIENT) -> int:
    """Of one POST by a client at `address` that claims to be forwarded for somebody."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    async with (
        aiohttp.ClientSession(connector=connector) as client,
        client.post(f"{url}/api/streams/cam", headers={"X-Forwarded-For": forwarded}) as response,
    ):
        return response.status


async def test_who_asks_is_believed_of_trusted_proxies_only(tmp_path: Path) -> None:
    async def seen(gateway: Gateway, address: str) -> None:
        async def logged() -> bool:
            return f" {address} POST /api/streams/cam " in gateway.log[-1]

        await eventually(logged)

    config = f'trusted_proxies = ["{PROXY}"]\n'
    async with (
        running_gateway(tmp_path, config=config) as gateway,
        reverse_proxy(tmp_path, urlsplit(gateway.url).netloc) as proxy,
    ):
        await _status(proxy, "203.0.113.9")
        await seen(gateway, CLIENT)
        await _status(gateway.url, "203.0.113.9")
        await seen(gateway, CLIENT)
        await _status(gateway.url, "203.0.113.9", address=PROXY)
        await seen(gateway, "203.0.113.9")


async def test_a_made_up_address_does_not_get_round_the_rate_limit(tmp_path: Path) -> None:
    config = f'trusted_proxies = ["{PROXY}"]\nrate_limit = 1\n'
    async with (
        running_gateway(tmp_path, config=config) as gateway,
        reverse_proxy(tmp_path, urlsplit(gateway.url).netloc) as proxy,
    ):
        statuses = [await _status(proxy, f"203.0.113.{number}") for number in range(20)]
        assert 429 in statuses
        assert 429 not in statuses[:10]
