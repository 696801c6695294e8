"""One transport of ours: from the engine's to the end, whoever ends it. What both sides of WHIP and WHEP share."""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, Protocol

from live777py import log
from live777py.errors import Unavailable, Unprocessable
from live777py.media.engine import CommandError, EngineGone
from live777py.rtc.channels import DataChannels
from live777py.rtc.dtls import DtlsError, DtlsTransport
from live777py.rtc.negotiation import LocalPeer
from live777py.rtc.tracks import random_ssrc, subscription_parameters, track_parameters

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from live777py.media import native
    from live777py.media.engine import MediaEngine
    from live777py.rtc.certificate import Certificate
    from live777py.rtc.channels import Message
    from live777py.rtc.negotiation import Candidate, DataChannelParameters, PlayedMedia, PublishedMedia

PeerState = Literal["new", "connecting", "connected", "failed", "closed"]

EndReason = Literal["setup-timeout", "dtls-failed", "peer-closed", "idle-timeout", "engine-failed", "codec-changed"]
"""Why a peer ended by itself. `peer-closed`: DTLS close_notify. `idle-timeout`: consent expired (RFC 7675).

`codec-changed`: the server that we play from sends another codec than it began with.
"""

SETUP_TIMEOUT: Final = 15.0
"""Seconds from the answer to the keys; a peer that is not there by then is closed."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one end, for one ICE session (RFC 8445 section 5.3). Only the password is a secret."""

    ufrag: str
    pwd: str = field(repr=False)

    @classmethod
    def new(cls) -> Credentials:
        return cls(secrets.token_hex(8), secrets.token_hex(16))


class PeerOwner(Protocol):
    """Implemented by `streams.live.LiveSession`."""

    def peer_state_changed(self, state: PeerState) -> None:
        """`connecting`, `connected` or `failed`."""

    def channel_message(self, label: str, message: Message) -> None:
        """The peer said something on a data channel."""

    def media_changed(self, event: native.TrackStarted | native.TrackSilent | native.LayerChanged) -> None:
        """Of one of the peer's tracks or subscriptions."""

    def peer_ended(self, reason: EndReason) -> None:
        """The peer has closed itself. Not called where the owner called `close`."""


