"""/session/{stream}/{session}: trickle candidates to a session, or end it (RFC 9725 section 4.3)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiohttp import web

from live777py import log
from live777py.errors import NotFound
from live777py.http.auth import Access
from live777py.http.keys import CLIENT, CONFIG, OWNERS, PRINCIPAL, STREAM, STREAMS
from live777py.http.messages import SDP_FRAGMENT, read_body, session_created
from live777py.http.resource import Operation, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live777py.streams.manager import Answer
    from live777py.streams.views import StreamView

_logger = logging.getLogger(__name__)


def opened(request: web.Request, answer: Answer, *, publisher: bool) -> web.Response:
    """The 201 of a session that was just made; its maker is remembered."""
    app, stream = request.app, request[STREAM]
    owners = app[OWNERS]
    if owners.full:
        owners.keep(session for view in app[STREAMS].streams() for session in _live_sessions(view))
    owners.record(answer.session, request[PRINCIPAL], publisher=publisher)
    logger = log.bind(_logger, stream=stream, session=answer.session)
    logger.info("%s from %s", "publishes" if publisher else "plays", request[CLIENT])
    return session_created(stream, answer, app[CONFIG].current.ice_servers)


async def look(request: web.Request) -> web.Response:
    """RFC 9725 section 4.1: GET is answered with 2xx and nothing."""
    session = request.match_info["session"]
    if session not in _live_sessions(request.app[STREAMS].stream(request[STREAM])):
        raise NotFound("no such session")
    return web.Response(status=204)


async def trickle(request: web.Request) -> web.Response:
    """If-Match is not looked at: without ICE restart there is no ETag, and clients send it or not."""
    session = request.match_info["session"]
    fragment = await read_body(request, SDP_FRAGMENT)
    await request.app[STREAMS].trickle(request[STREAM], session, fragment)
    return web.Response(status=204)


async def close(request: web.Request) -> web.Response:
    """204 as Live777; RFC 9725 section 4.2 says 200."""
    session = request.match_info["session"]
    await request.app[STREAMS].close_session(request[STREAM], session)
    request.app[OWNERS].forget(session)
    return web.Response(status=204)


RESOURCE = Resource(
    path="/session/{stream}/{session}",
    accepts={"Accept-Patch": SDP_FRAGMENT},
    operations={
        "GET": Operation(handler=look, access=Access.SESSION),
        "PATCH": Operation(handler=trickle, access=Access.SESSION),
        "DELETE": Operation(handler=close, access=Access.SESSION),
    },
)


def _live_sessions(view: StreamView) -> Iterator[str]:
    for session in (*view.publish.sessions, *view.subscribe.sessions):
        if session.state != "closed":
            yield session.id
