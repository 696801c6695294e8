"""RFC 9725 without ICE's own rows (`test_whip_ice`) and those about the description (`test_whip_media`)."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from typing import TYPE_CHECKING

from tests.conformance.checklist import Checklist, Ground, Row
from tests.conformance.shared import FRAGMENT, ICE_LINKS, ICE_SERVERS, SDP, UFRAG, fill_engine
from tests.fakes.remote import offer
from tests.http.doors import AUTH, scoped
from tests.light import LightPeer
from tests.waiting import eventually

if TYPE_CHECKING:
    from aiohttp import ClientResponse

    from tests.conformance.conftest import Gateway

OFFER = offer("opus", "vp8")
CONSENT = 30.0
"""Seconds (RFC 7675 section 5.1)."""
ROWS = Checklist()


@ROWS.row("W01", "MUST", "4.1", "GET of the endpoint and of a session is 2xx without content")
async def get_is_empty(ground: Ground) -> None:
    gateway = await ground.start()
    location, _ = await gateway.session("/whip/cam", OFFER)
    for path in ("/whip/cam", "/whip/none", location):
        response = await gateway.ask("GET", path)
        assert (response.status, await response.read()) == (204, b"")


@ROWS.row("W02", "MAY", "4.1", "errors are application/problem+json (RFC 9457)")
async def errors_are_problems(ground: Ground) -> None:
    gateway = await ground.start()
    for response in (
        await gateway.post("/whip/cam", "not SDP"),
        await gateway.ask("POST", "/whip/cam", OFFER, Content_Type="text/plain"),
        await gateway.ask("PUT", "/whip/cam"),
        await gateway.ask("DELETE", f"/session/cam/{uuid.uuid4()}"),
    ):
        assert response.content_type == "application/problem+json"
        problem = await response.json()
        assert set(problem) == {"type", "title", "status", "detail"}
        assert problem["status"] == response.status


@ROWS.row("W03", "MUST", "4.2", "POST of an offer is 201 with the answer and Location, and never chunked")
async def a_session_is_created(ground: Ground) -> None:
    gateway = await ground.start()
    response = await gateway.post("/whip/cam", OFFER)
    answer = await response.text()
    assert response.status == 201
    assert response.headers["Content-Type"] == SDP
    assert int(response.headers["Content-Length"]) == len(answer)
    assert not {"Transfer-Encoding", "Content-Encoding"} & set(response.headers)
    assert re.fullmatch(r"/session/cam/[0-9a-f-]{36}", response.headers["Location"])
    assert answer.startswith("v=0\r\n")
    assert answer.endswith("\r\n")


@ROWS.row("W04", "MUST", "4.2", "the media type is case-insensitive and may have parameters")
async def media_types_are_case_insensitive(ground: Ground) -> None:
    gateway = await ground.start()
    types = ("application/sdp; charset=utf-8", "Application/SDP", "application/sdp;x=y")
    for number, name in enumerate(types):
        assert (await gateway.post(f"/whip/{number}", OFFER, Content_Type=name)).status == 201


@ROWS.row("W05", "MUST", "4.2", "another media type or none is 415 with Accept-Post")
async def other_media_types(ground: Ground) -> None:
    gateway = await ground.start()
    for headers in ({"Content_Type": "text/plain"}, {"Content_Type": FRAGMENT}, {}):
        response = await gateway.ask("POST", "/whip/cam", OFFER, **headers)
        assert (response.status, response.headers["Accept-Post"]) == (415, SDP)
    assert await gateway.json("/api/streams/") == []


@ROWS.row("W06", "MUST", "4.2", "an empty, truncated, binary or huge offer is 4xx and leaves nothing")
async def bad_offers(ground: Ground) -> None:
    gateway = await ground.start()
    bodies: dict[str | bytes, int] = {
        "": 400,
        "v=0\r\n": 400,
        OFFER[: len(OFFER) // 3]: 400,
        b"\x00\x01\x02\xff": 400,
        "\x00" * 100: 400,
        OFFER.replace("a=ice-ufrag:remote\r\n", ""): 400,
        OFFER.replace("a=fingerprint", "a=finger"): 400,
        "a" * 1_000_000: 413,
        OFFER + "a=x\r\n" * 100_000: 413,
    }
    for body, status in bodies.items():
        response = await gateway.post("/whip/cam", body)
        assert response.status == status or {response.status, status} == {400, 422}, body[:100]
    assert await gateway.json("/api/streams/") == []


@ROWS.row(
    "W09",
    "MUST",
    "4.2",
    "DELETE is 200 and ends the session: 404 after it, DTLS close_notify, no consent",
    deviates=True,
)
async def delete_ends_the_session(ground: Ground) -> None:
    gateway = await ground.start()
    location, answer = await gateway.session("/whip/cam", OFFER)
    peer = LightPeer()
    await peer.connect(answer)
    peer.keep_alive()
    response = await gateway.ask("DELETE", location)
    assert (response.status, await response.read()) == (204, b"")
    await asyncio.wait_for(peer.closed.wait(), 5)
    answers = peer.answers
    for _ in range(5):
        peer.keep_alive()
    assert (await gateway.ask("DELETE", location)).status == 404
    assert (await gateway.patch(location, UFRAG)).status == 404
    assert (await gateway.ask("GET", location)).status == 404
    await gateway.session("/whip/cam", OFFER)
    assert peer.answers == answers, "consent is not given any more"
    peer.close()


@ROWS.row("W10", "MUST", "4.2", "a publisher that is silent without DELETE is gone after 30 s, and its stream is free")
async def consent_expires(ground: Ground) -> None:
    gateway = await ground.start()
    location, answer = await gateway.session("/whip/cam", OFFER)
    peer = LightPeer()
    await peer.connect(answer)
    silent_since = time.monotonic()

    async def gone() -> bool:
        return (await gateway.ask("GET", location)).status == 404

    await eventually(gone, within=CONSENT + 10)
    assert time.monotonic() - silent_since < CONSENT + 3
    peer.close(goodbye=False)
    await gateway.session("/whip/cam", OFFER)


@ROWS.row("W11", "MUST", "4.2", "OPTIONS is 200 with Accept-Post and CORS, and needs no token")
async def options(ground: Ground) -> None:
    gateway = await ground.start('[http]\ncors = true\n[auth]\ntokens = ["t"]\n')
    plain = await gateway.ask("OPTIONS", "/whip/cam")
    preflight = await _preflight(gateway, "/whip/cam", "POST")
    for response in (plain, preflight):
        assert (response.status, response.headers["Accept-Post"]) == (200, SDP)
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    for method in ("PATCH", "DELETE"):
        session = await _preflight(gateway, "/session/cam/x", method)
        assert (session.status, session.headers["Accept-Patch"]) == (200, FRAGMENT)
        assert method in session.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]


@ROWS.row("W12", "SHOULD", "4.2", "pages may read Location, Link, ETag and Accept-Patch")
async def headers_are_exposed(ground: Ground) -> None:
    gateway = await ground.start("[http]\ncors = true\n")
    response = await gateway.post("/whip/cam", OFFER)
    exposed = set(response.headers["Access-Control-Expose-Headers"].split(", "))
    assert exposed >= {"Location", "Link", "ETag", "Accept-Patch"}


@ROWS.row("W34", "MUST NOT", "4.5", "nothing is answered with 301 or 302")
async def no_old_redirects(ground: Ground) -> None:
    gateway = await ground.start()
    for path in ("/whip/cam", "/whip/cam/", "/whip/cam//", "/whip/", "/whip/a/b", "/whip//cam", "/WHIP/cam"):
        assert (await gateway.post(path, OFFER)).status not in {301, 302, 303}
    for path in ("/whip/cam", "/whip/cam/"):
        assert (await gateway.ask("GET", path)).status == 204


@ROWS.row("W35", "MAY", "4.5", "overload is 503 with Retry-After")
async def overload(ground: Ground) -> None:
    gateway = await ground.start()
    fill_engine(ground, gateway)
    response = await gateway.post("/whip/cam", OFFER)
    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0
    assert await gateway.json("/api/streams/") == []


@ROWS.row("W36", "MAY", "4.6", "the 201 has a Link for each ICE server")
async def ice_servers(ground: Ground) -> None:
    gateway = await ground.start(ICE_SERVERS)
    response = await gateway.post("/whip/cam", OFFER)
    assert response.headers.getall("Link") == ICE_LINKS


@ROWS.row("W37", "SHOULD NOT", "4.6", "a preflight does not tell the ICE servers")
async def no_servers_in_a_preflight(ground: Ground) -> None:
    gateway = await ground.start(f"{ICE_SERVERS}[http]\ncors = true\n")
    assert "Link" not in (await _preflight(gateway, "/whip/cam", "POST")).headers


@ROWS.row(
    "W38",
    "MUST",
    "4.7.1",
    "POST, PATCH and DELETE want a bearer token: 401 with WWW-Authenticate, 403 for another right",
)
async def tokens(ground: Ground) -> None:
    gateway = await ground.start(AUTH)
    for method, path in (("POST", "/whip/cam"), ("PATCH", "/session/a/b"), ("DELETE", "/session/a/b")):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic dDp0"}):
            response = await gateway.ask(method, path, OFFER, Content_Type=SDP, **headers)
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert (await gateway.post("/whip/cam", OFFER, **scoped("cam", 4))).status == 403
    writer = scoped("cam", 2)
    response = await gateway.post("/whip/cam", OFFER, **writer)
    assert response.status == 201
    assert (
        await gateway.patch(response.headers["Location"], UFRAG + "a=end-of-candidates\r\n", **writer)
    ).status == 204
    assert (await gateway.ask("DELETE", response.headers["Location"], **writer)).status == 204


@ROWS.row("W42", "SHOULD", "5", "session URLs are random; POST, PATCH and DELETE are limited: 429 with Retry-After")
async def random_and_limited(ground: Ground) -> None:
    gateway = await ground.start("[http]\nrate_limit = 1\n")
    locations = [(await gateway.session(f"/whip/{number}", OFFER))[0] for number in range(3)]
    names = {uuid.UUID(location.rpartition("/")[2]) for location in locations}
    assert len(names) == 3
    assert {name.version for name in names} == {4}, "122 random bits"
    for method, path in (("POST", "/whip/x"), ("PATCH", locations[0]), ("DELETE", f"/session/0/{uuid.uuid4()}")):
        client = {"X_Forwarded_For": f"192.0.2.{len(method)}"}
        answers = [await gateway.ask(method, path, "", Content_Type=SDP, **client) for _ in range(12)]
        assert [answer.status == 429 for answer in answers] == [False] * 10 + [True] * 2
        assert int(answers[-1].headers["Retry-After"]) >= 1
    metrics = await (await gateway.ask("GET", "/metrics")).text()
    assert 'live777_http_requests_total{method="POST",status="429"} 2.0' in metrics


@ROWS.row("W43", "MUST", "RFC 9110", "other methods are 405 with Allow; HEAD is answered")
async def other_methods(ground: Ground) -> None:
    gateway = await ground.start()
    location, _ = await gateway.session("/whip/cam", OFFER)
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"):
        response = await gateway.ask(method, "/whip/cam")
        assert response.status == 405
        assert response.headers["Allow"] == "GET,HEAD,OPTIONS,POST"
    refused = await gateway.ask("PUT", location)
    assert (refused.status, refused.headers["Allow"]) == (405, "DELETE,GET,HEAD,OPTIONS,PATCH,POST")
    for path in ("/whip/cam", location):
        assert (await gateway.ask("HEAD", path)).status == 204


@ROWS.row("W44", "MAY", "RFC 9110", "Accept is not looked at")
async def accept_does_not_matter(ground: Ground) -> None:
    gateway = await ground.start()
    assert (await gateway.post("/whip/cam", OFFER, Accept="text/html")).status == 201


@ROWS.row("W45", "policy", "", "the second publisher of a stream gets 409, also at the same moment")
async def one_publisher(ground: Ground) -> None:
    gateway = await ground.start()
    answers = await asyncio.gather(*(gateway.post("/whip/cam", OFFER) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]
    assert (await gateway.post("/whip/cam", OFFER)).status == 409


@ROWS.cases()
async def test_whip(row: Row, ground: Ground) -> None:
    await row.check(ground)


async def _preflight(gateway: Gateway, path: str, method: str) -> ClientResponse:
    return await gateway.ask("OPTIONS", path, Origin="https://a.example", Access_Control_Request_Method=method)
