"""/api/recordings: the index, for those who collect recordings (Live777's API), and the deletion of one."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from live777py.errors import BadRequest, Conflict
from live777py.http.auth import Access
from live777py.http.keys import RECORDINGS, STORAGE, STREAM
from live777py.http.messages import json_answer, read_json
from live777py.http.resource import Operation, Parameter, Resource, json_content
from live777py.recorder.deletion import delete_recording
from live777py.recorder.index import STATUSES, Recording, RecordKey, Status

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 10_000
"""More rows at a time are not read, whatever is asked for: ask again from `last_ts` on."""

_MAX_INT: Final = 2**53
_QUERY: Final = {
    "stream": Parameter(text="Only of this stream", schema={"type": "string"}),
    "status": Parameter(text="Only with this status", schema={"type": "string", "enum": STATUSES}),
    "since_ts": Parameter(
        text="Only what has changed since then: the `last_ts` of the answer before",
        schema={"type": "integer", "minimum": 0, "maximum": _MAX_INT},
    ),
    "limit": Parameter(
        text=f"How many at most; {DEFAULT_LIMIT} without it, or with 0",
        schema={"type": "integer", "minimum": 0, "maximum": _MAX_INT},
    ),
}


class RecordingSession(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the record. Times are Unix microseconds; `end_ts` and `duration_ms` are null while it is recorded."""

    id: str
    stream: str
    start_ts: int
    end_ts: int | None
    duration_ms: int | None
    mpd_path: str
    status: str
    reason: str | None
    bytes: int
    codecs: tuple[str, ...]


class RecordingList(msgspec.Struct, frozen=True, kw_only=True):
    """`last_ts` is null where there is nothing (new)."""

    sessions: list[RecordingSession]
    last_ts: int | None


class RecordName(msgspec.Struct, frozen=True, kw_only=True):
    stream: str
    record: str


class RecordNames(msgspec.Struct, frozen=True, kw_only=True):
    records: list[RecordName]

    @property
    def keys(self) -> list[RecordKey]:
        return [RecordKey(name.stream, name.record) for name in self.records]


class Acked(msgspec.Struct, frozen=True, kw_only=True):
    acked: int


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    deleted: int


async def list_recordings(request: web.Request) -> web.Response:
    found = await request.app[RECORDINGS].changed_since(
        _number(request, "since_ts") or 0,
        stream=request.query.get("stream"),
        status=_status(request),
        limit=min(_number(request, "limit") or DEFAULT_LIMIT, MAX_LIMIT),
    )
    last = found[-1].updated_us if found else None
    return json_answer(RecordingList(sessions=[_session(recording) for recording in found], last_ts=last))


async def ack(request: web.Request) -> web.Response:
    names: RecordNames = await read_json(request, RecordNames)
    return json_answer(Acked(acked=await request.app[RECORDINGS].ack(names.keys)))


async def forget(request: web.Request) -> web.Response:
    names: RecordNames = await read_json(request, RecordNames)
    return json_answer(Deleted(deleted=await request.app[RECORDINGS].forget_acked(names.keys)))


async def delete(request: web.Request) -> web.Response:
    index = request.app[RECORDINGS]
    recording = await index.find(RecordKey(request[STREAM], request.match_info["record"]))
    if recording.active:
        raise Conflict("it is being recorded")
    await delete_recording(recording, index, request.app[STORAGE])
    return web.Response(status=204)


def _session(recording: Recording) -> RecordingSession:
    return RecordingSession(
        id=recording.record,
        stream=recording.stream,
        start_ts=recording.start_us,
        end_ts=recording.end_us,
        duration_ms=None if recording.active else recording.duration_ms,
        mpd_path=recording.mpd_path,
        status=recording.status,
        reason=recording.reason,
        bytes=recording.bytes,
        codecs=recording.codecs,
    )


def _status(request: web.Request) -> Status | None:
    wanted = request.query.get("status")
    for status in STATUSES:
        if wanted == status:
            return status
    if wanted is not None:
        raise BadRequest(f"status must be one of {', '.join(STATUSES)}")
    return None


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= _MAX_INT):
        raise BadRequest(f"{name} must be an integer from 0 to {_MAX_INT}")
    return int(text)


RESOURCES = (
    Resource(
        path="/api/recordings",
        operations={
            "GET": Operation(
                summary="Recordings that are new or have changed, without those acknowledged",
                handler=list_recordings,
                access=Access.EVERYTHING,
                query=_QUERY,
                answers={200: json_content(RecordingList)},
                problems=(400,),
            ),
            "PATCH": Operation(
                summary="Acknowledge recordings: they are not told of again",
                handler=ack,
                access=Access.EVERYTHING,
                request=json_content(RecordNames),
                answers={200: json_content(Acked)},
            ),
            "DELETE": Operation(
                summary="Forget acknowledged recordings; their objects stay",
                handler=forget,
                access=Access.EVERYTHING,
                request=json_content(RecordNames),
                answers={200: json_content(Deleted)},
            ),
        },
    ),
    Resource(
        path="/api/recordings/{stream}/{record}",
        operations={
            "DELETE": Operation(
                summary="Delete a recording and its objects",
                handler=delete,
                access=Access.RECORD,
                answers={204: None},
                problems=(404, 409, 503),
            )
        },
    ),
)
