"""The asyncio side of the engine over the fake: futures, dispatch, ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from live777py.errors import StartError
from live777py.media import native
from live777py.media.addresses import SocketAddress
from live777py.media.engine import CommandError, EngineGone, MediaEngine
from tests.fakes import media as fake_media

if TYPE_CHECKING:
    from collections.abc import Callable


class Recorder:
    """A handler that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []
        self.changed = asyncio.Event()
        self.on_ice_lost: Callable[[], None] = lambda: None

    def note(self, *what: object) -> None:
        self.heard.append(what)
        self.changed.set()

    async def until(self, count: int) -> list[tuple[object, ...]]:
        async with asyncio.timeout(5):
            while len(self.heard) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.heard

    def ice_connected(self, local: str, remote: str, protocol: str) -> None:
        self.note("connected", local, remote, protocol)

    def reflexive_address(self, local: str, address: str) -> None:
        self.note("reflexive", local, address)

    def ice_lost(self) -> None:
        self.note("lost")
        self.on_ice_lost()

    def dtls_received(self, datagram: bytes) -> None:
        self.note("dtls", datagram)

    def media_changed(self, event: native.TrackStarted | native.TrackSilent | native.LayerChanged) -> None:
        self.note("media", event)

    def worker_closed(self, reason: str) -> None:
        self.note("closed", reason)


ICE = {"role": "lite", "local_ufrag": "abcd", "local_pwd": "p" * 24}


async def opened(engine: MediaEngine, handler: Recorder, worker: int = 0) -> int:
    transport = engine.next_id()
    await engine.open_transport(transport, handler, worker=worker, ice=native.IceParameters(**ICE))  # type: ignore[arg-type]
    return transport


async def test_a_command_is_answered(engine: MediaEngine, fake: fake_media.Engine) -> None:
    transport = await opened(engine, Recorder(), worker=1)
    assert fake.transports[transport].worker == 1
    assert isinstance(await engine.dump(), str)
    assert await engine.stats() is fake.counters  # type: ignore[comparison-overlap]


async def test_a_transport_with_sockets_of_its_own(engine: MediaEngine, fake: fake_media.Engine) -> None:
    transport = engine.next_id()
    ice = native.IceParameters(**ICE)  # type: ignore[arg-type]
    own = await engine.open_transport(transport, Recorder(), worker=0, ice=ice, own_socket=True)
    assert [address.ip for address in own] == [address.ip for address in engine.addresses[0]]
    assert not set(own) & set(engine.addresses[0])
    await engine.discover_reflexive(transport, SocketAddress.parse("192.0.2.1:3478"))
    assert fake.transports[transport].servers == ["192.0.2.1:3478"]
    assert await engine.open_transport(engine.next_id(), Recorder(), worker=0, ice=ice) == ()


async def test_a_subscription_is_held_and_its_layer_chosen(engine: MediaEngine, fake: fake_media.Engine) -> None:
    transport = await opened(engine, Recorder())
    subscription = engine.next_id()
    await engine.subscribe(transport, subscription, parameters_of_a_subscription())
    await engine.select_layer(subscription, "q")
    await engine.pause(subscription, True)
    assert (fake.layers, fake.paused) == ({subscription: "q"}, {subscription})
    await engine.select_layer(subscription, None)
    await engine.pause(subscription, False)
    assert not fake.layers
    assert not fake.paused


async def test_candidates_of_the_peer_and_new_credentials(engine: MediaEngine, fake: fake_media.Engine) -> None:
    transport = await opened(engine, Recorder())
    await engine.add_remote_candidate(transport, SocketAddress.parse("[::1]:9"), 7)
    assert fake.transports[transport].candidates == [("[::1]:9", 7)]
    renewed = native.IceParameters(role="controlling", local_ufrag="efgh", local_pwd="q" * 24)
    await engine.restart_ice(transport, renewed)
    assert fake.transports[transport].ice is renewed  # type: ignore[comparison-overlap]


async def test_a_refusal_is_raised_where_the_answer_is_awaited(engine: MediaEngine) -> None:
    with pytest.raises(CommandError, match="unknown_id") as refused:
        await engine.detach(99)
    assert refused.value.code == "unknown_id"


async def test_a_malformed_argument_is_a_refusal(engine: MediaEngine) -> None:
    transport = await opened(engine, Recorder())
    keys = engine.install_keys(
        transport, profile="AEAD_AES_128_GCM", local_key=b"", local_salt=b"", remote_key=b"", remote_salt=b""
    )
    with pytest.raises(CommandError) as refused:
        await keys
    assert refused.value.code == "invalid_argument"


