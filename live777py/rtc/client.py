"""One transport as the client side of WHEP or WHIP: the offer is ours, and another server answers it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from yarl import URL

from live777py.errors import Unprocessable, UpstreamError, UpstreamTimeout
from live777py.media import native
from live777py.media.addresses import SocketAddress
from live777py.rtc.answered import alternatives, read_play_answer, read_publish_answer
from live777py.rtc.candidate import reflexive_candidate
from live777py.rtc.candidates import offered_candidates
from live777py.rtc.client_resource import DELETE_TIMEOUT, SessionResource
from live777py.rtc.offering import FIRST_MID, offer_to_play, offer_to_publish, write_offer
from live777py.rtc.peer import Peer
from live777py.rtc.sdpfrag import write_fragment
from live777py.rtc.tracks import random_ssrc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live777py.media.engine import MediaEngine
    from live777py.outbound import Endpoint, Outbound
    from live777py.rtc.certificate import Certificate
    from live777py.rtc.negotiation import CodecPolicy, LocalPeer, PlayedMedia, PublishedMedia, RemotePeer
    from live777py.rtc.offering import OfferedMedia
    from live777py.rtc.peer import EndReason, PeerOwner, PeerState

MEDIA_TIMEOUT: Final = 2.0
"""Seconds from the connection to the first packet of each track, whose payload type decides which codec it is."""

_NOT_UNDERSTOOD: Final = frozenset({400, 422})
_MAX_REFLEXIVE: Final = 8


class ClientPeer(Peer):
    """`play` or `publish`, once; `close` is idempotent, and the way to the end whoever wants it.

    ICE is full and controlling, on a socket of its own: two sessions with one server must differ in their addresses.
    """

    _first_label = "control"  # a server like Live777's says nothing to who has opened no data channel

    def __init__(
        self,
        engine: MediaEngine,
        certificate: Certificate,
        *,
        owner: PeerOwner,
        outbound: Outbound,
        endpoint: Endpoint,
        stream: str,
        session: str,
    ) -> None:
        super().__init__(engine, certificate, owner=owner, stream=stream, session=session)
        self._endpoint = endpoint
        self._outbound = outbound
        self._resource = SessionResource(outbound, endpoint)
        self._asking: asyncio.Task[str] | None = None
        self._discovering: asyncio.Task[None] | None = None
        self._goodbye: asyncio.Task[None] | None = None
        self._closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changed = asyncio.Event()
        self._reflexive: asyncio.Queue[tuple[SocketAddress, SocketAddress]] = asyncio.Queue()
        self._choices: dict[int, tuple[PublishedMedia, ...]] = {}
        self._heard: dict[int, PublishedMedia] = {}
        self._ended: EndReason | None = None
        self._media_timer: asyncio.TimerHandle | None = None

    @property
    def session_url(self) -> str | None:
        """The session at the other server, while there is one."""
        return self._resource.url

    async def play(
        self, policy: CodecPolicy, *, data_channel: bool = True, loop: str | None = None
    ) -> tuple[PublishedMedia, ...]:
        """WHEP: what the other server sends, as tracks of the engine, once its packets have said which codec it is.

        A track of which nothing comes for `MEDIA_TIMEOUT` counts as the first codec of the answer. When packets of
        another codec come later, the peer ends itself (`codec-changed`): play anew. An end meanwhile is told to the
        owner, and raised. `loop` is the value of the CDN-Loop header.

        Raises `UpstreamError` (`Refused` is one) or `Unavailable`; then, or when cancelled, the caller closes the peer.
        """
        self._resource.loop = loop
        offered = offer_to_play(policy)
        answer = read_play_answer(await self._ask(offered, data_channel=data_channel), offered)
        if data_channel:
            self.data_channel = answer.remote.data_channel
        carried = await self._connect(answer.remote, publish=answer.media)
        self._choices = {track: alternatives(media) for media, track in carried}
        while self.state != "closed" and not self._media_known:
            self._changed.clear()
            await self._changed.wait()
        self._require_connected()
        for track, choices in self._choices.items():
            self._heard.setdefault(track, choices[0])
        self.tracks = tuple((self._heard[track], track) for _, track in carried)
        return tuple(media for media, _ in self.tracks)

    async def publish(
        self, media: Sequence[PublishedMedia], *, data_channel: bool = True, loop: str | None = None
    ) -> None:
        """WHIP: subscriptions for what the other server takes of `media`, one for each layer; the caller attaches them.

        The layers of a track are offered in the order of its encodings, which is to be best first. `loop` as in `play`.

        Raises `UpstreamError` or `Unavailable`; then, or when cancelled, the caller closes the peer.
        """
        self._resource.loop = loop
        offered = offer_to_publish(media, new_ssrc=random_ssrc, cname=uuid.uuid4().hex)
        text = await self._ask(offered, data_channel=data_channel)
        answer = read_publish_answer(text, offered, new_ssrc=random_ssrc)
        if data_channel:
            self.data_channel = answer.remote.data_channel
        await self._connect(answer.remote, play=answer.media)
        for played, subscription in self.subscriptions:
            if played.rid is not None:
                self._engine.select_layer(subscription, played.rid)

    def close(self) -> None:
        """Undo everything in reverse, before it returns; the other server is told meanwhile."""
        super().close()
        if not self._closing.done():
            self._closing.set_result(None)
        self._changed.set()
        if self._media_timer is not None:
            self._media_timer.cancel()
        self._stop_discovering()
        if self._asking is not None and self._goodbye is None:
            self._goodbye = asyncio.create_task(self._say_goodbye(self._asking), name="session DELETE")

    async def wait_closed(self) -> None:
        """Until the engine has let go of the transport, and the other server has been told, or did not listen."""
        await super().wait_closed()
        for task in (self._discovering, self._goodbye):
            if task is not None:
                await asyncio.wait([task])

    def media_changed(self, event: native.TrackStarted | native.TrackSilent | native.LayerChanged) -> None:
        """What is sent says which codec of the answer it is: a server may answer with all that it knows."""
        super().media_changed(event)
        if not isinstance(event, native.TrackStarted):
            return
        known = self._heard.get(event.track)
        if known is not None and event.payload_type in {codec.payload_type for codec in known.codecs}:
            return
        for choice in self._choices.get(event.track, ()):
            if choice.codecs[0].payload_type == event.payload_type:
                if self._heard.setdefault(event.track, choice) != choice:
                    self._end("codec-changed")
                self._changed.set()

    def reflexive_address(self, local: str, address: str) -> None:
        self._reflexive.put_nowait((SocketAddress.parse(local), SocketAddress.parse(address)))

    @property
    def _media_known(self) -> bool:
        waited = self._media_timer is not None and self._media_timer.when() <= asyncio.get_running_loop().time()
        open_questions = {track for track, choices in self._choices.items() if len(choices) > 1} - self._heard.keys()
        return self.state == "connected" and (waited or not open_questions)

    def _set_state(self, state: PeerState) -> None:
        super()._set_state(state)
        self._changed.set()
        if state == "connected":
            self._stop_discovering()
        if state == "connected" and self._choices:
            self._media_timer = asyncio.get_running_loop().call_later(MEDIA_TIMEOUT, self._changed.set)

    async def _ask(self, offered: Sequence[OfferedMedia], *, data_channel: bool) -> str:
        """The answer to an offer with all our candidates; it is waited for no longer when the peer is closed."""
        if not offered:
            raise UpstreamError("there is no codec that may be asked for")
        own = self._credentials
        ice = native.IceParameters(role="controlling", local_ufrag=own.ufrag, local_pwd=own.pwd)
        worker = self._take_worker(len(offered))
        opening = self._engine.open_transport(self.transport, self, worker=worker, ice=ice, own_socket=True)
        await self._carry([opening])
        loopback = _is_loopback(URL(self._endpoint.url).host or "")
        candidates = offered_candidates([(bound, ()) for bound in opening.result()], loopback=loopback)
        self._asking = asyncio.create_task(
            self._post(offered, self.local(candidates), data_channel=data_channel), name="session POST"
        )
        either: list[asyncio.Future[Any]] = [self._asking, self._closing]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        self._require_open()
        return self._asking.result()

    async def _post(self, offered: Sequence[OfferedMedia], local: LocalPeer, *, data_channel: bool) -> str:
        """Servers that know nothing of data channels are to ignore them; those that do not get an offer without."""
        try:
            return await self._resource.create(write_offer(offered, local, data_channel=data_channel))
        except UpstreamError as error:
            if not data_channel or error.answered not in _NOT_UNDERSTOOD:
                raise
        return await self._resource.create(write_offer(offered, local))

    async def _connect(
        self, remote: RemotePeer, *, publish: Sequence[PublishedMedia] = (), play: Sequence[PlayedMedia] = ()
    ) -> tuple[tuple[PublishedMedia, int], ...]:
        """Begin with ICE now that the other side is known. Returns the tracks, of which packets say what they are.

        Raises `UpstreamError` or `Unavailable`.
        """
        self._fingerprints = remote.fingerprints
        self._dtls_role = "server" if remote.dtls_role == "passive" else "client"
        ice = native.IceParameters(
            role="controlling",
            local_ufrag=self._credentials.ufrag,
            local_pwd=self._credentials.pwd,
            remote_ufrag=remote.ice_ufrag,
            remote_pwd=remote.ice_pwd,
        )
        try:
            restarting = self._engine.restart_ice(self.transport, ice)
            tracks = await self._carry([restarting], publish=publish, play=play, known=False)
        except Unprocessable as error:
            raise UpstreamError(f"the answer cannot be used: {error.detail}") from error
        for candidate in remote.candidates:
            ip = candidate.ip
            if ip is not None and candidate.usable and self._outbound.policy.allows(ip):
                address = SocketAddress(ip, candidate.port)
                self._engine.add_remote_candidate(self.transport, address, candidate.priority)
        self._start_setup_timer()
        if self._resource.ice_servers:
            self._discovering = asyncio.create_task(self._discover(), name="STUN")
        return tracks

    async def _discover(self) -> None:
        """Ask the STUN servers of the answer how we look from there, and pass that on while it may help."""
        for server in self._resource.ice_servers:
            if server.scheme != "stun":
                self._logger.debug("%s server %s is not used: only STUN over UDP is", server.scheme, server.host)
                continue
            try:
                addresses = await self._outbound.addresses(server.host)
            except UpstreamError as error:
                self._logger.debug("STUN server: %s", error.detail)
                continue
            for ip in addresses:
                self._engine.discover_reflexive(self.transport, SocketAddress(ip, server.port))
        told: set[SocketAddress] = set()
        while len(told) < _MAX_REFLEXIVE:
            base, seen = await self._reflexive.get()
            if seen in (base, *told):
                continue
            told.add(seen)
            candidate = reflexive_candidate((str(seen.ip), seen.port), (str(base.ip), base.port))
            own = self._credentials
            fragment = write_fragment(ufrag=own.ufrag, pwd=own.pwd, mid=FIRST_MID, candidate=candidate)
            await self._resource.trickle(fragment)

    def _leaves_quietly(self) -> bool:
        """A publisher without goodbye is waited for, one that DELETEs is not: close_notify would be seen first."""
        return self._resource.url is not None

    def _end(self, reason: EndReason) -> None:
        if self.state != "closed":
            self._ended = reason
        super()._end(reason)

    def _require_connected(self) -> None:
        """Raises `UpstreamError` where the peer has ended by itself, `Unavailable` where its owner has closed it."""
        if self._ended is not None:
            failure = UpstreamTimeout if self._ended == "setup-timeout" else UpstreamError
            raise failure(f"{self._endpoint} has answered, but no connection for media came about: {self._ended}")
        self._require_open()

    def _stop_discovering(self) -> None:
        if self._discovering is not None:
            self._discovering.cancel()

    async def _say_goodbye(self, asking: asyncio.Task[str]) -> None:
        """A POST under way is waited for: what it has made is to be deleted."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DELETE_TIMEOUT):
                await asyncio.wait([asking])
                await self._resource.delete()
        if asking.cancel():
            await asyncio.wait([asking])
        elif (error := asking.exception()) is not None:
            self._logger.debug("%s", error)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
