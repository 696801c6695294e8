"""What goes over the wire of LiveKit's API, byte by byte where a client looks at bytes."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from livekit import api
from livekit.protocol.models import Room
from livekit.protocol.room import CreateRoomRequest, ListRoomsResponse

from tests.conformance.livekit_server import token

if TYPE_CHECKING:
    from tests.conformance.livekit_server import Answer, LiveKitServer

SERVICE = "/twirp/livekit.RoomService"
CREATE = f"{SERVICE}/CreateRoom"
LIST = f"{SERVICE}/ListRooms"
JSON = "application/json"
PROTOBUF = "application/protobuf"
ORIGIN = "https://app.example"

pytestmark = pytest.mark.livekit_case(26)


def bearer(**grants: Any) -> str:
    return f"Bearer {token(**grants)}"


def error(code: str, message: str, **meta: str) -> bytes:
    """.NET's parser looks for `code":"`: no space may follow a colon."""
    body = {"code": code, "msg": message, **({"meta": meta} if meta else {})}
    return json.dumps(body, separators=(",", ":")).encode()


def assert_error(answer: Answer, status: int, body: bytes) -> None:
    assert (answer.status, answer.body) == (status, body)
    # Node's SDK reads an error only behind exactly this.
    assert answer.headers["content-type"] == JSON


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_a_method_is_called_by_post(livekit: LiveKitServer, method: str) -> None:
    answer = await livekit.ask(method, CREATE)
    message = f'unsupported method "{method}" (only POST is allowed)'
    assert_error(answer, 404, error("bad_route", message, twirp_invalid_route=f"{method} {CREATE}"))


async def test_a_method_that_is_not_there(livekit: LiveKitServer) -> None:
    path = f"{SERVICE}/Nope"
    answer = await livekit.ask("POST", path, "{}", Content_Type=JSON)
    assert_error(answer, 404, error("bad_route", f'no handler for path "{path}"', twirp_invalid_route=f"POST {path}"))


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/jsonx", "application/grpc", "json"])
async def test_a_body_is_json_or_protobuf(livekit: LiveKitServer, content_type: str) -> None:
    headers = {"Content_Type": content_type} if content_type else {}
    answer = await livekit.ask("POST", CREATE, "{}", **headers)
    message = f'unexpected Content-Type: "{content_type}"'
    assert_error(answer, 404, error("bad_route", message, twirp_invalid_route=f"POST {CREATE}"))


@pytest.mark.parametrize(
    "path", ["/twirp/livekit.Nope/CreateRoom", "/twirp/livekit.PhoneNumberService/Search", "/twirp/", "/twirp/x"]
)
async def test_a_service_that_is_not_there(livekit: LiveKitServer, path: str) -> None:
    answer = await livekit.ask("POST", path, "{}", Content_Type=JSON)
    assert (answer.status, answer.body) == (404, b"404 page not found\n")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("body", ["", "{", "[]", "null x", '{"name":', '{"empty_timeout":"soon"}', "\0"])
async def test_json_that_cannot_be_read(livekit: LiveKitServer, body: str) -> None:
    """Which is said before anybody asks for a token."""
    answer = await livekit.ask("POST", CREATE, body, Content_Type=JSON)
    assert_error(answer, 400, error("malformed", "the json request could not be decoded"))


@pytest.mark.parametrize("body", [b"\x0a\x05ab", b"\xff", b"\x0a\x02\xff\xfe"])
async def test_protobuf_that_cannot_be_read(livekit: LiveKitServer, body: bytes) -> None:
    answer = await livekit.ask("POST", CREATE, body, Content_Type=PROTOBUF)
    assert_error(answer, 400, error("malformed", "the protobuf request could not be decoded"))


async def test_an_empty_protobuf_body_is_a_request(livekit: LiveKitServer) -> None:
    answer = await livekit.ask("POST", LIST, b"", Content_Type=PROTOBUF, Authorization=bearer(room_list=True))
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, PROTOBUF, b"")


