"""RFC 9725 section 4.3: candidates that come later, ICE restart, ETag and If-Match."""

from __future__ import annotations

import asyncio
import re

from tests.conformance.checklist import Checklist, Ground, Row
from tests.conformance.shared import FRAGMENTS, MEDIA, SDP, UDP, UFRAG, UNREACHABLE
from tests.fakes.remote import offer

OFFER = offer("opus", "vp8")
RESTART = "a=ice-ufrag:other\r\na=ice-pwd:" + "q" * 24 + "\r\n"
ROWS = Checklist()


@ROWS.row("W13", "MUST", "4.3.1", "PATCH of another media type is 415, of what is no fragment 400")
async def patches_that_are_none(ground: Ground) -> None:
    gateway = await ground.start()
    location, _ = await gateway.session("/whip/cam", OFFER)
    for body, content_type, status in (
        (UFRAG, SDP, 415),
        (UFRAG, "text/plain", 415),
        ("what is this", "application/trickle-ice-sdpfrag", 400),
        (b"\xff\xff", "application/trickle-ice-sdpfrag", 400),
    ):
        assert (await gateway.patch(location, body, Content_Type=content_type)).status == status
    assert (await gateway.ask("GET", location)).status == 204


@ROWS.row("W14", "MUST", "4.3.1", "where one of trickle and restart is not supported it is 422")
async def without_restart(ground: Ground) -> None:
    gateway = await ground.start()
    location, _ = await gateway.session("/whip/cam", OFFER)
    assert (await gateway.patch(location, RESTART)).status == 422
    assert (await gateway.patch(location, UFRAG + UDP)).status == 204


@ROWS.row("W15", "MUST", "4.3.1", "with restart the 201 has a strong ETag", deviates=True)
async def etag(ground: Ground) -> None:
    gateway = await ground.start()
    assert "ETag" not in (await gateway.post("/whip/cam", OFFER)).headers


@ROWS.row("W16", "MUST", "4.3.1", "PATCH without If-Match is 428", deviates=True)
@ROWS.row("W17", "MUST", "4.3.1", "PATCH with an old ETag is 412", deviates=True)
@ROWS.row("W41", "policy", "", "who sends no If-Match, or any, is served")
async def if_match_is_not_looked_at(ground: Ground) -> None:
    gateway = await ground.start()
    location, _ = await gateway.session("/whip/cam", OFFER)
    for headers in ({}, {"If_Match": '"old"'}, {"If_Match": "*"}):
        assert (await gateway.patch(location, UFRAG + UDP, **headers)).status == 204


@ROWS.row("W18", "MUST", "4.3.1", "DELETE does not look at If-Match")
async def delete_ignores_tags(ground: Ground) -> None:
    gateway = await ground.start()
    for headers in ({}, {"If_Match": '"stale"'}, {"If_Match": "*"}):
        location, _ = await gateway.session("/whip/cam", OFFER)
        assert (await gateway.ask("DELETE", location, **headers)).status == 204
        assert (await gateway.ask("GET", location)).status == 404


@ROWS.row("W19", "SHALL", "4.3.2", "the answer has all candidates of the server, and says so")
async def all_candidates(ground: Ground) -> None:
    gateway = await ground.start()
    _, answer = await gateway.session("/whip/cam", OFFER)
    candidates = re.findall(r"^a=candidate:.*\r\n(?:a=candidate:.*\r\n)*a=end-of-candidates\r\n", answer, re.MULTILINE)
    assert len(candidates) == 1


@ROWS.row("W20", "MUST", "4.3.2", "a PATCH that trickles is 204 without body and ETag")
@ROWS.row(
    "W22", "MUST", "4.3.2", "ufrag at session or media level, a pseudo m-line, end-of-candidates alone (RFC 8840)"
)
async def trickle(ground: Ground) -> None:
    gateway = await ground.start()
    location, _ = await gateway.session("/whip/cam", OFFER)
    for fragment in FRAGMENTS.values():
        response = await gateway.patch(location, fragment)
        assert (response.status, await response.read()) == (204, b"")
        assert "ETag" not in response.headers


@ROWS.row("W21", "MUST", "4.3.2", "candidates that cannot be reached are passed over")
async def unreachable_candidates(ground: Ground) -> None:
    gateway = await ground.start()
    location, _ = await gateway.session("/whip/cam", OFFER)
    for candidate in UNREACHABLE.values():
        assert (await gateway.patch(location, f"{UFRAG}{MEDIA}a=mid:0\r\n{candidate}")).status == 204
    assert (await gateway.ask("GET", location)).status == 204


@ROWS.row("W23", "MUST", "4.3.2", "candidates of the tagged m-section are those of the whole bundle")
async def one_section_for_all(ground: Ground) -> None:
    gateway = await ground.start()
    location, answer = await gateway.session("/whip/cam", OFFER)
    assert "a=group:BUNDLE 0 1\r\n" in answer
    assert (await gateway.patch(location, f"{UFRAG}{MEDIA}a=mid:0\r\n{UDP}a=end-of-candidates\r\n")).status == 204


@ROWS.row("W24", "SHOULD", "4.3.2", "PATCHes that overtake each other do no harm")
async def patches_at_once(ground: Ground) -> None:
    gateway = await ground.start()
    location, _ = await gateway.session("/whip/cam", OFFER)
    answers = await asyncio.gather(*(gateway.patch(location, fragment) for fragment in FRAGMENTS.values()))
    assert {answer.status for answer in answers} == {204}


@ROWS.row(
    "W25", "MUST", "4.3.3", "a PATCH with a new ufrag and If-Match: * is 200 with ours and a new ETag", deviates=True
)
@ROWS.row("W26", "SHOULD", "4.3.3", 'If-Match: "*" is as good as *', deviates=True)
@ROWS.row("W28", "MUST", "4.3.3", "a restart answers with the ice-options and ice-lite of before", deviates=True)
async def restart(ground: Ground) -> None:
    gateway = await ground.start()
    location, _ = await gateway.session("/whip/cam", OFFER)
    for tag in ("*", '"*"'):
        assert (await gateway.patch(location, RESTART, If_Match=tag)).status == 422


@ROWS.row("W27", "MUST", "4.3.3", "a restart that fails leaves the session as it was")
async def restart_fails(ground: Ground) -> None:
    gateway = await ground.start()
    location, _ = await gateway.session("/whip/cam", OFFER)
    for fragment in (RESTART.partition("\r\n")[0] + "\r\n", RESTART):
        assert (await gateway.patch(location, fragment, If_Match="*")).status in {400, 422}
    assert (await gateway.patch(location, UFRAG + UDP)).status == 204


@ROWS.cases()
async def test_whip_ice(row: Row, ground: Ground) -> None:
    await row.check(ground)
