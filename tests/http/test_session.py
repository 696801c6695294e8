"""PATCH and DELETE of a session."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from live777py.config import parse
from live777py.http.keys import CONFIG
from tests.http.doors import FRAGMENT, OpenDoor

CANDIDATE = "a=ice-ufrag:abcd\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"


async def test_trickle_has_no_answer(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.publish()).headers["Location"]
    response = await door.ask("PATCH", location, data=CANDIDATE, headers=FRAGMENT)
    assert (response.status, await response.read()) == (204, b"")
    assert "ETag" not in response.headers
    assert door.streams.fragments == [("cam", location.rpartition("/")[2], CANDIDATE)]


RESTART = "a=ice-ufrag:new\r\na=ice-pwd:new\r\n"
STRICT = "[webrtc]\nstrict_etags = true\n"


@pytest.mark.parametrize(
    ("if_match", "lenient", "strict"),
    [
        (None, 204, 428),
        ("*", 204, 204),
        ('"*"', 204, 204),
        ("ETAG", 204, 204),
        ('"e1"', 412, 412),
        ("garbage", 412, 412),
    ],
)
async def test_if_match(open_door: OpenDoor, if_match: str | None, lenient: int, strict: int) -> None:
    for config, status in (("", lenient), (STRICT, strict)):
        door = await open_door(config)
        made = await door.play()
        location = made.headers["Location"]
        headers = dict(FRAGMENT)
        if if_match is not None:
            headers["If-Match"] = made.headers["ETag"] if if_match == "ETAG" else if_match
        response = await door.ask("PATCH", location, data=CANDIDATE, headers=headers)
        assert response.status == status
        if status != 204:
            assert response.content_type == "application/problem+json"
            assert door.streams.fragments == []
        assert (await door.ask("DELETE", location, headers=headers)).status == 204


async def test_a_reload_changes_how_strict_it_is(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    assert (await door.ask("PATCH", location, data=CANDIDATE, headers=FRAGMENT)).status == 204
    app = door.client.app
    assert app is not None
    app[CONFIG].current = parse(STRICT, {})
    assert (await door.ask("PATCH", location, data=CANDIDATE, headers=FRAGMENT)).status == 428


async def test_a_restart_is_answered(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.publish()).headers["Location"]
    response = await door.ask("PATCH", location, data=RESTART, headers={**FRAGMENT, "If-Match": "*"})
    assert (response.status, response.headers["Content-Type"]) == (200, FRAGMENT["Content-Type"])
    assert (response.headers["ETag"], await response.text()) == ('"restarted"', "a=ice-ufrag:ours\r\n")


async def test_a_restart_is_told_where_its_client_is(open_door: OpenDoor) -> None:
    """As an offer is: clients on this machine have other candidates first."""
    door = await open_door()
    location = (await door.publish()).headers["Location"]
    for headers in (FRAGMENT, {**FRAGMENT, "X-Forwarded-For": "192.0.2.1"}):
        await door.ask("PATCH", location, data=RESTART, headers=headers)
    assert door.streams.near == [True, False]


async def test_if_match_in_several_lines_is_one_list(open_door: OpenDoor) -> None:
    door = await open_door(STRICT)
    made = await door.play()
    headers = [("Content-Type", FRAGMENT["Content-Type"]), ("If-Match", '"e1"'), ("If-Match", made.headers["ETag"])]
    path = made.headers["Location"]
    response = await door.client.patch(path, data=CANDIDATE, headers=CIMultiDict(headers))
    assert response.status == 204


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/trickle-ice-sdpfrag; charset=utf-8", CANDIDATE, 204),
        ("Application/Trickle-ICE-SDPfrag", CANDIDATE, 204),
        ("application/trickle-ice-sdpfrag", "malformed", 400),
        ("application/trickle-ice-sdpfrag", b"\xff\xfe", 400),
        ("application/trickle-ice-sdpfrag", "a" * 300_000, 413),
        ("application/sdp", CANDIDATE, 415),
        ("text/plain", CANDIDATE, 415),
    ],
)
async def test_bodies(open_door: OpenDoor, content_type: str, body: str | bytes, status: int) -> None:
    door = await open_door()
    location = (await door.publish()).headers["Location"]
    response = await door.ask("PATCH", location, data=body, headers={"Content-Type": content_type})
    assert response.status == status
    if status == 415:
        assert response.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"


async def test_what_is_deleted_is_gone(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.publish()).headers["Location"]
    assert (await door.ask("GET", location)).status == 204
    assert (await door.ask("DELETE", location)).status == 204
    assert (await door.ask("DELETE", location)).status == 404
    assert (await door.ask("PATCH", location, data=CANDIDATE, headers=FRAGMENT)).status == 404
    assert (await door.ask("GET", location)).status == 404


async def test_a_closed_session_that_is_still_listed_is_gone(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    door.streams.end("cam", location.rpartition("/")[2])
    assert (await door.ask("GET", location)).status == 404


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_session_of_another_stream_is_unknown(open_door: OpenDoor, method: str) -> None:
    door = await open_door()
    location = (await door.publish("cam")).headers["Location"]
    await door.publish("other")
    response = await door.ask(method, location.replace("/cam/", "/other/"), data=CANDIDATE, headers=FRAGMENT)
    assert response.status == 404
