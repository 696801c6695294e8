"""One server-side transport over the fake engine: how it begins, and every way in which it ends."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from live777py.errors import (
    BadRequest,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    Unavailable,
    Unprocessable,
)
from live777py.rtc import channels as channels_module
from live777py.rtc import peer as peer_module
from live777py.rtc.certificate import Certificate
from live777py.rtc.dtls import DtlsError
from live777py.rtc.negotiation import CodecPolicy, host_candidates, plan_publish
from live777py.rtc.sdpfrag import Fragment, parse_fragment
from live777py.rtc.server import MAX_REMOTE_CANDIDATES, Restarted, ServerPeer
from tests.fakes import media as fake_media
from tests.fakes.remote import PASSWORD, UFRAG, Remote, offer

if TYPE_CHECKING:
    from live777py.media import native
    from live777py.media.engine import MediaEngine
    from live777py.rtc.channels import Message
    from live777py.rtc.peer import EndReason, PeerState

OURS = Certificate.generate()
WRONG = ("sha-256", ":".join(["AB"] * 32))


class Owner:
    def __init__(self) -> None:
        self.states: list[PeerState] = []
        self.ended: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()
        self.connected = asyncio.Event()
        self.messages: asyncio.Queue[tuple[str, Message]] = asyncio.Queue()
        self.media: list[object] = []

    def peer_state_changed(self, state: PeerState) -> None:
        self.states.append(state)
        if state == "connected":
            self.connected.set()

    def channel_message(self, label: str, message: Message) -> None:
        self.messages.put_nowait((label, message))

    def media_changed(self, event: native.TrackStarted | native.TrackSilent | native.LayerChanged) -> None:
        self.media.append(event)

    def peer_ended(self, reason: EndReason) -> None:
        self.ended.set_result(reason)

    async def end(self) -> EndReason:
        async with asyncio.timeout(5):
            return await self.ended


async def opened(engine: MediaEngine, owner: Owner, text: str | None = None) -> ServerPeer:
    plan = plan_publish(text or offer("opus", "vp8"), CodecPolicy())
    peer = ServerPeer(engine, OURS, owner=owner, remote=plan.remote, stream="stream", session="session")
    await peer.open(publish=plan.media)
    peer.describe(plan.answer(peer.local(OWN_CANDIDATES)))
    return peer


async def connected(engine: MediaEngine, fake: fake_media.Engine, owner: Owner, *, setup: str = "actpass") -> Remote:
    peer = await opened(engine, owner, offer("opus", "vp8", setup=setup))
    remote = Remote(fake, peer.transport, server=setup == "passive")
    await remote.connect(OURS.fingerprint)
    async with asyncio.timeout(5):
        await owner.connected.wait()
    return remote


def no_trace(engine: MediaEngine, fake: fake_media.Engine) -> bool:
    names = {task.get_name() for task in asyncio.all_tasks()}
    return (
        not fake.transports
        and not engine.transports
        and not engine.placement._groups
        and not any(name.startswith("dtls") for name in names)
    )


@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
async def test_keys_reach_the_engine_in_both_roles(engine: MediaEngine, fake: fake_media.Engine, setup: str) -> None:
    owner = Owner()
    remote = await connected(engine, fake, owner, setup=setup)
    assert owner.states == ["connecting", "connected"]
    keys = fake.transports[remote.transport].keys
    assert keys is not None
    assert keys["profile"] == "AEAD_AES_128_GCM"


async def test_a_client_hello_before_nomination_is_answered(engine: MediaEngine, fake: fake_media.Engine) -> None:
    owner = Owner()
    peer = await opened(engine, owner)
    remote = Remote(fake, peer.transport)
    await remote.dtls.connect([OURS.fingerprint])
    async with asyncio.timeout(5):
        await owner.connected.wait()


async def test_as_dtls_client_nothing_is_said_before_ice(engine: MediaEngine, fake: fake_media.Engine) -> None:
    owner = Owner()
    peer = await opened(engine, owner, offer("opus", setup="passive"))
    said: asyncio.Queue[bytes] = asyncio.Queue()
    fake.transports[peer.transport].on_dtls = said.put_nowait
    fake.emit(fake_media.Dtls(peer.transport, b"\x16" + bytes(20)))
    await engine.dump()
    assert said.empty()
    fake.emit(fake_media.IceConnected(peer.transport, "", ""))
    async with asyncio.timeout(1):
        hellos = {await said.get() for _ in range(3)}
    assert len(hellos) == 1, "the same ClientHello, again and again until there is an answer"


async def test_a_roaming_peer_does_not_shake_hands_again(engine: MediaEngine, fake: fake_media.Engine) -> None:
    owner = Owner()
    remote = await connected(engine, fake, owner)
    fake.emit(fake_media.IceConnected(remote.transport, "127.0.0.1:7777", "127.0.0.1:50001"))
    await engine.dump()
    assert owner.states == ["connecting", "connected"]


async def test_close_says_goodbye_and_leaves_nothing(engine: MediaEngine, fake: fake_media.Engine) -> None:
    owner = Owner()
    peer = await opened(engine, owner)
    remote = Remote(fake, peer.transport)
    await remote.connect(OURS.fingerprint)
    async with asyncio.timeout(5):
        await owner.connected.wait()
        peer.close()
        peer.close()
        await peer.wait_closed()
        await remote.closed.wait()
    assert no_trace(engine, fake)
    assert not owner.ended.done(), "the owner knows"


async def test_the_goodbye_of_the_peer_ends_the_session(engine: MediaEngine, fake: fake_media.Engine) -> None:
    owner = Owner()
    remote = await connected(engine, fake, owner)
    remote.dtls.shutdown()
    assert await owner.end() == "peer-closed"
    await engine.dump()
    assert no_trace(engine, fake)


async def test_lost_consent_ends_the_session(engine: MediaEngine, fake: fake_media.Engine) -> None:
    owner = Owner()
    remote = await connected(engine, fake, owner)
    fake.emit(fake_media.IceLost(remote.transport))
    assert await owner.end() == "idle-timeout"
    assert owner.states[-1] == "failed"


async def test_the_end_of_the_worker_ends_the_session(engine: MediaEngine, fake: fake_media.Engine) -> None:
    owner = Owner()
    await connected(engine, fake, owner)
    fake.emit(fake_media.Closed(0, "a fault"))
    assert await owner.end() == "engine-failed"
    assert not engine.transports


@pytest.mark.parametrize("setup", ["actpass", "passive"])
async def test_a_wrong_fingerprint_gets_no_keys_in_either_role(
    engine: MediaEngine, fake: fake_media.Engine, setup: str
) -> None:
    owner = Owner()
    peer = await opened(engine, owner, offer("opus", setup=setup, fingerprint=WRONG))
    entry = fake.transports[peer.transport]
    remote = Remote(fake, peer.transport, server=setup == "passive")
    with suppress(DtlsError):  # if the goodbye comes right behind the handshake
        await remote.connect(OURS.fingerprint)
    assert await owner.end() == "dtls-failed"
    assert entry.keys is None
    await engine.dump()
    assert no_trace(engine, fake)


async def test_a_peer_that_never_comes_is_given_up(
    engine: MediaEngine, fake: fake_media.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_module, "SETUP_TIMEOUT", 0.05)
    owner = Owner()
    peer = await opened(engine, owner)
    fake.emit(fake_media.IceConnected(peer.transport, "", ""))
    assert await owner.end() == "setup-timeout"
    await engine.dump()
    assert no_trace(engine, fake)


async def test_what_the_engine_refuses_is_undone_by_close(engine: MediaEngine, fake: fake_media.Engine) -> None:
    plan = plan_publish(offer("opus"), CodecPolicy())
    peer = ServerPeer(engine, OURS, owner=Owner(), remote=plan.remote, stream="stream", session="session")
    fake.transports[peer.transport] = fake_media.FakeTransport(
        0, fake_media.IceParameters(role="", local_ufrag="", local_pwd="")
    )
    with pytest.raises(Exception, match="id_in_use"):
        await peer.open(publish=plan.media)
    peer.close()
    await peer.wait_closed()
    assert no_trace(engine, fake)


async def test_a_full_engine_is_unavailable(
    engine: MediaEngine, fake: fake_media.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(request: int, transport: int, **_: object) -> None:
        fake._answer(request, "limit_reached", f"transport {transport}")

    monkeypatch.setattr(fake, "open_transport", refuse)
    with pytest.raises(Unavailable):
        await opened(engine, Owner())


async def test_without_a_worker_there_is_no_session(engine: MediaEngine, fake: fake_media.Engine) -> None:
    for worker in (0, 1):
        fake.emit(fake_media.Closed(worker, "a fault"))
    await engine.dump()
    with pytest.raises(Unavailable):
        await opened(engine, Owner())


async def test_closed_while_it_opens(engine: MediaEngine, fake: fake_media.Engine) -> None:
    plan = plan_publish(offer("opus"), CodecPolicy())
    peer = ServerPeer(engine, OURS, owner=Owner(), remote=plan.remote, stream="stream", session="session")
    opening = asyncio.create_task(peer.open(publish=plan.media))
    await asyncio.sleep(0)
    peer.close()
    with pytest.raises(Unavailable):
        await opening
    await peer.wait_closed()
    assert no_trace(engine, fake)


FRAGMENT = f"a=ice-ufrag:{UFRAG}\r\na=ice-pwd:{PASSWORD}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
CANDIDATE = "a=candidate:3 1 udp 2122260223 198.18.0.1 50000 typ host\r\n"
OWN_CANDIDATES = host_candidates([("192.0.2.1", 7777)])


async def patched(
    peer: ServerPeer, text: str = FRAGMENT, if_match: str | None = None, *, strict: bool = False
) -> Restarted | None:
    return await peer.patch(parse_fragment(text), if_match=if_match, strict=strict, candidates=OWN_CANDIDATES)


def of(ufrag: str) -> str:
    return FRAGMENT.replace(UFRAG, ufrag)


async def test_trickled_candidates_do_no_harm_and_have_a_bound(engine: MediaEngine) -> None:
    peer = await opened(engine, Owner())
    lines = (
        "a=candidate:1 1 udp 2122260223 4b7a1c7e-0000-4000-8000-000000000000.local 50000 typ host",
        "a=candidate:2 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active",
        "a=candidate:3 1 udp 2122260223 198.18.0.1 50000 typ host",
    )
    assert await patched(peer, FRAGMENT + "".join(f"{line}\r\n" for line in lines)) is None
    for _ in range(MAX_REMOTE_CANDIDATES // 16 - 1):
        await patched(peer, FRAGMENT + f"{lines[0]}\r\n" * 16)
    with pytest.raises(Unprocessable, match="candidates"):
        await patched(peer, FRAGMENT + f"{lines[0]}\r\n" * 16)
    # Of each ICE session.
    assert await patched(peer, of("other") + CANDIDATE) is not None
    assert await patched(peer, of("other") + CANDIDATE) is None


async def test_a_restart_has_credentials_of_its_own_and_can_be_asked_for_twice(
    engine: MediaEngine, fake: fake_media.Engine
) -> None:
    peer = await opened(engine, Owner())
    first, tag = fake.transports[peer.transport].ice, peer.etag
    restarted = await patched(peer, of("second"))
    second = fake.transports[peer.transport].ice
    assert restarted is not None
    assert (second.role, second.remote_ufrag, second.remote_pwd) == (first.role, "second", PASSWORD)
    assert first.local_ufrag != second.local_ufrag
    assert first.local_pwd != second.local_pwd
    assert f"a=ice-ufrag:{second.local_ufrag}\r\na=ice-pwd:{second.local_pwd}\r\n" in restarted.fragment
    assert f"a={OWN_CANDIDATES[0]}\r\na=end-of-candidates\r\n" in restarted.fragment
    assert restarted.etag == peer.etag != tag
    # Its answer was lost.
    assert await patched(peer, of("second"), "*") == restarted
    assert fake.transports[peer.transport].ice is second
    # What comes after it in the usual way is trickled.
    assert await patched(peer, of("second") + CANDIDATE, peer.etag) is None


async def test_fragments_may_come_out_of_order(engine: MediaEngine, fake: fake_media.Engine) -> None:
    """RFC 9725 section 4.3.2: the newest restart counts, and what is late is nothing."""
    peer = await opened(engine, Owner())
    both = await asyncio.gather(patched(peer, of("second"), "*"), patched(peer, of("third"), "*"))
    assert None not in both
    newest = fake.transports[peer.transport].ice
    assert (newest.remote_ufrag, f'"{newest.local_ufrag}"') == ("third", peer.etag)
    for late in (UFRAG, "second"):
        assert await patched(peer, of(late) + CANDIDATE) is None
        assert await patched(peer, of(late) + CANDIDATE, "*") is None
    assert fake.transports[peer.transport].ice is newest
    assert peer.etag == f'"{newest.local_ufrag}"'


@pytest.mark.parametrize(
    ("if_match", "lenient", "strict"),
    [
        (None, True, PreconditionRequired),
        ("*", True, True),
        ('"*"', True, True),
        ("TAG", True, True),
        ('"other", TAG', True, True),
        ("W/TAG", True, PreconditionFailed),
        ("BARE", True, PreconditionFailed),
        ('"stale"', PreconditionFailed, PreconditionFailed),
        ("garbage", PreconditionFailed, PreconditionFailed),
        ("", PreconditionFailed, PreconditionFailed),
    ],
)
async def test_if_match(
    engine: MediaEngine, if_match: str | None, lenient: bool | type[Exception], strict: bool | type[Exception]
) -> None:
    peer = await opened(engine, Owner())
    tag = peer.etag
    assert re.fullmatch('"[^"]+"', tag), "strong and quoted (RFC 9110 section 8.8.3)"
    given = None if if_match is None else if_match.replace("TAG", tag).replace("BARE", tag.strip('"'))
    for expected, is_strict in ((lenient, False), (strict, True)):
        if isinstance(expected, bool):
            assert await patched(peer, FRAGMENT, given, strict=is_strict) is None
            continue
        for text in (FRAGMENT, of("other")):
            with pytest.raises(expected):
                await patched(peer, text, given, strict=is_strict)
    assert peer.etag == tag


@pytest.mark.parametrize("credentials", [("abc", PASSWORD), ("other", "p" * 21), ("other", None), ("ot her", PASSWORD)])
async def test_a_restart_without_good_credentials_is_not_understood(
    engine: MediaEngine, credentials: tuple[str, str | None]
) -> None:
    peer = await opened(engine, Owner())
    tag = peer.etag
    fragment = Fragment(ice_ufrag=credentials[0], ice_pwd=credentials[1], candidates=(), end_of_candidates=False)
    with pytest.raises(BadRequest):
        await peer.patch(fragment, if_match=None, strict=False, candidates=())
    assert peer.etag == tag


async def test_a_restart_that_fails_changes_nothing(
    engine: MediaEngine, fake: fake_media.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9725 section 4.3.3."""
    owner = Owner()
    peer = await opened(engine, owner)
    tag = peer.etag

    def refuse(request: int, transport: int, **_: object) -> None:
        fake._answer(request, "invalid_argument", f"transport {transport}")

    with monkeypatch.context() as refusing:
        refusing.setattr(fake, "restart_ice", refuse)
        with pytest.raises(Unavailable):
            await patched(peer, of("other"), "*")
    assert (peer.etag, peer.state) == (tag, "new")
    assert await patched(peer, FRAGMENT + CANDIDATE, tag) is None
    assert await patched(peer, of("other"), "*") is not None


