"""Server-sent events: snapshots of the streams."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from live777py.http import event_stream
from live777py.http.event_stream import Mailbox
from tests.fakes.streams import FakeStreams
from tests.http.doors import AUTH, STATIC_TOKEN, bearer
from tests.http.events import Listener
from tests.waiting import eventually

if TYPE_CHECKING:
    from live777py.streams.views import StreamView
    from tests.http.doors import OpenDoor

PATH = "/api/sse/streams"


async def test_a_snapshot_at_once_and_after_each_change(open_door: OpenDoor) -> None:
    door = await open_door(streams=FakeStreams(["b", "a"]))
    listener = await Listener.open(door, PATH)
    headers = listener.response.headers
    assert headers["Cache-Control"] == "no-store"
    first = await listener.snapshot()
    assert first == sorted(await (await door.ask("GET", "/api/streams/")).json(), key=lambda view: str(view["id"]))
    door.streams.create("c")
    door.streams.changed()
    assert await listener.names() == ["a", "b", "c"]


async def test_equal_snapshots_are_sent_once(open_door: OpenDoor) -> None:
    door = await open_door(streams=FakeStreams(["a"]))
    listener = await Listener.open(door, PATH)
    await listener.snapshot()
    read = door.streams.listed
    door.streams.changed()

    async def read_again() -> bool:
        return door.streams.listed > read

    await eventually(read_again)
    door.streams.create("b")
    door.streams.changed()
    assert await listener.names() == ["a", "b"]


async def test_a_tick_without_a_change_reads_nothing(open_door: OpenDoor) -> None:
    door = await open_door(streams=FakeStreams(["a"]))
    listener = await Listener.open(door, PATH)
    await listener.snapshot()
    door.streams.changed()
    door.streams.create("b")
    assert await listener.names() == ["a", "b"]
    read = door.streams.listed
    door.streams.version -= 1
    door.streams.changed()
    door.streams.create("c")
    other = await Listener.open(door, f"{PATH}?streams=c")
    assert await other.names() == ["c"]
    assert door.streams.listed == read + 1


async def test_a_filter(open_door: OpenDoor) -> None:
    door = await open_door(streams=FakeStreams(["a", "b", "c"]))
    listener = await Listener.open(door, f"{PATH}?streams=c&streams=a&streams=d")
    assert await listener.names() == ["a", "c"]
    door.streams.create("e")
    door.streams.changed()
    door.streams.create("d")
    door.streams.changed()
    assert await listener.names() == ["a", "c", "d"]


async def test_listeners_share_one_encoding_and_a_burst_is_one_snapshot(open_door: OpenDoor) -> None:
    door = await open_door(streams=FakeStreams(["a"]))
    listeners = [await Listener.open(door, PATH) for _ in range(10)]
    assert door.streams.listed == 1
    for number in range(500):
        door.streams.create(f"stream-{number}")
        door.streams.changed()
    for listener in listeners:
        while len(await listener.names()) < 501:
            continue
    assert door.streams.listed <= 3


async def test_head_and_both_slashes(open_door: OpenDoor) -> None:
    door = await open_door()
    for path in ("/api/sse/streams", "/api/sse/streams/"):
        response = await door.ask("HEAD", path)
        assert (response.status, response.content_type) == (200, "text/event-stream")


async def test_listening_needs_what_listing_needs(open_door: OpenDoor) -> None:
    door = await open_door(AUTH)
    assert (await door.ask("GET", "/api/sse/streams")).status == 401
    assert await (await Listener.open(door, PATH, **bearer(STATIC_TOKEN))).snapshot() == []


async def test_a_comment_keeps_the_connection(open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE", 0.01)
    door = await open_door()
    listener = await Listener.open(door, PATH)
    await listener.snapshot()
    assert await listener.line() == ":\n"


async def test_a_listener_that_takes_nothing_is_dropped(open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "STALLED", 0.2)
    door = await open_door(streams=FakeStreams([f"stream-{number}" for number in range(20_000)]))
    _reader, writer = await asyncio.open_connection("127.0.0.1", door.client.port, limit=1)
    writer.write(b"GET /api/sse/streams HTTP/1.1\r\nHost: gateway\r\n\r\n")

    async def bus_is_unread() -> bool:
        return door.streams.listed == 1 and not door.streams.bus.subscriptions

    await eventually(bus_is_unread)
    writer.close()


async def test_nothing_is_followed_without_listeners(open_door: OpenDoor) -> None:
    door = await open_door()
    listener = await Listener.open(door, PATH)
    await listener.snapshot()
    listener.response.close()

    async def bus_is_unread() -> bool:
        door.streams.create(f"stream-{door.streams.version}")
        door.streams.changed()
        return not door.streams.bus.subscriptions

    await eventually(bus_is_unread)


@pytest.mark.parametrize("ending", ["shutdown", "bus"])
async def test_the_end(open_door: OpenDoor, ending: str) -> None:
    door = await open_door()
    listener = await Listener.open(door, PATH)
    await listener.snapshot()
    if ending == "bus":
        door.streams.bus.close()
    else:
        await door.app.shutdown()
    assert await listener.line() == ""


async def test_a_slow_listener_gets_the_newest_of_each_kind() -> None:
    mailbox = Mailbox()
    for number in range(1000):
        mailbox.put(b"%d" % number)
        mailbox.put(b"other %d" % number, "other")
    assert await mailbox.take() == [b"999", b"other 999"]
    mailbox.put(b"last")
    mailbox.close()
    assert await mailbox.take() == [b"last"]
    assert await mailbox.take() == []


async def test_a_fault_ends_the_listeners_and_is_logged(
    open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They come back by themselves, which is better than a list that stands still."""
    door = await open_door()
    listener = await Listener.open(door, PATH)
    await listener.snapshot()

    def fail() -> list[StreamView]:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as patch:
        patch.setattr(door.streams, "streams", fail)
        door.streams.changed()
        assert await listener.line() == ""
    assert "following the streams failed" in caplog.text
    assert await (await Listener.open(door, PATH)).snapshot() == []
