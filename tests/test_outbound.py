"""Requests to addresses that somebody else chose: where they may go, what they carry, how much they take back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from live777py.errors import BadRequest, Refused, UpstreamError, UpstreamTimeout
from live777py.outbound import AddressPolicy, Answer, Endpoint, Outbound
from live777py.outbound import client as client_module

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPEN = AddressPolicy(allow_private=True)
STRICT = AddressPolicy(allow_private=False)

_NEVER = """
    0.0.0.0 0.1.2.3 169.254.0.1 169.254.169.254 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    100.100.100.200 168.63.129.16 192.0.0.192
    :: fe80::1 fe80::1%eth0 febf::1 fec0::1 ff02::1 ff0e::1 fd00:ec2::254 fd20:ce::254 fe00::1 100::1 2001:0:1::1
    ::ffff:169.254.169.254 ::ffff:0.0.0.0 ::ffff:224.0.0.1 ::ffff:255.255.255.255 ::ffff:100.100.100.200
    ::127.0.0.1 ::169.254.169.254
    64:ff9b::a9fe:a9fe 64:ff9b::e000:1 64:ff9b:1::7f00:1 2002:a9fe:a9fe::1 2002:e000:1::
"""
_LOCAL = """
    127.0.0.1 127.8.8.8 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255 198.18.0.1 192.0.2.1
    ::1 fc00::1 fd12:3456::1 ::ffff:127.0.0.1 ::ffff:10.1.2.3 64:ff9b::7f00:1 64:ff9b::c0a8:101 2002:7f00:1::
    2002:c0a8:101::5