class Peer:
    """`close` is idempotent, and the way to the end whoever wants it."""

    _first_label: str | None = None

    def __init__(
        self, engine: MediaEngine, certificate: Certificate, *, owner: PeerOwner, stream: str, session: str
    ) -> None:
        """Peers of one stream share a media worker while it has room."""
        self.transport = engine.next_id()
        self.worker = -1
        self.state: PeerState = "new"
        self.tracks: tuple[tuple[PublishedMedia, int], ...] = ()
        self.subscriptions: tuple[tuple[PlayedMedia, int], ...] = ()
        self._stream = stream
        self._session = session
        self._engine = engine
        self._certificate = certificate
        self._owner: PeerOwner | None = owner
        self._fingerprints: tuple[tuple[str, str], ...] = ()
        self._dtls_role: Literal["client", "server"] | None = None
        self._credentials = Credentials.new()
        self.data_channel: DataChannelParameters | None = None
        self.channels: DataChannels | None = None
        self._dtls: DtlsTransport | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._setup_timer: asyncio.TimerHandle | None = None
        self._ice_lite = False
        self._load = 0
        self._released: asyncio.Future[None] | None = None

    def local(self, candidates: tuple[Candidate, ...]) -> LocalPeer:
        """Our side, for the offer or answer."""
        return LocalPeer(
            ice_ufrag=self._credentials.ufrag,
            ice_pwd=self._credentials.pwd,
            fingerprint=self._certificate.fingerprint,
            candidates=candidates,
            ice_lite=self._ice_lite,
            session_id=secrets.randbits(62),
        )

    def close(self) -> None:
        """Undo everything in reverse, before it returns."""
        if self.state == "closed":
            return
        self.state = "closed"
        self._owner = None
        with ExitStack() as undo:  # the last is called first, and each of them whatever the others raise
            undo.callback(self._engine.placement.give_back, self._stream, self.worker, self._load)
            undo.callback(self._release_transport)
            undo.callback(self._stop_setup_timer)
            undo.callback(self._stop_dtls)
            undo.callback(self._stop_channels)

    async def wait_closed(self) -> None:
        """Until the engine has let go of the transport, close_notify sent."""
        if self._released is not None:
            await asyncio.wait([self._released])

    # What the engine tells (media.engine.TransportHandler)

    def ice_connected(self, local: str, remote: str, protocol: str) -> None:
        self._logger.debug("ICE connected by %s on %s, peer %s", protocol, local, remote)
        self._start_dtls()

    def reflexive_address(self, local: str, address: str) -> None:
        """The answer to `MediaEngine.discover_reflexive`; a peer that does not ask hears of none."""

    def ice_lost(self) -> None:
        self._end("idle-timeout")

    def dtls_received(self, datagram: bytes) -> None:
        # A DTLS client may send its ClientHello on a pair that is not nominated yet; a server never speaks first.
        if self._dtls is None and self._dtls_role == "server":
            self._start_dtls()
        if self._dtls is not None:
            self._dtls.datagram_received(datagram)

    def media_changed(self, event: native.TrackStarted | native.TrackSilent | native.LayerChanged) -> None:
        self._logger.debug("%r", event)
        if self._owner is not None:
            self._owner.media_changed(event)

    def worker_closed(self, reason: str) -> None:
        self._logger.warning("the media worker has ended: %s", reason)
        self._end("engine-failed")

    @property
    def _logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """Made where it is used: a thousand sessions have a thousand of them, and nothing to say."""
        return log.bind(_logger, stream=self._stream, session=self._session)

    def _take_worker(self, load: int, reserved: int | None = None) -> int:
        """Room for `load` tracks or subscriptions, at that worker if it is set; `close` gives it back.

        Raises `EngineGone`.
        """
        self._load = load
        worker = self._engine.placement.take(self._stream, load, at=reserved)
        if worker is None:
            raise EngineGone("no media worker is left")
        self.worker = worker
        return worker

    async def _carry(
        self,
        opening: Sequence[Awaitable[object]] = (),
        *,
        publish: Sequence[PublishedMedia] = (),
        play: Sequence[PlayedMedia] = (),
        known: bool = True,
    ) -> tuple[tuple[PublishedMedia, int], ...]:
        """Add tracks and subscriptions; `opening` are the commands sent before, awaited with theirs.

        Returns the tracks. The owner may look at any time: they are the peer's at once if it is `known` what they are.

        Raises `Unavailable` or `Unprocessable`.
        """
        engine = self._engine
        commands = list(opening)
        tracks = tuple((media, engine.next_id()) for media in publish)
        self.tracks = tracks if known else ()
        self.subscriptions = tuple((media, engine.next_id()) for media in play)
        try:
            for published, track in tracks:
                parameters = track_parameters(published, local_ssrc=random_ssrc())
                commands.append(engine.add_track(self.transport, track, parameters))
            for played, subscription in self.subscriptions:
                commands.append(engine.subscribe(self.transport, subscription, subscription_parameters(played)))
            await asyncio.gather(*commands)
        except ValueError as error:
            raise Unprocessable(f"the media engine cannot carry this: {error}") from error
        except CommandError as error:
            if error.code == "invalid_argument":
                raise Unprocessable(f"the media engine cannot carry this: {error.detail}") from error
            if error.code in {"limit_reached", "no_socket"}:
                raise Unavailable("the media engine is full", retry_after=10) from error
            raise
        self._require_open()
        return tracks

    def _require_open(self) -> None:
        if self.state == "closed":
            raise Unavailable("the session was closed while it was being set up", retry_after=1)

    def _start_setup_timer(self) -> None:
        self._setup_timer = asyncio.get_running_loop().call_later(SETUP_TIMEOUT, self._end, "setup-timeout")

    def _start_dtls(self) -> None:
        role = self._dtls_role
        if role is None or self._dtls is not None or self.state == "closed":
            return
        self._dtls = DtlsTransport(
            self._certificate,
            role=role,
            send=partial(self._engine.send_dtls, self.transport),
            on_closed=partial(self._end, "peer-closed"),
            on_data=self._data_received if self.data_channel is not None else None,
        )
        if self.data_channel is not None:
            self.channels = DataChannels(
                self.data_channel,
                dtls_role=role,
                send=self._dtls.send,
                on_message=self._message_received,
                first_label=self._first_label,
            )
        self._handshake = asyncio.create_task(self._secure(self._dtls), name="dtls handshake")
        self._set_state("connecting")

    async def _secure(self, dtls: DtlsTransport) -> None:
        try:
            keys = await dtls.connect(self._fingerprints)
            if self.channels is not None:
                self.channels.start()
            await self._engine.install_keys(
                self.transport,
                profile=keys.profile.engine_profile,
                local_key=keys.local_key,
                local_salt=keys.local_salt,
                remote_key=keys.remote_key,
                remote_salt=keys.remote_salt,
            )
        except DtlsError as error:
            self._logger.info("DTLS failed: %s", error)
            self._handshake = None
            self._end("dtls-failed")
        except (CommandError, EngineGone) as error:
            self._logger.warning("keys were not installed: %s", error.detail)
            self._handshake = None
            self._end("engine-failed")
        else:
            self._handshake = None
            self._fingerprints = ()
            self._stop_setup_timer()
            self._set_state("connected")

    def _data_received(self, data: bytes) -> None:
        if self.channels is not None:
            self.channels.received(data)

    def _message_received(self, label: str, message: Message) -> None:
        if self._owner is not None:
            self._owner.channel_message(label, message)

    def _set_state(self, state: PeerState) -> None:
        self.state = state
        if self._owner is not None:
            self._owner.peer_state_changed(state)

    def _end(self, reason: EndReason) -> None:
        if self.state == "closed":
            return
        if reason != "peer-closed":
            self._set_state("failed")
        owner = self._owner
        self.close()
        if owner is not None:
            owner.peer_ended(reason)

    def _stop_setup_timer(self) -> None:
        if self._setup_timer is not None:
            self._setup_timer.cancel()
            self._setup_timer = None

    def _stop_channels(self) -> None:
        if self.channels is not None:
            self.channels.close()
            self.channels = None

    def _stop_dtls(self) -> None:
        if self._handshake is not None:
            self._handshake.cancel()
            self._handshake = None
        if self._dtls is not None:
            self._dtls.shutdown(quiet=self._leaves_quietly())
            self._dtls = None

    def _leaves_quietly(self) -> bool:
        """Whether the peer is told of the end in another way than by DTLS."""
        return False

    def _release_transport(self) -> None:
        self._released = self._engine.close_transport(self.transport)
