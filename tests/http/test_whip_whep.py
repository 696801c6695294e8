"""POST, GET, HEAD and OPTIONS of both endpoints."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

import pytest

from tests.fakes.streams import FakeStreams
from tests.http.doors import OFFER, SDP, OpenDoor

DOORS = pytest.mark.parametrize("door_name", ["whip", "whep"])


@DOORS
async def test_a_session_is_created(open_door: OpenDoor, door_name: str) -> None:
    door = await open_door()
    response = await door.ask("POST", f"/{door_name}/cam", data=OFFER, headers=SDP)
    answer = await response.text()
    assert response.status == 201
    assert answer.startswith("v=0\r\n")
    assert response.headers["Content-Type"] == "application/sdp"
    assert response.headers["Content-Length"] == str(len(answer))
    assert response.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
    assert re.fullmatch('"[^"]+"', response.headers["ETag"])
    assert not [link for link in response.headers.getall("Link", []) if "ice-server" in link]
    _, session, stream, identifier = response.headers["Location"].split("/")
    assert (session, stream) == ("session", "cam")
    view = door.streams.stream("cam")
    assert identifier in {entry.id for entry in (*view.publish.sessions, *view.subscribe.sessions)}
    assert door.streams.offers == [OFFER]


@DOORS
async def test_the_answer_is_neither_chunked_nor_compressed(open_door: OpenDoor, door_name: str) -> None:
    door = await open_door()
    head = await door.ask_raw("POST", f"/{door_name}/cam", body=OFFER, **SDP, **{"Accept-Encoding": "gzip, br"})
    assert head.startswith("HTTP/1.1 201 ")
    assert "Transfer-Encoding" not in head
    assert "Content-Encoding" not in head
    assert "Location: /session/cam/" in head


@DOORS
async def test_ice_servers_are_linked_one_header_each(open_door: OpenDoor, door_name: str) -> None:
    door = await open_door(
        """
        [[ice_servers]]
        urls = ["stun:stun.example.org:3478"]
        [[ice_servers]]
        urls = ["turn:turn.example.org?transport=udp", "turns:turn.example.org"]
        username = "me"
        credential = 'a"b\\c'
        """
    )
    response = await door.ask("POST", f"/{door_name}/cam", data=OFFER, headers=SDP)
    credentials = r'username="me"; credential="a\"b\\c"; credential-type="password"'
    assert [link for link in response.headers.getall("Link") if "ice-server" in link] == [
        '<stun:stun.example.org:3478>; rel="ice-server"',
        f'<turn:turn.example.org?transport=udp>; rel="ice-server"; {credentials}',
        f'<turns:turn.example.org>; rel="ice-server"; {credentials}',
    ]


@pytest.mark.parametrize(
    ("headers", "loopback"),
    [
        ({}, True),
        ({"X-Forwarded-For": "192.0.2.1"}, False),
        ({"Forwarded": "for=192.0.2.1"}, False),
        ({"X-Real-IP": "192.0.2.1"}, False),
        ({"Via": "1.1 proxy"}, False),
    ],
)
async def test_the_streams_hear_whether_the_client_is_on_this_machine(
    open_door: OpenDoor, headers: dict[str, str], loopback: bool
) -> None:
    door = await open_door()
    await door.publish(**headers)
    await door.play(**headers)
    assert [client.loopback for client in door.streams.clients] == [loopback, loopback]


@pytest.mark.parametrize(
    "name",
    [
        "cam 1",
        "größe",
        "直播",
        "<img src=x onerror=alert(1)>",
        'a"b',
        "a%b",
        "a+b",
        "a?b#c",
        "alice@standup",
        "{x}",
        "ü" * 255,
    ],
)
async def test_any_readable_name_is_a_stream(open_door: OpenDoor, name: str) -> None:
    door = await open_door()
    response = await door.client.post(f"/whip/{_quoted(name)}", data=OFFER, headers=SDP)
    assert response.status == 201
    location = response.headers["Location"]
    assert location.isascii()
    assert not set(location) & set(' <>"?#{}')
    assert unquote(location.split("/")[2]) == name
    assert [view.id for view in door.streams.streams()] == [name]
    listed = await (await door.ask("GET", "/api/streams/")).json()
    assert [stream["id"] for stream in listed] == [name]
    assert (await door.ask("DELETE", location)).status == 204


@pytest.mark.parametrize(
    "segment",
    [
        "..",
        ".",
        "..%2f",
        "..%2Fetc",
        "%2e%2e",
        "%2e",
        "a%2fb",
        "a%5cb",
        "a%00",
        "a%0ab",
        "a%7f",
        "%c2%85",
        "%e2%80%ae",
        "x" * 256,
    ],
)
@pytest.mark.parametrize("path", ["/whip/{}", "/whep/{}", "/api/streams/{}"])
async def test_a_name_that_could_harm_is_refused(open_door: OpenDoor, path: str, segment: str) -> None:
    door = await open_door()
    head = await door.ask_raw("POST", path.format(segment), body=OFFER, **SDP)
    assert head.startswith("HTTP/1.1 400 ")
    assert "application/problem+json" in head
    assert door.streams.streams() == []


@DOORS
async def test_get_says_nothing(open_door: OpenDoor, door_name: str) -> None:
    door = await open_door()
    response = await door.ask("GET", f"/{door_name}/cam")
    assert (response.status, await response.read()) == (204, b"")
    assert door.streams.streams() == []


async def test_head_discovers_whep(open_door: OpenDoor) -> None:
    door = await open_door()
    whep = await door.ask("HEAD", "/whep/cam")
    assert (whep.status, whep.headers["Content-Type"]) == (200, "application/sdp")
    assert (await door.ask("HEAD", "/whip/cam")).status == 204


async def test_a_second_publisher_is_refused(open_door: OpenDoor) -> None:
    door = await open_door()
    assert (await door.publish()).status == 201
    response = await door.publish()
    assert (response.status, response.content_type) == (409, "application/problem+json")


async def test_a_stream_that_may_not_be_made_is_not_found(open_door: OpenDoor) -> None:
    door = await open_door(streams=FakeStreams(auto_create=False))
    assert (await door.publish()).status == 404
    assert (await door.play()).status == 404


@pytest.mark.parametrize("body", [OFFER, None])
@pytest.mark.parametrize("prefer", ["counter-offer", "respond-async, Counter-Offer;x=y"])
async def test_a_viewer_may_ask_for_our_offer(open_door: OpenDoor, body: str | None, prefer: str) -> None:
    door = await open_door('[[ice_servers]]\nurls = ["stun:stun.example.org"]\n')
    asked = datetime.now(UTC)
    headers = {"Prefer": prefer, **(SDP if body else {})}
    response = await door.ask("POST", "/whep/cam", data=body, headers=headers)
    assert response.status == 406
    media_type, _, valid_until = response.headers["Content-Type"].partition("; ")
    assert (media_type, (await response.text())[:3]) == ("application/sdp", "v=0")
    until = parsedate_to_datetime(valid_until.removeprefix("valid-until=").strip('"'))
    assert timedelta(seconds=28) < until - asked < timedelta(seconds=32)
    assert response.headers["Preference-Applied"] == "counter-offer"
    assert response.headers["Accept-Patch"] == "application/sdp"
    assert re.fullmatch('"[^"]+"', response.headers["ETag"])
    assert response.headers["Link"] == '<stun:stun.example.org>; rel="ice-server"'
    location = response.headers["Location"]
    (key,) = door.streams.counter_offers
    assert location == f"/session/cam/{key[1]}"
    answered = await door.ask("PATCH", location, data="v=0 answer", headers=SDP)
    assert (answered.status, await answered.read()) == (204, b"")
    assert "ETag" not in answered.headers
    assert door.streams.counter_offers == {key: "v=0 answer"}


async def test_without_being_asked_for_an_empty_offer_is_none(open_door: OpenDoor) -> None:
    door = await open_door()
    assert (await door.ask("POST", "/whep/cam", headers={"Prefer": "respond-async"})).status == 415
    assert (await door.ask("POST", "/whip/cam", headers={"Prefer": "counter-offer"})).status == 415
    assert door.streams.counter_offers == {}


async def test_an_answer_is_for_our_offers_only(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    response = await door.ask("PATCH", location, data="v=0", headers=SDP)
    assert (response.status, response.headers["Accept-Patch"]) == (415, "application/trickle-ice-sdpfrag")
    assert (await door.ask("PATCH", f"{location}0", data="v=0", headers=SDP)).status == 404
    offered = await door.ask("POST", "/whep/cam", headers={"Prefer": "counter-offer"})
    assert (await door.ask("PATCH", offered.headers["Location"], data="malformed", headers=SDP)).status == 400
    assert (await door.ask("PATCH", offered.headers["Location"], data=b"\xff", headers=SDP)).status == 400


def _quoted(name: str) -> str:
    return "".join(f"%{byte:02x}" for byte in name.encode())
