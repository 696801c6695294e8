"""Streams from and to other nodes: /api/cascade (Live777's API for one hop) and /api/sources (streams kept pulled)."""

from __future__ import annotations

import msgspec
from aiohttp import web

from live777py.errors import Unprocessable
from live777py.http.auth import Access
from live777py.http.keys import CASCADE, STREAM
from live777py.http.messages import json_answer, read_json
from live777py.http.resource import Operation, Resource, json_content
from live777py.streams.views import SourceView


class CascadeRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Exactly one of the URLs. `token` is the value of the Authorization header, `Bearer ` if it names no scheme."""

    token: str | None = None
    source_url: str | None = None
    """WHEP: this node pulls."""
    target_url: str | None = None
    """WHIP: this node pushes."""

    @property
    def authorization(self) -> str | None:
        token = (self.token or "").strip()
        if not token:
            return None
        # RFC 9110 section 5.5: what else could end the header and begin another.
        if not (token.isascii() and token.isprintable()):
            raise Unprocessable("the token is not the value of an Authorization header")
        return token if " " in token else f"Bearer {token}"


class SourceRequest(msgspec.Struct, frozen=True, kw_only=True):
    url: str


class SourceList(msgspec.Struct, frozen=True, kw_only=True):
    sources: list[SourceView]


class SourceCreated(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    source_type: str
    state: str
    message: str


class SourceState(msgspec.Struct, frozen=True, kw_only=True):
    stream_id: str
    state: str


class SourceDeleted(msgspec.Struct, frozen=True, kw_only=True):
    message: str
    stream_id: str


async def cascade(request: web.Request) -> web.Response:
    wanted: CascadeRequest = await read_json(request, CascadeRequest)
    source_url, target_url = wanted.source_url or None, wanted.target_url or None
    if (source_url is None) == (target_url is None):
        raise Unprocessable("exactly one of sourceUrl and targetUrl must be given")
    await request.app[CASCADE].cascade(
        request[STREAM], source_url=source_url, target_url=target_url, authorization=wanted.authorization
    )
    return web.Response()


async def list_sources(request: web.Request) -> web.Response:
    return json_answer(SourceList(sources=request.app[CASCADE].sources()))


async def add_source(request: web.Request) -> web.Response:
    wanted: SourceRequest = await read_json(request, SourceRequest)
    source = await request.app[CASCADE].add_source(request[STREAM], wanted.url)
    message = f"{source.source_type.upper()} source created and started with bridge"
    return json_answer(SourceCreated(id=source.id, source_type=source.source_type, state=source.state, message=message))


async def see_source(request: web.Request) -> web.Response:
    return json_answer(request.app[CASCADE].source(request[STREAM]))


async def see_state(request: web.Request) -> web.Response:
    source = request.app[CASCADE].source(request[STREAM])
    return json_answer(SourceState(stream_id=source.stream_id, state=source.state))


async def remove_source(request: web.Request) -> web.Response:
    stream = request[STREAM]
    await request.app[CASCADE].remove_source(stream)
    return json_answer(SourceDeleted(message="Source deleted successfully", stream_id=stream))


RESOURCES = (
    Resource(
        place="publisher",
        path="/api/cascade/{stream}",
        operations={
            "POST": Operation(
                summary="Pull the stream from another node by WHEP, or push it there by WHIP",
                handler=cascade,
                access=Access.CASCADE,
                request=json_content(CascadeRequest),
                answers={200: None},
                problems=(404, 409, 502, 503, 504),
            )
        },
    ),
    Resource(
        path="/api/sources",
        operations={
            "GET": Operation(
                summary="Every source, of the configuration and of this API",
                handler=list_sources,
                access=Access.EVERYTHING,
                answers={200: json_content(SourceList)},
            )
        },
    ),
    Resource(
        path="/api/sources/{stream}",
        operations={
            "GET": Operation(
                summary="The source of the stream",
                handler=see_source,
                access=Access.EVERYTHING,
                answers={200: json_content(SourceView)},
                problems=(404,),
            ),
            "POST": Operation(
                summary="Keep the stream pulled from a WHEP URL",
                handler=add_source,
                access=Access.EVERYTHING,
                request=json_content(SourceRequest),
                answers={200: json_content(SourceCreated)},
                problems=(409, 502, 503, 504),
            ),
            "DELETE": Operation(
                summary="Stop pulling the stream, unless the configuration says so",
                handler=remove_source,
                access=Access.EVERYTHING,
                answers={200: json_content(SourceDeleted)},
                problems=(404, 409),
            ),
        },
    ),
    Resource(
        path="/api/sources/{stream}/state",
        operations={
            "GET": Operation(
                summary="How the source of the stream is doing",
                handler=see_state,
                access=Access.EVERYTHING,
                answers={200: json_content(SourceState)},
                problems=(404,),
            )
        },
    ),
)
