"""/api/openapi.json and /api/docs: what this API is, for programs and for people."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from live777py.http.auth import Access
from live777py.http.messages import JSON
from live777py.http.openapi import ApiDocument
from live777py.http.resource import Content, Operation, Resource, json_content

DOCUMENT: Final = web.AppKey("api_document", ApiDocument)
_HTML: Final = "text/html"
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
}


async def openapi(request: web.Request) -> web.Response:
    return web.Response(body=request.app[DOCUMENT].json, content_type=JSON)


async def docs(request: web.Request) -> web.Response:
    page = request.app[DOCUMENT].page
    return web.Response(body=page, content_type=_HTML, charset="utf-8", headers=_PAGE_HEADERS)


RESOURCES = (
    Resource(
        path="/api/openapi.json",
        operations={
            "GET": Operation(
                summary="This description",
                handler=openapi,
                access=Access.PUBLIC,
                answers={200: json_content(dict[str, Any])},
            )
        },
    ),
    Resource(
        path="/api/docs",
        operations={
            "GET": Operation(
                summary="This description as a page",
                handler=docs,
                access=Access.PUBLIC,
                answers={200: Content(media_type=_HTML)},
            )
        },
    ),
)