"""
_PUBLIC = "1.1.1.1 172.32.0.1 100.128.0.1 2606:4700::1111 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1"


@pytest.mark.parametrize("address", _NEVER.split())
def test_some_addresses_are_refused_whatever_is_allowed(address: str) -> None:
    for policy in (OPEN, STRICT):
        with pytest.raises(Refused):
            policy.check(ip_address(address))


@pytest.mark.parametrize("address", _LOCAL.split())
def test_local_addresses_can_be_refused(address: str) -> None:
    OPEN.check(ip_address(address))
    with pytest.raises(Refused):
        STRICT.check(ip_address(address))


@pytest.mark.parametrize("address", _PUBLIC.split())
def test_public_addresses_pass(address: str) -> None:
    OPEN.check(ip_address(address))
    STRICT.check(ip_address(address))


@pytest.mark.parametrize(
    ("text", "url", "authorization"),
    [
        ("http://host/whep/x", "http://host/whep/x", None),
        ("HTTPS://host:7777/whep/x?a=b#c", "https://host:7777/whep/x?a=b", None),
        ("whep://host:7777/whep/x", "http://host:7777/whep/x", None),
        ("whips://tok@host/whip/x", "https://host/whip/x", "Bearer tok"),
        ("whip://Bearer%20tok@host/whip/x", "http://host/whip/x", "Bearer tok"),
        ("whip://Basic%20dTpw@host/whip/x", "http://host/whip/x", "Basic dTpw"),
        ("wheps://a%40b:c@host/x", "https://host/x", "Bearer a@b:c"),
        (" whep://[::1]:7777/x ", "http://[::1]:7777/x", None),
    ],
)
def test_an_endpoint_is_read(text: str, url: str, authorization: str | None) -> None:
    endpoint = Endpoint.parse(text)
    assert (endpoint.url, endpoint.authorization) == (url, authorization)


def test_a_token_beside_the_url_comes_first() -> None:
    assert Endpoint.parse("whep://old@host/x", token="new").authorization == "Bearer new"


@pytest.mark.parametrize(
    "text",
    [
        "", "host", "/whep/x", "whep://", "whep:///x", "file:///etc/passwd", "gopher://host/", "ftp://host/x",
        "http://host:99999/", "http://[::1/", "whep://to%0d%0aX-Evil:1@host/", "whep://\u00e9@host/",
        "http://" + "h" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_endpoint_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest) as raised:
        Endpoint.parse(text)
    assert len(text) < 8 or text not in raised.value.detail


def test_an_endpoint_shows_no_secret() -> None:
    endpoint = Endpoint.parse("whep://sec%72et@host:7777/whep/x?token=secret#secret")
    for text in (str(endpoint), repr(endpoint), f"{endpoint}"):
        assert "secret" not in text.lower()
        assert "http://host:7777/whep/x" in text


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://host:7777/other", True),
        ("https://host/x", True),  # the same server with TLS
        ("http://host:7778/x", False),
        ("http://other:7777/x", False),
    ],
)
def test_a_credential_stays_with_its_origin(url: str, kept: bool) -> None:
    endpoint = Endpoint("http://host:7777/x", "Bearer tok")
    assert endpoint.authorization_for(URL(url)) == ("Bearer tok" if kept else None)


def test_a_credential_is_not_sent_in_the_clear() -> None:
    assert Endpoint("https://host/x", "Bearer tok").authorization_for(URL("http://host/x")) is None


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[URL]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app, host="127.0.0.1") as server:
        yield server.make_url("/")


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    outbound = Outbound(OPEN)
    yield outbound
    await outbound.close()


async def test_a_request_carries_what_was_given_and_nothing_else(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    seen: list[tuple[str, dict[str, str], bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, dict(request.headers), await request.read()))
        return web.Response(status=201, text="answer", headers={"Set-Cookie": "a=b", "X-Found": "yes"})

    async with serving(handler) as url:
        for _ in range(2):
            answer = await outbound.request(
                "POST",
                url.with_user("user").with_password("pass") / "x",
                authorize=lambda _: "Bearer tok",
                headers={"Content-Type": "application/sdp"},
                body=b"offer",
            )
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, answer.headers["X-Found"]) == (201, b"answer", "yes")
    for method, headers, body in seen:
        assert (method, body) == ("POST", b"offer")
        assert headers["Authorization"] == "Bearer tok"
        assert headers["Content-Type"] == "application/sdp"
        assert headers["User-Agent"].startswith("live777py/")
        assert "Cookie" not in headers


@pytest.mark.parametrize("status", [307, 308])
async def test_redirects_that_keep_the_method_are_followed(outbound: Outbound, status: int) -> None:
    seen: list[tuple[str, str, bytes, str | None]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.path, await request.read(), request.headers.get("Authorization")))
        if request.path == "/a":
            return web.Response(status=status, headers={"Location": "b?c=d"})
        return web.Response(text=request.query_string)

    async with serving(handler) as url:
        answer = await outbound.request("POST", url / "a", authorize=lambda _: "Bearer tok", body=b"offer")
    assert (answer.url, answer.body) == (url.with_path("/b").with_query("c=d"), b"c=d")
    assert seen == [("POST", "/a", b"offer", "Bearer tok"), ("POST", "/b", b"offer", "Bearer tok")]


async def test_a_redirect_to_another_origin_loses_the_credential(outbound: Outbound) -> None:
    seen: list[str | None] = []

    async def other(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(status=401)

    async with serving(other) as there:

        async def handler(_: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": str(there / "x")})

        async with serving(handler) as here:
            endpoint = Endpoint(str(here / "x"), "Bearer tok")
            answer = await outbound.request("POST", endpoint.url, authorize=endpoint.authorization_for)
    assert (answer.status, seen) == (401, [None])


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_redirects_that_change_the_method_are_errors(outbound: Outbound, status: int) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.path == "/a"
        return web.Response(status=status, headers={"Location": "/b"})

    async with serving(handler) as url:
        with pytest.raises(UpstreamError, match=f"redirects by {status}") as raised:
            await outbound.request("POST", url / "a")
    assert raised.value.answered == status


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("file:///etc/passwd", "not an http"),
        ("http://169.254.169.254/latest/meta-data/", "169.254.169.254"),
        ("http://[::ffff:169.254.169.254]/", "::ffff:"),
        ("http://2852039166/", "RFC 3986"),
        ("//0.0.0.0/", "0.0.0.0"),
        ("http://[", "no URL"),
        (None, "nowhere"),
    ],
)
async def test_every_hop_is_checked(outbound: Outbound, location: str | None, expected: str) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={} if location is None else {"Location": location})

    async with serving(handler) as url:
        with pytest.raises(UpstreamError, match=expected):
            await outbound.request("POST", url)


async def test_endless_redirects_end(outbound: Outbound) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=307, headers={"Location": "/"})

    async with serving(handler) as url:
        with pytest.raises(UpstreamError, match="more than 5 times"):
            await outbound.request("POST", url)
    assert len(asked) == 6


async def test_the_size_of_an_answer_is_bounded(outbound: Outbound) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=bytes(client_module.MAX_BODY + 1))

    async with serving(handler) as url:
        with pytest.raises(UpstreamError, match="more than"):
            await outbound.request("GET", url)


async def test_a_compressed_answer_is_not_inflated(outbound: Outbound) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.headers["Accept-Encoding"] == "identity"
        response = web.Response(body=bytes(10_000_000))
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async with serving(handler) as url:
        answer = await outbound.request("GET", url)
    assert len(answer.body) < client_module.MAX_BODY


async def test_a_slow_server_is_given_up(outbound: Outbound) -> None:
    released = asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    async with serving(handler) as url:
        with pytest.raises(UpstreamTimeout):
            await outbound.request("GET", url.with_query(token="secret"), timeout=0.1)
        released.set()


async def test_a_server_that_does_not_accept_is_given_up(outbound: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS that never begins counts as connecting."""
    monkeypatch.setattr(client_module, "CONNECT_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(UpstreamTimeout):
        await outbound.request("GET", f"https://127.0.0.1:{silent.getsockname()[1]}/")


async def test_failures_name_no_secret(outbound: Outbound) -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"NOT HTTP secret\r\n\r\n")
        writer.close()

    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ports = {closed.getsockname()[1]: "refused"}
        servers = [await asyncio.start_server(handler, "127.0.0.1", 0) for handler in (broken, rude)]
        ports |= {servers[0].sockets[0].getsockname()[1]: "not HTTP", servers[1].sockets[0].getsockname()[1]: "without"}
        for port, expected in ports.items():
            with pytest.raises(UpstreamError, match=expected) as raised:
                await outbound.request(
                    "GET", f"http://secret@127.0.0.1:{port}/x?token=secret", authorize=lambda _: "Bearer secret"
                )
            assert "secret" not in str(raised.value)
            assert f"http://127.0.0.1:{port}/x" in raised.value.detail
        for server in servers:
            server.close()
            await server.wait_closed()


