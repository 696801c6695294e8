"""POST /whip/{stream}: publish (RFC 9725)."""

from __future__ import annotations

from aiohttp import web

from live777py.http.auth import Access
from live777py.http.keys import STREAM, STREAMS
from live777py.http.messages import SDP, read_text
from live777py.http.resource import Content, Operation, Resource
from live777py.http.session import asking, opened


async def publish(request: web.Request) -> web.Response:
    offer = await read_text(request, SDP)
    answer = await request.app[STREAMS].publish(request[STREAM], offer, client=asking(request))
    return opened(request, answer, publisher=True)


async def look(_request: web.Request) -> web.Response:
    """RFC 9725 section 4.1: GET is answered with 2xx and nothing."""
    return web.Response(status=204)


RESOURCE = Resource(
    path="/whip/{stream}",
    operations={
        "POST": Operation(
            summary="Publish by WHIP (RFC 9725)",
            handler=publish,
            access=Access.PUBLISH,
            request=Content(media_type=SDP),
            answers={201: Content(media_type=SDP)},
            problems=(404, 409, 422, 503),
        ),
        "GET": Operation(
            summary="Nothing: this is an endpoint", handler=look, access=Access.PUBLIC, answers={204: None}
        ),
    },
)
