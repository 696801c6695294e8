"""POST /whep/{stream}: play (draft-ietf-wish-whep-04)."""

from __future__ import annotations

from aiohttp import web

from live777py.http import viewer_event_streams
from live777py.http.auth import Access
from live777py.http.keys import STREAM, STREAMS
from live777py.http.messages import SDP, read_text
from live777py.http.resource import Content, Operation, Resource
from live777py.http.session import asking, opened


async def play(request: web.Request) -> web.Response:
    offer = await read_text(request, SDP)
    streams, stream = request.app[STREAMS], request[STREAM]
    answer = await streams.play(stream, offer, client=asking(request))
    video = streams.video_section(stream, answer.session) is not None
    links = viewer_event_streams.links(stream, answer.session, video=video)
    return opened(request, answer, publisher=False, links=links)


async def look(_request: web.Request) -> web.Response:
    """Section 4.1: GET is answered with 2xx and nothing."""
    return web.Response(status=204)


async def discover(_request: web.Request) -> web.Response:
    """Section 4.2: HEAD says that this is a WHEP endpoint, whether or not the stream is there."""
    return web.Response(headers={"Content-Type": SDP})


RESOURCE = Resource(
    path="/whep/{stream}",
    operations={
        "POST": Operation(
            summary="Play by WHEP (draft-ietf-wish-whep-04)",
            handler=play,
            access=Access.PLAY,
            request=Content(media_type=SDP),
            answers={201: Content(media_type=SDP)},
            problems=(404, 409, 422, 502, 503, 504),
        ),
        "GET": Operation(
            summary="Nothing: this is an endpoint", handler=look, access=Access.PUBLIC, answers={204: None}
        ),
        "HEAD": Operation(
            summary="That this is a WHEP endpoint",
            handler=discover,
            access=Access.PUBLIC,
            answers={200: Content(media_type=SDP)},
        ),
    },
)
