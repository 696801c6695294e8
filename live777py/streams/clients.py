"""The sessions that clients make by WHIP and WHEP: offers and answers of both sides, trickle, ICE restarts."""

from __future__ import annotations

import secrets
import uuid
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from live777py.errors import Conflict, Forbidden, NotFound, Unavailable, Unprocessable, UnsupportedMediaType
from live777py.rtc.answered import read_view_answer
from live777py.rtc.negotiation import LocalPeer, NoCommonCodec, plan_play, plan_publish
from live777py.rtc.offering import offer_to_view, write_offer
from live777py.rtc.peer import Credentials
from live777py.rtc.sdpfrag import parse_fragment
from live777py.rtc.server import Reserved, ServerPeer, etag_of
from live777py.rtc.tracks import random_ssrc
from live777py.streams.counter_offers import Offered
from live777py.streams.session import Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from live777py.media.engine import MediaEngine
    from live777py.rtc.answered import ViewAnswer
    from live777py.rtc.candidates import LocalCandidates
    from live777py.rtc.certificate import Certificate
    from live777py.rtc.negotiation import PlayPlan, PublishedMedia, PublishPlan
    from live777py.rtc.server import Restarted
    from live777py.streams.doorkeeper import Doorkeeper
    from live777py.streams.joining import Joining
    from live777py.streams.live import LiveSession
    from live777py.streams.participant import Participant
    from live777py.streams.registry import Registry
    from live777py.streams.session import Role
    from live777py.streams.stream import Stream

_Plan = TypeVar("_Plan", bound="PlayPlan | ViewAnswer")

_RETRY_LOOP_SECONDS: Final = 10


