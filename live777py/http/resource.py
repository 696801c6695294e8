"""A path, its methods and what each needs: the one place where a request is limited, authenticated and named.

Every resource answers with and without a trailing slash, OPTIONS with 200, and unknown methods with 405 and Allow.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote_to_bytes

from aiohttp import web

from live777py.config.values import STREAM_NAME_RULE, is_stream_name
from live777py.errors import BadRequest, UnsupportedMediaType
from live777py.http.auth import Access, AccessRequest
from live777py.http.cors import refuse_forged
from live777py.http.forwarding import FORWARDED, FORWARDER
from live777py.http.keys import AUTHENTICATOR, CLIENT, CLIENTS, CONFIG, NODES, PRINCIPAL, RATE_LIMITER, STREAM
from live777py.http.limits import LIMITED_METHODS
from live777py.http.messages import JSON
from live777py.http.problems import problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from live777py.http.client import ClientAddress


@dataclass(frozen=True, kw_only=True)
class Content:
    """A body. `shape` is the type that msgspec reads or writes where the body is JSON; None where it is text."""

    media_type: str
    shape: Any = None
    required: bool = True


def json_content(shape: Any, *, required: bool = True) -> Content:
    return Content(media_type=JSON, shape=shape, required=required)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """Of the query: what it is for, and its JSON schema. By default it may be given several times."""

    text: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "array", "items": {"type": "string"}})


@dataclass(frozen=True, kw_only=True)
class Operation:
    """`answers` are the ways of success and `problems` the statuses of errors that only this operation has.

    `other_requests` are bodies that few clients have a use for; the error that names what is expected leaves them out.
    """

    summary: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    access: Access
    request: Content | None = None
    other_requests: tuple[Content, ...] = ()
    answers: Mapping[int, Content | None]
    problems: tuple[int, ...] = ()
    query: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """`path` has no trailing slash. `{name}` is one segment, `{name...}` at its end are one or more.

    `stream_of` says whose stream a request is about where no segment of the path is `{stream}`; None: nobody's. `place`
    says which node of a cluster has it: this one, the one with the publisher, or the one with the session.
    """

    path: str
    operations: Mapping[str, Operation]
    stream_of: Callable[[web.Request], Awaitable[str | None]] | None = None
    place: Literal["here", "publisher", "session"] = "here"

    @property
    def described_path(self) -> str:
        return self.path.replace("...}", "}")

    @property
    def accepts(self) -> dict[str, str]:
        """The headers that name the media types of bodies: of OPTIONS, and of 415."""
        return {
            f"Accept-{method.capitalize()}": operation.request.media_type
            for method, operation in self.operations.items()
            if operation.request is not None
        }

    def register(self, router: web.UrlDispatcher) -> None:
        operations = dict(self.operations)
        if "GET" in operations:
            operations.setdefault("HEAD", operations["GET"])
        allow = ", ".join(sorted({*operations, "OPTIONS"}))

        accepts = self.accepts

        async def options(_request: web.Request) -> web.Response:
            return web.Response(headers={"Allow": allow, **accepts})

        async def refuse(request: web.Request) -> web.Response:
            raise web.HTTPMethodNotAllowed(request.method, allow.split(", "))

        pattern = re.sub(r"\{(\w+)\.\.\.\}", r"{\1:.+}", re.sub(r"\{(\w+)\}", r"{\1:[^/]+}", self.path))
        for path in (pattern,) if self.path.endswith("...}") else (pattern, pattern + "/"):
            resource = router.add_resource(path)
            for method, operation in operations.items():
                resource.add_route(method, self._guarded(operation))
            resource.add_route("OPTIONS", options)
            resource.add_route("*", refuse)

    def _guarded(self, operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            app = request.app
            forwarded = FORWARDED in request.headers and await _is_forwarded(request, request.match_info.get("stream"))
            look_at_client(request, limited=not forwarded)
            if not app[CONFIG].current.http.cors:
                refuse_forged(request)
            stream = request.match_info.get("stream")
            if stream is not None:
                if not (is_stream_name(stream) and _is_utf8(request.rel_url.raw_path)):
                    raise BadRequest(f"the path must hold {STREAM_NAME_RULE}")
                request[STREAM] = stream
            elif self.stream_of is not None:
                if not _is_utf8(request.rel_url.raw_path):
                    raise BadRequest("the path must be UTF-8")
                stream = await self.stream_of(request)
            if self.place != "here" and stream is not None and NODES in app and not forwarded:
                node = await self._elsewhere(request, stream)
                if node is not None:
                    return await app[FORWARDER].forward(request, node, stream)
            if operation.access is not Access.PUBLIC:
                asked = _access_request(request, operation.access, stream)
                request[PRINCIPAL] = await app[AUTHENTICATOR].admit(asked)
            try:
                return await operation.handler(request)
            except UnsupportedMediaType as error:
                return problem(error.status, error.title, error.detail, self.accepts)

        return handle

    async def _elsewhere(self, request: web.Request, stream: str) -> str | None:
        """The URL of the other node that this is for; who may do it is that one's to say."""
        nodes = request.app[NODES]
        if self.place == "publisher":
            return nodes.place_of_stream(stream)
        return await nodes.place_of_session(stream, request.match_info["session"])


async def answer_of_publisher(request: web.Request, stream: str) -> web.StreamResponse | None:
    """That of the other node of the cluster which publishes the stream, for a route that is not one of ours."""
    app = request.app
    if NODES not in app or (FORWARDED in request.headers and await _is_forwarded(request, stream)):
        return None
    node = app[NODES].place_of_stream(stream)
    return None if node is None else await app[FORWARDER].forward(request, node, stream)


async def _is_forwarded(request: web.Request, stream: str | None) -> bool:
    """Whether another node of our cluster asks, for a client that it has looked at."""
    nodes = request.app.get(NODES)
    return nodes is not None and await nodes.is_node(request.headers[FORWARDED], stream)


def look_at_client(request: web.Request, *, limited: bool = True) -> None:
    """Who asks, and whether it asks too often. Raises TooManyRequests."""
    client = name_client(request)
    if limited and request.method in LIMITED_METHODS:
        request.app[RATE_LIMITER].check(client, asyncio.get_running_loop().time())


def name_client(request: web.Request) -> ClientAddress:
    client = request[CLIENT] = request.app[CLIENTS].resolve(request)
    return client


def _is_utf8(path: str) -> bool:
    """aiohttp leaves percent-encoded bytes that are no UTF-8 as they are, so that two paths would be one name."""
    try:
        unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _access_request(request: web.Request, access: Access, stream: str | None) -> AccessRequest:
    return AccessRequest(
        authorization=request.headers.get("Authorization"),
        access=access,
        method=request.method,
        stream=stream,
        session=request.match_info.get("session"),
        address=str(request[CLIENT]),
        user_agent=request.headers.get("User-Agent", ""),
    )