async def test_a_command_whose_answer_nobody_wants_makes_no_noise(engine: MediaEngine) -> None:
    engine.detach(99)
    engine.close_transport(98)
    await engine.dump()


async def test_a_cancelled_caller_leaves_nothing_waiting(engine: MediaEngine, fake: fake_media.Engine) -> None:
    fake.held = True
    waiting = asyncio.ensure_future(engine.dump())
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    fake.held = False
    await engine.dump()
    assert not engine._pending


async def test_events_find_their_transport_in_order(engine: MediaEngine, fake: fake_media.Engine) -> None:
    one, other = Recorder(), Recorder()
    transport = await opened(engine, one)
    await opened(engine, other)
    track = engine.next_id()
    await engine.add_track(transport, track, parameters_of_a_track())
    started = fake_media.TrackStarted(track, None, 1, 96, 640, 360)
    fake.emit(fake_media.IceConnected(transport, "127.0.0.1:1", "127.0.0.1:2"))
    fake.emit(fake_media.Dtls(transport, b"\x16"))
    fake.emit(fake_media.ReflexiveAddress(transport, "127.0.0.1:1", "203.0.113.1:9"))
    fake.emit(started)
    fake.emit(fake_media.IceLost(transport))
    assert await one.until(5) == [
        ("connected", "127.0.0.1:1", "127.0.0.1:2", "udp"),
        ("dtls", b"\x16"),
        ("reflexive", "127.0.0.1:1", "203.0.113.1:9"),
        ("media", started),
        ("lost",),
    ]
    assert not other.heard


async def test_a_handler_that_raises_loses_no_event_of_others(engine: MediaEngine, fake: fake_media.Engine) -> None:
    bad, good = Recorder(), Recorder()

    def fail() -> None:
        raise LookupError("a handler's fault")

    bad.on_ice_lost = fail
    first, second = await opened(engine, bad), await opened(engine, good)
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    fake.emit(fake_media.IceLost(first))
    fake.emit(fake_media.IceLost(second))
    assert await good.until(1) == [("lost",)]
    assert isinstance(reported[0]["exception"], LookupError)


async def test_events_after_the_close_of_a_transport_go_nowhere(engine: MediaEngine, fake: fake_media.Engine) -> None:
    handler = Recorder()
    transport = await opened(engine, handler)
    track = engine.next_id()
    await engine.add_track(transport, track, parameters_of_a_track())
    closing = engine.close_transport(transport)
    fake.emit(fake_media.Dtls(transport, b"late"))
    fake.emit(fake_media.TrackSilent(track))
    await closing
    await engine.dump()
    assert not handler.heard
    assert engine.transports == 0
    assert not engine._owners


async def test_a_worker_that_ends_takes_its_transports_only(engine: MediaEngine, fake: fake_media.Engine) -> None:
    lost, kept = Recorder(), Recorder()
    await opened(engine, lost, worker=0)
    await opened(engine, kept, worker=1)
    fake.emit(fake_media.Closed(0, "no descriptors left"))
    assert await lost.until(1) == [("closed", "no descriptors left")]
    assert not kept.heard
    assert engine.placement.take("any", 1) == 1


async def test_close_ends_what_waits_and_what_lives(engine: MediaEngine, fake: fake_media.Engine) -> None:
    handler = Recorder()
    await opened(engine, handler)
    fake.held = True
    waiting = engine.dump()
    engine.close()
    engine.close()
    with pytest.raises(EngineGone):
        await waiting
    with pytest.raises(EngineGone):
        await engine.dump()
    assert handler.heard == [("closed", "the media engine is closed")]
    engine.send_dtls(1, b"\x16")


async def test_an_address_in_use_is_one_clear_error(engine: MediaEngine) -> None:
    taken = str(engine.addresses[0][0])
    with pytest.raises(StartError, match=f"UDP {taken}: Address already in use"):
        MediaEngine([[taken]])


def parameters_of_a_track() -> native.TrackParameters:
    return native.TrackParameters(kind="audio", mid="0", codecs=[], encodings=[], local_ssrc=1)


def parameters_of_a_subscription() -> native.SubscriptionParameters:
    return native.SubscriptionParameters(kind="video", mid="0", ssrc=1, cname="viewer", codecs=[])
