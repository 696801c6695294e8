"""Nobody reaches the inside by way of the gateway, where the configuration keeps it from there (S14).

In a network namespace, whose one address is a public one: what stands there may be asked, loopback may not.
"""

from __future__ import annotations

import socket
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from live777py.app import build_app
from live777py.config import parse
from tests.interop.network import network_namespace
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PUBLIC = "8.8.4.4"
CONFIG = '[webrtc]\nice_udp_addrs = ["127.0.0.1:0"]\n[cascade]\nallow_private = false\n'

Client = TestClient[web.Request, web.Application]


@dataclass
class Neighbour:
    """Redirects to `location`, or says no; `asked` are the names by which it was asked."""

    port: int = 0
    location: str | None = None
    asked: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request.host)
        if self.location is None:
            return web.Response(status=404)
        return web.Response(status=307, headers={"Location": self.location})


@pytest.fixture
def public_address() -> Iterator[None]:
    with network_namespace():
        subprocess.run(["ip", "address", "add", f"{PUBLIC}/32", "dev", "near"], check=True, timeout=10)
        yield


async def _serve(neighbour: Neighbour, host: str) -> TestServer:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", neighbour.handle)
    server = TestServer(app, host=host)
    await server.start_server()
    assert server.port is not None
    neighbour.port = server.port
    return server


@pytest.fixture
async def outside(public_address: None) -> AsyncIterator[Neighbour]:
    neighbour = Neighbour()
    server = await _serve(neighbour, PUBLIC)
    yield neighbour
    await server.close()


@pytest.fixture
async def inside(public_address: None) -> AsyncIterator[Neighbour]:
    neighbour = Neighbour()
    server = await _serve(neighbour, "127.0.0.1")
    yield neighbour
    await server.close()


@pytest.fixture
async def gateway(public_address: None) -> AsyncIterator[Client]:
    client: Client = TestClient(TestServer(build_app(parse(CONFIG, {}))))
    await client.start_server()
    yield client
    await client.close()


async def pull(gateway: Client, url: str) -> tuple[int, dict[str, Any]]:
    async with gateway.post("/api/cascade/cam", json={"sourceUrl": url}) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "0.0.0.0", "[::]", "10.77.0.1", "192.168.1.1",
        "169.254.169.254", "[fe80::1]", "[fd00::1]", "100.64.0.1", "224.0.0.1", "255.255.255.255",
    ],
)  # fmt: skip
@pytest.mark.parametrize("direction", ["sourceUrl", "targetUrl", "url"])
async def test_the_inside_by_address(gateway: Client, inside: Neighbour, host: str, direction: str) -> None:
    """A push needs a publisher before anybody is asked: it meets 404 first, and asks nobody either."""
    path = "/api/sources/cam" if direction == "url" else "/api/cascade/cam"
    async with gateway.post(path, json={direction: f"http://{host}:{inside.port}/whep/x"}) as response:
        assert response.status == (404 if direction == "targetUrl" else 403)
        assert response.content_type == "application/problem+json"
    assert inside.asked == []
    async with gateway.get("/api/streams/") as response:
        assert await response.json() == []


@pytest.mark.parametrize("scheme", ["file", "gopher", "ftp", "unix", "data", "javascript", "rtsp"])
async def test_other_schemes(gateway: Client, scheme: str) -> None:
    status, problem = await pull(gateway, f"{scheme}:///etc/passwd")
    assert status == 400
    assert "passwd" not in problem["detail"]


async def test_the_outside_may_be_asked(gateway: Client, outside: Neighbour) -> None:
    status, _ = await pull(gateway, f"http://{PUBLIC}:{outside.port}/whep/x")
    assert status == 502
    assert len(outside.asked) == 1


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "169.254.169.254", "10.77.0.1"]
)
async def test_the_inside_by_redirect(gateway: Client, outside: Neighbour, inside: Neighbour, host: str) -> None:
    outside.location = f"http://{host}:{inside.port}/whep/x"
    status, _ = await pull(gateway, f"http://{PUBLIC}:{outside.port}/whep/x")
    assert status == 403
    assert (len(outside.asked), inside.asked) == (1, [])


async def test_a_redirect_to_a_file(gateway: Client, outside: Neighbour) -> None:
    outside.location = "file:///etc/passwd"
    status, _ = await pull(gateway, f"http://{PUBLIC}:{outside.port}/whep/x")
    assert status == 502


async def test_the_inside_by_a_name_whose_address_changes(
    gateway: Client, outside: Neighbour, inside: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [PUBLIC, "127.0.0.1"]

    async def resolve(
        _: object, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[dict[str, object]]:
        answer = answers.pop(0)
        return [{"hostname": host, "host": answer, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    outside.location = f"http://rebinding.example:{inside.port}/whep/x"
    status, _ = await pull(gateway, f"http://rebinding.example:{outside.port}/whep/x")
    assert status == 403
    assert (outside.asked, inside.asked, answers) == ([f"rebinding.example:{outside.port}"], [], [])


async def test_a_source_of_the_configuration_obeys_too(inside: Neighbour) -> None:
    config = f'{CONFIG}[[stream.cam.sources]]\nurl = "whep://127.0.0.1:{inside.port}/whep/x"\n'
    client: Client = TestClient(TestServer(build_app(parse(config, {}))))
    await client.start_server()

    async def failed() -> bool:
        async with client.get("/api/sources/cam/state") as response:
            return bool((await response.json())["state"] == "Error")

    await eventually(failed)
    await client.close()
    assert inside.asked == []
