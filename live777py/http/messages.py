"""Bodies: those that are read, the SDP answer that a new session gets, and JSON."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec
from aiohttp import web

from live777py.errors import BadRequest, Unprocessable, UnsupportedMediaType
from live777py.http.limits import BODY_TIMEOUT
from live777py.http.ranges import http_date
from live777py.streams.counter_offers import VALID_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from live777py.config import IceServerConfig
    from live777py.rtc.server import Restarted
    from live777py.streams.clients import Answer, CounterOffer

JSON: Final = "application/json"
SDP: Final = "application/sdp"
SDP_FRAGMENT: Final = "application/trickle-ice-sdpfrag"


async def read_text(request: web.Request, media_type: str) -> str:
    """Raises UnsupportedMediaType, BadRequest, and aiohttp's 408 and 413."""
    try:
        return (await _read(request, media_type)).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8 text") from None


async def read_json(request: web.Request, shape: Any) -> Any:
    """A value of the type `shape`. Members that it does not know are ignored, as in Live777.

    Raises as `read_text` does, and Unprocessable.
    """
    body = await _read(request, JSON)
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise Unprocessable(f"the body is not what is expected: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from None


async def read_optional_json(request: web.Request, shape: Any, *, default: Any) -> Any:
    """As `read_json`; a request without a body, whatever it says of its type, is `default`."""
    return await read_json(request, shape) if await _body(request) else default


def media_type_of(request: web.Request) -> str:
    """RFC 9110 section 8.3.1: the type is case-insensitive and may have parameters."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


async def has_body(request: web.Request) -> bool:
    """Raises aiohttp's 408 and 413."""
    return bool(await _body(request))


async def _read(request: web.Request, media_type: str) -> bytes:
    if media_type_of(request) != media_type:
        raise UnsupportedMediaType(f"the body must be {media_type}")
    return await _body(request)


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


def json_answer(value: object) -> web.Response:
    """One buffer for the whole tree: an object for each member of a thousand sessions would leave memory in pieces."""
    return web.Response(body=msgspec.json.encode(value), content_type=JSON, charset="utf-8")


def path_to(*segments: str) -> str:
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def session_created(stream: str, answer: Answer, links: Iterable[str]) -> web.Response:
    """201 (RFC 9725 section 4.2), with Content-Length: FFmpeg does not read a chunked answer."""
    response = web.Response(status=201, body=answer.sdp.encode(), content_type=SDP)
    response.headers["Accept-Patch"] = SDP_FRAGMENT
    return _session(response, stream, answer, links)


def counter_offered(stream: str, offer: CounterOffer, links: Iterable[str]) -> web.Response:
    """406 with an offer of ours (draft-ietf-wish-whep-04 section 4.3.2), to be answered by PATCH."""
    until = http_date(time.time() + VALID_SECONDS)
    response = web.Response(status=406, body=offer.sdp.encode())
    response.headers["Content-Type"] = f'{SDP}; valid-until="{until}"'
    response.headers["Accept-Patch"] = SDP
    return _session(response, stream, offer, links)


def ice_restarted(restarted: Restarted) -> web.Response:
    """RFC 9725 section 4.3.3."""
    response = web.Response(body=restarted.fragment.encode(), content_type=SDP_FRAGMENT)
    response.headers["ETag"] = restarted.etag
    return response


def _session(response: web.Response, stream: str, answer: Answer, links: Iterable[str]) -> web.Response:
    response.headers["Location"] = path_to("session", stream, answer.session)
    response.headers["ETag"] = answer.etag
    for link in links:
        response.headers.add("Link", link)
    return response


def if_match(request: web.Request) -> str | None:
    """Of all its lines (RFC 9110 section 5.3)."""
    return ", ".join(request.headers.getall("If-Match", ())) or request.headers.get("If-Match")


def ice_links(servers: Sequence[IceServerConfig]) -> Iterator[str]:
    """One Link value for each URL (RFC 9725 section 4.6)."""
    for server in servers:
        for url in server.urls:
            link = f'<{url}>; rel="ice-server"'
            if server.username:
                link += f"; username={_quoted(server.username)}; credential={_quoted(server.credential)}"
                link += '; credential-type="password"'
            yield link


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
