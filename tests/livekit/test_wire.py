"""Twirp on the wire: content types, JSON and protobuf, errors, routes, CORS. One row per rule."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from livekit.protocol.egress import EgressInfo, RoomCompositeEgressRequest
from livekit.protocol.ingress import CreateIngressRequest
from livekit.protocol.models import ParticipantInfo, Room, TimedVersion
from livekit.protocol.room import CreateRoomRequest, ListParticipantsResponse
from livekit.protocol.sip import ListSIPInboundTrunkResponse, SIPInboundTrunkInfo

from live777py import errors
from live777py.livekit import codec
from live777py.livekit.errors import HTTP_STATUS, TwirpError
from tests.livekit.doors import SERVICE, OpenLiveKit
from tests.livekit.tokens import ROOM, token

PROTOBUF = {"Content-Type": "application/protobuf"}


async def test_json_in_and_out(open_livekit: OpenLiveKit) -> None:
    """Out: names of the .proto files, defaults printed, int64 as text, unset messages null, enums by name."""
    door = await open_livekit()
    door.rooms.room = Room(sid="RM_1", name=ROOM, creation_time=1_700_000_000, num_participants=3)
    response = await door.call("CreateRoom", data='{"name": "show"}')
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(await response.text()) == {
        "sid": "RM_1",
        "name": ROOM,
        "empty_timeout": 0,
        "departure_timeout": 0,
        "max_participants": 0,
        "creation_time": "1700000000",
        "creation_time_ms": "0",
        "turn_password": "",
        "enabled_codecs": [],
        "metadata": "",
        "num_participants": 3,
        "num_publishers": 0,
        "active_recording": False,
        "version": None,
    }


async def test_json_of_what_is_nested(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    participant = ParticipantInfo(
        identity="a", state=ParticipantInfo.State.ACTIVE, kind=ParticipantInfo.Kind.AGENT, attributes={"b": "c"}
    )
    participant.tracks.add(sid="TR_1").version.CopyFrom(TimedVersion(unix_micro=7, ticks=1))
    door.rooms.participants = ListParticipantsResponse(participants=[participant])
    response = await door.call("ListParticipants", data=json.dumps({"room": ROOM}))
    (told,) = json.loads(await response.text())["participants"]
    assert told["state"] == "ACTIVE"
    assert told["kind"] == "AGENT"
    assert told["attributes"] == {"b": "c"}
    assert told["permission"] is None
    assert told["tracks"][0]["source"] == "UNKNOWN"
    assert told["tracks"][0]["version"] == {"unix_micro": "7", "ticks": 1}


def test_json_of_what_is_not_set() -> None:
    """A message is null, a member of a oneof and what is optional are left out; a duration has a form of its own."""
    trunk = SIPInboundTrunkInfo(ringing_timeout=Duration(seconds=30))
    told = json.loads(codec.to_json(trunk))
    assert (told["ringing_timeout"], told["max_call_duration"]) == ("30s", None)
    assert json.loads(codec.to_json(ListSIPInboundTrunkResponse(items=[trunk])))["items"] == [told]
    egress = json.loads(codec.to_json(EgressInfo(room_composite=RoomCompositeEgressRequest(room_name=ROOM))))
    assert egress["room_composite"]["room_name"] == ROOM
    assert not {"web", "track", "participant", "file", "stream", "segments"} & set(egress)
    optional = json.loads(codec.to_json(CreateIngressRequest()))
    assert "enable_transcoding" not in optional
    assert optional["video"] is None


async def test_protobuf_in_and_out(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    door.rooms.room = Room(sid="RM_1", name=ROOM)
    body = CreateRoomRequest(name=ROOM, max_participants=5).SerializeToString()
    response = await door.call("CreateRoom", data=body, headers=PROTOBUF)
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/protobuf"
    assert Room.FromString(await response.read()) == door.rooms.room
    assert door.rooms.requests == [CreateRoomRequest(name=ROOM, max_participants=5)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{}", {}),
        ('{"max_participants": 5}', {"max_participants": 5}),
        ('{"maxParticipants": 5}', {"max_participants": 5}),
        ('{"maxParticipants": "5"}', {"max_participants": 5}),
        ('{"name": "a", "unknown": {"b": []}}', {"name": "a"}),
        ('{"name": "a", "name_of_nothing": null}', {"name": "a"}),
        ('{"name": null}', {}),
        ('{"name": "a"} and {"more"', {"name": "a"}),
        (' \n{"name": "a"}', {"name": "a"}),
        ('{"tags": {"a": "b"}}', {"tags": {"a": "b"}}),
        ('{"name": "\u00e9"}', {"name": "\u00e9"}),
    ],
)
async def test_what_json_is_read(open_livekit: OpenLiveKit, body: str, expected: dict[str, Any]) -> None:
    door = await open_livekit()
    response = await door.call("CreateRoom", data=body)
    assert response.status == 200
    assert door.rooms.requests == [CreateRoomRequest(**expected)]


@pytest.mark.parametrize("media_type", ["application/json; charset=UTF-8", "Application/JSON", "application/json;"])
async def test_parameters_and_case_of_the_media_type_do_not_matter(open_livekit: OpenLiveKit, media_type: str) -> None:
    door = await open_livekit()
    response = await door.call("ListRooms", data="{}", headers={"Content-Type": media_type})
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"


async def test_an_empty_body_of_protobuf_is_all_defaults(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    assert (await door.call("CreateRoom", headers=PROTOBUF)).status == 200
    assert door.rooms.requests == [CreateRoomRequest()]


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '"text"', "null", "1", '{"name": 1}', '{"maxParticipants": -1}', "\xff"]
)
async def test_bad_json(open_livekit: OpenLiveKit, body: str) -> None:
    door = await open_livekit()
    response = await door.call("CreateRoom", data=body.encode("latin-1"))
    assert response.status == 400
    assert await response.text() == '{"code":"malformed","msg":"the json request could not be decoded"}'


async def test_bad_protobuf(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    response = await door.call("CreateRoom", data=b"\xff\xff", headers=PROTOBUF)
    assert response.status == 400
    assert response.headers["Content-Type"] == "application/json"
    assert await response.text() == '{"code":"malformed","msg":"the protobuf request could not be decoded"}'


async def test_the_body_is_read_before_the_permission_is_looked_at(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    assert (await door.call("CreateRoom", bearer=None, data="{")).status == 400
    assert (await door.call("CreateRoom", bearer=None, data="{}")).status == 401
    assert (await door.call("CreateRoom", bearer="x", data="{")).status == 401


@pytest.mark.parametrize(
    ("verb", "path", "headers", "msg"),
    [
        *(
            (verb, f"{SERVICE}/CreateRoom", {}, f'unsupported method "{verb}" (only POST is allowed)')
            for verb in ("GET", "PUT", "DELETE", "PATCH")
        ),
        ("POST", f"{SERVICE}/Nope", {}, f'no handler for path "{SERVICE}/Nope"'),
        ("POST", f"{SERVICE}/", {}, f'no handler for path "{SERVICE}/"'),
        ("POST", f"{SERVICE}/a/b", {}, f'no handler for path "{SERVICE}/a/b"'),
        ("POST", f"{SERVICE}/createRoom", {}, f'no handler for path "{SERVICE}/createRoom"'),
        ("POST", f"{SERVICE}/create_room", {}, f'no handler for path "{SERVICE}/create_room"'),
        ("POST", "/twirp/livekit.SIP/CreateSIPTrunk", {}, 'no handler for path "/twirp/livekit.SIP/CreateSIPTrunk"'),
        ("POST", f"{SERVICE}/CreateRoom", {"Content-Type": "text/plain"}, 'unexpected Content-Type: "text/plain"'),
        ("POST", f"{SERVICE}/CreateRoom", {"Content-Type": ""}, 'unexpected Content-Type: ""'),
        (
            "POST",
            f"{SERVICE}/CreateRoom",
            {"Content-Type": "application/x-protobuf"},
            'unexpected Content-Type: "application/x-protobuf"',
        ),
    ],
)
async def test_bad_routes(open_livekit: OpenLiveKit, verb: str, path: str, headers: dict[str, str], msg: str) -> None:
    door = await open_livekit()
    response = await door.call(path, verb=verb, headers=headers)
    assert response.status == 404
    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(await response.text()) == {
        "code": "bad_route",
        "msg": msg,
        "meta": {"twirp_invalid_route": f"{verb} {path}"},
    }


@pytest.mark.parametrize("path", ["livekit.Connector/DialWhatsAppCall", "RoomService/ListRooms", "livekit.", ""])
async def test_an_unknown_service(open_livekit: OpenLiveKit, path: str) -> None:
    door = await open_livekit()
    response = await door.call(f"/twirp/{path}", data="{}")
    assert response.status == 404
    assert response.content_type == "text/plain"
    assert await response.text() == "404 page not found\n"


@pytest.mark.parametrize("slashes", ["//", "///"])
async def test_leading_slashes_are_one(open_livekit: OpenLiveKit, slashes: str) -> None:
    door = await open_livekit()
    head = await door.door.ask_raw(
        "POST",
        f"{slashes}twirp/livekit.RoomService/ListRooms",
        body="{}",
        Authorization=f"Bearer {token()}",
        **{"Content-Type": "application/json"},
    )
    assert head.startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize(("code", "status"), HTTP_STATUS.items())
async def test_every_code_has_its_status(open_livekit: OpenLiveKit, code: Any, status: int) -> None:
    door = await open_livekit()
    door.rooms.failure = TwirpError(code, 'so "it" is', {"a": "b"})
    response = await door.call("ListRooms", headers=PROTOBUF)
    assert response.status == status
    assert response.headers["Content-Type"] == "application/json"
    assert await response.text() == f'{{"code":"{code}","msg":"so \\"it\\" is","meta":{{"a":"b"}}}}'


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BadRequest("x"), "invalid_argument"),
        (errors.Unauthorized("x"), "unauthenticated"),
        (errors.Forbidden("x"), "permission_denied"),
        (errors.NotFound("x"), "not_found"),
        (errors.Conflict("x"), "failed_precondition"),
        (errors.PayloadTooLarge("x"), "invalid_argument"),
        (errors.Unprocessable("x"), "invalid_argument"),
        (errors.TooManyRequests("x", retry_after=1), "resource_exhausted"),
        (errors.Unavailable("x", retry_after=1), "unavailable"),
        (errors.UpstreamError("x"), "unavailable"),
        (errors.UpstreamTimeout("x"), "unavailable"),
        (errors.StoreError("x"), "unavailable"),
        (errors.StorageUnavailable("x"), "unavailable"),
        (errors.StorageFull("x"), "resource_exhausted"),
    ],
)
async def test_our_own_errors(open_livekit: OpenLiveKit, error: Exception, code: str) -> None:
    door = await open_livekit()
    door.rooms.failure = error
    assert json.loads(await (await door.call("ListRooms", data="{}")).text()) == {"code": code, "msg": "x"}


@pytest.mark.parametrize("error", [RuntimeError("secret detail"), errors.StorageError("secret detail")])
async def test_a_fault_of_ours_says_nothing(
    open_livekit: OpenLiveKit, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    door = await open_livekit()
    door.rooms.failure = error
    response = await door.call("ListRooms", data="{}", headers={"Origin": "http://a"})
    assert response.status == 500
    assert await response.text() == '{"code":"internal","msg":"the server failed; its log says why"}'
    assert "Access-Control-Allow-Origin" in response.headers
    assert "secret detail" in caplog.text


async def test_methods_that_are_not_built(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    refused = {"code": "unimplemented", "msg": "RoomService.PerformRpc is not built in this version"}
    response = await door.call("PerformRpc", data="{}")
    assert response.status == 501
    assert json.loads(await response.text()) == refused


@pytest.mark.parametrize(
    ("path", "grants"),
    [
        ("Egress/StartEgress", {"video": {"roomRecord": True}}),
        ("Egress/ListEgress", {"video": {"roomRecord": True}}),
        ("Ingress/CreateIngress", {"video": {"ingressAdmin": True}}),
        ("SIP/ListSIPInboundTrunk", {"sip": {"admin": True}}),
        ("SIP/CreateSIPParticipant", {"sip": {"call": True}}),
        ("SIP/TransferSIPParticipant", {"sip": {"call": True}}),
    ],
)
async def test_services_that_are_not_built(open_livekit: OpenLiveKit, path: str, grants: dict[str, Any]) -> None:
    """The permission comes first."""
    door = await open_livekit()
    allowed = token(**{"video": None, "sip": None, **grants})
    for bearer, status in ((allowed, 501), (token(video=None, sip=None), 401), (None, 401)):
        assert (await door.call(f"/twirp/livekit.{path}", bearer=bearer, data="{}")).status == status


@pytest.mark.parametrize("large", [None, "chunked"])
async def test_a_large_body(open_livekit: OpenLiveKit, large: str | None) -> None:
    """10 MiB, which is far more than the other door takes."""
    door = await open_livekit()

    def body(size: int) -> Any:
        text = b'{"metadata": "' + b"x" * size + b'"}'
        if large is None:
            return io.BytesIO(text)

        async def chunks() -> Any:
            for at in range(0, len(text), 1 << 20):
                yield text[at : at + (1 << 20)]

        return chunks()

    assert (await door.call("CreateRoom", data=body(9 << 20))).status == 200
    response = await door.call("CreateRoom", data=body(11 << 20))
    assert response.status == 413
    assert await response.text() == "request body too large\n"
    assert [len(getattr(request, "metadata", "")) for request in door.rooms.requests] == [9 << 20]


async def test_a_large_answer(open_livekit: OpenLiveKit) -> None:
    """Made in pieces, it is the same as in one."""
    door = await open_livekit()
    door.rooms.participants.participants.extend(ParticipantInfo(identity=f"viewer-{i}") for i in range(3000))
    response = await door.call("ListParticipants", data=json.dumps({"room": ROOM}))
    assert json.loads(await response.text()) == json.loads(codec.to_json(door.rooms.participants))


async def test_nobody_sends_much_without_a_token(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    response = await door.call("CreateRoom", bearer=None, data=b"[" * 20_000)
    assert response.status == 401
    assert json.loads(await response.text())["msg"] == "permissions denied"


async def test_the_deadline_of_the_client(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    door.rooms.hold = asyncio.Event().wait
    response = await door.call("ListRooms", data="{}", headers={"X-Twirp-Timeout-Ms": "50"})
    assert response.status == 408
    assert json.loads(await response.text())["code"] == "deadline_exceeded"


@pytest.mark.parametrize("text", ["", "x", "-1", "1e9", "9" * 30, "\u0661"])
async def test_a_deadline_that_is_none_or_far(open_livekit: OpenLiveKit, text: str) -> None:
    door = await open_livekit()
    assert (await door.call("ListRooms", data="{}", headers={"X-Twirp-Timeout-Ms": text})).status == 200


async def test_the_id_of_a_request_reaches_the_service(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    await door.call("ListRooms", data="{}", headers={"X-Livekit-Request-Id": "one"})
    (call,) = door.rooms.calls
    assert (call.request_id, call.deadline) == ("one", None)


async def test_cors_preflight(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    headers = {
        "Origin": "https://app.example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    response = await door.call("CreateRoom", bearer=None, verb="OPTIONS", headers=headers)
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert response.headers["Access-Control-Allow-Methods"] == "OPTIONS, HEAD, GET, POST, PATCH, DELETE"
    assert response.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
    assert response.headers["Access-Control-Max-Age"] == "86400"


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": "{}"}, 200),
        ({"data": "{}", "bearer": None}, 401),
        ({"data": "{}", "bearer": "x"}, 401),
        ({"data": "{"}, 400),
        ({"verb": "GET"}, 404),
        ({"data": io.BytesIO(b"x" * (11 << 20))}, 413),
    ],
)
async def test_cors_of_every_answer(open_livekit: OpenLiveKit, options: dict[str, Any], status: int) -> None:
    door = await open_livekit()
    response = await door.call("ListRooms", headers={"Origin": "https://app.example.org"}, **options)
    assert response.status == status
    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert response.headers["Access-Control-Expose-Headers"] == "*"


async def test_a_header_that_is_not_text(open_livekit: OpenLiveKit) -> None:
    """It is named in the error, and not sent back as a header."""
    door = await open_livekit()
    head = await door.door.ask_raw(
        "POST", f"{SERVICE}/ListRooms", **{"Content-Type": "text/\udcff", "Origin": "http://\u00e9"}
    )
    assert head.startswith("HTTP/1.1 404 ")
    assert "Access-Control-Allow-Origin" not in head


async def test_without_keys_the_door_is_closed(open_livekit: OpenLiveKit, open_door: Any) -> None:
    door = await open_door("")
    for path in (f"{SERVICE}/ListRooms", "/twirp/livekit.Egress/ListEgress"):
        assert (await door.ask("POST", path, json={})).status == 404
    response = await door.ask("POST", "/whip/v1", data="v=0\r\n", headers={"Content-Type": "application/sdp"})
    assert response.headers["Location"].startswith("/session/v1/"), "a stream of this name"
