"""RFC 9725 sections 4.2, 4.4, 4.8 and 4.9: what stands in the answer, and which offers are refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from live777py.rtc import client
from tests import simulcast
from tests.conformance.checklist import Checklist, Ground, Row
from tests.conformance.shared import ICE_SERVERS
from tests.fakes.remote import offer, watch
from tests.rtc.offers import recorded
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.conformance.conftest import Gateway

OFFER = offer("opus", "vp8")
DIRECTION = re.compile(r"^a=(sendonly|recvonly|sendrecv|inactive)\r$", re.MULTILINE)
ROWS = Checklist()


@ROWS.row("W07", "MUST", "4.2", "sendonly and sendrecv are accepted, and answered with recvonly")
async def the_answer_receives(ground: Ground) -> None:
    gateway = await ground.start()
    for direction in ("sendonly", "sendrecv"):
        _, answer = await gateway.session(f"/whip/{direction}", offer("opus", "vp8", direction=direction))
        assert DIRECTION.findall(answer) == ["recvonly", "recvonly"]


@ROWS.row("W08", "MUST", "4.2", "an offer that sends nothing is 4xx")
async def an_offer_that_sends_nothing(ground: Ground) -> None:
    gateway = await ground.start()
    for direction in ("recvonly", "inactive"):
        assert (await gateway.post("/whip/cam", offer("opus", "vp8", direction=direction))).status == 422
    assert await gateway.json("/api/streams/") == []


@ROWS.row("W29", "SHALL", "4.4.1", "the answer keeps BUNDLE and rtcp-mux, and has rtcp-mux-only", deviates=True)
async def one_bundle(ground: Ground) -> None:
    gateway = await ground.start()
    _, answer = await gateway.session("/whip/cam", OFFER)
    assert_one_bundle(answer)
    _, answer = await gateway.session(
        "/whip/strict", OFFER.replace("a=rtcp-mux\r\n", "a=rtcp-mux\r\na=rtcp-mux-only\r\n")
    )
    assert_one_bundle(answer)


def assert_one_bundle(answer: str) -> None:
    assert "a=group:BUNDLE 0 1\r\n" in answer
    assert answer.count("a=rtcp-mux\r\n") == 2
    assert "rtcp-mux-only" not in answer


@ROWS.row("W30", "MUST", "4.4.2", "two tracks of a kind, or two MediaStreams, are 4xx", deviates=True)
async def two_of_a_kind(ground: Ground) -> None:
    gateway = await ground.start()
    for codecs in (("opus", "vp8"), ("vp8", "opus")):
        sections = offer(*codecs).partition("m=")[2].split("m=")
        doubled = (
            offer(*codecs).replace("BUNDLE 0 1", "BUNDLE 0 1 2") + "m=" + sections[0].replace("a=mid:0", "a=mid:2")
        )
        response = await gateway.post("/whip/cam", doubled)
        assert response.status == 422
        assert response.content_type == "application/problem+json"
    assert await gateway.json("/api/streams/") == []
    two_streams = OFFER.replace("a=mid:0", "a=mid:0\r\na=msid:a audio").replace("a=mid:1", "a=mid:1\r\na=msid:b video")
    assert (await gateway.post("/whip/cam", two_streams)).status == 201


@ROWS.row("W31", "SHOULD", "4.4.3", "an offer of which a section cannot be served is refused as a whole")
async def an_unknown_codec(ground: Ground) -> None:
    gateway = await ground.start()
    assert (await gateway.post("/whip/cam", OFFER.replace("VP8/90000", "THEORA/90000"))).status == 422
    assert await gateway.json("/api/streams/") == []


@ROWS.row("W32", "SHOULD", "4.4.4", "actpass and active are answered with passive, passive (FFmpeg) with active")
async def dtls_roles(ground: Ground) -> None:
    gateway = await ground.start()
    for offered, answered in (("actpass", "passive"), ("active", "passive"), ("passive", "active")):
        _, answer = await gateway.session(f"/whip/{offered}", offer("opus", "vp8", setup=offered))
        assert set(re.findall(r"a=setup:(\w+)", answer)) == {answered}


@ROWS.row("W33", "SHOULD", "4.4.5", "ICE is full where the server is not public; lite is allowed")
async def ice_lite_or_full(ground: Ground) -> None:
    for config, count in (("", 1), ("ice_lite = false\n", 0)):
        gateway = await ground.start(config)
        _, answer = await gateway.session("/whip/cam", OFFER)
        assert answer.count("a=ice-lite\r\n") == count


@ROWS.row("W39", "MUST", "4.8", "simulcast is answered with every rid that is kept")
async def simulcast_is_accepted(ground: Ground) -> None:
    gateway = await ground.start()
    for name, description in (("obs", recorded("obs32-h264-3layers.sdp")), ("light", simulcast.OFFER)):
        _, answer = await gateway.session(f"/whip/{name}", description)
        assert "a=simulcast:recv 0;1;2\r\n" in answer
        for rid in "012":
            assert f"a=rid:{rid} recv\r\n" in answer
    _, answer = await gateway.session("/whip/one", OFFER)
    assert "a=simulcast" not in answer


@ROWS.row("W40", "MUST", "4.9", "unknown extensions in Link are ignored, and none is required")
async def unknown_extensions(ground: Ground) -> None:
    """Our own client is told of layers, events and ICE servers, and plays."""
    ground.monkeypatch.setattr(client, "MEDIA_TIMEOUT", 0.1)  # none comes
    there, here = await ground.start(ICE_SERVERS), await ground.start("[cascade]\nallow_private = true\n")
    await there.session("/whip/cam", OFFER)
    assert len((await there.post("/whep/cam", watch("opus", "vp8"))).headers.getall("Link")) == 5
    pulled = await here.ask(
        "POST",
        "/api/cascade/copy",
        f'{{"sourceUrl": "{there.url}/whep/cam"}}',
        Content_Type="application/json",
    )
    assert pulled.status == 200
    await eventually(lambda: _connected(here))


async def _connected(gateway: Gateway) -> bool:
    (stream,) = await gateway.json("/api/streams/")
    return [session["state"] for session in stream["publish"]["sessions"]] == ["connected"]


@ROWS.cases()
async def test_whip_media(row: Row, ground: Ground) -> None:
    await row.check(ground)
