"""Data channels against aiortc's own SCTP, over a line that may lose packets."""

from __future__ import annotations

import asyncio
import gc
import os
import struct
import weakref
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from google_crc32c import value as crc32c

from live777py.rtc import channels as channels_module
from live777py.rtc.channels import MAX_BUFFERED, MAX_CHANNELS, MAX_WAITING, DataChannels, Message
from live777py.rtc.negotiation import DataChannelParameters
from tests.rtc.channel_peers import PARAMETERS, Pair

if TYPE_CHECKING:
    from typing import Literal

MESSAGES: list[Message] = [
    "text",
    b"binary",
    "",
    b"",
    "\u00e9\U0001f600",
    b"\x00\xff",
    "x" * 60_000,
    os.urandom(262_144),
]


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels_module, "OPEN_GRACE", 0.0)


@pytest.mark.parametrize("role", ["server", "client"])
async def test_text_stays_text_and_binary_binary_both_ways(role: Literal["client", "server"]) -> None:
    async with Pair(role=role) as pair:
        channel = await pair.theirs.channel("chat")
        for message in MESSAGES:
            channel.send(message)
            assert await pair.hear() == ("chat", message)
            assert pair.ours.send("chat", message)
            assert await pair.they_hear() == ("chat", message)
    assert (pair.ours.lost, pair.ours.ignored) == (0, 0)


async def test_a_label_finds_its_channel_and_an_unknown_one_the_first() -> None:
    async with Pair() as pair:
        await pair.theirs.channel("first")
        await pair.theirs.channel("second", ordered=False, maxRetransmits=3)
        for label, arrives_on in (("second", "second"), ("first", "first"), ("other", "first")):
            assert pair.ours.send(label, label)
            assert await pair.they_hear() == (arrives_on, label)
        assert pair.theirs.opened.empty()


@pytest.mark.parametrize("role", ["server", "client"])
async def test_a_channel_is_opened_for_each_label_of_a_peer_that_has_none(role: Literal["client", "server"]) -> None:
    async with Pair(role=role) as pair:
        await pair.established()
        for label in ("a", "b", "a"):
            assert pair.ours.send(label, label)
            assert await pair.they_hear() == (label, label)
        opened = [pair.theirs.opened.get_nowait() for _ in range(pair.theirs.opened.qsize())]
        assert [channel.label for channel in opened] == ["a", "b"]
        assert {channel.id % 2 for channel in opened if channel.id is not None} == {1 if role == "server" else 0}
        opened[1].send("back")
        assert await pair.hear() == ("b", "back")


async def test_one_that_a_gateway_opened_does_not_take_what_has_another_label() -> None:
    async with Pair() as pair:
        await pair.theirs.channel("a", protocol="live777py")
        assert pair.ours.send("b", "x")
        assert await pair.they_hear() == ("b", "x")


async def test_nothing_is_opened_while_the_peer_may_still_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels_module, "OPEN_GRACE", 60.0)
    async with Pair() as pair:
        assert not pair.ours.send("early", "before there is an association")
        await pair.established()
        assert not pair.ours.send("early", "before there is a channel")
        assert pair.ours.lost == 2
        await pair.theirs.channel("late")
        assert pair.ours.send("early", "x")
        assert await pair.they_hear() == ("late", "x")


async def test_channels_that_the_pages_agreed_on_are_known_once_they_speak() -> None:
    async with Pair() as pair:
        channel = await pair.theirs.channel("theirs alone", negotiated=True, id=7)
        await pair.established()
        channel.send(b"x")
        assert await pair.hear() == ("", b"x")
        assert pair.ours.send("any", "y")
        assert await pair.they_hear() == ("theirs alone", "y")


async def test_a_closed_channel_is_not_used_and_its_stream_is_free_again() -> None:
    async with Pair() as pair:
        first = await pair.theirs.channel("first", id=2)
        await pair.theirs.channel("second")
        first.close()
        closed = asyncio.Event()
        first.on("close", closed.set)
        async with asyncio.timeout(10):
            await closed.wait()
        assert pair.ours.send("first", "x")
        assert await pair.they_hear() == ("second", "x")
        await pair.theirs.channel("again", id=2)
        assert pair.ours.send("again", "y")
        assert await pair.they_hear() == ("again", "y")


@pytest.mark.parametrize("sender", ["ours", "theirs"])
async def test_losses_are_made_good(sender: str) -> None:
    async with Pair() as pair:
        channel = await pair.theirs.channel("chat")
        pair.deliver = lambda who, number: who != sender or number % 10 != 0
        for _ in range(3):
            channel.send(b"x" * 60_000)
            assert pair.ours.send("chat", b"y" * 60_000)
        for _ in range(3):
            assert await pair.hear() == ("chat", b"x" * 60_000)
            assert await pair.they_hear() == ("chat", b"y" * 60_000)