async def test_a_session_that_ends_meanwhile_is_not_found(engine: MediaEngine, fake: fake_media.Engine) -> None:
    peer = await opened(engine, Owner())
    restarting = asyncio.create_task(patched(peer, of("other"), "*"))
    await asyncio.sleep(0)
    peer.close()
    with pytest.raises(NotFound):
        await restarting
    await peer.wait_closed()
    assert no_trace(engine, fake)


async def test_what_the_engine_says_of_media_reaches_the_owner(engine: MediaEngine, fake: fake_media.Engine) -> None:
    owner = Owner()
    peer = await opened(engine, owner)
    event = fake_media.TrackSilent(peer.tracks[0][1])
    fake.emit(event)
    await engine.dump()
    assert owner.media == [event]
    peer.close()


@pytest.mark.parametrize("setup", ["actpass", "passive"])
async def test_a_peer_that_leaves_as_soon_as_it_is_there(
    engine: MediaEngine, fake: fake_media.Engine, setup: str
) -> None:
    """Its goodbye may come in the same breath as the end of the handshake."""
    owner = Owner()
    peer = await opened(engine, owner, offer("opus", setup=setup, data=True))
    remote = Remote(fake, peer.transport, server=setup == "passive")
    await remote.connect(OURS.fingerprint)
    remote.dtls.shutdown()
    assert await owner.end() == "peer-closed"
    await engine.dump()
    assert no_trace(engine, fake)


async def test_data_channels_speak_from_the_handshake_to_the_end(
    engine: MediaEngine, fake: fake_media.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels_module, "OPEN_GRACE", 0.0)
    owner = Owner()
    peer = await opened(engine, owner, offer("opus", data=True))
    assert (peer.channels, peer.state) == (None, "new")
    remote = Remote(fake, peer.transport)
    await remote.connect(OURS.fingerprint)
    remote.channels.start()
    async with asyncio.timeout(5):
        while not remote.channels.open:  # noqa: ASYNC110 - packets pass by
            await asyncio.sleep(0)
    assert remote.channels.send("chat", "up")
    async with asyncio.timeout(5):
        assert await owner.messages.get() == ("chat", "up")
    channels = peer.channels
    assert channels is not None
    assert channels.send("chat", b"down")
    assert await remote.hear() == ("chat", b"down")
    peer.close()
    assert peer.channels is None
    assert not channels.send("chat", "after")
    await engine.dump()
    assert no_trace(engine, fake)
