"""Other servers: peers of ours that connect when the test says so, over the fake engine, without HTTP or DTLS."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from live777py.errors import Unavailable
from live777py.media import native
from live777py.rtc.negotiation import Codec, Encoding, PlayedMedia, PublishedMedia
from live777py.rtc.peer import Peer
from live777py.rtc.tracks import random_ssrc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live777py.media.engine import MediaEngine
    from live777py.outbound import Endpoint
    from live777py.rtc.certificate import Certificate
    from live777py.rtc.client import ClientPeer
    from live777py.rtc.negotiation import CodecPolicy
    from live777py.rtc.peer import EndReason, PeerOwner

OPUS = Codec(payload_type=111, name="opus", clock_rate=48_000)
VP8 = Codec(payload_type=96, name="VP8", clock_rate=90_000)
VP9 = Codec(payload_type=98, name="VP9", clock_rate=90_000)
AUDIO = PublishedMedia(kind="audio", mid="0", codecs=(OPUS,), encodings=(Encoding(ssrc=1),))
VIDEO = PublishedMedia(kind="video", mid="1", codecs=(VP8,), encodings=(Encoding(ssrc=2),))


class FakeClientPeer(Peer):
    """`offered` is what it wanted to publish. `said_goodbye`: the session at the other server was deleted."""

    def __init__(
        self,
        server: OtherServers,
        engine: MediaEngine,
        certificate: Certificate,
        *,
        owner: PeerOwner,
        endpoint: Endpoint,
        stream: str,
        session: str,
    ) -> None:
        super().__init__(engine, certificate, owner=owner, stream=stream, session=session)
        self.endpoint = endpoint
        self.session_url: str | None = None
        self.policy: CodecPolicy | None = None
        self.offered: tuple[PublishedMedia, ...] = ()
        self.offered_channel = False
        self.loop: str | None = None
        self.said_goodbye = False
        self._server = server

    async def play(
        self, policy: CodecPolicy, *, data_channel: bool = False, loop: str | None = None
    ) -> tuple[PublishedMedia, ...]:
        """As the real one it returns when it is connected."""
        self.policy, self.offered_channel, self.loop = policy, data_channel, loop
        await self._answer(publish=self._server.media)
        if self._server.connects:
            self.connect()
        return self._server.media

    async def publish(
        self, media: Sequence[PublishedMedia], *, data_channel: bool = False, loop: str | None = None
    ) -> None:
        self.offered, self.offered_channel, self.loop = tuple(media), data_channel, loop
        await self._answer(play=[_played(each, rid) for each in media for rid in _layers(each)])
        if self._server.connects:
            self.connect()

    def connect(self) -> None:
        self._set_state("connecting")
        self._set_state("connected")

    def end(self, reason: EndReason = "peer-closed") -> None:
        self._end(reason)

    def close(self) -> None:
        self.said_goodbye = self.said_goodbye or self.session_url is not None
        super().close()

    async def _answer(self, *, publish: Sequence[PublishedMedia] = (), play: Sequence[PlayedMedia] = ()) -> None:
        worker = self._take_worker(len(publish) + len(play))
        ice = native.IceParameters(role="controlling", local_ufrag="u", local_pwd="p" * 24)
        opening = self._engine.open_transport(self.transport, self, worker=worker, ice=ice)
        await self._server.answers.wait()
        if self.state == "closed":
            raise Unavailable("the session was closed while it was being set up", retry_after=1)
        if self._server.failure is not None:
            raise self._server.failure
        self.session_url = f"{self.endpoint.url}/session?token=secret"
        await self._carry([opening], publish=publish, play=play)


class OtherServers:
    """Makes the peers, and remembers them. While `answers` is clear none of them is answered.

    `media` is what the other server plays. `failure` is raised instead of an answer.
    """

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self.connects = True
        self.media: tuple[PublishedMedia, ...] = (AUDIO, VIDEO)
        self.failure: Exception | None = None
        self.peers: list[FakeClientPeer] = []

    def __call__(
        self,
        engine: MediaEngine,
        certificate: Certificate,
        *,
        owner: PeerOwner,
        endpoint: Endpoint,
        stream: str,
        session: str,
    ) -> ClientPeer:
        peer = FakeClientPeer(self, engine, certificate, owner=owner, endpoint=endpoint, stream=stream, session=session)
        self.peers.append(peer)
        return cast("ClientPeer", peer)


def _layers(media: PublishedMedia) -> list[str | None]:
    return [encoding.rid for encoding in media.encodings] if len(media.encodings) > 1 else [None]


def _played(media: PublishedMedia, rid: str | None) -> PlayedMedia:
    return PlayedMedia(
        kind=media.kind,
        mid=media.mid,
        index=0,
        codecs=media.codecs,
        extensions=(),
        ssrc=random_ssrc(),
        rtx_ssrc=None,
        cname="c",
        active=True,
        rid=rid,
    )
