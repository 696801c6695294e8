"""How a stream looks now: one picture, some seconds old at most."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from live777py.http.auth import Access
from live777py.http.keys import STREAM, THUMBNAILS
from live777py.http.ranges import has_tag, http_date
from live777py.http.resource import Content, Operation, Resource
from live777py.recorder.thumbnails import KEPT_SECONDS

_CACHING: Final = f"private, max-age={KEPT_SECONDS / 2:.0f}"


async def see(request: web.Request) -> web.Response:
    thumbnail = await request.app[THUMBNAILS].of_stream(request[STREAM])
    headers = {"ETag": thumbnail.etag, "Last-Modified": http_date(thumbnail.made), "Cache-Control": _CACHING}
    if has_tag(request.headers.get("If-None-Match", ""), thumbnail.etag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=thumbnail.jpeg, content_type="image/jpeg", headers=headers)


RESOURCE = Resource(
    place="publisher",
    path="/api/streams/{stream}/thumbnail.jpg",
    operations={
        "GET": Operation(
            summary="A picture of the stream as it is now",
            handler=see,
            access=Access.PLAY_BACK,
            answers={200: Content(media_type="image/jpeg"), 304: None},
            problems=(404, 503),
        )
    },
)
