"""/session/{stream}/{session}: trickle candidates to a session, or end it (RFC 9725 section 4.3)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

import msgspec
from aiohttp import web

from live777py import log
from live777py.errors import NotFound
from live777py.http.auth import Access
from live777py.http.keys import CLIENT, CONFIG, OWNERS, PRINCIPAL, STREAM, STREAMS
from live777py.http.messages import (
    SDP,
    SDP_FRAGMENT,
    counter_offered,
    ice_links,
    ice_restarted,
    if_match,
    json_answer,
    media_type_of,
    read_json,
    read_text,
    session_created,
)
from live777py.http.resource import Content, Operation, Resource, json_content, look_at_client
from live777py.outbound.loop import CDN_LOOP, read_marks
from live777py.streams.clients import Client

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from live777py.streams.clients import Answer, CounterOffer
    from live777py.streams.participant import Participant
    from live777py.streams.views import StreamView

_logger = logging.getLogger(__name__)


def asking(request: web.Request) -> Client:
    principal = request[PRINCIPAL]
    return _client(request, principal.participant, relay=principal.node)


def client_of(request: web.Request, participant: Participant) -> Client:
    """For a route that is not one of ours. Raises TooManyRequests."""
    look_at_client(request)
    return _client(request, participant)


def ice_links_of(app: web.Application) -> Iterator[str]:
    """Values of Link headers."""
    return ice_links(app[CONFIG].current.ice_servers)


def _client(request: web.Request, participant: Participant | None, *, relay: bool = False) -> Client:
    return Client(
        loopback=request[CLIENT].direct_loopback,
        marks=read_marks(request.headers.getall(CDN_LOOP, ())),
        participant=participant,
        relay=relay,
    )


def opened(request: web.Request, answer: Answer, *, publisher: bool, links: Iterable[str] = ()) -> web.Response:
    """The 201 of a session that was just made; its maker is remembered. `links` follow those of the ICE servers."""
    stream = request[STREAM]
    _remember_maker(request, answer.session, publisher=publisher)
    logger = log.bind(_logger, stream=stream, session=answer.session)
    logger.info("%s from %s", "publishes" if publisher else "plays", request[CLIENT])
    return session_created(stream, answer, (*ice_links_of(request.app), *links))


def offered(request: web.Request, offer: CounterOffer) -> web.Response:
    """The 406 with an offer of ours; whoever asked is remembered, and is who may answer."""
    stream = request[STREAM]
    _remember_maker(request, offer.session, publisher=False)
    log.bind(_logger, stream=stream, session=offer.session).info("an offer for %s", request[CLIENT])
    return counter_offered(stream, offer, ice_links_of(request.app))


def _remember_maker(request: web.Request, session: str, *, publisher: bool) -> None:
    app = request.app
    owners = app[OWNERS]
    if owners.full:
        streams = app[STREAMS]
        live = (session for view in streams.streams() for session in _live_sessions(view))
        owners.keep((*live, *streams.offered_sessions()))
    owners.record(session, request[PRINCIPAL], publisher=publisher)


async def look(request: web.Request) -> web.Response:
    """RFC 9725 section 4.1: GET is answered with 2xx and nothing."""
    session = request.match_info["session"]
    if session not in _live_sessions(request.app[STREAMS].stream(request[STREAM])):
        raise NotFound("no such session")
    return web.Response(status=204)


async def patch(request: web.Request) -> web.Response:
    """A fragment; or, where we made the offer, the answer to it."""
    streams, stream, session = request.app[STREAMS], request[STREAM], request.match_info["session"]
    if media_type_of(request) == SDP:
        await streams.answer(stream, session, await read_text(request, SDP), client=asking(request))
        log.bind(_logger, stream=stream, session=session).info("plays from %s", request[CLIENT])
        return web.Response(status=204)
    restarted = await streams.patch_ice(
        stream,
        session,
        await read_text(request, SDP_FRAGMENT),
        if_match=if_match(request),
        strict=request.app[CONFIG].current.webrtc.strict_etags,
        loopback=request[CLIENT].direct_loopback,
    )
    return web.Response(status=204) if restarted is None else ice_restarted(restarted)


class Mute(msgspec.Struct, frozen=True, kw_only=True):
    """`enabled` is false to mute."""

    kind: Literal["audio", "video"]
    enabled: bool


async def mute(request: web.Request) -> web.Response:
    wanted: Mute = await read_json(request, Mute)
    session = request.match_info["session"]
    await request.app[STREAMS].mute(request[STREAM], session, wanted.kind, wanted.enabled)
    return json_answer({})


async def close(request: web.Request) -> web.Response:
    """204 as Live777; RFC 9725 section 4.2 says 200."""
    session = request.match_info["session"]
    await request.app[STREAMS].close_session(request[STREAM], session)
    request.app[OWNERS].forget(session)
    return web.Response(status=204)


RESOURCE = Resource(
    place="session",
    path="/session/{stream}/{session}",
    operations={
        "GET": Operation(
            summary="Whether the session lives",
            handler=look,
            access=Access.SESSION,
            answers={204: None},
            problems=(404,),
        ),
        "PATCH": Operation(
            summary="Trickle ICE candidates to the session, restart its ICE (200), or answer an offer of ours",
            handler=patch,
            access=Access.SESSION,
            request=Content(media_type=SDP_FRAGMENT),
            other_requests=(Content(media_type=SDP),),
            answers={200: Content(media_type=SDP_FRAGMENT), 204: None},
            problems=(404, 409, 412, 422, 428, 502, 503, 504),
        ),
        "POST": Operation(
            summary="Mute the audio or video of a viewer, or of the publisher for everybody",
            handler=mute,
            access=Access.SESSION,
            request=json_content(Mute),
            answers={200: json_content(dict[str, str])},
            problems=(404,),
        ),
        "DELETE": Operation(
            summary="End the session; a publisher takes its stream along",
            handler=close,
            access=Access.SESSION,
            answers={204: None},
            problems=(404,),
        ),
    },
)


def _live_sessions(view: StreamView) -> Iterator[str]:
    for session in (*view.publish.sessions, *view.subscribe.sessions):
        if session.state != "closed":
            yield session.id
