"""No bytes that a peer sends on a data channel's association raise anything, hang, or hold much memory.

Seeded and short by default; `LIVE777_FUZZ_SECONDS` makes the search longer with fresh seeds (`make fuzz`).
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from typing import Any, cast

from google_crc32c import value as crc32c
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from live777py.rtc.channels import MAX_BUFFERED, MAX_CHANNELS, DataChannels
from tests.fuzz.test_sdp import SECONDS
from tests.rtc.channel_peers import PARAMETERS, Pair

PROFILE = settings(
    max_examples=150 + int(40 * SECONDS),
    derandomize=not SECONDS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

TIMERS = (
    ("_t1_handle", "_t1_expired"),
    ("_t2_handle", "_t2_expired"),
    ("_t3_handle", "_t3_expired"),
    ("_reconfig_handle", "_reconfig_timer_expired"),
)
NUMBER = st.sampled_from([0, 1, 2, 3, 4, 50, 51, 53, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1])
NEAR = st.integers(-3, 12) | st.sampled_from([1100, 2**31 - 1, 2**31, -(2**31)])
"""Distance from a sequence number of the association."""


def u16(value: int) -> bytes:
    return struct.pack("!H", value % 2**16)


def u32(value: int) -> bytes:
    return struct.pack("!L", value % 2**32)


PARAMETER = st.tuples(
    st.sampled_from([7, 13, 16, 17, 0x8008, 0xC000, 1]), st.binary(max_size=24), st.sampled_from([0, 0, 0, -4, 1, 90])
).map(lambda p: u16(p[0]) + u16(len(p[1]) + 4 + p[2]) + p[1] + bytes(-len(p[1]) % 4))
PARAMETERS_OF_ANY = st.lists(PARAMETER, max_size=3).map(b"".join)


@st.composite
def chunks(draw: st.DrawFn) -> tuple[int, int, Any]:
    """Kind, flags, and a body whose numbers of the association are filled in when it is sent."""
    kind = draw(st.sampled_from([0, 0, 0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 130, 130, 192, 192, 77]))
    flags = draw(st.sampled_from([0, 1, 2, 3, 3, 3, 4, 7]))
    near, stream = draw(NEAR), draw(st.integers(0, 6) | st.sampled_from([65_535]))
    if draw(st.integers(0, 9)) == 0:
        raw = draw(st.binary(max_size=64))
        return kind, flags, lambda _association: raw
    match kind:
        case 0:
            tail = u16(stream) + u16(draw(st.integers(0, 3))) + u32(draw(st.sampled_from([50, 51, 53, 56, 57, 0])))
            data = draw(st.binary(max_size=40) | st.just(b"\x03\0\0\0\0\0\0\0\0\1\0\0x") | st.just(b"\x02"))
            return kind, flags, lambda a: u32((a._last_received_tsn or 0) + near) + tail + data
        case 3:
            gaps = draw(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 2, 5, 65_535])), max_size=3))
            tail = u32(draw(NUMBER)) + u16(len(gaps) + draw(st.sampled_from([0, 0, 1]))) + u16(0)
            tail += b"".join(u16(first) + u16(last) for first, last in gaps)
            return kind, flags, lambda a: u32(a._last_sacked_tsn + near) + tail
        case 192:
            tail = b"".join(u16(n) + u16(n) for n in draw(st.lists(st.integers(0, 3), max_size=3)))
            return kind, flags, lambda a: u32((a._last_received_tsn or 0) + near) + tail
        case 130:
            streams = b"".join(map(u16, draw(st.lists(st.integers(0, 6), max_size=3))))
            match draw(st.sampled_from([13, 16, 17])):
                case 13:
                    return kind, flags, lambda a: _reset(a, near, streams)
                case 16:
                    answer = u32(draw(st.integers(0, 6)))
                    return kind, flags, lambda a: u16(16) + u16(12) + u32(a._reconfig_request_seq - 1 + near) + answer
            return kind, flags, lambda a: u16(17) + u16(12) + u32(a._reconfig_response_seq + near) + u16(1) + u16(0)
        case 1 | 2:
            head = b"".join((u32(draw(NUMBER)), u32(draw(NUMBER)), u16(draw(NUMBER)), u16(draw(NUMBER)), u32(near)))
            tail = draw(PARAMETERS_OF_ANY)
            return kind, flags, lambda _association: head + tail
    tail = draw(PARAMETERS_OF_ANY)
    return kind, flags, lambda _association: tail


def _reset(association: Any, near: int, streams: bytes) -> bytes:
    body = u32(association._reconfig_response_seq + 1) + u32(0) + u32((association._last_received_tsn or 0) + near)
    return u16(13) + u16(16 + len(streams)) + body + streams + bytes(-len(streams) % 4)


def sealed(tag: int, body: bytes) -> bytes:
    header = u16(5000) + u16(5000) + u32(tag)
    return header + struct.pack("<L", crc32c(header + bytes(4) + body)) + body


def packet(association: Any, parts: list[tuple[int, int, Any]]) -> bytes:
    body = b""
    for kind, flags, make in parts:
        content = make(association)
        body += struct.pack("!BBH", kind, flags, 4 + len(content)) + content + bytes(-len(content) % 4)
    return sealed(0 if parts and parts[0][0] == 1 else association._local_verification_tag, body)


def assert_bounded(ours: DataChannels) -> None:
    association = cast("Any", ours._association)
    if association is not None:
        assert len(association._data_channels) <= MAX_CHANNELS
        assert sum(len(data) for _, _, data in association._data_channel_queue) <= MAX_BUFFERED


async def attack(packets: list[list[tuple[int, int, Any]]], *, established: bool) -> None:
    loop = asyncio.get_running_loop()
    faults: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: faults.append(context))
    async with Pair() as pair:
        if established:
            await pair.theirs.channel("chat")
            pair.ours.send("new", b"x" * 3000)
        for parts in packets:
            association = pair.ours._association
            if association is None:
                break
            pair.ours.received(packet(association, parts))
            assert_bounded(pair.ours)
            await asyncio.sleep(0)
            for timer, expired in TIMERS:
                handle = getattr(association, timer)
                if handle is not None and len(parts) == 2:
                    handle.cancel()
                    getattr(association, expired)()
            await asyncio.sleep(0)
        pair.theirs.sctp._data_channels.clear()
    await asyncio.sleep(0)
    assert [context["message"] for context in faults] == []


@PROFILE
@given(st.lists(st.lists(chunks(), min_size=1, max_size=3), max_size=12))
def test_chunks_of_an_established_peer(packets: list[list[tuple[int, int, Any]]]) -> None:
    asyncio.run(attack(packets, established=True))


@PROFILE
@given(st.lists(st.lists(chunks(), min_size=1, max_size=3), max_size=8))
def test_chunks_before_there_is_an_association(packets: list[list[tuple[int, int, Any]]]) -> None:
    asyncio.run(attack(packets, established=False))


@PROFILE
@given(st.lists(st.binary(max_size=200), max_size=10))
def test_bytes(packets: list[bytes]) -> None:
    async def send() -> None:
        ours = DataChannels(PARAMETERS, dtls_role="server", send=lambda _: None, on_message=lambda *_: None)
        for data in packets:
            ours.received(data)
            ours.received(sealed(0, data))
            with suppress(AttributeError):
                ours.received(sealed(cast("Any", ours._association)._local_verification_tag, data))
        ours.close()

    asyncio.run(send())
