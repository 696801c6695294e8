"""POST /whip/{stream}: publish (RFC 9725)."""

from __future__ import annotations

from aiohttp import web

from live777py.http.auth import Access
from live777py.http.keys import CLIENT, STREAM, STREAMS
from live777py.http.messages import SDP, read_body
from live777py.http.resource import Operation, Resource
from live777py.http.session import opened
from live777py.streams.manager import Client


async def publish(request: web.Request) -> web.Response:
    offer = await read_body(request, SDP)
    client = Client(loopback=request[CLIENT].direct_loopback)
    answer = await request.app[STREAMS].publish(request[STREAM], offer, client=client)
    return opened(request, answer, publisher=True)


async def look(_request: web.Request) -> web.Response:
    """RFC 9725 section 4.1: GET is answered with 2xx and nothing."""
    return web.Response(status=204)


RESOURCE = Resource(
    path="/whip/{stream}",
    accepts={"Accept-Post": SDP},
    operations={
        "POST": Operation(handler=publish, access=Access.PUBLISH),
        "GET": Operation(handler=look, access=Access.PUBLIC),
    },
)
