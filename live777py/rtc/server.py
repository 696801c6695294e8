"""One transport as the server side of WHIP or WHEP: an offer has come, and the answer is ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from live777py.errors import Unprocessable
from live777py.media import native
from live777py.rtc.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live777py.media.engine import MediaEngine
    from live777py.rtc.certificate import Certificate
    from live777py.rtc.negotiation import PlayedMedia, PublishedMedia, RemotePeer
    from live777py.rtc.peer import PeerOwner
    from live777py.rtc.sdpfrag import Fragment

MAX_REMOTE_CANDIDATES: Final = 256
"""What a peer may trickle in all. None is kept: see `ServerPeer`."""


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
    ) -> None:
        """Without `ice_lite` the engine checks back every path over which the peer checks, and asks for consent.

        For that it needs no candidates of the peer: those that matter reach it.
        """
        super().__init__(engine, certificate, owner=owner, stream=stream, session=session)
        self._ice_lite = ice_lite
        self._remote_ufrag = remote.ice_ufrag
        self._remote_pwd = remote.ice_pwd
        self._fingerprints = remote.fingerprints
        self._dtls_role = "server" if remote.dtls_role == "passive" else "client"
        self.data_channel = remote.data_channel
        self._candidates_seen = 0

    async def open(self, *, publish: Sequence[PublishedMedia] = (), play: Sequence[PlayedMedia] = ()) -> None:
        """Make the transport with its tracks or subscriptions.

        Raises `Unavailable` or `Unprocessable`; then, or when cancelled, the caller closes the peer.
        """
        worker = self._take_worker(len(publish) + len(play))
        ice = native.IceParameters(
            role="lite" if self._ice_lite else "controlled",
            local_ufrag=self._ufrag,
            local_pwd=self._pwd,
            remote_ufrag=self._remote_ufrag,
            remote_pwd=self._remote_pwd,
        )
        opening = self._engine.open_transport(self.transport, self, worker=worker, ice=ice)
        await self._carry([opening], publish=publish, play=play)
        self._start_setup_timer()

    def trickle(self, fragment: Fragment) -> None:
        """Raises `Unprocessable` for an ICE restart or too many candidates; whatever they are, they do no harm."""
        if fragment.ice_ufrag is not None and fragment.ice_ufrag != self._remote_ufrag:
            raise Unprocessable("ICE restarts are not supported; make a new session")
        self._candidates_seen += len(fragment.candidates)
        if self._candidates_seen > MAX_REMOTE_CANDIDATES:
            raise Unprocessable(f"more than {MAX_REMOTE_CANDIDATES} candidates")
