"""/session/{stream}/{session}/events: the server-sent events extension of WHEP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from live777py.errors import BadRequest
from live777py.http.auth import Access
from live777py.http.event_stream import EVENT_STREAM, send_events
from live777py.http.keys import STREAM
from live777py.http.messages import path_to, read_json
from live777py.http.resource import Content, Operation, Resource, json_content
from live777py.http.viewer_events import EVENTS, ViewerEvents

if TYPE_CHECKING:
    from collections.abc import Iterator

VIEWER_EVENTS: Final = web.AppKey("viewer_events", ViewerEvents)


def links(stream: str, session: str, *, video: bool) -> Iterator[str]:
    """The Link values of a viewer. Layers may come with the next publisher, so who has video may always ask."""
    path = path_to("session", stream, session)
    if video:
        yield f'<{path}/layer>; rel="urn:ietf:params:whep:ext:core:layer"'
    yield f'<{path}/events>; rel="urn:ietf:params:whep:ext:core:server-sent-events"; events="{",".join(EVENTS)}"'


async def open_stream(request: web.Request) -> web.Response:
    """Without a body, of every type."""
    wanted: list[str] = await read_json(request, list[str]) if request.can_read_body else list(EVENTS)
    if not set(wanted) <= set(EVENTS):
        raise BadRequest(f"not a type of events; there are {', '.join(EVENTS)}")
    stream, session = request[STREAM], request.match_info["session"]
    key = request.app[VIEWER_EVENTS].open(stream, session, frozenset(wanted))
    return web.Response(status=201, headers={"Location": path_to("session", stream, session, "events", key)})


async def read_stream(request: web.Request) -> web.StreamResponse:
    """EventSource sends no Authorization: who knows the address may read."""
    events, address = request.app[VIEWER_EVENTS], _address(request)
    if request.method == "HEAD":  # which would take the place of the listener that there is
        events.require(*address)
        return web.Response(headers={"Content-Type": EVENT_STREAM})
    return await send_events(request, events.listen(*address))


async def remove_stream(request: web.Request) -> web.Response:
    request.app[VIEWER_EVENTS].remove(*_address(request))
    return web.Response(status=204)


def _address(request: web.Request) -> tuple[str, str, str]:
    return request[STREAM], request.match_info["session"], request.match_info["events"]


RESOURCES = (
    Resource(
        place="session",
        path="/session/{stream}/{session}/events",
        operations={
            "POST": Operation(
                summary="Make an event stream of some types: active, inactive, layers, reconnect, viewercount",
                handler=open_stream,
                access=Access.SESSION,
                request=json_content(list[str]),
                answers={201: None},
                problems=(404,),
            )
        },
    ),
    Resource(
        place="session",
        path="/session/{stream}/{session}/events/{events}",
        operations={
            "GET": Operation(
                summary="Follow the events; the address is the credential",
                handler=read_stream,
                access=Access.PUBLIC,
                answers={200: Content(media_type=EVENT_STREAM)},
                problems=(404,),
            ),
            "DELETE": Operation(
                summary="End the event stream",
                handler=remove_stream,
                access=Access.PUBLIC,
                answers={204: None},
                problems=(404,),
            ),
        },
    ),
)
