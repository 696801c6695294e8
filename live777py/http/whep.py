"""POST /whep/{stream}: play (draft-ietf-wish-whep-04)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from live777py.http import viewer_event_streams
from live777py.http.auth import Access
from live777py.http.keys import STREAM, STREAMS
from live777py.http.messages import SDP, has_body, read_text
from live777py.http.resource import Content, Operation, Resource
from live777py.http.session import asking, offered, opened
from live777py.streams.clients import CounterOffer

_COUNTER_OFFER: Final = "counter-offer"


async def play(request: web.Request) -> web.Response:
    wants_offer = _prefers_offer(request)
    offer = None if wants_offer and not await has_body(request) else await read_text(request, SDP)
    streams, stream = request.app[STREAMS], request[STREAM]
    answer = await streams.play(stream, offer, client=asking(request), wants_offer=wants_offer)
    if isinstance(answer, CounterOffer):
        response = offered(request, answer)
        if wants_offer:
            response.headers["Preference-Applied"] = _COUNTER_OFFER
        return response
    video = streams.video_section(stream, answer.session) is not None
    links = viewer_event_streams.links(stream, answer.session, video=video)
    return opened(request, answer, publisher=False, links=links)


def _prefers_offer(request: web.Request) -> bool:
    """RFC 7240. The draft has no way to ask; what it leaves to us is what we do with a preference."""
    wanted = ",".join(request.headers.getall("Prefer", ())).split(",")
    return any(preference.partition(";")[0].strip().lower() == _COUNTER_OFFER for preference in wanted)


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
            answers={201: Content(media_type=SDP), 406: Content(media_type=SDP)},
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
