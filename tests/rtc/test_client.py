"""The client peer over the fake engine: what it says by HTTP, how it begins, and every way in which it ends."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from live777py.errors import Refused, Unavailable, UpstreamError, UpstreamTimeout
from live777py.media.engine import EngineGone
from live777py.outbound import AddressPolicy, Endpoint, Outbound
from live777py.rtc import client as client_module
from live777py.rtc import peer as peer_module
from live777py.rtc import sdp
from live777py.rtc.client import ClientPeer
from live777py.rtc.dtls import DtlsError
from live777py.rtc.negotiation import CodecPolicy, plan_publish
from live777py.rtc.sdpfrag import parse_fragment
from tests.fakes import media as fake_media
from tests.fakes.remote import PASSWORD, UFRAG, Remote, offer
from tests.rtc.offers import with_simulcast
from tests.rtc.test_peer import OURS, WRONG, Owner, no_trace
from tests.rtc.upstream import Seen, Upstream, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from live777py.media.engine import MediaEngine
    from live777py.rtc.negotiation import PublishedMedia

ANYTHING = CodecPolicy()
TOKEN = "token"
MEDIA = plan_publish(offer("opus", "vp8"), ANYTHING).media
LAYERS = plan_publish(with_simulcast("chromium-156-whip.sdp", "chromium-simulcast-lines.txt"), ANYTHING).media


class House:
    """A client with one server to talk to. `play` and `publish` go on until the remote end is connected."""

    def __init__(self, engine: MediaEngine, fake: fake_media.Engine, outbound: Outbound, upstream: Upstream) -> None:
        self.engine = engine
        self.fake = fake
        self.outbound = outbound
        self.upstream = upstream
        self.owner = Owner()
        self.peers: list[ClientPeer] = []

    def peer(self, path: str) -> ClientPeer:
        assert self.upstream.url is not None
        peer = ClientPeer(
            self.engine,
            OURS,
            owner=self.owner,
            outbound=self.outbound,
            endpoint=Endpoint.parse(f"{self.upstream.url}{path}", token=TOKEN),
            stream="stream",
            session="session",
        )
        self.peers.append(peer)
        return peer

    async def publish(self, media: tuple[PublishedMedia, ...] = MEDIA) -> tuple[ClientPeer, Remote]:
        peer = self.peer("whip/x")
        await peer.publish(media)
        return peer, await self.connect(peer)

    async def connect(self, peer: ClientPeer, *, server: bool = True) -> Remote:
        """`server` is the DTLS role of the other side, which an answer to `actpass` makes passive."""
        remote = Remote(self.fake, peer.transport, server=server)
        await remote.connect(OURS.fingerprint)
        async with asyncio.timeout(5):
            await self.owner.connected.wait()
        return remote

    def starts(self, peer: ClientPeer, kind: str, payload_type: int) -> None:
        """The first packet of a track, or of another codec in it."""
        (track,) = (
            number
            for number, (transport, parameters) in self.fake.tracks.items()
            if transport == peer.transport and parameters.kind == kind
        )
        self.fake.emit(fake_media.TrackStarted(track, None, 1, payload_type, 0, 0))

    async def opened(self, peer: ClientPeer) -> None:
        """Until the answer has been read: the engine has the tracks."""
        async with asyncio.timeout(5):
            while not any(transport == peer.transport for transport, _ in self.fake.tracks.values()):
                await self.engine.dump()
                await asyncio.sleep(0)

    async def close(self) -> None:
        for peer in self.peers:
            peer.close()
            await peer.wait_closed()

    def nothing_is_left(self) -> bool:
        names = {task.get_name() for task in asyncio.all_tasks()}
        return no_trace(self.engine, self.fake) and not names & {"session POST", "session DELETE", "STUN"}


@pytest.fixture
async def house(engine: MediaEngine, fake: fake_media.Engine) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(serving(Upstream()))
        outbound = Outbound(AddressPolicy(allow_private=True))
        stack.push_async_callback(outbound.close)
        house = House(engine, fake, outbound, upstream)
        stack.push_async_callback(house.close)
        yield house
    assert house.nothing_is_left()


async def test_a_session_by_http(house: House) -> None:
    peer, _ = await house.publish()
    (post,) = house.upstream.requests("POST")
    assert post.path == "/whip/x"
    assert post.headers["Content-Type"] == "application/sdp"
    assert post.headers["Authorization"] == "Bearer token"
    assert peer.session_url == str(house.upstream.url) + "session/x/1?key=secret"
    assert house.owner.states == ["connecting", "connected"]
    peer.close()
    peer.close()
    await peer.wait_closed()
    (delete,) = house.upstream.requests("DELETE")
    assert delete.path == "/session/x/1?key=secret"
    assert delete.headers["Authorization"] == "Bearer token"
    assert "Content-Type" not in delete.headers
    assert peer.session_url is None


async def test_our_offer_has_the_addresses_of_its_own_sockets(house: House) -> None:
    peer, _ = await house.publish()
    description = sdp.parse(house.upstream.requests("POST")[0].body)
    own = [bound.getsockname()[:2] for bound in house.fake.transports[peer.transport].sockets]
    assert own
    assert [(c.address, c.port) for c in description.media[0].candidates] == own
    assert own[0][1] not in [address.port for worker in house.engine.addresses for address in worker]


async def test_the_other_side_is_made_known_to_the_engine(house: House) -> None:
    peer, _ = await house.publish()
    transport = house.fake.transports[peer.transport]
    assert transport.ice.role == "controlling"
    assert (transport.ice.remote_ufrag, transport.ice.remote_pwd) == (UFRAG, PASSWORD)
    assert [address for address, _ in transport.candidates] == ["192.0.2.7:7777", "10.0.0.1:7777"]


async def test_candidates_obey_the_policy(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(_: Seen) -> None:
        monkeypatch.setattr(house.outbound, "policy", AddressPolicy(allow_private=False))

    house.upstream.on_post = forbid
    peer = house.peer("whip/x")
    await peer.publish(MEDIA)
    assert house.fake.transports[peer.transport].candidates == []


@pytest.mark.parametrize("setup", ["passive", "active"])
async def test_both_dtls_roles(house: House, setup: str) -> None:
    house.upstream.change = lambda text: text.replace("a=setup:passive", f"a=setup:{setup}")
    peer = house.peer("whip/x")
    await peer.publish(MEDIA)
    await house.connect(peer, server=setup == "passive")
    assert house.fake.transports[peer.transport].keys is not None


@pytest.mark.parametrize("setup", ["passive", "active"])
async def test_a_wrong_fingerprint_gets_no_keys(house: House, setup: str) -> None:
    def change(text: str) -> str:
        lines = (f"a=fingerprint:{' '.join(WRONG)}" if "a=fingerprint" in line else line for line in text.splitlines())
        return "\r\n".join(lines).replace("a=setup:passive", f"a=setup:{setup}") + "\r\n"

    house.upstream.change = change
    peer = house.peer("whip/x")
    await peer.publish(MEDIA)
    entry = house.fake.transports[peer.transport]
    remote = Remote(house.fake, peer.transport, server=setup == "passive")
    with suppress(DtlsError):  # who hears of it first depends on the role
        await remote.connect(OURS.fingerprint)
    assert await house.owner.end() == "dtls-failed"
    assert entry.keys is None
    await peer.wait_closed()
    assert len(house.upstream.requests("DELETE")) == 1


async def test_one_subscription_for_each_layer(house: House) -> None:
    peer, _ = await house.publish(LAYERS)
    rids = [encoding.rid for encoding in LAYERS[0].encodings]
    assert [played.rid for played, _ in peer.subscriptions] == rids
    assert [house.fake.subscriptions[number][1].rid for _, number in peer.subscriptions] == rids
    assert [house.fake.layers[number] for _, number in peer.subscriptions] == rids


async def test_a_server_without_simulcast_gets_the_best_layer(house: House) -> None:
    house.upstream.change = lambda text: text.replace("a=simulcast", "a=x-simulcast")
    peer, _ = await house.publish(LAYERS)
    assert [played.rid for played, _ in peer.subscriptions] == [None]


# What is played


async def test_the_packets_say_which_codec_it_is(house: House) -> None:
    peer = house.peer("whep/x")
    playing = asyncio.create_task(peer.play(CodecPolicy(video=("VP8", "VP9"), audio=("opus",))))
    await house.opened(peer)
    await house.connect(peer)
    assert list(peer.tracks) == []
    house.starts(peer, "video", 98)
    house.starts(peer, "audio", 63)
    async with asyncio.timeout(5):
        media = await playing
    assert [[codec.name for codec in track.codecs] for track in media] == [["red", "opus"], ["VP9"]]
    assert [entry[0] for entry in peer.tracks] == list(media)
    house.starts(peer, "audio", 111)  # Opus that needed no repetition
    await house.engine.dump()
    assert peer.state == "connected"


async def test_where_there_is_no_choice_nothing_is_waited_for(house: House) -> None:
    house.upstream.published = MEDIA[1:]
    peer = house.peer("whep/x")
    playing = asyncio.create_task(peer.play(CodecPolicy(video=("VP8",), audio=("PCMU",))))
    await house.opened(peer)
    await house.connect(peer)
    async with asyncio.timeout(1):
        media = await playing
    assert [[codec.name for codec in track.codecs] for track in media] == [["VP8"]]


async def test_without_packets_it_is_the_first_codec_of_the_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MEDIA_TIMEOUT", 0.05)
    house.upstream.published = MEDIA
    peer = house.peer("whep/x")
    playing = asyncio.create_task(peer.play(ANYTHING))
    await house.opened(peer)
    await house.connect(peer)
    async with asyncio.timeout(5):
        media = await playing
    assert [[codec.name for codec in track.codecs] for track in media] == [["opus"], ["VP8"]]


async def test_another_codec_ends_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MEDIA_TIMEOUT", 0.05)
    house.upstream.published = MEDIA
    peer = house.peer("whep/x")
    playing = asyncio.create_task(peer.play(ANYTHING))
    await house.opened(peer)
    await house.connect(peer)
    await playing
    house.starts(peer, "video", 96)
    house.starts(peer, "video", 13)  # none of ours: some other event of the track
    await house.engine.dump()
    assert peer.state == "connected"
    house.starts(peer, "video", 98)
    assert await house.owner.end() == "codec-changed"
    await peer.wait_closed()
    assert len(house.upstream.requests("DELETE")) == 1


async def test_no_connection_is_the_fault_of_the_other_side(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "SETUP_TIMEOUT", 0.05)
    with pytest.raises(UpstreamTimeout, match="no connection"):
        await house.peer("whep/x").play(ANYTHING)
    assert await house.owner.end() == "setup-timeout"


async def test_with_nothing_allowed_nothing_is_asked(house: House) -> None:
    with pytest.raises(UpstreamError, match="no codec"):
        await house.peer("whep/x").play(CodecPolicy(video=("none",), audio=("none",)))
    assert not house.upstream.seen


# Data channels


async def test_data_channels_are_asked_for(house: House) -> None:
    peer, _ = await house.publish()
    assert "m=application 9" in house.upstream.requests("POST")[0].body
    assert peer.data_channel is not None
    assert peer.channels is not None


async def test_a_server_that_refuses_data_channels_gets_an_offer_without(house: House) -> None:
    house.upstream.on_post = lambda seen: web.Response(status=400) if "m=application" in seen.body else None
    peer, _ = await house.publish()
    assert ["m=application" in seen.body for seen in house.upstream.requests("POST")] == [True, False]
    assert peer.data_channel is None
    assert len(house.upstream.requests("DELETE")) == 0


async def test_data_channels_need_not_be_wanted(house: House) -> None:
    peer = house.peer("whip/x")
    await peer.publish(MEDIA, data_channel=False)
    assert "m=application" not in house.upstream.requests("POST")[0].body
    assert peer.data_channel is None


# What servers answer


@pytest.mark.parametrize(
    ("response", "answered", "retry_after"),
    [
        (lambda: web.Response(status=409), 409, None),
        (lambda: web.Response(status=409, headers={"Retry-After": "3"}), 409, 3.0),
        (lambda: web.Response(status=503, headers={"Retry-After": "120"}), 503, 120.0),
        (lambda: web.Response(status=429, headers={"Retry-After": "999999999999"}), 429, 86400.0),
        (lambda: web.Response(status=503, headers={"Retry-After": "Sat, 01 Jan 2000 00:00:00 GMT"}), 503, 0.0),
        (lambda: web.Response(status=503, headers={"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}), 503, 86400.0),
        (lambda: web.Response(status=503, headers={"Retry-After": "soon"}), 503, None),
        (lambda: web.Response(status=401), 401, None),
        (lambda: web.Response(status=799), 799, None),
        (lambda: web.Response(status=406, text="v=0", content_type="application/sdp"), 406, None),
        (lambda: web.Response(status=201, text="<html>", content_type="text/html"), 201, None),
    ],
)
async def test_refusals(
    house: House, response: Callable[[], web.Response], answered: int, retry_after: float | None
) -> None:
    house.upstream.on_post = lambda _: response()
    with pytest.raises(UpstreamError) as raised:
        await house.peer("whep/x?secret=1").play(ANYTHING)
    assert (raised.value.answered, raised.value.retry_after) == (answered, retry_after)
    assert "secret" not in raised.value.detail
    assert "token" not in raised.value.detail


async def test_a_counter_offer_is_named(house: House) -> None:
    house.upstream.on_post = lambda _: web.Response(status=406, text="v=0", content_type="application/sdp")
    with pytest.raises(UpstreamError, match="offer of its own"):
        await house.peer("whep/x").play(ANYTHING)


async def test_200_is_as_good_as_201(house: House) -> None:
    def on_post(seen: Seen) -> web.Response:
        response = house.upstream.answer(seen)
        response.set_status(200)
        return response

    house.upstream.on_post = on_post
    await house.publish()


async def test_without_location_there_is_nothing_to_delete(house: House) -> None:
    house.upstream.location = None
    peer, _ = await house.publish()
    assert peer.session_url is None
    peer.close()
    await peer.wait_closed()
    assert house.upstream.requests("DELETE") == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"v=0\r\n\xff", "UTF-8"), (b"v=0\r\n", "cannot be used"), (b"", "cannot be used")],
)
async def test_answers_that_are_none(house: House, body: bytes, expected: str) -> None:
    house.upstream.on_post = lambda _: web.Response(
        status=201, body=body, content_type="application/sdp", headers={"Location": "/session/x/1"}
    )
    with pytest.raises(UpstreamError, match=expected):
        await house.peer("whep/x").play(ANYTHING)
    await house.close()
    assert len(house.upstream.requests("DELETE")) == 1, "the other side believes in a session"


@pytest.mark.parametrize("location", ["http://[/", "javascript:alert(1)", "file:///etc/passwd", "whip://a/b"])
async def test_a_location_that_is_no_url(house: House, location: str) -> None:
    house.upstream.location = location
    with pytest.raises(UpstreamError, match="Location"):
        await house.publish()


async def test_a_location_elsewhere_is_checked(house: House) -> None:
    house.upstream.location = "http://169.254.169.254/session"
    peer, _ = await house.publish()
    peer.close()
    await peer.wait_closed()
    assert house.upstream.requests("DELETE") == []


async def test_a_redirect_to_another_server(house: House) -> None:
    async with serving(Upstream()) as there:
        assert there.url is not None
        target = str(there.url / "whip/y")
        house.upstream.on_post = lambda _: web.Response(status=307, headers={"Location": target})
        peer, _ = await house.publish()
        assert peer.session_url == str(there.url) + "session/x/1?key=secret"
        (post,) = there.requests("POST")
        assert "Authorization" not in post.headers
        peer.close()
        await peer.wait_closed()
        assert len(there.requests("DELETE")) == 1


async def test_a_redirect_to_where_nobody_may_go(house: House) -> None:
    house.upstream.on_post = lambda _: web.Response(status=307, headers={"Location": "http://169.254.169.254/"})
    with pytest.raises(Refused):
        await house.publish()


# STUN


async def test_what_a_stun_server_sees_is_trickled(house: House) -> None:
    house.upstream.links = [
        '<turn:turn.example>; rel="ice-server"; username="u"; credential="c"',
        '<stun:nowhere.invalid>; rel="ice-server"',
        '<stun:127.0.0.1:3479>; rel="ice-server"',
    ]
    peer = house.peer("whip/x")
    await peer.publish(MEDIA)
    transport = house.fake.transports[peer.transport]
    async with asyncio.timeout(5):
        while not transport.servers:
            await house.engine.dump()
        assert transport.servers == ["127.0.0.1:3479"]
        house.fake.emit(fake_media.ReflexiveAddress(peer.transport, "10.0.0.9:5000", "10.0.0.9:5000"))
        for _ in range(2):
            house.fake.emit(fake_media.ReflexiveAddress(peer.transport, "10.0.0.9:5000", "203.0.113.5:6000"))
        await house.upstream.patched.wait()
    (patch,) = house.upstream.requests("PATCH")
    assert patch.path == "/session/x/1?key=secret"
    assert patch.headers["Content-Type"] == "application/trickle-ice-sdpfrag"
    assert patch.headers["If-Match"] == '"tag"'
    assert patch.headers["Authorization"] == "Bearer token"
    fragment = parse_fragment(patch.body)
    assert fragment.ice_ufrag == transport.ice.local_ufrag
    ((mid, candidate),) = fragment.candidates
    assert mid == "0"
    assert (candidate.type, candidate.address, candidate.port) == ("srflx", "203.0.113.5", 6000)
    assert (candidate.related_address, candidate.related_port) == ("10.0.0.9", 5000)


@pytest.mark.parametrize("status", [204, 404, 405, 415, 501])
async def test_a_server_may_have_no_ear_for_candidates(house: House, status: int) -> None:
    house.upstream.links = ["<stun:127.0.0.1>; rel=ice-server"]
    house.upstream.patch_status = status
    peer = house.peer("whip/x")
    await peer.publish(MEDIA)
    house.fake.emit(fake_media.ReflexiveAddress(peer.transport, "10.0.0.9:5000", "203.0.113.5:6000"))
    async with asyncio.timeout(5):
        await house.upstream.patched.wait()
    await house.connect(peer)
    assert house.owner.states == ["connecting", "connected"]


# Every end


async def test_the_goodbye_of_the_other_side(house: House) -> None:
    peer, remote = await house.publish()
    remote.dtls.shutdown()
    assert await house.owner.end() == "peer-closed"
    await peer.wait_closed()
    assert len(house.upstream.requests("DELETE")) == 1


async def test_lost_consent(house: House) -> None:
    peer, _ = await house.publish()
    house.fake.emit(fake_media.IceLost(peer.transport))
    assert await house.owner.end() == "idle-timeout"


async def test_closed_before_anything_began(house: House) -> None:
    peer = house.peer("whip/x")
    peer.close()
    await peer.wait_closed()
    assert not house.upstream.seen


async def test_closed_while_the_engine_opens(house: House) -> None:
    peer = house.peer("whip/x")
    opening = asyncio.create_task(peer.publish(MEDIA))
    await asyncio.sleep(0)
    peer.close()
    with pytest.raises(Unavailable):
        await opening
    await peer.wait_closed()
    assert not house.upstream.seen


async def test_closed_while_the_other_side_thinks(house: House) -> None:
    """The session that it makes meanwhile is deleted."""
    house.upstream.held = True
    peer = house.peer("whip/x")
    opening = asyncio.create_task(peer.publish(MEDIA))
    await house.upstream.asked.wait()
    peer.close()
    with pytest.raises(Unavailable):
        await opening
    house.upstream.release.set()
    await peer.wait_closed()
    assert len(house.upstream.requests("DELETE")) == 1


@pytest.mark.parametrize("closes", [True, False])
async def test_cancelled_while_the_other_side_thinks(
    house: House, monkeypatch: pytest.MonkeyPatch, closes: bool
) -> None:
    """And where it never answers, it is not waited for longer than a goodbye takes."""
    monkeypatch.setattr(client_module, "DELETE_TIMEOUT", 5.0 if closes else 0.05)
    house.upstream.held = True
    peer = house.peer("whip/x")
    opening = asyncio.create_task(peer.publish(MEDIA))
    await house.upstream.asked.wait()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    peer.close()
    if closes:
        house.upstream.release.set()
    await peer.wait_closed()
    assert len(house.upstream.requests("DELETE")) == closes
    assert house.nothing_is_left()


async def test_closed_while_the_engine_takes_the_answer(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = house.peer("whip/x")
    asked = asyncio.Event()

    def subscribe(request: int, *_: object, **__: object) -> None:
        """The answer to this command never comes."""
        asked.set()

    monkeypatch.setattr(house.fake, "subscribe", subscribe)
    opening = asyncio.create_task(peer.publish(MEDIA))
    await asked.wait()
    peer.close()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await peer.wait_closed()
    assert len(house.upstream.requests("DELETE")) == 1


async def test_before_it_is_known_what_it_is_the_owner_sees_no_track(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A viewer may come at any moment, and the answer names more codecs than one."""
    monkeypatch.setattr(client_module, "MEDIA_TIMEOUT", 0.05)
    peer = house.peer("whep/x")
    add_track = house.fake.add_track
    seen: list[object] = []

    def look(*arguments: Any, **options: Any) -> None:
        asyncio.get_running_loop().call_soon(lambda: seen.append(peer.tracks))
        add_track(*arguments, **options)

    monkeypatch.setattr(house.fake, "add_track", look)
    opening = asyncio.create_task(peer.play(ANYTHING))
    await house.opened(peer)
    await house.connect(peer)
    assert {media.kind: len(media.codecs) for media in await opening} == {"audio": 1, "video": 1}
    assert seen == [(), ()]


