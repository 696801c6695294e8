"""RFC 9725 section 4.3: candidates that come later, ICE restart, ETag and If-Match."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from tests.conformance.checklist import Checklist, Ground, Row
from tests.conformance.shared import FRAGMENTS, MEDIA, SDP, UDP, UFRAG, UNREACHABLE
from tests.fakes.remote import offer

if TYPE_CHECKING:
    from tests.conformance.conftest import Gateway

OFFER = offer("opus", "vp8")
STRICT = "strict_etags = true\n"
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


@ROWS.row("W14", "MUST", "4.3.1", "trickle and restart are both supported: neither is 422")
async def both_are_supported(ground: Ground) -> None:
    gateway = await ground.start()
    location, _ = await gateway.session("/whip/cam", OFFER)
    assert (await gateway.patch(location, UFRAG + UDP)).status == 204
    assert (await gateway.patch(location, restart_of("other"))).status == 200


@ROWS.row("W15", "MUST", "4.3.1", "with restart the 201 has a strong ETag")
async def etag(ground: Ground) -> None:
    gateway = await ground.start()
    tags = [(await gateway.post(f"/whip/{stream}", OFFER)).headers["ETag"] for stream in ("a", "b")]
    assert all(re.fullmatch('"[!#-~]+"', tag) for tag in tags)
    assert len(set(tags)) == 2


@ROWS.row("W16", "MUST", "4.3.1", "PATCH without If-Match is 428 (webrtc.strict_etags)", deviates=True)
async def if_match_is_needed(ground: Ground) -> None:
    gateway = await ground.start(STRICT)
    location, tag = await _tagged(gateway)
    for fragment in (UFRAG + UDP, restart_of("other")):
        response = await gateway.patch(location, fragment)
        assert (response.status, response.content_type) == (428, "application/problem+json")
    assert (await gateway.patch(location, UFRAG + UDP, If_Match=tag)).status == 204


@ROWS.row("W17", "MUST", "4.3.1", "PATCH with an old ETag is 412")
async def an_old_tag(ground: Ground) -> None:
    for config in ("", STRICT):
        gateway = await ground.start(config)
        location, tag = await _tagged(gateway)
        assert (await gateway.patch(location, UFRAG + UDP, If_Match='"other"')).status == 412
        restarted = await gateway.patch(location, restart_of("other"), If_Match="*")
        for fragment in (UFRAG + UDP, restart_of("other") + UDP, restart_of("third")):
            assert (await gateway.patch(location, fragment, If_Match=tag)).status == 412
        newer = restarted.headers["ETag"]
        assert (await gateway.patch(location, restart_of("other") + UDP, If_Match=newer)).status == 204


@ROWS.row("W41", "policy", "", "who sends no If-Match is served")
async def if_match_may_be_absent(ground: Ground) -> None:
    gateway = await ground.start()
    location, _ = await gateway.session("/whip/cam", OFFER)
    assert (await gateway.patch(location, UFRAG + UDP)).status == 204
    assert (await gateway.patch(location, restart_of("other"))).status == 200
    assert (await gateway.patch(location, restart_of("other") + UDP)).status == 204


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


@ROWS.row("W24", "SHOULD", "4.3.2", "PATCHes that overtake each other do no harm, and the last restart wins")
async def patches_at_once(ground: Ground) -> None:
    gateway = await ground.start()
    location, _ = await gateway.session("/whip/cam", OFFER)
    answers = await asyncio.gather(*(gateway.patch(location, fragment) for fragment in FRAGMENTS.values()))
    assert {answer.status for answer in answers} == {204}
    restarts = [restart_of(f"restart{number}") for number in range(4)]
    mixed = [fragment for restart in restarts for fragment in (restart, UFRAG + UDP, restart + UDP)]
    answers = await asyncio.gather(*(gateway.patch(location, fragment) for fragment in mixed))
    assert {answer.status for answer in answers} <= {200, 204}
    last = await gateway.patch(location, restart_of("last"), If_Match="*")
    # What is late is for nobody, and does not bring an earlier one back.
    for late in (UFRAG, restarts[0], restarts[3]):
        assert (await gateway.patch(location, late + UDP)).status == 204
    assert (await gateway.patch(location, restart_of("last") + UDP, If_Match=last.headers["ETag"])).status == 204


@ROWS.row("W25", "MUST", "4.3.3", "a PATCH with a new ufrag and If-Match: * is 200 with ours and a new ETag")
@ROWS.row("W26", "SHOULD", "4.3.3", 'If-Match: "*" is as good as *')
@ROWS.row("W28", "MUST", "4.3.3", "a restart answers with the ice-options and ice-lite of before")
async def restart(ground: Ground) -> None:
    for config in ("", STRICT, "ice_lite = false\n"):
        gateway = await ground.start(config)
        location, answer = await gateway.session(
            "/whip/cam", OFFER.replace("t=0 0\r\n", "t=0 0\r\na=ice-options:trickle\r\n")
        )
        seen = {_credentials(answer)}
        tags = set()
        for number, tag in enumerate(("*", '"*"')):
            response = await gateway.patch(location, restart_of(f"other{number}"), If_Match=tag)
            assert (response.status, response.content_type) == (200, "application/trickle-ice-sdpfrag")
            fragment = await response.text()
            seen.add(_credentials(fragment))
            tags.add(response.headers["ETag"])
            for name in ("ice-lite", "ice-options", "group", "candidate", "end-of-candidates"):
                lines = re.findall(rf"^a={name}.*\r\n", answer, re.MULTILINE)
                assert re.findall(rf"^a={name}.*\r\n", fragment, re.MULTILINE) == lines
            assert "a=ice-options:trickle\r\n" in fragment
            assert ("a=ice-lite\r\n" in fragment) == ("false" not in config)
        assert (len(seen), len(tags)) == (3, 2)


@ROWS.row("W27", "MUST", "4.3.3", "a restart that fails leaves the session as it was")
async def restart_fails(ground: Ground) -> None:
    gateway = await ground.start()
    location, tag = await _tagged(gateway)
    good = restart_of("other")
    for fragment in (good.partition("\r\n")[0] + "\r\n", good.replace("other", "x"), good.replace("q" * 24, "short")):
        assert (await gateway.patch(location, fragment, If_Match="*")).status == 400
    assert (await gateway.patch(location, UFRAG + UDP, If_Match=tag)).status == 204
    assert (await gateway.ask("GET", location)).status == 204


def restart_of(ufrag: str) -> str:
    return f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{'q' * 24}\r\n{MEDIA}a=mid:0\r\n"


async def _tagged(gateway: Gateway) -> tuple[str, str]:
    """The path of a session, and its ETag."""
    response = await gateway.post("/whip/cam", OFFER)
    return response.headers["Location"], response.headers["ETag"]


def _credentials(text: str) -> tuple[str, str]:
    """All sections have the same."""
    ((ufrag, pwd),) = set(re.findall(r"a=ice-ufrag:(\S+)\r\na=ice-pwd:(\S+)", text))
    return ufrag, pwd


@ROWS.cases()
async def test_whip_ice(row: Row, ground: Ground) -> None:
    await row.check(ground)
