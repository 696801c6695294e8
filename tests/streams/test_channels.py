"""Who hears whom on the data channels of a stream; and that through the manager, with SCTP at both ends."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref
from typing import TYPE_CHECKING, Any, cast

import pytest

from live777py.rtc import channels as channels_module
from live777py.streams.channels import AT_ONCE, BRIDGE_LABEL, MAX_WAITING, ChannelHub, ChannelTotals
from live777py.streams.settings import ProvisionedStream, StreamSettings, UdpChannel
from live777py.streams.udp_bridge import UdpBridge
from tests.fakes.remote import offer, watch
from tests.streams.test_udp_bridge import other_end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from live777py.rtc.channels import Message
    from live777py.streams.clients import Answer
    from live777py.streams.session import Role
    from tests.streams.conftest import House


class Ear:
    """A member that notes what it is told."""

    def __init__(self, role: Role, *, connected: bool = True, takes: bool = True) -> None:
        self.role: Role = role
        self.heard: list[tuple[str, Message]] = []
        self._connected = connected
        self._takes = takes

    @property
    def channels(self) -> Any:
        return self if self._connected else None

    def send(self, label: str, message: Message) -> bool:
        self.heard.append((label, message))
        return self._takes


class Program:
    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def send(self, datagram: bytes) -> None:
        self.heard.append(datagram)


def hub_of(*members: Ear, totals: ChannelTotals | None = None) -> ChannelHub:
    hub = ChannelHub(totals)
    for member in members:
        hub.join(cast("Any", member))
    return hub


def test_a_publisher_is_heard_by_every_viewer_and_by_nobody_else() -> None:
    publisher, one, other, absent = (
        Ear("publish"),
        Ear("subscribe"),
        Ear("subscribe"),
        Ear("subscribe", connected=False),
    )
    hub = hub_of(publisher, one, other, absent)
    hub.bridge = program = Program()
    hub.heard(publisher, "chat", "hello")
    hub.heard(publisher, "pos", b"\x00")
    assert one.heard == other.heard == [("chat", "hello"), ("pos", b"\x00")]
    assert (publisher.heard, absent.heard, program.heard) == ([], [], [])


def test_a_viewer_is_heard_by_the_publisher_and_the_bridge() -> None:
    publisher, one, other = Ear("publish"), Ear("subscribe"), Ear("subscribe")
    hub = hub_of(publisher, one, other)
    hub.bridge = program = Program()
    hub.heard(one, "chat", "gr\u00fc\u00df")
    assert publisher.heard == [("chat", "gr\u00fc\u00df")]
    assert (one.heard, other.heard) == ([], [])
    assert program.heard == ["gr\u00fc\u00df".encode()]


def test_the_bridge_is_heard_by_viewers_only() -> None:
    publisher, viewer = Ear("publish"), Ear("subscribe")
    hub = hub_of(publisher, viewer)
    hub.heard_bridge(b"x")
    assert viewer.heard == [(BRIDGE_LABEL, b"x")]
    assert publisher.heard == []


def test_who_has_left_neither_speaks_nor_hears() -> None:
    publisher, viewer = Ear("publish"), Ear("subscribe")
    hub = hub_of(publisher, viewer)
    hub.leave(cast("Any", viewer))
    hub.leave(cast("Any", viewer))
    hub.heard(publisher, "chat", "x")
    hub.heard(viewer, "chat", "y")
    assert (publisher.heard, viewer.heard) == ([], [])


async def test_many_listeners_are_told_in_slices_and_in_order() -> None:
    publisher = Ear("publish")
    ears = [Ear("subscribe") for _ in range(3 * AT_ONCE + 10)]
    hub = hub_of(publisher, *ears)
    hub.heard(publisher, "chat", "first")
    hub.heard(publisher, "chat", "second")
    assert sum(len(ear.heard) for ear in ears) == AT_ONCE, "the event loop has its turn"
    hub.leave(cast("Any", ears[-1]))
    async with asyncio.timeout(10):
        while len(ears[-2].heard) < 2:  # noqa: ASYNC110 - the hub goes on in between
            await asyncio.sleep(0)
    assert all(ear.heard == [("chat", "first"), ("chat", "second")] for ear in ears[:-1])


async def test_messages_that_come_faster_than_they_can_be_told_are_lost_and_counted() -> None:
    publisher = Ear("publish")
    ears = [Ear("subscribe") for _ in range(AT_ONCE + 1)]
    totals = ChannelTotals()
    hub = hub_of(publisher, *ears, totals=totals)
    for number in range(MAX_WAITING + 5):
        hub.heard(publisher, "chat", str(number))
    assert totals.lost == 5 * len(ears)
    async with asyncio.timeout(10):
        while len(ears[-1].heard) < MAX_WAITING:  # noqa: ASYNC110 - the hub goes on in between
            await asyncio.sleep(0)
    assert [message for _, message in ears[-1].heard] == [str(number) for number in range(MAX_WAITING)]
    assert totals.sent == MAX_WAITING * len(ears)


def test_what_a_listener_does_not_take_is_counted() -> None:
    totals = ChannelTotals()
    publisher, deaf = Ear("publish"), Ear("subscribe", takes=False)
    hub = hub_of(publisher, deaf, Ear("subscribe"), totals=totals)
    hub.heard(publisher, "chat", "x")
    assert (totals.sent, totals.lost) == (1, 1)


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peers here open no channels, as a gateway that pulls or pushes does not."""
    monkeypatch.setattr(channels_module, "OPEN_GRACE", 0.0)


