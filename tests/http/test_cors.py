"""Other origins."""

from __future__ import annotations

import pytest

from tests.http.doors import AUTH, OFFER, SDP, OpenDoor

ON = "[http]\ncors = true\n"
PREFLIGHT = {
    "Origin": "https://page.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}
ENDPOINTS = [
    ("/whip/cam", "Accept-Post", "application/sdp"),
    ("/whep/cam", "Accept-Post", "application/sdp"),
    ("/session/cam/x", "Accept-Patch", "application/trickle-ice-sdpfrag"),
]


@pytest.mark.parametrize(("path", "header", "value"), ENDPOINTS)
@pytest.mark.parametrize("headers", [{}, PREFLIGHT])
@pytest.mark.parametrize("config", ["", ON, AUTH, AUTH + ON])
async def test_options_need_no_token(
    open_door: OpenDoor, config: str, headers: dict[str, str], path: str, header: str, value: str
) -> None:
    door = await open_door(config)
    response = await door.ask("OPTIONS", path, headers=headers)
    assert response.status == 200
    assert response.headers[header] == value
    assert "Link" not in response.headers
    assert ("Access-Control-Allow-Origin" in response.headers) is ("cors" in config)
    if "cors" in config and headers:
        assert "POST" in response.headers["Access-Control-Allow-Methods"] or path.startswith("/session")
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize("status", [201, 401, 404, 415])
async def test_every_answer_can_be_read_by_a_page(open_door: OpenDoor, status: int) -> None:
    door = await open_door(ON + (AUTH if status == 401 else ""))
    path = "/api/streams/none" if status == 404 else "/whip/cam"
    response = await door.ask(
        "GET" if status == 404 else "POST",
        path,
        data=None if status == 404 else OFFER,
        headers={"Origin": "https://page.example", **(SDP if status in {201, 401} else {})},
    )
    assert response.status == status
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    exposed = set(response.headers["Access-Control-Expose-Headers"].split(", "))
    assert exposed >= {"Location", "Link", "ETag", "Accept-Patch"}


SIMPLE = {"Content-Type": "text/plain"}


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "https://evil.example", **SIMPLE}, False),
        ({"Origin": "null", **SIMPLE}, False),
        ({"Origin": "http://{host}:1"}, False),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "http://{host}", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "https://behind.proxy.example", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://{host}"}, True),
        ({"Origin": "http://{host}", **SIMPLE}, True),
        ({}, True),
        ({"Origin": "https://evil.example", "Content-Type": "application/json"}, True),
        ({"Origin": "https://evil.example", "Authorization": "Bearer x"}, True),
    ],
)
async def test_foreign_pages_cannot_change_anything_unasked(
    open_door: OpenDoor, headers: dict[str, str], allowed: bool
) -> None:
    door = await open_door()
    host = f"{door.client.host}:{door.client.port}"
    sent = {name: value.replace("{host}", host) for name, value in headers.items()}
    skip = [] if "Content-Type" in sent else ["Content-Type"]
    response = await door.ask("POST", "/api/streams/new", headers=sent, skip_auto_headers=skip)
    assert response.status == (204 if allowed else 403)
    assert bool(door.streams.streams()) is allowed


async def test_with_cors_on_every_page_may(open_door: OpenDoor) -> None:
    door = await open_door(ON)
    response = await door.ask("POST", "/api/streams/new", headers={"Origin": "https://page.example", **SIMPLE})
    assert response.status == 204
