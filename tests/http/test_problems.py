"""What goes wrong, and how it is said."""

from __future__ import annotations

import asyncio
import inspect
import io
import logging

import pytest

from live777py.errors import (
    Conflict,
    Elsewhere,
    Live777Error,
    RangeNotSatisfiable,
    StorageUnavailable,
    StoreUnavailable,
    Unauthorized,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)
from live777py.http import messages
from tests.http.doors import OFFER, SDP, OpenDoor


async def test_problem_details_name_type_title_status_and_detail(open_door: OpenDoor) -> None:
    door = await open_door()
    response = await door.ask("GET", "/api/streams/none")
    assert response.content_type == "application/problem+json"
    assert await response.json() == {
        "type": "about:blank",
        "title": "Not found",
        "status": 404,
        "detail": "no such stream",
    }


async def test_our_fault_is_logged_and_not_told(open_door: OpenDoor, caplog: pytest.LogCaptureFixture) -> None:
    door = await open_door()
    door.streams.failure = ZeroDivisionError("secret of the house")
    response = await door.ask("POST", "/whip/cam?token=hidden", data=OFFER, headers=SDP)
    assert response.status == 500
    body = await response.text()
    assert "secret of the house" not in body
    assert "ZeroDivisionError" not in body
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert "ZeroDivisionError: secret of the house" in caplog.text
    assert "hidden" not in caplog.text


@pytest.mark.parametrize(
    ("failure", "status", "retry_after"),
    [
        (Conflict("taken", retry_after=1), 409, "1"),
        (Conflict("taken"), 409, None),
        (Unavailable("full", retry_after=10), 503, "10"),
        (UpstreamError("refused", answered=409, retry_after=0.2), 502, "1"),
        (UpstreamTimeout("nothing came"), 504, None),
    ],
)
async def test_who_may_try_again_is_told_when(
    open_door: OpenDoor, failure: Live777Error, status: int, retry_after: str | None
) -> None:
    door = await open_door()
    door.streams.failure = failure
    response = await door.ask("POST", "/whip/cam", data=OFFER, headers=SDP)
    assert (response.status, response.headers.get("Retry-After")) == (status, retry_after)
    assert (await response.json())["detail"] == failure.detail


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/sdp", OFFER, 201),
        ("application/sdp; charset=utf-8", OFFER, 201),
        ("Application/SDP;x=y", OFFER, 201),
        ("text/plain", OFFER, 415),
        ("application/json", "{}", 415),
        ("application/sdpx", OFFER, 415),
        ("application/sdp", "", 400),
        ("application/sdp", b"\xff\xfe\x00", 400),
        ("application/sdp", "v=0\r\n" + "a" * 1_048_576, 413),
    ],
)
@pytest.mark.parametrize("path", ["/whip/cam", "/whep/cam"])
async def test_bodies(open_door: OpenDoor, path: str, content_type: str, body: str | bytes, status: int) -> None:
    door = await open_door()
    data = io.BytesIO(body.encode() if isinstance(body, str) else body)
    response = await door.ask("POST", path, data=data, headers={"Content-Type": content_type})
    assert response.status == status
    if status == 415:
        assert response.headers["Accept-Post"] == "application/sdp"
    if status != 201:
        assert door.streams.streams() == []


async def test_a_missing_type_is_415(open_door: OpenDoor) -> None:
    door = await open_door()
    response = await door.ask("POST", "/whip/cam", data=OFFER.encode(), skip_auto_headers=["Content-Type"])
    assert (response.status, response.headers["Accept-Post"]) == (415, "application/sdp")


async def test_a_chunked_body_is_limited_too(open_door: OpenDoor) -> None:
    async def much() -> object:
        for _ in range(64):
            yield b"a" * 65_536

    door = await open_door()
    assert (await door.ask("POST", "/whip/cam", data=much(), headers=SDP)).status == 413


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/whip/cam", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/whep/cam", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/session/cam/x", {"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"}),
        ("/api/streams/", {"GET", "HEAD", "OPTIONS"}),
        ("/api/streams/cam", {"GET", "HEAD", "POST", "DELETE", "OPTIONS"}),
        ("/api/info", {"GET", "HEAD", "OPTIONS"}),
        ("/metrics", {"GET", "HEAD", "OPTIONS"}),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "TRACE", "PROPFIND"])
