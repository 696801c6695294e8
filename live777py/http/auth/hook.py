"""`auth.http_url`: an HTTP service that is asked what a token may do. Its answer is not kept."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import aiohttp

from live777py.errors import Forbidden, Unauthorized
from live777py.http.auth.access import Access, AccessRequest, Mode, Principal
from live777py.http.auth.claims import digest

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CONCURRENT: Final = 64
"""Questions at a time; the next ones wait, within their time-out."""

_ACTIONS: Final = {
    Access.PUBLISH: ("publish", Mode.WRITE),
    Access.PLAY: ("play", Mode.READ),
    Access.PLAY_BACK: ("read", Mode.READ),
    Access.SEE_STREAM: ("read", Mode(0)),
}
_PROTOCOLS: Final = {Access.PUBLISH: "whip", Access.PLAY: "whep"}

_logger = logging.getLogger(__name__)


class AuthorizationService:
    """`timeout` is seconds."""

    def __init__(self, url: str, timeout: float, client: Callable[[], aiohttp.ClientSession]) -> None:
        self._url = url
        self._timeout = timeout
        self._client = client
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)

    async def ask(self, request: AccessRequest) -> Principal:
        """Whoever the service lets do this one thing. Raises Unauthorized or Forbidden, also without an answer."""
        action, mode = _ACTIONS.get(request.access, ("admin", Mode.ADMIN))
        if request.access is Access.EVERYTHING and request.method in {"GET", "HEAD"}:
            action = "read"
        question = {
            "action": action,
            "stream": request.stream,
            "token": request.token or "",
            "address": request.address,
            "userAgent": request.user_agent,
            "protocol": _PROTOCOLS.get(request.access, "api"),
        }
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._slots,
                self._client().post(self._url, json=question, allow_redirects=False) as response,
            ):
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # Not the error's own text: it may hold the URL, and that a password.
            _logger.error("the authorisation service (auth.http_url) did not answer: %s", type(error).__name__)  # noqa: TRY400
            raise _refusal(request, "the authorisation service did not answer") from None
        if 200 <= status < 300:
            return Principal(stream=request.stream, mode=mode, identity=holder(request))
        if status == 401:
            raise Unauthorized("the token is not valid" if request.token else "a bearer token is needed")
        if status == 403:
            raise Forbidden("this token does not allow that")
        _logger.error("the authorisation service (auth.http_url) answered with status %d", status)
        raise _refusal(request, "the authorisation service did not answer with a decision")


def holder(request: AccessRequest) -> bytes:
    return digest(request.token or "")


def _refusal(request: AccessRequest, detail: str) -> Unauthorized | Forbidden:
    return Forbidden(detail) if request.token else Unauthorized(detail)
