"""A stream manager over the fake engine, and what its bus says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from live777py.streams.clients import Answer, Client
from live777py.streams.events import SessionStateChanged, StatsSampled, StreamEvent
from live777py.streams.manager import StreamManager
from live777py.streams.settings import StreamSettings
from tests.fakes.client import OtherServers
from tests.fakes.remote import Remote, offer, watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from live777py.media.engine import MediaEngine
    from live777py.rtc.server import Restarted
    from live777py.streams.bus import Subscription
    from live777py.streams.live import LiveSession
    from live777py.streams.views import SessionView
    from tests.fakes import media as fake_media

HERE = Client(loopback=True)
TIMEOUT = 5.0


class House:
    """A running manager; `publish` and `play` go on until the remote end is connected."""

    def __init__(self, manager: StreamManager, fake: fake_media.Engine, servers: OtherServers) -> None:
        self.manager = manager
        self.fake = fake
        self.servers = servers
        self._events: Subscription = manager.bus.subscribe()

    async def publish(self, stream: str = "s", text: str | None = None) -> tuple[Answer, Remote]:
        answer = await self.manager.publish(stream, text or offer("opus", "vp8"), client=HERE)
        return answer, await self.connect(answer)

    async def play(self, stream: str = "s", text: str | None = None) -> tuple[Answer, Remote]:
        answer = await self.manager.play(stream, text or watch("opus", "vp8", "vp9"), client=HERE)
        return answer, await self.connect(answer)

    async def patch(self, stream: str, session: str, fragment: str, if_match: str | None = None) -> Restarted | None:
        return await self.manager.patch_ice(stream, session, fragment, if_match=if_match, strict=False, loopback=True)

    async def connect(self, answer: Answer) -> Remote:
        remote = Remote(self.fake, self.transport(answer))
        await remote.connect(self.manager._certificate.fingerprint)
        await self.until(lambda: self.state(answer) == "connected")
        return remote

    def transport(self, answer: Answer) -> int:
        return self.live(answer).peer.transport

    def live(self, answer: Answer) -> LiveSession:
        sessions = self.manager._registry.sessions
        return next(live for (_, session), live in sessions.items() if session == answer.session)

    def subscriptions(self, answer: Answer) -> list[int]:
        return [number for _, number in self.live(answer).peer.subscriptions]

    def pass_time(self, milliseconds: int) -> None:
        """Time passes for the lifecycle, which then looks at what is due."""
        self.manager._registry.clock.offset += milliseconds / 1000
        for stream in tuple(self.manager._registry.streams.values()):
            self.manager._registry.tick(stream)

    def session(self, answer: Answer) -> SessionView | None:
        return next(
            (
                session
                for stream in self.manager.streams()
                for session in (*stream.publish.sessions, *stream.subscribe.sessions)
                if session.id == answer.session
            ),
            None,
        )

    def state(self, answer: Answer) -> str | None:
        session = self.session(answer)
        return None if session is None else session.state

    def flows(self, answer: Answer) -> dict[str, int]:
        """The track that each kind of a viewer's session carries."""
        transport = self.transport(answer)
        return {
            parameters.kind: self.fake.attached[subscription][0]
            for subscription, (owner, parameters) in self.fake.subscriptions.items()
            if owner == transport and subscription in self.fake.attached
        }

    def tracks(self, answer: Answer) -> dict[str, int]:
        transport = self.transport(answer)
        return {parameters.kind: track for track, (owner, parameters) in self.fake.tracks.items() if owner == transport}

    async def until(self, condition: Callable[[], bool]) -> None:
        """`condition` can only change with a session's state, which the bus tells."""
        with self.manager.bus.subscribe() as events:
            async with asyncio.timeout(TIMEOUT):
                while not condition():
                    await anext(events)

    async def events(self) -> list[StreamEvent]:
        """What the bus said since the last call, without states and samples."""
        await asyncio.sleep(0)
        found: list[StreamEvent] = []
        while self._events._events:
            event = await anext(self._events)
            if not isinstance(event, SessionStateChanged | StatsSampled):
                found.append(event)
        return found


@pytest.fixture
async def make_house(
    engine: MediaEngine, fake: fake_media.Engine
) -> AsyncIterator[Callable[[StreamSettings], Awaitable[House]]]:
    houses: list[House] = []

    async def make(settings: StreamSettings) -> House:
        servers = OtherServers()
        manager = StreamManager(engine, settings, make_client_peer=servers)
        house = House(manager, fake, servers)
        await manager.start()
        houses.append(house)
        return house

    yield make
    for house in houses:
        await house.manager.stop()


@pytest.fixture
async def house(make_house: Callable[[StreamSettings], Awaitable[House]]) -> House:
    return await make_house(StreamSettings())
