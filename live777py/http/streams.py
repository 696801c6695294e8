"""/api/streams: list, see, create and delete streams (Live777's API)."""

from __future__ import annotations

from aiohttp import web

from live777py.http.auth import Access
from live777py.http.keys import STREAM, STREAMS
from live777py.http.messages import json_answer
from live777py.http.resource import Operation, Resource


async def list_streams(request: web.Request) -> web.Response:
    """`?streams=a&streams=b` keeps only those named."""
    wanted = set(request.query.getall("streams", ()))
    views = request.app[STREAMS].streams()
    return json_answer([view for view in views if not wanted or view.id in wanted])


async def see_stream(request: web.Request) -> web.Response:
    return json_answer(request.app[STREAMS].stream(request[STREAM]))


async def create_stream(request: web.Request) -> web.Response:
    request.app[STREAMS].create(request[STREAM])
    return web.Response(status=204)


async def delete_stream(request: web.Request) -> web.Response:
    await request.app[STREAMS].delete(request[STREAM])
    return web.Response(status=204)


RESOURCES = (
    Resource(path="/api/streams", operations={"GET": Operation(handler=list_streams, access=Access.EVERYTHING)}),
    Resource(
        path="/api/streams/{stream}",
        operations={
            "GET": Operation(handler=see_stream, access=Access.SEE_STREAM),
            "POST": Operation(handler=create_stream, access=Access.EVERYTHING),
            "DELETE": Operation(handler=delete_stream, access=Access.DELETE_STREAM),
        },
    ),
)
