"""One session's tracks under another name, for rooms that show what is published in another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.rtc.peer import Peer

if TYPE_CHECKING:
    from live777py.media.engine import MediaEngine
    from live777py.rtc.certificate import Certificate
    from live777py.rtc.peer import PeerOwner


class CopyPeer(Peer):
    """Has the tracks of another peer, and no transport: there is nobody to talk to."""

    def __init__(
        self,
        engine: MediaEngine,
        certificate: Certificate,
        *,
        owner: PeerOwner,
        origin: Peer,
        stream: str,
        session: str,
    ) -> None:
        super().__init__(engine, certificate, owner=owner, stream=stream, session=session)
        self.tracks = origin.tracks
