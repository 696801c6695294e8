"""The whole gateway in this process, with real streams and the real engine on loopback."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from live777py.app import build_app
from live777py.config import parse
from tests.conformance.livekit_server import KEYS, livekit_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.conformance.livekit_server import LiveKitServer

Client = TestClient[web.Request, web.Application]


class Gateway:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def ask(self, method: str, path: str, body: str | bytes | None = None, **headers: str) -> ClientResponse:
        """Underscores in the names of `headers` are hyphens. The body of the answer is read."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        skip = [] if "Content-Type" in named else ["Content-Type"]
        response = await self._client.request(method, path, data=body, headers=named, skip_auto_headers=skip)
        await response.read()
        return response

    async def post(self, path: str, offer: str) -> ClientResponse:
        return await self.ask("POST", path, offer, Content_Type="application/sdp")

    def routes(self) -> set[tuple[str, str]]:
        """Method and path of each, with `show` for everything that is variable; POST stands for any method."""
        assert self._client.app is not None
        return {
            (
                "POST" if route.method == "*" else route.method,
                re.sub(r"\{[^}]*\}", "show", route.resource.canonical),
            )
            for route in self._client.app.router.routes()
            if route.resource is not None
        }

    @property
    def url(self) -> str:
        """Ends without a slash."""
        return str(self._client.make_url("/")).rstrip("/")

    async def json(self, path: str) -> Any:
        return await (await self.ask("GET", path)).json()


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[[str], Awaitable[Gateway]]]:
    clients: list[Client] = []

    async def start_it(config: str) -> Gateway:
        store = f'[store]\npath = "{tmp_path}/{len(clients)}.db"\n'
        text = f'[webrtc]\nice_udp_addrs = ["127.0.0.1:0"]\n{config}{store}'
        client: Client = TestClient(TestServer(build_app(parse(text, {}))))
        await client.start_server()
        clients.append(client)
        return Gateway(client)

    yield start_it
    for client in clients:
        await client.close()


@pytest.fixture
async def gateway(start: Callable[[str], Awaitable[Gateway]]) -> Gateway:
    return await start("")


@pytest.fixture
async def livekit(start: Callable[[str], Awaitable[Gateway]]) -> AsyncIterator[LiveKitServer]:
    """With API keys, and all else as it is by default."""
    async with livekit_server((await start(KEYS)).url) as server:
        yield server
