"""Hops, sources and reload, as Live777's API words them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from live777py.errors import Unprocessable, UpstreamError, UpstreamTimeout
from tests.fakes.cascade import Hop

if TYPE_CHECKING:
    from tests.http.doors import OpenDoor

WHEP, WHIP = "http://127.0.0.1:7777/whep/web-0", "http://127.0.0.1:7777/whip/push"

HOPS = [
    ({"sourceUrl": WHEP}, (WHEP, None, None)),
    ({"targetUrl": WHIP}, (None, WHIP, None)),
    ({"token": "", "sourceUrl": WHEP, "targetUrl": ""}, (WHEP, None, None)),
    ({"token": None, "sourceUrl": None, "targetUrl": WHIP}, (None, WHIP, None)),
    ({"token": "Bearer abc", "targetUrl": WHIP}, (None, WHIP, "Bearer abc")),
    ({"token": "abc", "targetUrl": WHIP}, (None, WHIP, "Bearer abc")),
    ({"token": " abc ", "sourceUrl": WHEP}, (WHEP, None, "Bearer abc")),
    ({"token": "Basic dTpw", "sourceUrl": WHEP}, (WHEP, None, "Basic dTpw")),
]


@pytest.mark.parametrize(("body", "expected"), HOPS)
async def test_a_hop_is_asked_for(
    open_door: OpenDoor, body: dict[str, str | None], expected: tuple[str | None, str | None, str | None]
) -> None:
    door = await open_door()
    response = await door.ask("POST", "/api/cascade/cam", json=body)
    assert (response.status, await response.read()) == (200, b"")
    source, target, authorization = expected
    assert door.cascade.hops == [Hop(stream="cam", source_url=source, target_url=target, authorization=authorization)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"token": "abc"},
        {"sourceUrl": "", "targetUrl": ""},
        {"sourceUrl": WHEP, "targetUrl": WHIP},
        {"sourceUrl": WHEP, "token": "a\r\nX-Injected: 1"},
        {"sourceUrl": WHEP, "token": "ü"},
    ],
)
async def test_a_hop_that_makes_no_sense_is_422(open_door: OpenDoor, body: dict[str, str]) -> None:
    door = await open_door()
    assert (await door.ask("POST", "/api/cascade/cam", json=body)).status == 422
    assert door.cascade.hops == []


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (UpstreamError("the other side answered 409", answered=409, retry_after=1.2), 502),
        (UpstreamTimeout("the other side did not answer"), 504),
    ],
)
@pytest.mark.parametrize(
    ("path", "body"), [("/api/cascade/cam", {"sourceUrl": WHEP}), ("/api/sources/cam", {"url": WHEP})]
)
async def test_a_failure_of_another_node_is_a_problem(
    open_door: OpenDoor, path: str, body: dict[str, str], failure: UpstreamError, status: int
) -> None:
    door = await open_door()
    door.cascade.failure = failure
    response = await door.ask("POST", path, json=body)
    assert response.status == status
    assert response.headers.get("Retry-After") == ("2" if failure.retry_after else None)
    problem = await response.json()
    assert problem == {"type": "about:blank", "title": failure.title, "status": status, "detail": failure.detail}


async def test_sources(open_door: OpenDoor) -> None:
    door = await open_door()
    assert await (await door.ask("GET", "/api/sources")).json() == {"sources": []}
    made = await door.ask("POST", "/api/sources/cam", json={"url": "whep://token@127.0.0.1/whep/x"})
    assert await made.json() == {
        "id": "cam-1",
        "source_type": "whep",
        "state": "Connected",
        "message": "WHEP source created and started with bridge",
    }
    assert door.cascade.urls == ["whep://token@127.0.0.1/whep/x"]
    source = {"id": "cam-1", "stream_id": "cam", "source_type": "whep", "state": "Connected"}
    assert await (await door.ask("GET", "/api/sources/")).json() == {"sources": [source]}
    assert await (await door.ask("GET", "/api/sources/cam")).json() == source
    state = await door.ask("GET", "/api/sources/cam/state")
    assert await state.json() == {"stream_id": "cam", "state": "Connected"}
    gone = await door.ask("DELETE", "/api/sources/cam")
    assert await gone.json() == {"message": "Source deleted successfully", "stream_id": "cam"}
    for method, path in (
        ("GET", "/api/sources/cam"),
        ("GET", "/api/sources/cam/state"),
        ("DELETE", "/api/sources/cam"),
    ):
        assert (await door.ask(method, path)).status == 404


async def test_reload(open_door: OpenDoor) -> None:
    door = await open_door()
    response = await door.ask("POST", "/api/config/reload")
    assert response.status == 200
    assert await response.json() == {"applied": ["log.level"], "restartNeeded": ["http.listen"]}


async def test_a_config_error_is_422(open_door: OpenDoor) -> None:
    door = await open_door()
    door.reload.failure = Unprocessable("http.listen: IP:PORT")
    response = await door.ask("POST", "/api/config/reload")
    assert response.status == 422
    assert (await response.json())["detail"] == "http.listen: IP:PORT"
