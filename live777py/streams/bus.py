"""One place where events go, and any number of readers, none of which can hold up the others or the sender."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from live777py.streams.events import StreamEvent

if TYPE_CHECKING:
    from types import TracebackType

DEFAULT_CAPACITY = 1024

E = TypeVar("E")


class Bus(Generic[E]):
    """Hands each event to every open `Reader`, in the order of `publish` calls. Used on one event loop."""

    def __init__(self) -> None:
        self._subscriptions: set[Reader[E]] = set()

    @property
    def subscriptions(self) -> int:
        return len(self._subscriptions)

    def publish(self, event: E) -> None:
        for subscription in self._subscriptions:
            subscription.offer(event)

    def subscribe(self, *, capacity: int = DEFAULT_CAPACITY) -> Reader[E]:
        """Events from now on. Use it as a context manager, or call `close`."""
        subscription = Reader(self, capacity)
        self._subscriptions.add(subscription)
        return subscription

    def remove(self, subscription: Reader[E]) -> None:
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End every reader's iteration after what it has not read yet."""
        for subscription in tuple(self._subscriptions):
            subscription.close()


class Reader(Generic[E]):
    """An asynchronous iterator over events. A full one forgets its oldest event and counts it in `missed`.

    A reader that keeps state must look at `missed` and, when it grew, read the views again.
    """

    def __init__(self, bus: Bus[E], capacity: int) -> None:
        self.missed = 0
        self._bus = bus
        self._events: deque[E] = deque(maxlen=capacity)
        self._ready = asyncio.Event()
        self._closed = False

    @property
    def waiting(self) -> int:
        """Events that have not been read."""
        return len(self._events)

    def offer(self, event: E) -> None:
        if len(self._events) == self._events.maxlen:
            self.missed += 1
        self._events.append(event)
        self._ready.set()

    def close(self) -> None:
        self._closed = True
        self._bus.remove(self)
        self._ready.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def batch(self) -> list[E]:
        """All that has not been read, waiting for the first; nothing after `close`."""
        try:
            events = [await anext(self)]
        except StopAsyncIteration:
            return []
        return [*events, *self.pending()]

    async def next_one(self) -> E | None:
        """None after `close`."""
        return await anext(self, None)

    def pending(self) -> list[E]:
        """All that has not been read, which may be nothing."""
        events = list(self._events)
        self._events.clear()
        return events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._events.popleft()


EventBus = Bus[StreamEvent]
Subscription = Reader[StreamEvent]
