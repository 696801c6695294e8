"""/api/playback: what can be played."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from live777py.http.auth import Access
from live777py.http.keys import RECORDINGS, STREAM
from live777py.http.messages import json_answer
from live777py.http.resource import Operation, Resource, json_content

if TYPE_CHECKING:
    from aiohttp import web


class PlaybackEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Times are Unix microseconds; `end_ts` is null while it is recorded, and `duration_ms` grows."""

    record: str
    mpd_path: str
    duration_ms: int
    start_ts: int
    end_ts: int | None
    status: str
    bytes: int
    codecs: tuple[str, ...]


async def list_streams(request: web.Request) -> web.Response:
    return json_answer(await request.app[RECORDINGS].streams())


async def list_entries(request: web.Request) -> web.Response:
    recordings = await request.app[RECORDINGS].of_stream(request[STREAM])
    return json_answer(
        [
            PlaybackEntry(
                record=recording.record,
                mpd_path=recording.mpd_path,
                duration_ms=recording.duration_ms,
                start_ts=recording.start_us,
                end_ts=recording.end_us,
                status=recording.status,
                bytes=recording.bytes,
                codecs=recording.codecs,
            )
            for recording in recordings
            if recording.bytes
        ]
    )


RESOURCES = (
    Resource(
        path="/api/playback",
        operations={
            "GET": Operation(
                summary="Streams of which there is something to play",
                handler=list_streams,
                access=Access.EVERYTHING,
                answers={200: json_content(list[str])},
            )
        },
    ),
    Resource(
        path="/api/playback/{stream}",
        operations={
            "GET": Operation(
                summary="What there is to play of a stream, the oldest first",
                handler=list_entries,
                access=Access.PLAY_BACK,
                answers={200: json_content(list[PlaybackEntry])},
            )
        },
    ),
)
