"""JSON that is no JSON, or not what is expected: the error says which, and nothing is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from live777py.http.limits import MAX_BODY
from tests.http.routes import JSON

if TYPE_CHECKING:
    from tests.http.doors import OpenDoor

MUTE = "/session/cam/{session}"
LAYER = "/session/cam/{session}/layer"
CASCADE = "/api/cascade/cam"
SOURCE = "/api/sources/cam"
RECORD = "/api/record/cam"
PATHS = [MUTE, LAYER, CASCADE, SOURCE, RECORD]

NOT_JSON = [b"{", b"{]", b"\xff", b'{"x": "\\ud800"}', b'{"x":' + b"[" * 100_000]

WRONG_SHAPES = [
    (MUTE, b"[]", "object"),
    (MUTE, b"{}", "kind"),
    (MUTE, b'{"kind": "audio"}', "enabled"),
    (MUTE, b'{"kind": "smell", "enabled": true}', "$.kind"),
    (MUTE, b'{"kind": "audio", "enabled": 1}', "$.enabled"),
    (LAYER, b'{"encodingId": 1}', "$.encodingId"),
    (LAYER, b'"q"', "object"),
    (CASCADE, b"null", "object"),
    (CASCADE, b'{"sourceUrl": ["http://127.0.0.1/whep/x"]}', "$.sourceUrl"),
    (SOURCE, b"{}", "url"),
    (RECORD, b"[]", "object"),
    (RECORD, b"null", "object"),
    (RECORD, b'{"base_dir": 1}', "$.base_dir"),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("content_type", ["text/plain", "application/sdp", "application/jsonx", ""])
async def test_another_type_is_415(open_door: OpenDoor, path: str, content_type: str) -> None:
    door = await open_door()
    session = (await door.play()).headers["Location"].rpartition("/")[2]
    response = await door.ask(
        "POST", path.replace("{session}", session), data=b"{}", headers={"Content-Type": content_type}
    )
    assert response.status == 415
    assert response.headers["Accept-Post"] == "application/json"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", NOT_JSON, ids=lambda body: str(body[:20]))
async def test_what_is_no_json_is_400(open_door: OpenDoor, path: str, body: bytes) -> None:
    door = await open_door()
    session = (await door.play()).headers["Location"].rpartition("/")[2]
    response = await door.ask("POST", path.replace("{session}", session), data=body, headers=JSON)
    assert response.status == 400
    assert response.content_type == "application/problem+json"


@pytest.mark.parametrize("path", [MUTE, LAYER, CASCADE, SOURCE])
async def test_no_body_is_400(open_door: OpenDoor, path: str) -> None:
    door = await open_door()
    session = (await door.play()).headers["Location"].rpartition("/")[2]
    assert (await door.ask("POST", path.replace("{session}", session), data=b"", headers=JSON)).status == 400


@pytest.mark.parametrize(("path", "body", "member"), WRONG_SHAPES)
async def test_another_shape_is_422_and_names_the_member(
    open_door: OpenDoor, path: str, body: bytes, member: str
) -> None:
    door = await open_door()
    session = (await door.play()).headers["Location"].rpartition("/")[2]
    response = await door.ask("POST", path.replace("{session}", session), data=body, headers=JSON)
    assert response.status == 422
    assert member in (await response.json())["detail"]
    assert not door.recorder.recording("cam")
    assert (door.streams.muted, door.streams.selected, door.cascade.hops, door.cascade.urls) == ([], {}, [], [])


@pytest.mark.parametrize("path", PATHS)
async def test_a_large_body_is_413(open_door: OpenDoor, path: str) -> None:
    door = await open_door()
    session = (await door.play()).headers["Location"].rpartition("/")[2]
    body = b'{"x": "' + b"y" * MAX_BODY + b'"}'
    assert (await door.ask("POST", path.replace("{session}", session), data=body, headers=JSON)).status == 413


async def test_members_that_nobody_knows_are_ignored(open_door: OpenDoor) -> None:
    """Live777's dashboard sends more than is read, and so may the next version of any client."""
    door = await open_door()
    body: dict[str, object] = {"sourceUrl": "http://127.0.0.1/whep/x", "comment": [{}], "token": None}
    assert (await door.ask("POST", CASCADE, json=body)).status == 200
