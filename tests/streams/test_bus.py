"""The event bus."""

from __future__ import annotations

import asyncio

import pytest

from live777py.streams.bus import EventBus, Subscription
from live777py.streams.events import StreamCreated


async def names(subscription: Subscription) -> list[str]:
    return [event.stream async for event in subscription if isinstance(event, StreamCreated)]


async def test_every_reader_gets_every_event_in_order() -> None:
    bus = EventBus()
    readers = [bus.subscribe(), bus.subscribe()]
    tasks = [asyncio.create_task(names(reader)) for reader in readers]
    for name in ("a", "b", "c"):
        bus.publish(StreamCreated(stream=name))
        await asyncio.sleep(0)
    bus.close()
    assert await asyncio.gather(*tasks) == [["a", "b", "c"]] * 2


async def test_a_slow_reader_loses_the_oldest_and_knows_how_many() -> None:
    bus = EventBus()
    with bus.subscribe(capacity=2) as slow, bus.subscribe() as other:
        for name in "abcde":
            bus.publish(StreamCreated(stream=name))
        bus.close()
        assert await names(slow) == ["d", "e"]
        assert slow.missed == 3
        assert await names(other) == list("abcde")
        assert other.missed == 0


async def test_a_reader_that_left_is_forgotten() -> None:
    bus = EventBus()
    with bus.subscribe() as reader:
        pass
    bus.publish(StreamCreated(stream="a"))
    with pytest.raises(StopAsyncIteration):
        await anext(reader)
    assert not bus._subscriptions
