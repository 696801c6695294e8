"""/api/record: what is being recorded (Live777's API)."""

from __future__ import annotations

import msgspec
from aiohttp import web

from live777py.errors import Forbidden
from live777py.http.auth import Access
from live777py.http.keys import PRINCIPAL, RECORDER, STREAM
from live777py.http.messages import json_answer, read_optional_json
from live777py.http.resource import Operation, Resource, json_content
from live777py.recorder.index import record_id
from live777py.recorder.names import MANIFEST
from live777py.storage import StoragePath


class RecordRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`base_dir` is the directory of the recording, instead of one that is named for the stream and the time."""

    base_dir: str | None = None


class RecordAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`record_id` is "" where `record_dir` is not named for a time."""

    id: str
    record_id: str
    record_dir: str
    mpd_path: str


class RecordState(msgspec.Struct, frozen=True, kw_only=True):
    recording: bool


async def start(request: web.Request) -> web.Response:
    wanted: RecordRequest = await read_optional_json(request, RecordRequest, default=RecordRequest())
    stream = request[STREAM]
    base_dir = StoragePath(wanted.base_dir.removesuffix("/")) if wanted.base_dir else None
    principal = request[PRINCIPAL]
    if base_dir is not None and principal.stream is not None and base_dir.segments[0] != principal.stream:
        raise Forbidden("a token of one stream records below the directory of that stream")
    started = await request.app[RECORDER].start(stream, base_dir)
    directory = str(started.directory)
    return json_answer(
        RecordAnswer(
            id=stream, record_id=record_id(directory), record_dir=directory, mpd_path=f"{directory}/{MANIFEST}"
        )
    )


async def see(request: web.Request) -> web.Response:
    return json_answer(RecordState(recording=request.app[RECORDER].recording(request[STREAM])))


async def stop(request: web.Request) -> web.Response:
    await request.app[RECORDER].stop(request[STREAM])
    return web.Response()


RESOURCE = Resource(
    place="publisher",
    path="/api/record/{stream}",
    operations={
        "GET": Operation(
            summary="Whether the stream is being recorded",
            handler=see,
            access=Access.PLAY_BACK,
            answers={200: json_content(RecordState)},
        ),
        "POST": Operation(
            summary="Record the stream, which somebody must publish",
            handler=start,
            access=Access.RECORD,
            request=json_content(RecordRequest, required=False),
            answers={200: json_content(RecordAnswer)},
            problems=(404, 409, 503, 507),
        ),
        "DELETE": Operation(
            summary="End the recording of the stream",
            handler=stop,
            access=Access.RECORD,
            answers={200: None},
        ),
    },
)
