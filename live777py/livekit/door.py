"""The door: POST /twirp/livekit.{service}/{method}, with CORS for every origin.

What comes first decides: the path's shape, the token, the route, the body, and then the service says who may.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from aiohttp import web

from live777py.errors import Live777Error
from live777py.livekit import codec
from live777py.livekit.errors import PERMISSIONS_DENIED, TwirpError, as_twirp
from live777py.livekit.twirp import METHODS, Call, Method

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from live777py.livekit.tokens import TokenVerifier
    from live777py.livekit.twirp import Caller

MAX_BODY: Final = 10 * 1024 * 1024
"""Bytes."""
BODY_TIMEOUT: Final = 10.0
"""Seconds until a body must be there."""
LARGE_BODY: Final = 16 * 1024
"""Bytes from which on a body is read in another thread. Nobody sends that much without a token."""

_MAX_TIMEOUT_MS: Final = 24 * 3600 * 1000
_PREFLIGHT_AGE: Final = 86400
"""Seconds."""
_PACKAGE: Final = "livekit."

_logger = logging.getLogger(__name__)


class LiveKitDoor:
    """`caller` are the services of this node, or what stands before them. `name_client` notes who asks, for the log."""

    def __init__(
        self, verifier: TokenVerifier, caller: Caller, name_client: Callable[[web.Request], object] = lambda _: None
    ) -> None:
        self._verifier = verifier
        self._name_client = name_client
        self.caller = caller

    def register(self, router: web.UrlDispatcher) -> None:
        """Slashes before /twirp are one slash, as some clients send two."""
        for path in ("/twirp/{path:.*}", "/{slashes:/+}twirp/{path:.*}"):
            router.add_route("*", path, self._answer)

    async def _answer(self, request: web.Request) -> web.Response:
        self._name_client(request)
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=_preflight(request))
        try:
            response = await self._called(request)
        except TwirpError as error:
            response = _refusal(error)
        except Live777Error as error:
            if error.status == 500:
                _logger.exception("%s failed", request.rel_url.raw_path)
            response = _refusal(as_twirp(error))
        except web.RequestPayloadError:
            response = _refusal(TwirpError("malformed", "the body is not readable"))
        except Exception:
            _logger.exception("%s failed", request.rel_url.raw_path)
            response = _refusal(TwirpError("internal", "the server failed; its log says why"))
        response.headers.extend(_cors(request))
        return response

    async def _called(self, request: web.Request) -> web.Response:
        if (request.content_length or 0) > MAX_BODY:
            return _too_large()
        grants = self._verifier.from_header(request.headers.get("Authorization"), request.query)
        name, _, method_name = request.match_info["path"].partition("/")
        service = METHODS.get(name.removeprefix(_PACKAGE)) if name.startswith(_PACKAGE) else None
        if service is None:
            return web.Response(status=404, text="404 page not found\n")
        method, media_type = _route(request, service, method_name)
        body = await _read(request, LARGE_BODY if grants is None else MAX_BODY)
        if body is None and grants is None:
            raise TwirpError("unauthenticated", PERMISSIONS_DENIED)
        if body is None:
            return _too_large()
        if len(body) < LARGE_BODY:
            message = codec.decode(method.request, media_type, body)
        else:
            message = await asyncio.to_thread(codec.decode, method.request, media_type, body)
        deadline = _deadline(request)
        call = Call(grants=grants, request_id=request.headers.get("X-Livekit-Request-Id", ""), deadline=deadline)
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self.caller.call(method.service, method.name, message, call)
        except TimeoutError:
            raise TwirpError("deadline_exceeded", "the call took longer than its client waits") from None
        return web.Response(body=await codec.encode(answer, media_type), headers={"Content-Type": media_type})


def _route(request: web.Request, service: Mapping[str, Method], name: str) -> tuple[Method, str]:
    """The method and the media type of both bodies. Raises TwirpError."""
    if request.method != "POST":
        raise _bad_route(request, f'unsupported method "{request.method}" (only POST is allowed)')
    given = request.headers.get("Content-Type", "")
    media_type = given.partition(";")[0].strip().lower()
    if media_type not in {codec.JSON, codec.PROTOBUF}:
        raise _bad_route(request, f'unexpected Content-Type: "{given}"')
    method = service.get(name)
    if method is None:
        raise _bad_route(request, f'no handler for path "{_path(request)}"')
    return method, media_type


def _bad_route(request: web.Request, msg: str) -> TwirpError:
    return TwirpError("bad_route", msg, {"twirp_invalid_route": f"{request.method} {_path(request)}"})


def _path(request: web.Request) -> str:
    return "/" + request.rel_url.raw_path.lstrip("/")


async def _read(request: web.Request, limit: int) -> bytes | None:
    """None for what is too large."""
    if not request.can_read_body:
        return b""
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            while chunk := await request.content.readany():
                chunks.append(chunk)
                size += len(chunk)
                if size > limit:
                    return None
    except TimeoutError:
        raise TwirpError("deadline_exceeded", "the body did not arrive in time") from None
    return b"".join(chunks)


def _deadline(request: web.Request) -> float | None:
    text = request.headers.get("X-Twirp-Timeout-Ms", "")
    if not (text.isascii() and text.isdecimal()):
        return None
    return asyncio.get_running_loop().time() + min(int(text[:12]), _MAX_TIMEOUT_MS) / 1000


def _refusal(error: TwirpError) -> web.Response:
    # The client for Node reads the error only if the type is this and nothing behind it.
    return web.Response(status=error.status, body=codec.encode_error(error), headers={"Content-Type": codec.JSON})


def _too_large() -> web.Response:
    return web.Response(status=413, text="request body too large\n")


def _cors(request: web.Request) -> dict[str, str]:
    origin = request.headers.get("Origin")
    if origin is None or not _is_visible(origin):
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "*", "Vary": "Origin"}


def _preflight(request: web.Request) -> dict[str, str]:
    # The wildcard does not cover Authorization (Fetch standard, section 3.3.3).
    wanted = request.headers.get("Access-Control-Request-Headers", "*")
    return {
        **_cors(request),
        "Access-Control-Allow-Methods": "OPTIONS, HEAD, GET, POST, PATCH, DELETE",
        "Access-Control-Allow-Headers": wanted if _is_visible(wanted) else "*",
        "Access-Control-Max-Age": str(_PREFLIGHT_AGE),
    }


def _is_visible(value: str) -> bool:
    """What may be sent back in a header."""
    return value.isascii() and value.isprintable()
