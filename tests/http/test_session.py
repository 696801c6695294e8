"""PATCH and DELETE of a session."""

from __future__ import annotations

import pytest

from tests.http.doors import FRAGMENT, OpenDoor

CANDIDATE = "a=ice-ufrag:abcd\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"


async def test_trickle_has_no_answer(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.publish()).headers["Location"]
    response = await door.ask("PATCH", location, data=CANDIDATE, headers=FRAGMENT)
    assert (response.status, await response.read()) == (204, b"")
    assert "ETag" not in response.headers
    assert door.streams.fragments == [("cam", location.rpartition("/")[2], CANDIDATE)]


@pytest.mark.parametrize("if_match", ['"e1"', "*", '"*"', "garbage"])
async def test_if_match_is_not_looked_at(open_door: OpenDoor, if_match: str) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    headers = {**FRAGMENT, "If-Match": if_match}
    assert (await door.ask("PATCH", location, data=CANDIDATE, headers=headers)).status == 204
    assert (await door.ask("DELETE", location, headers=headers)).status == 204


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/trickle-ice-sdpfrag; charset=utf-8", CANDIDATE, 204),
        ("Application/Trickle-ICE-SDPfrag", CANDIDATE, 204),
        ("application/trickle-ice-sdpfrag", "malformed", 400),
        ("application/trickle-ice-sdpfrag", b"\xff\xfe", 400),
        ("application/trickle-ice-sdpfrag", "a=ice-ufrag:new\r\n", 422),
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