async def test_closed_while_the_media_are_awaited(house: House) -> None:
    peer = house.peer("whep/x")
    opening = asyncio.create_task(peer.play(ANYTHING))
    await house.opened(peer)
    await house.engine.dump()
    peer.close()
    with pytest.raises(Unavailable):
        await opening
    await peer.wait_closed()
    assert len(house.upstream.requests("DELETE")) == 1


async def test_closed_while_stun_is_asked(house: House) -> None:
    house.upstream.links = ["<stun:127.0.0.1>; rel=ice-server"]
    peer = house.peer("whip/x")
    await peer.publish(MEDIA)
    peer.close()
    await peer.wait_closed()
    assert house.nothing_is_left()


async def test_a_server_that_does_not_delete_is_left(house: House) -> None:
    peer, _ = await house.publish()
    house.upstream.delete_status = 500
    peer.close()
    await peer.wait_closed()
    assert len(house.upstream.requests("DELETE")) == 1


async def test_without_a_worker_there_is_no_session(house: House) -> None:
    for worker in (0, 1):
        house.fake.emit(fake_media.Closed(worker, "a fault"))
    await house.engine.dump()
    with pytest.raises(EngineGone):
        await house.publish()


async def test_what_the_engine_cannot_carry_is_the_fault_of_the_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(request: int, transport: int, subscription: int, **_: object) -> None:
        house.fake._answer(request, "invalid_argument", f"subscription {subscription}")

    monkeypatch.setattr(house.fake, "subscribe", refuse)
    with pytest.raises(UpstreamError, match="cannot be used"):
        await house.publish()
