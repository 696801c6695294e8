"""A path, its methods and what each needs: the one place where a request is limited, authenticated and named.

Every resource answers with and without a trailing slash, OPTIONS with 200, and unknown methods with 405 and Allow.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from live777py.errors import BadRequest, UnsupportedMediaType
from live777py.http.auth import Access
from live777py.http.cors import refuse_forged
from live777py.http.keys import AUTHENTICATOR, CLIENT, CLIENTS, CONFIG, PRINCIPAL, RATE_LIMITER, STREAM
from live777py.http.limits import LIMITED_METHODS
from live777py.http.problems import problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_MAX_NAME = 255


@dataclass(frozen=True, kw_only=True)
class Operation:
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    access: Access


@dataclass(frozen=True, kw_only=True)
class Resource:
    """`path` has no trailing slash. `accepts` are the headers that name the media types: of OPTIONS, and of 415."""

    path: str
    operations: Mapping[str, Operation]
    accepts: Mapping[str, str] = field(default_factory=dict)

    def register(self, router: web.UrlDispatcher) -> None:
        operations = dict(self.operations)
        if "GET" in operations:
            operations.setdefault("HEAD", operations["GET"])
        allow = ", ".join(sorted({*operations, "OPTIONS"}))

        async def options(_request: web.Request) -> web.Response:
            return web.Response(headers={"Allow": allow, **self.accepts})

        async def refuse(request: web.Request) -> web.Response:
            raise web.HTTPMethodNotAllowed(request.method, allow.split(", "))

        pattern = re.sub(r"\{(\w+)\}", r"{\1:[^/]+}", self.path)
        for path in (pattern, pattern + "/"):
            resource = router.add_resource(path)
            for method, operation in operations.items():
                resource.add_route(method, self._guarded(operation))
            resource.add_route("OPTIONS", options)
            resource.add_route("*", refuse)

    def _guarded(self, operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            app = request.app
            client = request[CLIENT] = app[CLIENTS].resolve(request)
            if request.method in LIMITED_METHODS:
                app[RATE_LIMITER].check(client, asyncio.get_running_loop().time())
            if not app[CONFIG].http.cors:
                refuse_forged(request)
            if operation.access is not Access.PUBLIC:
                request[PRINCIPAL] = app[AUTHENTICATOR].authenticate(request.headers.get("Authorization"))
            stream = request.match_info.get("stream")
            if stream is not None:
                request[STREAM] = validate_name(stream)
            if operation.access is not Access.PUBLIC:
                request[PRINCIPAL].authorize(operation.access, stream)
            try:
                return await operation.handler(request)
            except UnsupportedMediaType as error:
                return problem(error.status, error.title, error.detail, self.accepts)

        return handle


def validate_name(name: str) -> str:
    """A stream name is one path segment that is safe to show and to use as a file name. Raises BadRequest."""
    if not 0 < len(name) <= _MAX_NAME:
        raise BadRequest(f"a stream name has 1 to {_MAX_NAME} characters")
    if name in {".", ".."} or any(char in "/\\" or not _is_text(char) for char in name):
        raise BadRequest("a stream name has no slash, backslash or control character, and is not . or ..")
    return name


def _is_text(char: str) -> bool:
    return char == " " or char.isprintable()
