"""/whip/v1: LiveKit's own WHIP. The token says room and identity, so the address is the same for everybody.

Publishes the stream `identity@room`. Strict about If-Match (RFC 9725 section 4.3.1), unlike /session/...
Errors are `{"error": "..."}`.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from aiohttp import web

from live777py import log
from live777py.config.values import STREAM_NAME_RULE, is_stream_name
from live777py.errors import BadRequest, Forbidden, Live777Error, NotFound, Unauthorized, UnsupportedMediaType
from live777py.livekit import ids
from live777py.livekit.codec import JSON
from live777py.livekit.errors import TwirpError
from live777py.livekit.tokens import participant_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from live777py.livekit.tokens import TokenVerifier
    from live777py.rtc.server import Restarted
    from live777py.streams.clients import Answer, Client
    from live777py.streams.participant import Participant

SDP: Final = "application/sdp"
SDP_FRAGMENT: Final = "application/trickle-ice-sdpfrag"
BODY_TIMEOUT: Final = 10.0
"""Seconds until a body must be there."""

_logger = logging.getLogger(__name__)


class ClientAddress(Protocol):
    """Implemented by `http.client.ClientAddress`."""

    @property
    def direct_loopback(self) -> bool: ...


class Streams(Protocol):
    """Implemented by `streams.manager.StreamManager`."""

    async def publish(self, stream: str, offer: str, *, client: Client) -> Answer: ...
    async def patch_ice(
        self, stream: str, session: str, fragment: str, *, if_match: str | None, strict: bool, loopback: bool
    ) -> Restarted | None: ...
    async def close_session(self, stream: str, session: str) -> None: ...
    def publishers(self, stream: str) -> list[str]: ...


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a request needs of the other door: the streams, who asks (raises TooManyRequests), and Link values.

    `name_client` only notes who asks, for the log. `answer_of_publisher` is that of another node, if that publishes the
    stream.
    """

    streams: Callable[[web.Application], Streams]
    client: Callable[[web.Request, Participant], Client]
    ice_links: Callable[[web.Application], Iterable[str]]
    name_client: Callable[[web.Request], ClientAddress]
    answer_of_publisher: Callable[[web.Request, str], Awaitable[web.StreamResponse | None]]


class Whip:
    def __init__(self, verifier: TokenVerifier, around: Surroundings) -> None:
        self._verifier = verifier
        self._around = around

    def register(self, router: web.UrlDispatcher) -> None:
        for slash in ("", "/"):
            endpoint = router.add_resource(f"/whip/v1{slash}")
            endpoint.add_route("POST", self._guarded(self._publish))
            endpoint.add_route("OPTIONS", _options("OPTIONS, POST", **{"Accept-Post": SDP}))
            endpoint.add_route("*", _refuse("OPTIONS, POST"))
            session = router.add_resource(f"/whip/v1/{{participant:[^/]+}}{slash}")
            for method, handler in (("GET", self._look), ("PATCH", self._patch), ("DELETE", self._close)):
                session.add_route(method, self._guarded(handler, wherever=True))
            session.add_route("OPTIONS", _options("DELETE, GET, OPTIONS, PATCH", **{"Accept-Patch": SDP_FRAGMENT}))
            session.add_route("*", _refuse("DELETE, GET, OPTIONS, PATCH"))

    def _guarded(
        self, handler: Callable[[web.Request, Participant], Awaitable[web.Response]], *, wherever: bool = False
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """`wherever`: by the node that has the session."""

        async def handle(request: web.Request) -> web.StreamResponse:
            self._around.name_client(request)
            try:
                participant = self._participant(request)
                if wherever and (answer := await self._around.answer_of_publisher(request, _stream(participant))):
                    return answer
                return await handler(request, participant)
            except Live777Error as error:
                if error.status == 500:
                    _logger.exception("%s failed", request.rel_url.raw_path)
                return _error(error.status, error.detail if error.status != 500 else "internal error")
            except TwirpError as error:
                return _error(error.status, error.msg)
            except web.HTTPException as error:
                return _error(error.status, error.reason)

        return handle

    def _participant(self, request: web.Request) -> Participant:
        grants = self._verifier.from_header(request.headers.get("Authorization"), request.query)
        if grants is None:
            raise Unauthorized("a token is needed")
        participant = participant_of(grants)
        if not is_stream_name(_stream(participant)):
            raise BadRequest(f"identity@room of the token must be {STREAM_NAME_RULE}")
        return participant

    async def _publish(self, request: web.Request, participant: Participant) -> web.Response:
        offer = await _read(request, SDP)
        if not participant.permission.can_publish:
            raise Forbidden("the token does not allow to publish")
        client = self._around.client(request, participant)
        streams, stream = self._around.streams(request.app), _stream(participant)
        answer = await streams.publish(stream, offer, client=client)
        log.bind(_logger, stream=stream, session=answer.session).info("publishes at /whip/v1")
        response = web.Response(status=201, body=answer.sdp.encode(), content_type=SDP)
        response.headers["Location"] = f"/whip/v1/{ids.id_of(ids.PARTICIPANT, answer.session)}"
        response.headers["ETag"] = answer.etag
        response.headers["Accept-Patch"] = SDP_FRAGMENT
        for link in self._around.ice_links(request.app):
            response.headers.add("Link", link)
        return response

    async def _look(self, request: web.Request, participant: Participant) -> web.Response:
        self._asked_for(request, participant)
        return web.Response(status=204)

    async def _patch(self, request: web.Request, participant: Participant) -> web.Response:
        fragment = await _read(request, SDP_FRAGMENT)
        session = self._asked_for(request, participant)
        restarted = await self._around.streams(request.app).patch_ice(
            _stream(participant),
            session,
            fragment,
            if_match=request.headers.get("If-Match"),
            strict=True,
            loopback=self._around.name_client(request).direct_loopback,
        )
        if restarted is None:
            return web.Response(status=204)
        response = web.Response(body=restarted.fragment.encode(), content_type=SDP_FRAGMENT)
        response.headers["ETag"] = restarted.etag
        return response

    async def _close(self, request: web.Request, participant: Participant) -> web.Response:
        session = self._asked_for(request, participant)
        await self._around.streams(request.app).close_session(_stream(participant), session)
        return web.Response(status=200)

    def _asked_for(self, request: web.Request, participant: Participant) -> str:
        """The session that the path names, if it is the participant's own. Raises NotFound."""
        for session in self._around.streams(request.app).publishers(_stream(participant)):
            if ids.id_of(ids.PARTICIPANT, session) == request.match_info["participant"]:
                return session
        raise NotFound("no such session")


def _stream(participant: Participant) -> str:
    return f"{participant.identity}@{participant.room}"


async def _read(request: web.Request, media_type: str) -> str:
    given = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if given != media_type:
        raise UnsupportedMediaType(f"the body must be {media_type}")
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return (await request.read()).decode()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (UnicodeDecodeError, web.RequestPayloadError):
        raise BadRequest("the body is not UTF-8 text") from None


def _error(status: int, detail: str) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return web.Response(status=status, body=msgspec.json.encode({"error": detail}), content_type=JSON, headers=headers)


def _options(allow: str, **headers: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(headers={"Allow": allow, **headers})

    return answer


def _refuse(allow: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_request: web.Request) -> web.Response:
        response = _error(405, "method not allowed")
        response.headers["Allow"] = allow
        return response

    return answer
