"""/api/streams: list, see, create and delete streams (Live777's API)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from live777py.errors import Conflict, NotFound
from live777py.http.auth import Access
from live777py.http.keys import NODES, STREAM, STREAMS
from live777py.http.messages import json_answer
from live777py.http.resource import Operation, Parameter, Resource, json_content
from live777py.streams.views import StreamView

STREAM_FILTER: Final = {"streams": Parameter(text="Names of the streams to keep; all if there is none")}


def wanted_streams(request: web.Request) -> frozenset[str]:
    return frozenset(request.query.getall("streams", ()))


async def list_streams(request: web.Request) -> web.Response:
    """`?streams=a&streams=b` keeps only those named."""
    wanted = wanted_streams(request)
    nodes = request.app.get(NODES)
    views = request.app[STREAMS].streams() if nodes is None else await nodes.streams()
    return json_answer([view for view in views if not wanted or view.id in wanted])


async def see_stream(request: web.Request) -> web.Response:
    nodes = request.app.get(NODES)
    if nodes is None:
        return json_answer(request.app[STREAMS].stream(request[STREAM]))
    views = await nodes.streams(request[STREAM])
    if not views:
        raise NotFound("resource not exists")
    return json_answer(views[0])


async def create_stream(request: web.Request) -> web.Response:
    nodes = request.app.get(NODES)
    if nodes is not None and nodes.place_of_stream(request[STREAM]) is not None:
        raise Conflict("resource already exists")
    request.app[STREAMS].create(request[STREAM])
    return web.Response(status=204)


async def delete_stream(request: web.Request) -> web.Response:
    await request.app[STREAMS].delete(request[STREAM])
    return web.Response(status=204)


RESOURCES = (
    Resource(
        path="/api/streams",
        operations={
            "GET": Operation(
                summary="Every stream",
                handler=list_streams,
                access=Access.EVERYTHING,
                query=STREAM_FILTER,
                answers={200: json_content(list[StreamView])},
            )
        },
    ),
    Resource(
        path="/api/streams/{stream}",
        operations={
            "GET": Operation(
                summary="One stream",
                handler=see_stream,
                access=Access.SEE_STREAM,
                answers={200: json_content(StreamView)},
                problems=(404,),
            ),
            "POST": Operation(
                summary="Make an empty stream",
                handler=create_stream,
                access=Access.EVERYTHING,
                answers={204: None},
                problems=(409, 503),
            ),
            "DELETE": Operation(
                summary="End every session of the stream, and the stream",
                handler=delete_stream,
                access=Access.DELETE_STREAM,
                answers={204: None},
                problems=(404, 409),
            ),
        },
    ),
)