async def established(house: House, answer: Answer) -> None:
    async with asyncio.timeout(10):
        while not ((channels := house.live(answer).channels) and channels.open):  # noqa: ASYNC110 - packets pass by
            await asyncio.sleep(0)


async def test_messages_go_through_the_manager_both_ways(house: House) -> None:
    published, publisher = await house.publish(text=offer("opus", data=True))
    watched, viewer = await house.play(text=watch("opus", data=True))
    other, _ = await house.play(text=watch("opus"))
    for answer, expected in ((published, True), (watched, True), (other, False)):
        session = house.session(answer)
        assert session is not None
        assert session.has_data_channel == expected
    for answer, remote in ((published, publisher), (watched, viewer)):
        remote.channels.start()
        await established(house, answer)
    for label, message in (("chat", "down"), ("pos", b"\x00"), ("chat", "again")):
        assert publisher.channels.send(label, message)
        assert await viewer.hear() == (label, message)
        assert viewer.channels.send(label, message)
        assert await publisher.hear() == (label, message)
    await house.manager.close_session("s", watched.session)
    async with asyncio.timeout(10):
        await viewer.closed.wait()
    assert publisher.channels.send("chat", "nobody is there")
    assert house.live(published).stream.channels._members.keys() == {house.live(published)}


async def test_a_publisher_of_data_alone_is_never_silent(house: House) -> None:
    """Its packets are none that the engine counts."""
    published, publisher = await house.publish(text=offer(data=True))
    watched, viewer = await house.play(text=watch("opus", data=True))
    for answer, remote in ((published, publisher), (watched, viewer)):
        remote.channels.start()
        await established(house, answer)
    assert publisher.channels.send("chat", "x")
    assert await viewer.hear() == ("chat", "x")
    house.manager._sampler._sampled_at += 60_000
    assert house.manager._sampler.silent_ms(house.live(published)) == 0


async def test_a_hundred_sessions_with_data_leave_nothing(house: House) -> None:
    """No task, no member, no timer that keeps a session."""
    before = asyncio.all_tasks()
    kept: list[weakref.ref[object]] = []
    for _ in range(100):
        answer, viewer = await house.play(text=watch("opus", data=True))
        viewer.channels.start()
        await established(house, answer)
        live = house.live(answer)
        assert live.channels is not None
        live.channels.send("chat", bytes(5000))
        hub = live.stream.channels
        kept += [weakref.ref(live.channels), weakref.ref(live.peer)]
        await house.manager.close_session("s", answer.session)
        viewer.channels.close()
        assert not hub._members
        del live, viewer
    await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before
    gc.collect()
    assert [ref() for ref in kept if ref() is not None] == []


async def test_udp_and_viewers_talk_on_a_stream_without_a_publisher(
    make_house: Callable[[StreamSettings], Awaitable[House]],
) -> None:
    with other_end() as program:
        udp = UdpChannel(listen=("127.0.0.1", 0), target=program.getsockname())
        house = await make_house(StreamSettings(provisioned={"s": ProvisionedStream(channel=udp)}))
        for _ in range(2):  # the stream begins anew when its last viewer is sent away
            answer, viewer = await house.play(text=watch(data=True))
            viewer.channels.start()
            await established(house, answer)
            bridge = house.live(answer).stream.channels.bridge
            assert isinstance(bridge, UdpBridge)
            for payload in (b"x", bytes(range(256)) * 6, os.urandom(65_000)):
                program.sendto(payload, bridge.address)
                assert await viewer.hear() == ("udp", payload)
                assert viewer.channels.send("any", payload)
                assert await asyncio.to_thread(program.recv, 65_535) == payload
            await house.manager.close_session("s", answer.session)
        house.manager.reconfigure(StreamSettings(provisioned={"s": ProvisionedStream()}))
        assert house.manager._registry.streams["s"].channels.bridge is None