@dataclass(frozen=True, kw_only=True)
class Client:
    """Where a request came from. `loopback`: over loopback and without a proxy header.

    `marks` are those of the streams behind it, where another gateway asks (`outbound.loop`). `participant` is who
    the token says that it is. `relay`: it is a node of our own cluster, which plays for its viewers.
    """

    loopback: bool
    marks: frozenset[str] = frozenset()
    participant: Participant | None = None
    relay: bool = False


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`etag` is that of the ICE session, quoted."""

    session: str
    sdp: str = field(repr=False)
    etag: str


@dataclass(frozen=True, kw_only=True)
class CounterOffer(Answer):
    """Our own offer, in place of an answer: `sdp` waits for `ClientSessions.answer`, and the session for that."""


class ClientSessions:
    """The engine belongs to the caller."""

    def __init__(
        self,
        engine: MediaEngine,
        registry: Registry,
        joining: Joining,
        certificate: Certificate,
        candidates: LocalCandidates,
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._joining = joining
        self._certificate = certificate
        self._candidates = candidates
        self.doorkeeper: Doorkeeper | None = None
        """Who is asked before a session is made."""

    async def publish(self, stream: str, offer: str, *, client: Client) -> Answer:
        """WHIP. Raises `NotFound`, `Conflict`, `BadRequest`, `Forbidden`, `Unprocessable`, `Unavailable`."""
        self._registry.require_running()
        await self._check(client)
        known = self._registry.find(stream, creatable=self._registry.settings.strategy.auto_create_whip)
        if known is not None and client.marks & {known.mark, *self._registry.sinks(known)}:
            raise _goes_round(known)
        plan = plan_publish(offer, self._registry.codecs)
        if client.participant is not None:
            _require_sources(client.participant, plan.media)
        async with self._admitted(stream, "publish", client) as session:
            with ExitStack() as undo:
                live, peer = await self._joining.publisher(undo, stream, session, partial(self._peer, plan), plan.media)
                await peer.open(publish=plan.media)
                sdp = self._answer(client, peer, plan)
                self._registry.publishes(live)
                undo.pop_all()
        return Answer(session=session.id, sdp=sdp, etag=peer.etag)

    async def play(
        self, stream: str, offer: str | None, *, client: Client, wants_offer: bool = False
    ) -> Answer | CounterOffer:
        """WHEP, before or after the publisher. Raises as `publish` does.

        An offer of ours comes back where the viewer's names no codec that the publisher sends, and where it asks for
        one (`wants_offer`; then `offer` may be None). On demand it waits for the source, and raises `UpstreamError` or
        `UpstreamTimeout` without one.
        """
        self._registry.require_running()
        await self._check(client)
        try:
            if offer is None:
                return self._counter_offer(stream, client, data_channel=False)
            make_plan = partial(self._plan_play, stream, offer, client)
            if wants_offer:
                return self._counter_offer(stream, client, data_channel=make_plan()[1].data_channel)
            return await self._view(stream, client, make_plan, partial(self._answer, client))
        except NoCommonCodec as error:
            if client.relay:
                raise
            return self._counter_offer(stream, client, data_channel=error.data_channel)

    async def answer(self, stream: str, session: str, answer: str, *, client: Client) -> None:
        """A viewer's answer to a `CounterOffer`, which makes the session. Raises as `play` does; the offer stays then.

        Also `NotFound` where it is too late, `Conflict` where it was answered, and `UnsupportedMediaType` for a session
        that began with the client's offer.
        """
        self._registry.require_running()
        offers = self._registry.counter_offers
        if (stream, session) not in offers:
            peer = self._registry.require_session(stream, session).peer
            if isinstance(peer, ServerPeer) and peer.offered:
                raise Conflict("the offer has been answered")
            raise UnsupportedMediaType("this session takes fragments only: nothing is negotiated anew")
        offered = offers.begin_answering(stream, session)

        def read() -> tuple[Stream | None, ViewAnswer]:
            known = self._find_to_play(stream, client)
            published = None if known is None else known.published
            return known, read_view_answer(answer, offered.media, published, data_channel=offered.data_channel)

        def described(peer: ServerPeer, _plan: ViewAnswer) -> str:
            if offered.declined:
                raise NotFound("the session was ended while it was being set up")
            return peer.describe(offered.description)

        try:
            await self._check(client)
            await self._view(stream, client, read, described, session=session, reserved=offered.reserved)
        finally:
            offered.answering = False
        offers.forget(stream, session)

    async def patch_ice(
        self, stream: str, session: str, fragment: str, *, if_match: str | None, strict: bool, loopback: bool
    ) -> Restarted | None:
        """Trickled candidates, or an ICE restart, whose answer is returned: see `ServerPeer.patch`.

        `loopback` is that of the client. Raises as that does, `NotFound`, and `Conflict` for a session of our own.
        """
        live = self._registry.require_session(stream, session)
        if not isinstance(live.peer, ServerPeer):
            raise Conflict("the gateway made this session itself")
        candidates = self._candidates.of(live.peer.worker, loopback=loopback)
        return await live.peer.patch(parse_fragment(fragment), if_match=if_match, strict=strict, candidates=candidates)

    async def _check(self, client: Client) -> None:
        if self.doorkeeper is not None:
            await self.doorkeeper.check(client)

    @asynccontextmanager
    async def _admitted(
        self, stream: str, role: Role, client: Client, number: str | None = None
    ) -> AsyncIterator[Session]:
        number, participant = number or str(uuid.uuid4()), client.participant
        async with AsyncExitStack() as place:
            if self.doorkeeper is not None and not client.relay:
                participant = await place.enter_async_context(self.doorkeeper.admit(stream, role, number, client))
                self._registry.require_running()
            now = self._registry.clock.now()
            yield Session(number, role, now, marks=client.marks, participant=participant, relay=client.relay)

    async def _view(
        self,
        stream: str,
        client: Client,
        make_plan: Callable[[], tuple[Stream | None, _Plan]],
        describe: Callable[[ServerPeer, _Plan], str],
        *,
        session: str | None = None,
        reserved: Reserved | None = None,
    ) -> Answer:
        """A viewer's session. The plan is made anew whenever time has passed, since the publisher may have changed."""
        known, plan = make_plan()
        async with self._admitted(stream, "subscribe", client, session) as viewer:
            if self.doorkeeper is not None:  # time has passed
                known, plan = make_plan()
            if known is not None and await self._joining.viewer_slot(known):
                known, plan = make_plan()
            with ExitStack() as undo:
                live, peer = self._joining.enter(
                    undo, known, stream, viewer, partial(self._peer, plan, reserved=reserved)
                )
                await peer.open(play=plan.media)
                sdp = describe(peer, plan)
                publisher = self._registry.publisher(live.stream)
                if publisher is not None and not self._registry.connect(publisher, live):
                    raise Unprocessable("the publisher has changed to a codec that the viewer does not take")
                undo.pop_all()
        return Answer(session=viewer.id, sdp=sdp, etag=peer.etag)

    def _plan_play(self, stream: str, offer: str, client: Client) -> tuple[Stream | None, PlayPlan]:
        """The stream, None where it is to be created, and what the viewer gets of it."""
        known = self._find_to_play(stream, client)
        published = None if known is None else known.published
        plan = plan_play(offer, self._registry.codecs, published, new_ssrc=random_ssrc, cname=uuid.uuid4().hex)
        return known, plan

    def _find_to_play(self, stream: str, client: Client) -> Stream | None:
        known = self._registry.find(stream, creatable=self._registry.settings.strategy.auto_create_whep)
        if known is not None and client.marks & {known.mark, *self._registry.sources(known)}:
            raise _goes_round(known)
        return known

    def _counter_offer(self, stream: str, client: Client, *, data_channel: bool) -> CounterOffer:
        known = self._find_to_play(stream, client)
        published = None if known is None else known.published
        media = offer_to_view(published, self._registry.codecs, new_ssrc=random_ssrc, cname=uuid.uuid4().hex)
        if not media and not data_channel:
            raise Unprocessable("there is nothing to offer: the publisher sends no sound and no picture")
        worker = self._engine.placement.choose(stream, len(media))
        if worker is None:
            raise Unavailable("no media worker is left", retry_after=5)
        session, reserved = str(uuid.uuid4()), Reserved(credentials=Credentials.new(), worker=worker)
        local = LocalPeer(
            ice_ufrag=reserved.credentials.ufrag,
            ice_pwd=reserved.credentials.pwd,
            fingerprint=self._certificate.fingerprint,
            candidates=self._candidates.of(worker, loopback=client.loopback),
            ice_lite=self._registry.settings.ice_lite,
            session_id=secrets.randbits(62),
        )
        sdp = write_offer(media, local, data_channel=data_channel)
        offered = Offered(media=media, data_channel=data_channel, reserved=reserved, description=sdp)
        self._registry.counter_offers.add(stream, session, offered)
        return CounterOffer(session=session, sdp=sdp, etag=etag_of(reserved.credentials))

    def _peer(
        self, plan: PublishPlan | PlayPlan | ViewAnswer, live: LiveSession, reserved: Reserved | None = None
    ) -> ServerPeer:
        return ServerPeer(
            self._engine,
            self._certificate,
            owner=live,
            remote=plan.remote,
            stream=live.stream.name,
            session=live.session.id,
            ice_lite=self._registry.settings.ice_lite,
            reserved=reserved,
        )

    def _answer(self, client: Client, peer: ServerPeer, plan: PublishPlan | PlayPlan) -> str:
        candidates = self._candidates.of(peer.worker, loopback=client.loopback)
        return peer.describe(plan.answer(peer.local(candidates)))


def _goes_round(stream: Stream) -> Conflict:
    return Conflict(f"stream '{stream.name}' would come back to where it comes from", retry_after=_RETRY_LOOP_SECONDS)


def _require_sources(participant: Participant, media: Sequence[PublishedMedia]) -> None:
    for kind in dict.fromkeys(each.kind for each in media):
        if not participant.permission.may_publish(kind):
            raise Forbidden(f"the token does not allow to publish {kind}")