@pytest.mark.parametrize(
    ("body", "metadata", "seconds"),
    [
        ('{"name":"r","emptyTimeout":7,"metadata":"m"}', "m", 7),
        ('{"name":"r","empty_timeout":7,"metadata":"m"}', "m", 7),
        ('{"name":"r","empty_timeout":"7"}', "", 7),
        ('{"name":"r","unknown":{"a":[1]},"empty_timeout":7}', "", 7),
        ('{"name":"r","empty_timeout":7}{"name":"s"}', "", 7),
        ('{"name":"r","metadata":null,"empty_timeout":7.0}', "", 7),
        ('  {"name":"r","metadata":"\\u00fc"}  ', "ü", 300),
    ],
)
async def test_how_json_may_be_written(livekit: LiveKitServer, body: str, metadata: str, seconds: int) -> None:
    answer = await livekit.ask("POST", CREATE, body, Content_Type=JSON, Authorization=bearer(room_create=True))
    assert answer.status == 200, answer
    room = json.loads(answer.body)
    assert (room["name"], room["metadata"], room["empty_timeout"]) == ("r", metadata, seconds)


async def test_how_json_is_written(livekit: LiveKitServer) -> None:
    """snake_case, defaults as well, 64-bit numbers as text."""
    answer = await livekit.ask(
        "POST", CREATE, '{"name":"r"}', Content_Type=JSON, Authorization=bearer(room_create=True)
    )
    assert answer.headers["content-type"] == JSON
    room = json.loads(answer.body)
    assert (room["max_participants"], room["metadata"], room["active_recording"]) == (0, "", False)
    assert isinstance(room["creation_time"], str)
    assert {"num_participants", "departure_timeout", "enabled_codecs", "creation_time_ms"} <= set(room)
    assert room["enabled_codecs"][0] == {"mime": "audio/PCMU", "fmtp_line": ""}
    listed = await livekit.ask("POST", LIST, '{"names":["x"]}', Content_Type=JSON, Authorization=bearer(room_list=True))
    assert json.loads(listed.body) == {"rooms": []}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
        " application/json ; x=y",
    ],
)
async def test_the_parameters_of_a_media_type(livekit: LiveKitServer, content_type: str) -> None:
    answer = await livekit.ask("POST", LIST, "{}", Content_Type=content_type, Authorization=bearer(room_list=True))
    assert (answer.status, answer.headers["content-type"]) == (200, JSON)


@pytest.mark.parametrize("content_type", [PROTOBUF, "application/protobuf; proto=livekit"])
async def test_protobuf_is_answered_with_protobuf(livekit: LiveKitServer, content_type: str) -> None:
    request = CreateRoomRequest(name="r", metadata="m").SerializeToString() + b"\xfa\x3f\x01x"
    answer = await livekit.ask(
        "POST", CREATE, request, Content_Type=content_type, Authorization=bearer(room_create=True)
    )
    assert (answer.status, answer.headers["content-type"]) == (200, PROTOBUF)
    assert Room.FromString(answer.body).metadata == "m"


async def test_an_error_of_a_protobuf_request_is_json(livekit: LiveKitServer) -> None:
    answer = await livekit.ask("POST", CREATE, b"", Content_Type=PROTOBUF)
    assert_error(answer, 401, error("unauthenticated", "permissions denied"))


async def test_enums_and_bytes(livekit: LiveKitServer) -> None:
    await livekit.api.room.create_room(api.CreateRoomRequest(name="r"))
    admin = bearer(room_admin=True, room="r")
    data = base64.b64encode(b"\0\xff data").decode()
    for kind in ('"LOSSY"', "1", '"RELIABLE"', "0"):
        body = f'{{"room":"r","data":"{data}","kind":{kind}}}'
        answer = await livekit.ask("POST", f"{SERVICE}/SendData", body, Content_Type=JSON, Authorization=admin)
        assert (answer.status, answer.body) == (200, b"{}")


@pytest.mark.parametrize("slashes", ["//", "///"])
async def test_slashes_before_the_path(livekit: LiveKitServer, slashes: str) -> None:
    head = f"POST {slashes}twirp/livekit.RoomService/ListRooms HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\n"
    request = head + f"Authorization: {bearer(room_list=True)}\r\nContent-Length: 2\r\n\r\n{{}}"
    answer = await livekit.raw(request.encode())
    assert (answer.status, json.loads(answer.body)) == (200, {"rooms": []})