async def test_other_methods_are_405_with_allow(open_door: OpenDoor, path: str, allow: set[str], method: str) -> None:
    door = await open_door()
    response = await door.ask(method, path)
    assert response.status == 405
    assert set(response.headers["Allow"].split(",")) == allow
    assert response.content_type == "application/problem+json"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize(
    "path", ["/nothing", "/whip/", "/whip/a/b", "/session/a", "/api/nothing/", "/api/", "/..%2fetc"]
)
async def test_unknown_paths_are_404(open_door: OpenDoor, method: str, path: str) -> None:
    door = await open_door()
    assert (await door.ask(method, path)).status == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/streams", 200),
        ("GET", "/api/strategy", 200),
        ("GET", "/api/strategy/", 200),
        ("GET", "/api/info/", 200),
        ("GET", "/metrics/", 200),
        ("POST", "/api/streams/new/", 204),
        ("GET", "/whip/cam/", 204),
        ("OPTIONS", "/whep/cam/", 200),
    ],
)
async def test_a_trailing_slash_does_not_matter(open_door: OpenDoor, method: str, path: str, status: int) -> None:
    door = await open_door()
    assert (await door.ask(method, path)).status == status


def _tree(error: type[Live777Error]) -> list[type[Live777Error]]:
    children = [child for child in error.__subclasses__() if child.__module__ == Live777Error.__module__]
    # Elsewhere is no problem; tests/http/test_nodes.py has it.
    return [error, *(leaf for child in children if child is not Elsewhere for leaf in _tree(child))]


@pytest.mark.parametrize("error", _tree(Live777Error), ids=lambda error: error.__name__)
async def test_every_error_has_its_status(open_door: OpenDoor, error: type[Live777Error]) -> None:
    door = await open_door()
    needs = inspect.signature(error.__init__).parameters
    arguments = {name: 7 for name in ("retry_after", "size") if name in needs}
    door.streams.failure = error(detail="the reason", **arguments)
    response = await door.publish()
    body = await response.json()
    assert (response.status, body["status"], body["title"]) == (error.status, error.status, error.title)
    assert ("the reason" in body["detail"]) is (error.status != 500)
    later = "7" if "retry_after" in needs else "5" if error in {StorageUnavailable, StoreUnavailable} else None
    assert response.headers.get("Retry-After") == later
    assert response.headers.get("Content-Range") == ("bytes */7" if error is RangeNotSatisfiable else None)
    assert ("WWW-Authenticate" in response.headers) is (error is Unauthorized)


async def test_a_body_that_does_not_arrive_is_408(open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "BODY_TIMEOUT", 0.05)
    door = await open_door()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.client.port)
    writer.write(b"POST /whip/cam HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: 9\r\n\r\nv=0")
    assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"POST /whip/cam HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    ],
    ids=["not HTTP", "not gzip"],
)
async def test_what_cannot_be_read_is_one_line(
    open_door: OpenDoor, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    caplog.set_level(logging.INFO)
    door = await open_door()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.client.port)
    writer.write(sent)
    assert await reader.readline() in {b"HTTP/1.0 400 Bad Request\r\n", b"HTTP/1.1 415 Unsupported Media Type\r\n"}
    await reader.read()
    writer.close()
    await writer.wait_closed()
    assert "Traceback" not in caplog.text


async def test_a_client_that_leaves_is_no_fault_of_ours(open_door: OpenDoor, caplog: pytest.LogCaptureFixture) -> None:
    """aiohttp raises this where a body ends too early; the answer is for a peer that does not read it."""
    door = await open_door()
    door.streams.failure = ConnectionResetError("Connection lost")
    response = await door.ask("POST", "/whip/cam", data=OFFER, headers=SDP)
    assert response.status == 400
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
