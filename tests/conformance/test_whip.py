"""RFC 9725 as a client sees it over HTTP. Each test names the rows of the checklist that it covers."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.fakes.remote import offer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.conformance.conftest import Gateway

OFFER = offer("opus", "vp8")
SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
UFRAG = "a=ice-ufrag:remote\r\na=ice-pwd:" + "p" * 24 + "\r\n"
MEDIA = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
UDP = "a=candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host\r\n"


async def _session(gateway: Gateway) -> str:
    response = await gateway.post("/whip/cam", OFFER)
    assert response.status == 201
    return response.headers["Location"]


async def test_w01_get_is_2xx_without_content(gateway: Gateway) -> None:
    location = await _session(gateway)
    for path in ("/whip/cam", location):
        response = await gateway.ask("GET", path)
        assert (response.status, await response.read()) == (204, b"")


async def test_w03_w19_a_session_is_created(gateway: Gateway) -> None:
    response = await gateway.post("/whip/cam", OFFER)
    answer = await response.text()
    assert response.status == 201
    assert response.headers["Content-Type"] == SDP
    assert int(response.headers["Content-Length"]) == len(answer)
    assert "Transfer-Encoding" not in response.headers
    assert "Content-Encoding" not in response.headers
    assert re.fullmatch(r"/session/cam/[0-9a-f-]{36}", response.headers["Location"])
    assert "a=candidate:" in answer
    assert "a=end-of-candidates" in answer
    assert answer.endswith("\r\n")


@pytest.mark.parametrize("content_type", ["application/sdp; charset=utf-8", "Application/SDP", "application/sdp;x=y"])
async def test_w04_the_media_type_is_case_insensitive(gateway: Gateway, content_type: str) -> None:
    assert (await gateway.ask("POST", "/whip/cam", OFFER, Content_Type=content_type)).status == 201


@pytest.mark.parametrize("headers", [{"Content_Type": "text/plain"}, {"Content_Type": FRAGMENT}, {}])
async def test_w05_another_media_type_is_415(gateway: Gateway, headers: dict[str, str]) -> None:
    response = await gateway.ask("POST", "/whip/cam", OFFER, **headers)
    assert (response.status, response.headers["Accept-Post"]) == (415, SDP)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "v=0\r\n",
        OFFER[: len(OFFER) // 3],
        b"\x00\x01\x02\xff",
        "\x00" * 100,
        OFFER.replace("a=ice-ufrag:remote\r\n", ""),
        OFFER.replace("a=fingerprint", "a=finger"),
        "a" * 1_000_000,
        OFFER + "a=x\r\n" * 100_000,
    ],
    ids=["empty", "no media", "truncated", "binary", "zeros", "no ufrag", "no fingerprint", "megabyte", "many lines"],
)
async def test_w02_w06_a_bad_offer_leaves_nothing(gateway: Gateway, body: str | bytes) -> None:
    response = await gateway.ask("POST", "/whip/cam", body, Content_Type=SDP)
    assert response.status in {400, 413, 422}
    assert response.content_type == "application/problem+json"
    assert set(await response.json()) == {"type", "title", "status", "detail"}
    assert await gateway.json("/api/streams/") == []


@pytest.mark.parametrize("direction", ["sendonly", "sendrecv"])
async def test_w07_the_answer_only_receives(gateway: Gateway, direction: str) -> None:
    response = await gateway.post("/whip/cam", offer("opus", "vp8", direction=direction))
    assert response.status == 201
    assert re.findall(r"a=(sendonly|recvonly|sendrecv|inactive)", await response.text()) == ["recvonly", "recvonly"]


@pytest.mark.parametrize("direction", ["recvonly", "inactive"])
async def test_w08_an_offer_that_sends_nothing_is_refused(gateway: Gateway, direction: str) -> None:
    assert (await gateway.post("/whip/cam", offer("opus", "vp8", direction=direction))).status in {400, 422}
    assert await gateway.json("/api/streams/") == []


@pytest.mark.parametrize("headers", [{}, {"If_Match": '"stale"'}, {"If_Match": "*"}])
async def test_w09_w18_delete_ends_the_session(gateway: Gateway, headers: dict[str, str]) -> None:
    """204, as Live777, where the RFC says 200: see docs/http-api.md."""
    location = await _session(gateway)
    assert (await gateway.ask("DELETE", location, **headers)).status == 204
    assert (await gateway.ask("DELETE", location)).status == 404
    assert (await gateway.ask("PATCH", location, UFRAG, Content_Type=FRAGMENT)).status == 404
    assert await gateway.json("/api/streams/") == []
    await _session(gateway)


@pytest.mark.parametrize("path", ["/whip/cam", "/whep/cam"])
async def test_w11_options(start: Callable[[str], Awaitable[Gateway]], path: str) -> None:
    gateway = await start('[http]\ncors = true\n[auth]\ntokens = ["t"]\n')
    plain = await gateway.ask("OPTIONS", path)
    preflight = await gateway.ask("OPTIONS", path, Origin="https://a.example", Access_Control_Request_Method="POST")
    for response in (plain, preflight):
        assert (response.status, response.headers["Accept-Post"]) == (200, SDP)
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]


async def test_w12_the_headers_of_a_session_are_exposed(start: Callable[[str], Awaitable[Gateway]]) -> None:
    gateway = await start("[http]\ncors = true\n")
    response = await gateway.post("/whip/cam", OFFER)
    exposed = set(response.headers["Access-Control-Expose-Headers"].split(", "))
    assert exposed >= {"Location", "Link", "ETag", "Accept-Patch"}


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/sdp", UFRAG, 415),
        ("text/plain", UFRAG, 415),
        (FRAGMENT, "what is this", 400),
        (FRAGMENT, b"\xff\xff", 400),
        (FRAGMENT, "a=ice-ufrag:other\r\na=ice-pwd:" + "q" * 24 + "\r\n", 422),
    ],
)
async def test_w13_w14_patches_that_are_refused(
    gateway: Gateway, content_type: str, body: str | bytes, status: int
) -> None:
    """An ICE restart is 422: it is not supported, so the 201 carries no ETag (W15)."""
    location = await _session(gateway)
    response = await gateway.ask("PATCH", location, body, Content_Type=content_type)
    assert response.status == status
    assert (await gateway.ask("GET", location)).status == 204


async def test_w15_no_etag_without_restart(gateway: Gateway) -> None:
    assert "ETag" not in (await gateway.post("/whip/cam", OFFER)).headers


@pytest.mark.parametrize(
    "fragment",
    [
        UFRAG + MEDIA + "a=mid:0\r\n" + UDP,
        UFRAG + MEDIA + "a=mid:0\r\n" + UDP + "a=end-of-candidates\r\n",
        MEDIA + "a=mid:0\r\n" + UFRAG + UDP,
        UFRAG + MEDIA + "a=mid:0\r\na=end-of-candidates\r\n",
        UFRAG + "a=end-of-candidates\r\n",
        UFRAG + MEDIA + "a=mid:0\r\na=candidate:1 1 udp 1 0f5e4d1e-0000.local 50000 typ host\r\n",
        UFRAG + MEDIA + "a=mid:0\r\na=candidate:1 1 tcp 1 127.0.0.1 9 typ host tcptype active\r\n",
        UFRAG + MEDIA + "a=mid:0\r\na=candidate:1 1 udp 1 turn.example.org 50000 typ relay\r\n",
        UFRAG + MEDIA + "a=mid:0\r\na=candidate:1 1 udp 1 2001:db8::1 50000 typ host\r\n",
        UFRAG + MEDIA + "a=mid:0\r\na=candidate:1 2 udp 1 127.0.0.1 50001 typ host\r\n",
        UFRAG + MEDIA + "a=mid:0\r\na=candidate:\r\n",
    ],
    ids=[
        "session level",
        "with end",
        "media level",
        "end only",
        "end alone",
        "mDNS",
        "TCP",
        "name",
        "IPv6",
        "RTCP",
        "empty",
    ],
)
async def test_w20_w21_w22_w23_trickle(gateway: Gateway, fragment: str) -> None:
    location = await _session(gateway)
    response = await gateway.ask("PATCH", location, fragment, Content_Type=FRAGMENT)
    assert (response.status, await response.read()) == (204, b"")
    assert "ETag" not in response.headers


async def test_w29_the_answer_bundles(gateway: Gateway) -> None:
    answer = await (await gateway.post("/whip/cam", OFFER)).text()
    assert "a=group:BUNDLE 0 1\r\n" in answer
    assert answer.count("a=rtcp-mux\r\n") == 2


async def test_w31_a_section_without_a_known_codec_refuses_the_whole(gateway: Gateway) -> None:
    unknown = OFFER.replace("VP8/90000", "THEORA/90000")
    assert (await gateway.post("/whip/cam", unknown)).status in {400, 422}
    assert await gateway.json("/api/streams/") == []


@pytest.mark.parametrize(
    ("offered", "answered"), [("actpass", "passive"), ("active", "passive"), ("passive", "active")]
)
async def test_w32_dtls_roles(gateway: Gateway, offered: str, answered: str) -> None:
    answer = await (await gateway.post("/whip/cam", offer("opus", "vp8", setup=offered))).text()
    assert set(re.findall(r"a=setup:(\w+)", answer)) == {answered}


async def test_w33_the_answer_says_that_it_is_ice_lite(gateway: Gateway) -> None:
    assert "a=ice-lite\r\n" in await (await gateway.post("/whip/cam", OFFER)).text()


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/whip/cam"), ("PATCH", "/session/a/b"), ("DELETE", "/session/a/b")]
)
async def test_w38_tokens(start: Callable[[str], Awaitable[Gateway]], method: str, path: str) -> None:
    gateway = await start('[auth]\ntokens = ["t"]\n')
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        response = await gateway.ask(method, path, OFFER, Content_Type=SDP, **headers)
        assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert (await gateway.ask(method, path, OFFER, Content_Type=SDP, Authorization="Bearer t")).status in {
        201,
        404,
        415,
    }


async def test_w42_session_urls_are_random(gateway: Gateway) -> None:
    location = await _session(gateway)
    assert uuid.UUID(location.rpartition("/")[2]).version == 4
    assert (await gateway.ask("DELETE", f"/session/cam/{uuid.uuid4()}")).status == 404


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_w43_other_methods(gateway: Gateway, method: str) -> None:
    response = await gateway.ask(method, "/whip/cam")
    assert response.status == 405
    assert {"POST", "OPTIONS"} <= set(response.headers["Allow"].split(","))
    assert (await gateway.ask("HEAD", "/whip/cam")).status == 204


async def test_w44_accept_is_not_looked_at(gateway: Gateway) -> None:
    assert (await gateway.ask("POST", "/whip/cam", OFFER, Content_Type=SDP, Accept="text/html")).status == 201


async def test_w45_one_publisher_even_at_the_same_moment(gateway: Gateway) -> None:
    answers = await asyncio.gather(*(gateway.post("/whip/cam", OFFER) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]
    assert (await gateway.post("/whip/cam", OFFER)).status == 409