async def test_a_body_has_a_limit(livekit: LiveKitServer) -> None:
    body = f'{{"name":"{"x" * 10 * 1024 * 1024}"}}'
    answer = await livekit.ask("POST", CREATE, body, Content_Type=JSON, Authorization=bearer(room_create=True))
    assert answer.status == 413


async def test_a_foreign_page_may_ask(livekit: LiveKitServer) -> None:
    """LiveKit lets every page in: what counts is the token."""
    preflight = await livekit.ask(
        "OPTIONS",
        CREATE,
        Origin=ORIGIN,
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization,content-type,x-livekit-request-id",
    )
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] in {ORIGIN, "*"}
    assert "POST" in preflight.headers["access-control-allow-methods"]
    allowed = preflight.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed
    assert allowed == "*" or "x-livekit-request-id" in allowed
    answer = await livekit.ask("POST", CREATE, "{}", Content_Type=JSON, Origin=ORIGIN)
    assert answer.status == 401
    assert answer.headers["access-control-allow-origin"] in {ORIGIN, "*"}


async def test_a_deadline_of_the_client(livekit: LiveKitServer) -> None:
    answer = await livekit.ask(
        "POST", LIST, "{}", Content_Type=JSON, Authorization=bearer(room_list=True), X_Twirp_Timeout_Ms="10000"
    )
    assert answer.status == 200


GO = (
    "POST {path} HTTP/1.1\r\n"
    "Host: {host}\r\n"
    "User-Agent: Go-http-client/1.1\r\n"
    "Content-Length: {length}\r\n"
    "Accept: application/protobuf\r\n"
    "Authorization: {bearer}\r\n"
    "Content-Type: application/protobuf\r\n"
    "Twirp-Version: v8.1.3\r\n"
    "X-Livekit-Request-Id: 0b8f8c6e-7d3a-4a3e-9f6a-2f0f6f1d9b11\r\n"
    "X-Twirp-Timeout-Ms: 9999\r\n"
    "Accept-Encoding: gzip\r\n"
    "\r\n"
)
DOTNET = (
    "POST {path} HTTP/1.1\r\n"
    "Host: {host}\r\n"
    "Authorization: {bearer}\r\n"
    "User-Agent: LiveKit .NET SDK\r\n"
    "Content-Type: application/protobuf\r\n"
    "Content-Length: {length}\r\n"
    "\r\n"
)


@pytest.mark.livekit_case(27)
@pytest.mark.parametrize("head", [GO, DOTNET], ids=["Go", ".NET"])
async def test_requests_as_other_sdks_send_them(livekit: LiveKitServer, head: str) -> None:
    """Their head, byte by byte, with a token and a body of the moment."""

    async def send(path: str, body: bytes, authorization: str) -> Answer:
        host = livekit.url.removeprefix("http://")
        text = head.format(path=path, host=host, bearer=authorization, length=len(body))
        return await livekit.raw(text.encode() + body)

    # Two fields by hand, as the bytes go over the wire: name = 1, metadata = 5.
    created = await send(CREATE, b"\x0a\x02go\x2a\x01m", bearer(room_create=True))
    assert (created.status, created.headers["content-type"]) == (200, PROTOBUF)
    assert "content-encoding" not in created.headers
    room = Room.FromString(created.body)
    assert (room.name, room.metadata) == ("go", "m")
    listed = await send(LIST, b"", bearer(room_list=True))
    assert [each.sid for each in ListRoomsResponse.FromString(listed.body).rooms] == [room.sid]
    missing = await send(f"{SERVICE}/DeleteRoom", b"\x0a\x02no", bearer(room_create=True))
    assert_error(missing, 404, error("not_found", "requested room does not exist"))
    # Go takes a body with other keys, or with other values than text in meta, for a proxy's.
    wrong = await send(f"{SERVICE}/Nope", b"", bearer())
    body = json.loads(wrong.body)
    assert set(body) <= {"code", "msg", "meta"}
    assert all(isinstance(value, str) for value in body["meta"].values())
