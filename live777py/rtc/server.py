"""One transport as the server side of WHIP or WHEP: the session is ours, and the client's requests are answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from live777py.errors import BadRequest, NotFound, Unavailable, Unprocessable
from live777py.media import native
from live777py.media.engine import CommandError
from live777py.rtc.described import are_ice_credentials
from live777py.rtc.etags import check_match
from live777py.rtc.peer import Credentials, Peer
from live777py.rtc.sdpfrag import restart_head, write_restart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live777py.media.engine import MediaEngine
    from live777py.rtc.certificate import Certificate
    from live777py.rtc.negotiation import Candidate, PlayedMedia, PublishedMedia, RemotePeer
    from live777py.rtc.peer import PeerOwner
    from live777py.rtc.sdpfrag import Fragment

MAX_REMOTE_CANDIDATES: Final = 256
"""What a peer may trickle for one ICE session. None is kept: see `ServerPeer`."""
_MAX_FORMER: Final = 8
"""ICE sessions that are over and still known, since what belongs to them may come late."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Restarted:
    """The answer to an ICE restart: `application/trickle-ice-sdpfrag`, and the tag of the new ICE session."""

    fragment: str = field(repr=False)
    etag: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reserved:
    """What an offer of ours has promised already."""

    credentials: Credentials
    worker: int


class ServerPeer(Peer):
    """`open`, then `local` for the answer; `close` is idempotent, and the way to the end whoever wants it."""

    def __init__(
        self,
        engine: MediaEngine,
        certificate: Certificate,
        *,
        owner: PeerOwner,
        remote: RemotePeer,
        stream: str,
        session: str,
        ice_lite: bool = True,
        reserved: Reserved | None = None,
    ) -> None:
        """Without `ice_lite` the engine checks back every path over which the peer checks, and asks for consent.

        For that it needs no candidates of the peer: those that matter reach it. `reserved` is set where the offer was
        ours.
        """
        super().__init__(engine, certificate, owner=owner, stream=stream, session=session)
        self._ice_lite = ice_lite
        self._reserved = reserved
        if reserved is not None:
            self._credentials = reserved.credentials
        self._remote = Credentials(remote.ice_ufrag, remote.ice_pwd)
        self._former: tuple[str, ...] = ()
        self._head: tuple[str, ...] = ()
        self._fingerprints = remote.fingerprints
        self._dtls_role = "server" if remote.dtls_role == "passive" else "client"
        self.data_channel = remote.data_channel
        self._candidates_seen = 0

    @property
    def offered(self) -> bool:
        """Whether the offer was ours, and the client has answered it."""
        return self._reserved is not None

    @property
    def etag(self) -> str:
        """Of the ICE session as it is now, quoted: strong (RFC 9110 section 8.8.3)."""
        return etag_of(self._credentials)

    def describe(self, description: str) -> str:
        """Notes what restarts will repeat of our answer or offer; returns it."""
        self._head = restart_head(description)
        return description

    async def open(self, *, publish: Sequence[PublishedMedia] = (), play: Sequence[PlayedMedia] = ()) -> None:
        """Make the transport with its tracks or subscriptions.

        Raises `Unavailable` or `Unprocessable`; then, or when cancelled, the caller closes the peer.
        """
        worker = self._take_worker(len(publish) + len(play), None if self._reserved is None else self._reserved.worker)
        opening = self._engine.open_transport(self.transport, self, worker=worker, ice=self._ice_parameters())
        await self._carry([opening], publish=publish, play=play)
        self._start_setup_timer()

    async def patch(
        self, fragment: Fragment, *, if_match: str | None, strict: bool, candidates: Sequence[Candidate]
    ) -> Restarted | None:
        """Trickled candidates, which do no harm whatever they are, or an ICE restart (RFC 9725 sections 4.3.2, 4.3.3).

        A restart is what has credentials that were never here before. It returns ours, with `candidates`, which are
        ours too; media goes on over the old pair until one is nominated under the new credentials, for ever if that
        never happens. What comes late for an ICE session that is over is nothing; the newest restart counts.

        Raises `PreconditionRequired`, `PreconditionFailed`, `BadRequest`, `Unprocessable`, and `NotFound` or
        `Unavailable` where it cannot be done: then nothing has changed.
        """
        for_any = check_match(if_match, self.etag, strict=strict)
        ufrag = fragment.ice_ufrag
        if ufrag is None or ufrag == self._remote.ufrag:
            self._candidates_seen += len(fragment.candidates)
            if self._candidates_seen > MAX_REMOTE_CANDIDATES:
                raise Unprocessable(f"more than {MAX_REMOTE_CANDIDATES} candidates")
            # The same restart once more: its answer was lost on the way.
            again = for_any and bool(self._former) and fragment.ice_pwd == self._remote.pwd
            return self._restarted(candidates) if again else None
        if ufrag in self._former:
            return None
        await self._restart(ufrag, fragment.ice_pwd)
        self._candidates_seen = min(len(fragment.candidates), MAX_REMOTE_CANDIDATES)
        return self._restarted(candidates)

    async def _restart(self, ufrag: str, pwd: str | None) -> None:
        if pwd is None or not are_ice_credentials(ufrag, pwd):
            raise BadRequest("an ICE restart has an ufrag and a password of RFC 8839 section 5.4")
        before = (self._credentials, self._remote, self._former)
        self._former = (*self._former, self._remote.ufrag)[-_MAX_FORMER:]
        self._credentials, self._remote = Credentials.new(), Credentials(ufrag, pwd)
        wanted = self._credentials
        try:
            await self._engine.restart_ice(self.transport, self._ice_parameters())
        except (CommandError, Unavailable) as error:
            if self.state == "closed":
                raise NotFound("the session has ended") from error
            if self._credentials is wanted:
                self._credentials, self._remote, self._former = before
            raise Unavailable("ICE cannot be restarted now; the session goes on", retry_after=1) from error
        if self.state == "closed":
            raise NotFound("the session has ended")
        self._logger.info("ICE restarts")

    def _restarted(self, candidates: Sequence[Candidate]) -> Restarted:
        own = self._credentials
        fragment = write_restart(self._head, ufrag=own.ufrag, pwd=own.pwd, candidates=candidates)
        return Restarted(fragment=fragment, etag=self.etag)

    def _ice_parameters(self) -> native.IceParameters:
        # RFC 8445 section 6.1.1: of two full agents the one that made the offer controls.
        full: Literal["controlled", "controlling"] = "controlled" if self._reserved is None else "controlling"
        return native.IceParameters(
            role="lite" if self._ice_lite else full,
            local_ufrag=self._credentials.ufrag,
            local_pwd=self._credentials.pwd,
            remote_ufrag=self._remote.ufrag,
            remote_pwd=self._remote.pwd,
        )


def etag_of(credentials: Credentials) -> str:
    return f'"{credentials.ufrag}"'