async def test_the_ports_are_those_of_the_description() -> None:
    sent: list[bytes] = []
    ours = DataChannels(
        DataChannelParameters(port=6001, max_message_size=1), dtls_role="server", send=sent.append, on_message=print
    )
    ours.start()
    ours.close()
    assert {struct.unpack_from("!HH", packet) for packet in sent} == {(5000, 6001)}


async def test_a_slow_peer_loses_messages_and_no_more_memory_is_used() -> None:
    async with Pair() as pair:
        await pair.theirs.channel("chat")
        pair.deliver = lambda _sender, _number: False
        large = [pair.ours.send("chat", bytes(100_000)) for _ in range(30)]
        assert 10 <= sum(large) <= MAX_BUFFERED // 100_000 + 1
        assert pair.ours.lost == 30 - sum(large)
        small = [pair.ours.send("chat", b"x") for _ in range(2 * MAX_WAITING)]
        assert sum(small) <= MAX_WAITING


async def test_a_message_that_the_peer_cannot_take_is_lost() -> None:
    async with Pair(DataChannelParameters(port=5000, max_message_size=1000)) as pair:
        await pair.theirs.channel("chat")
        assert not pair.ours.send("chat", bytes(1001))
        assert not pair.ours.send("chat", "\u00e9" * 501)
        assert pair.ours.send("chat", bytes(1000))
        assert pair.ours.lost == 2


async def test_a_message_that_is_too_large_is_ignored_and_the_next_one_is_not() -> None:
    async with Pair() as pair:
        channel = await pair.theirs.channel("chat")
        pair.theirs.sctp._remote_max_message_size = 0
        channel.send(bytes(262_145))
        channel.send("next")
        assert await pair.hear() == ("chat", "next")
        assert pair.ours.ignored == 1


async def test_an_endless_message_ends_the_association() -> None:
    async with Pair() as pair:
        channel = await pair.theirs.channel("chat")
        pair.theirs.sctp._remote_max_message_size = 0
        closed = asyncio.Event()
        channel.on("close", closed.set)
        channel.send(bytes(3_000_000))
        async with asyncio.timeout(20):
            await closed.wait()
        assert not pair.ours.open
        assert pair.heard.empty()


async def test_channels_are_bounded() -> None:
    async with Pair() as pair:
        for number in range(MAX_CHANNELS):
            await pair.theirs.channel(str(number))
        association = pair.ours._association
        assert association is not None
        RTCDataChannel(pair.theirs.sctp, RTCDataChannelParameters(label="too many"))
        channel = pair.theirs.sctp._data_channels[0]
        channel.send("x")
        assert await pair.hear() == ("0", "x")
        assert len(association._data_channels) == MAX_CHANNELS
        assert pair.ours.ignored == 1


async def test_one_who_keeps_us_busy_is_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels_module, "CPU_SHARE", 0.0)
    async with Pair() as pair:
        channel = await pair.theirs.channel("chat")
        channel.send("x")
        assert await pair.hear() == ("chat", "x")
        pair.ours._credit = 0.0
        channel.send("y")
        async with asyncio.timeout(10):
            while not pair.ours.ignored:  # noqa: ASYNC110
                await asyncio.sleep(0)
        monkeypatch.setattr(channels_module, "CPU_SHARE", 100.0)
        assert await pair.hear() == ("chat", "y"), "SCTP has sent it again"


async def test_a_peer_that_aborts_and_one_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels_module, "_RTO_INITIAL", 0.01)
    async with Pair() as pair:
        await pair.theirs.channel("chat")
        await pair.theirs.sctp.stop()
        async with asyncio.timeout(10):
            while pair.ours.open:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert not pair.ours.send("chat", "x")
    silent = DataChannels(PARAMETERS, dtls_role="client", send=lambda _: None, on_message=print)
    silent.start()
    async with asyncio.timeout(10):
        while silent._association is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    silent.start()
    assert silent._association is None


async def test_a_hundred_sessions_leave_neither_tasks_nor_timers_nor_objects() -> None:
    left: list[weakref.ref[object]] = []
    before = asyncio.all_tasks()
    for number in range(100):
        async with Pair() as pair:
            channel = await pair.theirs.channel("chat")
            channel.send(bytes(50_000))
            await pair.hear()
            pair.deliver = lambda _sender, _number: False
            pair.ours.send("chat", bytes(50_000 + number))
            association = cast("Any", pair.ours._association)
            left += [weakref.ref(association), weakref.ref(pair.ours)]
            association._t3_handle.cancel()
            association._t3_expired()  # a transmission that runs after the end
            pair.ours.close()
            pair.ours.close()
        del pair, channel, association
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before
    gc.collect()
    assert [ref() for ref in left if ref() is not None] == []


def packet(tag: int, *chunks: bytes) -> bytes:
    header = struct.pack("!HHL", 5000, 5000, tag)
    body = b"".join(chunks)
    return header + struct.pack("<L", crc32c(header + bytes(4) + body)) + body