async def test_an_unknown_name_is_an_error(outbound: Outbound) -> None:
    with pytest.raises(UpstreamError, match="name is not known"):
        await outbound.request("GET", "http://nowhere.invalid/")


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """The system's resolver says one of `answers` after the other; the names that it was asked for."""
    asked: list[str] = []
    remaining = list(answers)

    async def resolve(
        _: object, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[dict[str, object]]:
        asked.append(host)
        return [
            {"hostname": host, "host": address, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
            for address in (remaining.pop(0) if len(remaining) > 1 else remaining[0])
        ]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    return asked


async def test_a_name_whose_address_changes_is_checked_each_time(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the second answer of the name leads elsewhere, and there is no third look."""
    asked = resolving(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="here")

    async with serving(handler) as url:
        name = url.with_host("rebinding.example")
        assert (await outbound.request("GET", name)).body == b"here"
        with pytest.raises(Refused):
            await outbound.request("GET", name)
    assert asked == ["rebinding.example"] * 2, "one look for each connection: what was checked is what is connected to"


async def test_only_the_good_addresses_of_a_name_are_used(outbound: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["169.254.169.254", "127.0.0.1", "0.0.0.0"])

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="here")

    async with serving(handler) as url:
        assert (await outbound.request("GET", url.with_host("mixed.example"))).body == b"here"


async def test_without_private_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    strict = Outbound(STRICT)
    resolving(monkeypatch, ["127.0.0.1"])
    for url in (
        "http://127.0.0.1/", "http://[::1]/", "http://[::ffff:7f00:1]/", "http://10.0.0.1/", "http://2130706433/",
        "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/", "http://localhost/", "http://a.example/",
    ):  # fmt: skip
        with pytest.raises(Refused):
            await strict.request("GET", url)
    await strict.close()


@pytest.mark.parametrize("host", ["0x7f.1", "0177.0.0.0x1", "0x7f000001"])
async def test_the_system_reads_odd_spellings_and_the_result_is_checked(host: str) -> None:
    strict = Outbound(STRICT)
    with pytest.raises(Refused):
        await strict.request("GET", f"http://{host}/")
    await strict.close()


async def test_the_last_gate_stands_behind_the_resolver(outbound: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_CheckingResolver", lambda _: aiohttp.ThreadedResolver())
    resolving(monkeypatch, ["169.254.169.254"])
    with pytest.raises(UpstreamError, match="Permission denied"):
        await outbound.request("GET", "http://a.example/")


async def test_addresses_of_a_name(outbound: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await outbound.addresses("192.0.2.1") == (ip_address("192.0.2.1"),)
    resolving(monkeypatch, ["169.254.169.254", "10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"])
    assert await outbound.addresses("many.example") == tuple(ip_address(f"10.0.0.{n}") for n in (1, 2, 3, 4))
    for host in ("169.254.169.254", "::", "2852039166"):
        with pytest.raises(Refused):
            await outbound.addresses(host)


async def test_a_name_that_has_none(outbound: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UpstreamError, match="not known"):
        await outbound.addresses("nowhere.invalid")
    stuck = asyncio.Event()

    async def resolve(*_: object) -> list[dict[str, object]]:
        await stuck.wait()
        return []

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    monkeypatch.setattr(client_module, "CONNECT_TIMEOUT", 0.05)
    with pytest.raises(UpstreamTimeout):
        await outbound.addresses("slow.example")


async def test_after_close_nothing_is_sent(outbound: Outbound) -> None:
    await outbound.close()
    with pytest.raises(UpstreamError, match="shutting down"):
        await outbound.request("GET", "http://127.0.0.1/")
