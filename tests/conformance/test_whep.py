"""draft-ietf-wish-whep-04."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

import pytest

from live777py.streams import counter_offers
from tests import redis_server
from tests.conformance.checklist import Checklist, Ground, Row
from tests.conformance.shared import FRAGMENTS, ICE_LINKS, ICE_SERVERS, SDP, UDP, UFRAG, UNREACHABLE, fill_engine
from tests.conformance.test_whip_ice import STRICT, restart_of
from tests.conformance.test_whip_media import DIRECTION, assert_one_bundle
from tests.fakes.remote import answer_to, offer, watch
from tests.http.doors import AUTH, scoped
from tests.redis_server import RedisServer
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.conformance.conftest import Gateway

OFFER = offer("opus", "vp8")
VIEWER = watch("opus", "vp8", "vp9")
ROWS = Checklist()


async def _watched(ground: Ground, config: str = "") -> tuple[Gateway, str, str]:
    """A gateway, the session of a viewer, and its answer."""
    gateway = await ground.start(config)
    await gateway.session("/whip/cam", OFFER)
    return gateway, *(await gateway.session("/whep/cam", VIEWER))


@ROWS.row("P01", "MUST", "4.1", "GET is 2xx without content")
async def get_is_empty(ground: Ground) -> None:
    gateway, session, _ = await _watched(ground)
    for path in ("/whep/cam", session):
        response = await gateway.ask("GET", path)
        assert (response.status, await response.read()) == (204, b"")


@ROWS.row("P02", "SHOULD", "4.2", "HEAD of the endpoint is 200 with application/sdp")
async def head_discovers(ground: Ground) -> None:
    gateway = await ground.start()
    response = await gateway.ask("HEAD", "/whep/cam")
    assert (response.status, response.headers["Content-Type"], await response.read()) == (200, SDP, b"")


@ROWS.row("P03", "MUST", "4.3.1", "POST of a recvonly offer is 201 with the answer and Location")
async def a_session_is_created(ground: Ground) -> None:
    gateway = await ground.start()
    await gateway.session("/whip/cam", OFFER)
    response = await gateway.post("/whep/cam", VIEWER)
    assert response.status == 201
    assert response.headers["Content-Type"] == SDP
    assert int(response.headers["Content-Length"]) == len(await response.read())
    assert re.fullmatch(r"/session/cam/[0-9a-f-]{36}", response.headers["Location"])


@ROWS.row("P04", "MUST", "4.3.5", "recvonly and sendrecv are answered with sendonly, others are 4xx")
async def the_answer_sends(ground: Ground) -> None:
    gateway = await ground.start()
    await gateway.session("/whip/cam", OFFER)
    for direction in ("recvonly", "sendrecv"):
        _, answer = await gateway.session("/whep/cam", offer("opus", "vp8", direction=direction))
        assert DIRECTION.findall(answer) == ["sendonly", "sendonly"]
    for direction in ("sendonly", "inactive"):
        assert (await gateway.post("/whep/cam", offer("opus", "vp8", direction=direction))).status == 422


@ROWS.row("P05", "MUST", "4.3.2", "a server that prefers its own offer answers 406 with it and Location")
@ROWS.row("P07", "MUST", "4.3.5", "the counter-offer is sendonly")
async def counter_offer(ground: Ground) -> None:
    gateway = await ground.start(ICE_SERVERS)
    await gateway.session("/whip/cam", offer("opus", "av1"))
    for response in (
        await gateway.post("/whep/cam", VIEWER),
        await gateway.post("/whep/cam", watch("opus", "av1"), Prefer="counter-offer"),
        await gateway.ask("POST", "/whep/cam", Prefer="counter-offer"),
    ):
        assert response.status == 406
        assert re.fullmatch(r'application/sdp; valid-until="\w{3}, .* GMT"', response.headers["Content-Type"])
        assert re.fullmatch(r"/session/cam/[0-9a-f-]{36}", response.headers["Location"])
        assert re.fullmatch('"[!#-~]+"', response.headers["ETag"])
        assert response.headers.getall("Link") == ICE_LINKS
        counter = await response.text()
        assert DIRECTION.findall(counter) == ["sendonly", "sendonly"]
        assert re.search(r"^m=video \d+ UDP/TLS/RTP/SAVPF 45 ", counter, re.MULTILINE), "what is sent comes first"
        assert re.findall(r"a=rtpmap:(45) (\S+)\r", counter) == [("45", "AV1/90000")]
        # The session comes with the answer.
        assert (await gateway.ask("GET", response.headers["Location"])).status == 404
    (stream,) = await gateway.json("/api/streams/")
    assert stream["subscribe"]["sessions"] == []


@ROWS.row("P06", "MUST", "4.3.2", "PATCH of the answer to it is 204; 4xx when it is malformed or late")
async def answer_to_counter_offer(ground: Ground) -> None:
    gateway = await ground.start()
    await gateway.session("/whip/cam", OFFER)
    offered = await gateway.ask("POST", "/whep/cam", Prefer="counter-offer")
    session, good = offered.headers["Location"], answer_to(await offered.text(), "opus", "vp8")
    for malformed in ("", "v=0\r\nm=", b"\xff", good.replace("recvonly", "sendrecv"), good.replace("a=setup", "a=set")):
        assert (await gateway.patch(session, malformed, Content_Type=SDP)).status in {400, 422}
    response = await gateway.patch(session, good, Content_Type=SDP)
    assert (response.status, await response.read()) == (204, b"")
    assert (await gateway.ask("GET", session)).status == 204
    assert (await gateway.patch(session, good, Content_Type=SDP)).status == 409
    trickled = await gateway.patch(session, "a=end-of-candidates\r\n", If_Match=offered.headers["ETag"])
    assert trickled.status == 204
    ground.monkeypatch.setattr(counter_offers, "VALID_SECONDS", 0.0)
    late = await gateway.ask("POST", "/whep/cam", Prefer="counter-offer")
    good = answer_to(await late.text(), "opus", "vp8")

    async def refused() -> bool:
        return (await gateway.patch(late.headers["Location"], "v=0", Content_Type=SDP)).status == 404

    await eventually(refused)
    assert (await gateway.patch(late.headers["Location"], good, Content_Type=SDP)).status == 404


@ROWS.row("P08", "SHALL", "4.3.8", "a server that requires a publisher answers 409 with Retry-After", deviates=True)
async def without_a_publisher(ground: Ground) -> None:
    gateway = await ground.start()
    _, answer = await gateway.session("/whep/cam", VIEWER)
    assert DIRECTION.findall(answer) == ["sendonly", "sendonly"]
    await gateway.session("/whip/cam", OFFER)
    strict = await ground.start("[strategy]\nauto_create_whep = false\n")
    assert (await strict.post("/whep/cam", VIEWER)).status == 404


@ROWS.row("P09", "MUST", "4.3.4", "another media type or a malformed offer is 4xx")
async def what_is_no_offer(ground: Ground) -> None:
    gateway = await ground.start()
    for content_type, body, status in (
        ("text/plain", VIEWER, 415),
        (SDP, "", 400),
        (SDP, "v=0\r\nm=", 400),
        (SDP, b"\xff", 400),
        (SDP, "a" * 600_000, 413),
    ):
        response = await gateway.post("/whep/cam", body, Content_Type=content_type)
        assert response.status == status
        assert response.content_type == "application/problem+json"
    assert await gateway.json("/api/streams/") == []


@ROWS.row("P10", "MUST", "4.4", "DELETE is 200, OPTIONS is 200 with Accept-Post", deviates=True)
async def delete_and_options(ground: Ground) -> None:
    gateway, session, _ = await _watched(ground)
    assert (await gateway.ask("DELETE", session)).status == 204
    assert (await gateway.ask("DELETE", session)).status == 404
    (stream,) = await gateway.json("/api/streams/")
    assert [each["state"] for each in stream["subscribe"]["sessions"]] == ["closed"]
    options = await gateway.ask("OPTIONS", "/whep/cam")
    assert (options.status, options.headers["Accept-Post"]) == (200, SDP)


@ROWS.row("P11", "MUST", "4.5", "trickle, ETag and restart as with WHIP", deviates=True)
async def trickle(ground: Ground) -> None:
    gateway, session, _ = await _watched(ground)
    for fragment in (*FRAGMENTS.values(), *(f"{UFRAG}{candidate}" for candidate in UNREACHABLE.values())):
        response = await gateway.patch(session, fragment)
        assert (response.status, await response.read()) == (204, b"")
        assert "ETag" not in response.headers
    for content_type in ("text/plain", SDP):
        assert (await gateway.patch(session, UFRAG, Content_Type=content_type)).status == 415
    assert (await gateway.patch(session, "malformed")).status == 400
    for config in ("", STRICT):
        gateway = await ground.start(config)
        await gateway.session("/whip/cam", OFFER)
        response = await gateway.post("/whep/cam", VIEWER)
        session, tag = response.headers["Location"], response.headers["ETag"]
        missing = await gateway.patch(session, UFRAG + UDP)
        assert missing.status == (428 if config else 204)
        restarted = await gateway.patch(session, restart_of("other"), If_Match="*")
        assert (restarted.status, restarted.headers["ETag"] != tag) == (200, True)
        assert (await gateway.patch(session, UFRAG + UDP, If_Match=tag)).status == 412
        assert (await gateway.ask("DELETE", session, If_Match=tag)).status == 204


@ROWS.row("P12", "MUST", "4.6.1", "BUNDLE and rtcp-mux-only", deviates=True)
async def one_bundle(ground: Ground) -> None:
    _, _, answer = await _watched(ground)
    assert_one_bundle(answer)


@ROWS.row("P13", "MUST", "4.6.2", "one MediaStream; a stream of one kind is answered cleanly")
async def one_media_stream(ground: Ground) -> None:
    gateway, _, answer = await _watched(ground)
    streams = re.findall(r"^a=msid:(\S+)", answer, flags=re.MULTILINE)
    assert len(streams) == 2
    assert len(set(streams)) == 1
    for codec, directions in (("opus", ["sendonly", "inactive"]), ("vp8", ["inactive", "sendonly"])):
        await gateway.session(f"/whip/{codec}", offer(codec))
        _, answer = await gateway.session(f"/whep/{codec}", VIEWER)
        assert DIRECTION.findall(answer) == directions


@ROWS.row("P14", "MUST NOT", "4.7", "nothing is 301 or 302: another node is 307, overload 503 with Retry-After")
async def redirects_and_overload(ground: Ground) -> None:
    gateway = await ground.start()
    for path in ("/whep/cam", "/whep/cam/", "/whep/cam//", "/whep/", "/whep/a/b"):
        assert (await gateway.post(path, VIEWER)).status not in {301, 302, 303}
    limited = await ground.start("[strategy]\neach_stream_max_sub = 1\n")
    await limited.session("/whep/cam", VIEWER)
    full = await ground.start()
    fill_engine(ground, full)
    for crowded in (limited, full):
        response = await crowded.post("/whep/cam", VIEWER)
        assert (response.status, int(response.headers["Retry-After"]) > 0) == (503, True)
    await _redirects(ground)


async def _redirects(ground: Ground) -> None:
    """To the node of a cluster that has the publisher."""
    if not redis_server.available():
        pytest.skip("redis-server is not installed")
    async with RedisServer(ground.directory) as server:
        cluster = f'[cluster]\nredis_url = "{server.url}"\nwhep = "redirect"\nheartbeat_ms = 100\n'
        here, there = [await ground.start(f'{cluster}url = "http://127.0.0.1:{port}"\n') for port in (1, 2)]
        await there.session("/whip/cam", OFFER)

        async def redirected() -> bool:
            response = await here.post("/whep/cam", VIEWER)
            assert response.status in {201, 307}
            return (response.status, response.headers["Location"]) == (307, "http://127.0.0.1:2/whep/cam")

        await eventually(redirected)
        await here.stop()
        await there.stop()


@ROWS.row("P15", "MAY", "4.8", "the 201 has a Link for each ICE server")
async def ice_servers(ground: Ground) -> None:
    gateway = await ground.start(ICE_SERVERS)
    links = (await gateway.post("/whep/cam", VIEWER)).headers.getall("Link")
    assert [link for link in links if "ice-server" in link] == ICE_LINKS


@ROWS.row("P16", "MUST", "4.9.1", "a bearer token everywhere but at a preflight; the URL of events is a capability")
async def tokens(ground: Ground) -> None:
    gateway = await ground.start(AUTH)
    assert (await gateway.ask("OPTIONS", "/whep/cam")).status == 200
    mine, other = scoped("cam", 4, sub="me"), scoped("cam", 4, sub="other")
    for headers, status in (({}, 401), (scoped("cam", 2), 403), (scoped("x", 4), 403)):
        assert (await gateway.post("/whep/cam", VIEWER, **headers)).status == status
    response = await gateway.post("/whep/cam", VIEWER, **mine)
    session = response.headers["Location"]
    for method, path in (("PATCH", session), ("DELETE", session), ("POST", f"{session}/events")):
        refused = await gateway.ask(method, path)
        assert (refused.status, refused.headers["WWW-Authenticate"].partition(" ")[0]) == (401, "Bearer")
        assert (await gateway.ask(method, path, **other)).status == 404
    events = (await gateway.ask("POST", f"{session}/events", **mine)).headers["Location"]
    assert re.fullmatch(rf"{session}/events/[A-Za-z0-9_-]{{22}}", events), "122 random bits and more"
    assert (await gateway.open(events)).status == 200
    assert (await gateway.ask("GET", f"{session}/events/{'A' * 22}")).status == 404
    assert (await gateway.ask("DELETE", session, **mine)).status == 204


@ROWS.row("P17", "MUST", "4.10", "extensions are told by Link, one header for each")
async def extensions(ground: Ground) -> None:
    gateway, _, _ = await _watched(ground)
    links = (await gateway.post("/whep/cam", VIEWER)).headers.getall("Link")
    names = [
        re.fullmatch(r'<[^<>,]+>; rel="urn:ietf:params:whep:ext:core:([a-z-]+)"(; events="[a-z,]+")?', link)
        for link in links
    ]
    assert [name and name[1] for name in names] == ["layer", "server-sent-events"]


@ROWS.row(
    "P18", "SHOULD", "4.3.6", "a viewer without the publisher's codec gets a counter-offer or 4xx, never a dead 201"
)
async def no_common_codec(ground: Ground) -> None:
    gateway = await ground.start()
    await gateway.session("/whip/cam", offer("opus", "av1"))
    response = await gateway.post("/whep/cam", VIEWER)
    assert response.status == 406
    # Who cannot play it says so again, and there is nothing dead; who wants the sound alone gets that.
    session, counter = response.headers["Location"], await response.text()
    refused = await gateway.patch(session, answer_to(counter, "opus", "vp8"), Content_Type=SDP)
    assert (refused.status, "AV1" in (await refused.json())["detail"]) == (422, True)
    assert (await gateway.patch(session, answer_to(counter, "opus"), Content_Type=SDP)).status == 204


@ROWS.row("P19", "SHOULD", "5", "session ids are random, and a flood of POSTs is limited")
async def random_and_limited(ground: Ground) -> None:
    gateway = await ground.start("[http]\nrate_limit = 1\n")
    sessions = [(await gateway.session("/whep/cam", VIEWER))[0] for _ in range(3)]
    assert {uuid.UUID(session.rpartition("/")[2]).version for session in sessions} == {4}
    flood = [await gateway.post("/whep/cam", VIEWER, X_Forwarded_For="192.0.2.1") for _ in range(12)]
    assert [answer.status for answer in flood] == [201] * 10 + [429] * 2
    assert int(flood[-1].headers["Retry-After"]) >= 1


@ROWS.cases()
async def test_whep(row: Row, ground: Ground) -> None:
    await row.check(ground)
