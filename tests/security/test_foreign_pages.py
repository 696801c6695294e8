"""S10: what a page of another origin can make a browser send changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from live777py.http.door import RESOURCES
from tests.fakes.remote import watch
from tests.gateway import running_gateway
from tests.http.doors import SDP

if TYPE_CHECKING:
    from pathlib import Path

FOREIGN = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
SIMPLE_TYPES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
"""What a form or a fetch without preflight can send (Fetch standard, section 2.2.2)."""
BODIES = {
    "/session/{stream}/{session}": '{"kind": "video", "enabled": false}',
    "/session/{stream}/{session}/layer": "{}",
    "/api/cascade/{stream}": '{"targetUrl": "http://127.0.0.1:9/whip/x"}',
    "/api/sources/{stream}": '{"url": "whep://127.0.0.1:9/whep/x"}',
}
CHANGING = [
    (method, resource.path) for resource in RESOURCES for method in resource.operations if method not in {"GET", "HEAD"}
]


async def test_nothing_changes_without_a_preflight_and_no_preflight_succeeds(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway, aiohttp.ClientSession() as client:
        async with client.post(f"{gateway.url}/whep/cam", data=watch("opus", "vp8"), headers=SDP) as response:
            session = response.headers["Location"].rpartition("/")[2]

        async def state() -> list[dict[str, Any]]:
            streams: list[dict[str, Any]] = await gateway.get("/api/streams/")
            return streams

        before = await state()
        for method, path in CHANGING:
            url = gateway.url + path.replace("{stream}", "cam").replace("{session}", session).replace("{events}", "x")
            async with client.options(url, headers={**FOREIGN, "Access-Control-Request-Method": method}) as response:
                assert response.status == 200
                assert not [name for name in response.headers if name.startswith("Access-Control-")]
            if method != "POST":  # needs the preflight that has just failed
                continue
            for media_type in SIMPLE_TYPES:
                sent = FOREIGN | ({"Content-Type": media_type} if media_type else {})
                body = BODIES.get(path, watch("opus", "vp8"))
                async with client.post(
                    url, data=body.encode(), headers=sent, skip_auto_headers=["Content-Type"]
                ) as response:
                    assert response.status == 403, (path, media_type)
        assert await state() == before
        assert (await gateway.get("/api/sources"))["sources"] == []


@pytest.mark.parametrize("origin", ["null", "https://evil.example", "http://127.0.0.1.evil.example"])
async def test_without_fetch_metadata_the_origin_decides(tmp_path: Path, origin: str) -> None:
    async with (
        running_gateway(tmp_path) as gateway,
        aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as client,
    ):
        async with client.post(f"{gateway.url}/api/streams/cam", headers={"Origin": origin}) as response:
            assert response.status == 403
        async with client.post(f"{gateway.url}/api/streams/cam", headers={"Origin": gateway.url}) as response:
            assert response.status == 204
