"""Errors become application/problem+json (RFC 9457). What is our fault is logged and says nothing to the client."""

from __future__ import annotations

import http
import logging
import math
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

from live777py.errors import (
    ClientError,
    Conflict,
    Elsewhere,
    Live777Error,
    RangeNotSatisfiable,
    StorageFull,
    StorageUnavailable,
    StoreUnavailable,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UpstreamError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.typedefs import Handler

_logger = logging.getLogger(__name__)


_STORAGE_RETRY: Final = 5
"""Seconds after which to ask again for what an object store or another process did not give."""
_ANSWERED: Final = (
    ClientError,
    Elsewhere,
    StorageFull,
    StorageUnavailable,
    StoreUnavailable,
    Unavailable,
    UpstreamError,
)
"""Of these the client is told."""

PROBLEM_JSON: Final = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def problem(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = Problem(title=title, status=status, detail=detail)
    return web.Response(status=status, body=msgspec.json.encode(body), content_type=PROBLEM_JSON, headers=headers)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Live777Error as error:
        if isinstance(error, _ANSWERED):
            return problem(error.status, error.title, error.detail, _headers(error, request))
        _logger.exception("%s %s failed", request.method, request.rel_url.raw_path)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _from_http(error)
    except web.RequestPayloadError:
        return problem(400, "Bad request", "the body is not readable")
    except ConnectionResetError:
        # Nobody reads this, and nothing is wrong here; an error that leaves us would be logged by aiohttp as our fault.
        return problem(400, "Bad request", "the client has left")
    except Exception:
        _logger.exception("%s %s failed", request.method, request.rel_url.raw_path)
    return problem(500, "Internal error", "the server failed; its log says why")


def _headers(error: Live777Error, request: web.Request) -> dict[str, str]:
    if isinstance(error, Elsewhere):
        query = request.rel_url.raw_query_string
        return {"Location": f"{error.url}?{query}" if query else error.url}
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, RangeNotSatisfiable):
        return {"Content-Range": f"bytes */{error.size}"}
    if isinstance(error, StorageUnavailable | StoreUnavailable):
        return {"Retry-After": str(_STORAGE_RETRY)}
    if isinstance(error, TooManyRequests | Unavailable | Conflict | UpstreamError) and error.retry_after is not None:
        return {"Retry-After": str(math.ceil(error.retry_after))}
    return {}


_DETAILS = {
    404: "nothing is at this address",
    405: "this method is not for this address",
    408: "the body did not arrive in time",
    413: "the body is too large",
}


def _from_http(error: web.HTTPException) -> web.Response:
    kept = {name: error.headers[name] for name in ("Allow", "Retry-After") if name in error.headers}
    status = http.HTTPStatus(error.status)
    return problem(error.status, status.phrase, _DETAILS.get(error.status, status.description or status.phrase), kept)
