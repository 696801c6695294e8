"""Large bodies, piece by piece: all of something, or the range that was asked for."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from aiohttp import web

from live777py.errors import Live777Error
from live777py.http.ranges import http_date

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from live777py.http.ranges import ByteRange
    from live777py.storage import Entry

STALLED: Final = 60.0
"""Seconds after which one who takes nothing is given up."""

_logger = logging.getLogger(__name__)


def unchanged(entry: Entry, headers: Mapping[str, str]) -> web.Response:
    """304 (RFC 9110 section 15.4.5)."""
    return web.Response(status=304, headers={**_validators(entry), **headers})


async def send_head(request: web.Request, entry: Entry, headers: Mapping[str, str]) -> web.StreamResponse:
    response = _response(entry, None, headers)
    await response.prepare(request)
    await response.write_eof()
    return response


async def send(
    request: web.Request,
    entry: Entry,
    part: ByteRange | None,
    chunks: AsyncIterator[bytes],
    headers: Mapping[str, str],
) -> web.StreamResponse:
    """`chunks` are the part, or all of it without one. The next is taken when the client has taken most of the last."""
    response = _response(entry, part, headers)
    await response.prepare(request)
    try:
        async for chunk in chunks:
            async with asyncio.timeout(STALLED):
                await response.write(chunk)
    except Live777Error as error:
        _logger.error("%s broke off: %s", request.rel_url.raw_path, error.detail)  # noqa: TRY400 (nothing to trace)
    except TimeoutError:
        _logger.info("%s broke off: nobody reads it", request.rel_url.raw_path)
    else:
        await response.write_eof()
        return response
    # The length has been promised: only the end of the connection says that something is missing.
    if request.transport is not None:
        request.transport.abort()
    return response


def _response(entry: Entry, part: ByteRange | None, headers: Mapping[str, str]) -> web.StreamResponse:
    described = {"Content-Type": entry.content_type, "Accept-Ranges": "bytes", **_validators(entry), **headers}
    if part is not None:
        described["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{entry.size}"
    response = web.StreamResponse(status=200 if part is None else 206, headers=described)
    response.content_length = entry.size if part is None else part.end - part.start
    return response


def _validators(entry: Entry) -> dict[str, str]:
    return {"ETag": entry.etag, "Last-Modified": http_date(entry.modified)}
