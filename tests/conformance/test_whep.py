"""draft-ietf-wish-whep-04 as a client sees it over HTTP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.fakes.remote import offer, watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.conformance.conftest import Gateway

SDP = "application/sdp"
VIEWER = watch("opus", "vp8", "vp9")


async def test_p01_p02_get_and_head(gateway: Gateway) -> None:
    get = await gateway.ask("GET", "/whep/cam")
    assert (get.status, await get.read()) == (204, b"")
    head = await gateway.ask("HEAD", "/whep/cam")
    assert (head.status, head.headers["Content-Type"]) == (200, SDP)


@pytest.mark.parametrize("direction", ["recvonly", "sendrecv"])
async def test_p03_p04_the_answer_only_sends(gateway: Gateway, direction: str) -> None:
    assert (await gateway.post("/whip/cam", offer("opus", "vp8"))).status == 201
    response = await gateway.post("/whep/cam", offer("opus", "vp8", direction=direction))
    assert response.status == 201
    assert response.headers["Content-Type"] == SDP
    assert re.fullmatch(r"/session/cam/[0-9a-f-]{36}", response.headers["Location"])
    assert re.findall(r"a=(sendonly|recvonly|sendrecv|inactive)", await response.text()) == ["sendonly", "sendonly"]


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
async def test_p04_an_offer_that_receives_nothing_is_refused(gateway: Gateway, direction: str) -> None:
    assert (await gateway.post("/whep/cam", offer("opus", "vp8", direction=direction))).status in {400, 422}
    assert await gateway.json("/api/streams/") == []


async def test_p08_a_viewer_may_come_first(gateway: Gateway) -> None:
    assert (await gateway.post("/whep/cam", VIEWER)).status == 201
    assert (await gateway.post("/whip/cam", offer("opus", "vp8"))).status == 201


async def test_p08_unless_streams_are_not_made_for_viewers(start: Callable[[str], Awaitable[Gateway]]) -> None:
    gateway = await start("[strategy]\nauto_create_whep = false\n")
    assert (await gateway.post("/whep/cam", VIEWER)).status == 404


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", VIEWER, 415),
        (SDP, "", 400),
        (SDP, "v=0\r\nm=", 400),
        (SDP, b"\xff", 400),
        (SDP, "a" * 600_000, 413),
    ],
)
async def test_p09_what_is_not_an_offer(gateway: Gateway, content_type: str, body: str | bytes, status: int) -> None:
    response = await gateway.ask("POST", "/whep/cam", body, Content_Type=content_type)
    assert response.status == status
    assert response.content_type == "application/problem+json"
    assert await gateway.json("/api/streams/") == []


async def test_p10_delete_and_options(gateway: Gateway) -> None:
    """204 where the draft says 200: see docs/http-api.md."""
    await gateway.post("/whip/cam", offer("opus", "vp8"))
    location = (await gateway.post("/whep/cam", VIEWER)).headers["Location"]
    assert (await gateway.ask("DELETE", location)).status == 204
    assert (await gateway.ask("DELETE", location)).status == 404
    (stream,) = await gateway.json("/api/streams/")
    assert [session["state"] for session in stream["subscribe"]["sessions"]] == ["closed"]
    options = await gateway.ask("OPTIONS", "/whep/cam")
    assert (options.status, options.headers["Accept-Post"]) == (200, SDP)


async def test_p12_p13_one_bundle_one_media_stream(gateway: Gateway) -> None:
    await gateway.post("/whip/cam", offer("opus", "vp8"))
    answer = await (await gateway.post("/whep/cam", VIEWER)).text()
    assert "a=group:BUNDLE 0 1\r\n" in answer
    assert answer.count("a=rtcp-mux\r\n") == 2
    streams = re.findall(r"^a=msid:(\S+)", answer, flags=re.MULTILINE)
    assert len(streams) == 2
    assert len(set(streams)) == 1


@pytest.mark.parametrize("codec", ["opus", "vp8"])
async def test_p13_a_stream_of_one_kind_is_answered_cleanly(gateway: Gateway, codec: str) -> None:
    await gateway.post("/whip/cam", offer(codec))
    response = await gateway.post("/whep/cam", VIEWER)
    assert response.status == 201
    directions = re.findall(r"a=(sendonly|recvonly|sendrecv|inactive)", await response.text())
    assert sorted(directions) == ["inactive", "sendonly"]


async def test_p18_a_viewer_without_the_publishers_codec_is_told(gateway: Gateway) -> None:
    await gateway.post("/whip/cam", offer("opus", "av1"))
    response = await gateway.post("/whep/cam", VIEWER)
    assert response.status == 422
    assert "detail" in await response.json()
