"""The whole gateway in this process, with real streams and the real engine on loopback."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from live777py.app import build_app
from live777py.config import parse
from tests.conformance.checklist import Ground
from tests.conformance.livekit_server import KEYS, livekit_server
from tests.conformance.shared import FRAGMENT, SDP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.conformance.livekit_server import LiveKitServer

Client = TestClient[web.Request, web.Application]


class Gateway:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def ask(self, method: str, path: str, body: str | bytes | None = None, **headers: str) -> ClientResponse:
        """Underscores in the names of `headers` are hyphens. The body is read, redirects are not followed."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        skip = [] if "Content-Type" in named else ["Content-Type"]
        response = await self._client.request(
            method, path, data=body, headers=named, skip_auto_headers=skip, allow_redirects=False
        )
        await response.read()
        return response

    async def post(self, path: str, offer: str | bytes, **headers: str) -> ClientResponse:
        return await self.ask("POST", path, offer, **{"Content_Type": SDP, **headers})

    async def open(self, path: str) -> ClientResponse:
        """Whose body has no end."""
        return await self._client.get(path)

    async def end(self) -> None:
        """As by SIGTERM: listeners are told, and what they were told still comes."""
        await self.app.shutdown()

    async def stop(self) -> None:
        await self._client.close()

    async def session(self, path: str, offer: str) -> tuple[str, str]:
        """Its path, and the answer."""
        response = await self.post(path, offer)
        assert response.status == 201
        return response.headers["Location"], await response.text()

    async def patch(self, session: str, fragment: str | bytes, **headers: str) -> ClientResponse:
        return await self.ask("PATCH", session, fragment, **{"Content_Type": FRAGMENT, **headers})

    @property
    def app(self) -> web.Application:
        assert self._client.app is not None
        return self._client.app

    def routes(self) -> set[tuple[str, str]]:
        """Method and path of each, with `show` for everything that is variable; POST stands for any method."""
        return {
            (
                "POST" if route.method == "*" else route.method,
                re.sub(r"\{[^}]*\}", "show", route.resource.canonical),
            )
            for route in self.app.router.routes()
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

    async def start_it(config: str = "") -> Gateway:
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
def ground(start: Callable[..., Awaitable[Gateway]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    return Ground(start=start, directory=tmp_path, monkeypatch=monkeypatch)


@pytest.fixture
async def gateway(start: Callable[[str], Awaitable[Gateway]]) -> Gateway:
    return await start("")


@pytest.fixture
async def livekit(start: Callable[[str], Awaitable[Gateway]]) -> AsyncIterator[LiveKitServer]:
    """With API keys, and all else as it is by default."""
    async with livekit_server((await start(KEYS)).url) as server:
        yield server