def chunk(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack("!BBH", kind, flags, 4 + len(body)) + body + bytes(-len(body) % 4)


@pytest.mark.parametrize("kind", sorted(channels_module._PARAMETERS_AT))
async def test_a_parameter_without_length_is_not_read_for_ever(kind: int) -> None:
    async with Pair() as pair:
        await pair.theirs.channel("chat")
        tag = cast("Any", pair.ours._association)._local_verification_tag
        start = bytes(channels_module._PARAMETERS_AT[kind] - 4)
        for size in (0, 3):
            pair.ours.received(packet(0 if kind == 1 else tag, chunk(kind, start + struct.pack("!HH", 1, size))))
        assert pair.ours.open


@pytest.mark.parametrize(
    "body",
    [
        struct.pack("!LLHHHH", 0, 1000, 1, 0, 1, 65535),
        struct.pack("!LLHHHH", 0, 1000, 1, 0, 9, 3),
        struct.pack("!LLHH", 2**31 - 1, 1000, 0, 0),
        struct.pack("!LLHH", 0, 1000, 7, 7),
    ],
)
async def test_an_acknowledgement_of_what_was_not_sent_ends_the_association(body: bytes) -> None:
    async with Pair() as pair:
        await pair.theirs.channel("chat")
        association = cast("Any", pair.ours._association)
        (offset,) = struct.unpack_from("!L", body)
        body = struct.pack("!L", (association._last_sacked_tsn + offset) % 2**32) + body[4:]
        pair.ours.received(packet(association._local_verification_tag, chunk(3, body)))
        assert not pair.ours.open


async def test_data_before_the_association_ends_it() -> None:
    for kind, body in ((0, struct.pack("!LHHL", 1, 0, 0, 51) + b"x"), (192, struct.pack("!L", 1))):
        sent: list[bytes] = []
        ours = DataChannels(PARAMETERS, dtls_role="server", send=sent.append, on_message=print)
        ours.start()
        ours.received(packet(cast("Any", ours._association)._local_verification_tag, chunk(kind, body)))
        assert ours._association is None
        assert sent[-1][12] == 6, "ABORT"


async def test_chunks_far_ahead_of_a_lost_one_are_not_kept() -> None:
    async with Pair() as pair:
        await pair.theirs.channel("chat")
        association = cast("Any", pair.ours._association)
        last = association._last_received_tsn
        for ahead in range(2, 4000, 2):
            data = struct.pack("!LHHL", (last + ahead) % 2**32, 9, 0, 53) + b"x"
            pair.ours._credit = 1.0
            pair.ours.received(packet(association._local_verification_tag, chunk(0, data, flags=3)))
        assert pair.ours.open
        assert len(association._sack_misordered) <= 1024


async def test_one_dot_of_a_message_on_each_of_too_many_streams_ends_the_association() -> None:
    async with Pair() as pair:
        await pair.theirs.channel("chat")
        association = cast("Any", pair.ours._association)
        last = association._last_received_tsn
        for number in range(1, 2000):
            data = struct.pack("!LHHL", (last + number) % 2**32, number, 0, 53) + b"x"
            pair.ours._credit = 1.0
            pair.ours.received(packet(association._local_verification_tag, chunk(0, data, flags=2)))
            if not pair.ours.open:
                break
        assert number <= 2 * MAX_CHANNELS + 1


@pytest.mark.parametrize(
    ("identifier", "data"),
    [
        (51, b"\xff"),
        (52, b"x"),
        (54, b"x"),
        (0, b"x"),
        (50, b""),
        (50, b"\x03"),
        (50, b"\x02"),
        (50, b"\x03" + bytes(3000)),
    ],
)
async def test_what_is_no_message_is_ignored(identifier: int, data: bytes) -> None:
    async with Pair() as pair:
        await pair.theirs.channel("chat")
        await pair.theirs.sctp._send(8, identifier, data or b"\x00")
        channel = pair.theirs.sctp._data_channels[0]
        channel.send("after")
        assert await pair.hear() == ("chat", "after")
        assert pair.ours.open


async def test_an_announcement_that_comes_after_its_data_names_the_channel() -> None:
    async with Pair() as pair:
        await pair.established()
        await pair.theirs.sctp._send(0, 53, b"x")
        assert await pair.hear() == ("", b"x")
        channel = await pair.theirs.channel("chat")
        channel.send("y")
        assert await pair.hear() == ("chat", "y")


async def test_a_first_channel_is_opened_where_one_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels_module, "OPEN_GRACE", 60.0)
    async with Pair(role="client", first_label="control") as pair:
        async with asyncio.timeout(10):
            channel = await pair.theirs.opened.get()
        assert (channel.label, channel.id) == ("control", 0)
        channel.send("x")
        assert await pair.hear() == ("control", "x")
        assert pair.ours.send("other", "y")
        assert await pair.they_hear() == ("other", "y")
