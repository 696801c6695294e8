"""One viewer or publisher of a run: what became of it, and what the engine has counted for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from live777py.errors import Live777Error, UpstreamError
from live777py.loadtest.report import SessionReport
from live777py.rtc.client import ClientPeer
from live777py.rtc.negotiation import CodecPolicy, payload_map

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live777py.loadtest.feed import Feed
    from live777py.media import native
    from live777py.media.engine import MediaEngine
    from live777py.outbound import Endpoint, Outbound
    from live777py.rtc.certificate import Certificate
    from live777py.rtc.channels import Message
    from live777py.rtc.peer import EndReason, PeerState

_GROUP = "bench"


class BenchSession:
    """`start` returns when it is known whether media can flow; `end` is to be called in any case.

    `failure` says what went wrong first, and `failed` is set then. It is the owner of its peer.
    """

    def __init__(
        self, number: int, endpoint: Endpoint, *, engine: MediaEngine, certificate: Certificate, outbound: Outbound
    ) -> None:
        self.failure: str | None = None
        self.failed = asyncio.Event()
        self.connected_ms: float | None = None
        self._number = number
        self._began = 0.0
        self._settled = asyncio.Event()
        self._rows: Sequence[Any] = ()
        self._engine = engine
        self._peer = ClientPeer(
            engine,
            certificate,
            owner=self,
            outbound=outbound,
            endpoint=endpoint,
            stream=_GROUP,
            session=str(number),
        )

    @property
    def transport(self) -> int:
        return self._peer.transport

    async def start(self) -> None:
        """The offer, the answer, ICE and DTLS. Does not raise."""
        self._began = asyncio.get_running_loop().time()
        try:
            await self._open(self._peer)
            await self._settled.wait()
        except Live777Error as error:
            self._fail(error.detail)

    async def end(self) -> None:
        """The other server is told, and no more is counted."""
        self._peer.close()
        await self._peer.wait_closed()

    def sample(self, rows: Sequence[Any]) -> None:
        """The newest counters: `native.TrackStats` of a viewer, `native.SubscriptionStats` of a publisher."""
        self._rows = rows

    def report(self) -> SessionReport:
        raise NotImplementedError

    async def _open(self, peer: ClientPeer) -> None:
        raise NotImplementedError

    def _verdict(self, counted: str | None) -> str | None:
        """What went wrong; `counted` is what the counters say of a session that was well till the end."""
        if self.failure is None and self.connected_ms is None:
            return "it was ended before it was connected"
        return self.failure or counted

    def _fail(self, reason: str) -> None:
        if self.failure is None:
            self.failure = reason
            self.failed.set()
        self._settled.set()

    # What the peer tells (rtc.peer.PeerOwner)

    def peer_state_changed(self, state: PeerState) -> None:
        if state == "connected":
            self.connected_ms = (asyncio.get_running_loop().time() - self._began) * 1000
            self._settled.set()

    def channel_message(self, label: str, message: Message) -> None:
        """No data channel is asked for."""

    def media_changed(self, event: native.TrackStarted | native.TrackSilent | native.LayerChanged) -> None:
        """The counters tell."""

    def peer_ended(self, reason: EndReason) -> None:
        self._fail(f"the session has ended: {reason}")


class Viewer(BenchSession):
    """Plays whatever there is, and decodes nothing."""

    async def _open(self, peer: ClientPeer) -> None:
        await peer.play(CodecPolicy(), data_channel=False)

    def report(self) -> SessionReport:
        rows: Sequence[native.TrackStats] = self._rows
        firsts = [row.first_packet_ms for row in rows if row.first_packet_ms is not None]
        keys = [row.first_key_frame_ms for row in rows if row.first_key_frame_ms is not None]
        return SessionReport(
            session=self._number,
            failure=self._verdict(self._missing(rows)),
            connected_ms=self.connected_ms,
            first_packet_ms=min(firsts, default=None),
            first_key_frame_ms=min(keys, default=None),
            packets=sum(row.packets for row in rows),
            bytes=sum(row.bytes for row in rows),
            lost=sum(row.lost for row in rows),
            repaired=sum(row.repaired for row in rows),
            reordered=sum(row.reordered for row in rows),
            frames=sum(row.frames for row in rows),
            freezes=sum(row.freezes for row in rows),
            freeze_ms=sum(row.freeze_ms for row in rows),
        )

    def _missing(self, rows: Sequence[native.TrackStats]) -> str | None:
        """A server that has no video for a viewer does not answer its section (WHEP section 4.6.2)."""
        if all(row.first_packet_ms is None for row in rows):
            return "connected, and nothing came"
        video = {track for media, track in self._peer.tracks if media.kind == "video"}
        pictures = [row for row in rows if row.track in video]
        if not video or any(row.first_key_frame_ms is not None for row in pictures):
            return None
        some = any(row.first_packet_ms is not None for row in pictures)
        return "pictures came, and no whole key frame" if some else "sound came, and no picture"


class Publisher(BenchSession):
    """Sends the tracks of a feed."""

    def __init__(
        self,
        number: int,
        endpoint: Endpoint,
        *,
        engine: MediaEngine,
        certificate: Certificate,
        outbound: Outbound,
        feed: Feed,
    ) -> None:
        super().__init__(number, endpoint, engine=engine, certificate=certificate, outbound=outbound)
        self._feed = feed

    async def _open(self, peer: ClientPeer) -> None:
        await peer.publish([media for media, _ in self._feed.media], data_channel=False)
        taken = {played.kind for played, _ in peer.subscriptions}
        for media, _ in self._feed.media:
            if media.kind not in taken:
                raise UpstreamError(f"the server takes no {media.kind}")
        for played, subscription in peer.subscriptions:
            for media, track in self._feed.media:
                payload_types = payload_map(media, played)
                if payload_types is not None:
                    await self._engine.attach(subscription, track, payload_types)

    def report(self) -> SessionReport:
        rows: Sequence[native.SubscriptionStats] = self._rows
        packets = sum(row.packets for row in rows)
        return SessionReport(
            session=self._number,
            failure=self._verdict(None if packets else "connected, and nothing was to be sent"),
            connected_ms=self.connected_ms,
            packets=packets,
            bytes=sum(row.bytes for row in rows),
            lost=sum(row.lost for row in rows),
            repaired=sum(row.retransmitted for row in rows),
        )
