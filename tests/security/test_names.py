"""S08 and S10: a stream may be called almost anything, and is nothing but a name wherever it appears."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from tests.fakes.remote import watch
from tests.gateway import running_gateway
from tests.http.doors import SDP

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateway import Gateway

LEGAL = [
    "<img src=x onerror=alert(1)>",
    '"><script>alert(1)',
    "$(touch x)",
    "`touch x`",
    "; touch x; #",
    "-rf",
    "a'b\"c",
    "größe 流",
    "100%",
    "%2e%2e%2f",
    "a&b=c?d",
    "{{7*7}}",
    "{stream}",
    "__proto__",
    "x: publishes\u00a0stream=other".replace("\u00a0", " "),
    "...",
    "~",
    "data: x",
]
ILLEGAL = [
    "..",
    ".",
    "%2e%2e",
    "%2E",
    "..%2f",
    "%2e%2e%2f",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2fetc%2fpasswd",
    "a%2fb",
    "..%5c",
    "a%5Cb",
    "a\\b",
    "%00",
    "cam%00.m4s",
    "a%0d%0aSet-Cookie:%20x=1",
    "a%0ab",
    "%1b%5b2J",
    "%7f",
    "a%c2%85b",
    "%e2%80%ae",
    "%ff",
    "%ed%a0%80",
    "x" * 256,
]


async def head_of_answer(gateway: Gateway, method: str, target: str) -> str:
    """The head of the answer to a target that no client library has tidied up."""
    url = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    lines = [f"{method} {target} HTTP/1.1", "Host: gateway", "Content-Length: 0", "Connection: close", "", ""]
    writer.write("\r\n".join(lines).encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.close()
    await writer.wait_closed()
    return head


async def test_names_that_are_no_names_make_nothing(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, config='[log]\nlevel = "debug"\n') as gateway:
        for name in ILLEGAL:
            for method, target in (
                ("POST", f"/api/streams/{name}"),
                ("GET", f"/api/streams/{name}"),
                ("DELETE", f"/api/streams/{name}"),
                ("POST", f"/whip/{name}"),
                ("POST", f"/whep/{name}/"),
                ("DELETE", f"/session/{name}/x"),
                ("POST", f"/session/cam/{name}/layer"),
                ("POST", f"/api/cascade/{name}"),
                ("POST", f"/api/sources/{name}"),
                ("GET", f"/{name}"),
            ):
                head = await head_of_answer(gateway, method, target)
                assert head.split()[1] in {"400", "404", "405", "415"}, (method, target, head)
                assert "set-cookie" not in head.lower()
        assert await gateway.get("/api/streams/") == []
        assert not [line for line in gateway.log if line.startswith(("Set-Cookie", "b "))]
        assert all(line.isprintable() for line in gateway.log)


async def test_a_name_stays_a_name_everywhere(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway, aiohttp.ClientSession() as client:
        for name in LEGAL:
            url = URL(f"{gateway.url}/whep/{quote(name, safe='')}", encoded=True)
            async with client.post(url, data=watch("opus", "vp8"), headers=SDP) as response:
                assert response.status == 201, name
                location = response.headers["Location"]
            assert location.isascii()
            assert len(location.split("/")) == 4
            assert unquote(location.split("/")[2]) == name
        listed = await gateway.get("/api/streams/")
        assert sorted(stream["id"] for stream in listed) == sorted(LEGAL)

        async with client.get(f"{gateway.url}/api/streams/") as response:
            assert response.content_type == "application/json"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
        async with client.get(f"{gateway.url}/api/sse/streams") as response:
            line = (await response.content.readline()).decode()
            assert sorted(stream["id"] for stream in json.loads(line.removeprefix("data: "))) == sorted(LEGAL)
        async with client.get(f"{gateway.url}/metrics") as response:
            families = {family.name: family for family in text_string_to_metric_families(await response.text())}
            assert [sample.value for sample in families["live777_stream"].samples] == [len(LEGAL)]

        sessions = [(stream["id"], stream["subscribe"]["sessions"][0]["id"]) for stream in listed]
        for name, session in sessions:
            url = URL(f"{gateway.url}/session/{quote(name, safe='')}/{session}", encoded=True)
            async with client.delete(url) as response:
                assert response.status == 204, name
        assert await gateway.get("/api/streams/") == []
        said = [line for line in gateway.log if " plays from " in line]
        assert len(said) == len(LEGAL)


@pytest.mark.parametrize("page", ["/", "/api/docs", "/tools/player.html"])
async def test_no_page_is_made_of_names(tmp_path: Path, page: str) -> None:
    """Pages are files and fill themselves in by text nodes; the server puts nothing into them."""
    mark = "<img src=x onerror=alert(1)>"
    async with running_gateway(tmp_path) as gateway, aiohttp.ClientSession() as client:
        made = URL(f"{gateway.url}/api/streams/{quote(mark, safe='')}", encoded=True)
        async with client.post(made) as response:
            assert response.status == 204
        async with client.get(f"{gateway.url}{page}?id={quote(mark)}") as response:
            assert mark not in await response.text()
            assert "default-src" in response.headers.get("Content-Security-Policy", "default-src")
