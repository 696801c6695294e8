"""A Redis server as several nodes share it: commands that fail fast while it is away, and channels that come back."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, ReadOnlyError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from live777py import log
from live777py.errors import ConfigError, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio.client import PubSub
    from redis.commands.core import AsyncScript

T = TypeVar("T")

TIMEOUT: Final = 2.0
"""Seconds that a command or a connection may take."""
RETRY: Final = 0.5
"""Seconds between attempts while it is away."""
SILENCE: Final = 5.0
"""Seconds after which a channel of which nothing comes is asked whether it is there."""
CONNECTIONS: Final = 16

_AWAY: Final = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, OSError, TimeoutError)

_logger = logging.getLogger(__name__)


class RedisLink:
    """Usage: `link = RedisLink(url, name="live777")` ... `await link.close()`. Raises ConfigError.

    `name` and the number of the database are before all keys and channels: those who differ in one share a server in
    peace. While the server is away one
    command at a time is tried, and all others are refused at once.
    """

    def __init__(self, url: str, *, name: str, timeout: float = TIMEOUT, silence: float = SILENCE) -> None:
        self._timeout = timeout
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=CONNECTIONS,
                timeout=timeout,
                # With one, redis-py sends by asyncio.wait_for, which on Python 3.11 may swallow a cancellation.
                socket_timeout=None,
                socket_connect_timeout=timeout,
                retry=Retry(NoBackoff(), 0),  # a write must not be done twice
                protocol=2,
            )
        except ValueError:
            raise ConfigError("cluster.redis_url: expected redis://, rediss:// or unix:// and its address") from None
        self.name: Final = f"{name}:{pool.connection_kwargs.get('db', 0)}"
        self._client: Redis = Redis(connection_pool=pool)
        self.channels = Channels(self._client, timeout, silence)
        self._away = False
        self._away_until = 0.0
        self._probing = False

    async def close(self) -> None:
        await self.channels.close()
        await self._client.aclose()
        await self._client.connection_pool.disconnect()

    def script(self, source: str) -> AsyncScript:
        """To be called in the work of `run`."""
        return self._client.register_script(source)

    async def run(self, work: Callable[[Redis], Awaitable[T]]) -> T:
        """Raises StoreUnavailable where the server is away, StoreError where it refuses."""
        loop = asyncio.get_running_loop()
        if self._away and (self._probing or loop.time() < self._away_until):
            raise _unavailable()
        probing = self._probing = self._away
        try:
            async with asyncio.timeout(self._timeout):
                result = await work(self._client)
        except _AWAY as error:
            if not self._away:
                _logger.error("the Redis server is away: %s", _why(error))  # noqa: TRY400 (nothing to trace)
            self._away = True
            self._away_until = loop.time() + RETRY
            raise _unavailable() from None
        except RedisError as error:
            raise StoreError(f"the Redis server refuses: {_why(error)}") from None
        else:
            if self._away:
                self._away = False
                _logger.warning("the Redis server is back")
            return result
        finally:
            if probing:
                self._probing = False

    async def publish(self, channel: str, message: bytes) -> int:
        """How many listen. Raises as `run` does."""
        heard: int = await self.run(lambda client: client.publish(channel, message))
        return heard


class Channel:
    """`connected` is told whenever messages come from now on, some having perhaps been missed."""

    def __init__(self, name: str, heard: Callable[[bytes], None], connected: Callable[[], None]) -> None:
        self.name: Final = name
        self.heard: Final = heard
        self.connected: Final = connected
        self.open = False


class Channels:
    """One connection for all that is listened to, made with the first channel, and anew whenever it is lost."""

    def __init__(self, client: Redis, timeout: float, silence: float) -> None:
        self._client = client
        self._timeout = timeout
        self._silence = silence
        self._channels: dict[str, Channel] = {}
        self._pubsub: PubSub | None = None
        self._asking = asyncio.Lock()
        """One at a time asks for channels: the first makes the connection."""
        self._task: asyncio.Task[None] | None = None

    async def listen(self, channel: Channel) -> None:
        """`connected` follows, now or when the server is there. One of a name."""
        self._channels[channel.name] = channel
        if self._task is None:
            self._task = log.watched(asyncio.create_task(self._run(), name="redis channels"))
        async with self._asking:
            if self._pubsub is not None:
                with suppress(*_AWAY):  # then the reader finds out, and asks for all of them again
                    async with asyncio.timeout(self._timeout):
                        await self._pubsub.subscribe(channel.name)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        lost = False
        while True:
            try:
                async with self._client.pubsub() as pubsub:
                    async with self._asking, asyncio.timeout(self._timeout):
                        await pubsub.subscribe(*self._channels)
                        self._pubsub = pubsub
                    await self._follow(pubsub)
            except (*_AWAY, RedisError) as error:
                news = not lost or any(channel.open for channel in self._channels.values())
                lost = True
                _logger.log(logging.WARNING if news else logging.DEBUG, "nothing is heard of Redis: %s", _why(error))
            finally:
                self._pubsub = None
                for channel in self._channels.values():
                    channel.open = False
            await asyncio.sleep(RETRY)

    async def _follow(self, pubsub: PubSub) -> None:
        """Raises when the connection is lost, or nothing is heard of its other end."""
        asked = False
        while True:
            silence = self._timeout if asked else self._silence
            async with asyncio.timeout(silence + self._timeout):  # also where it connects again
                message: dict[str, Any] | None = await pubsub.get_message(timeout=silence)
            if message is None:
                if asked:
                    raise RedisTimeoutError("it has not answered")
                async with asyncio.timeout(self._timeout):
                    await pubsub.ping()
                asked = True
                continue
            asked = False
            channel = self._channels.get(message["channel"].decode()) if message.get("channel") else None
            if channel is not None and message["type"] == "message":
                channel.heard(message["data"])
            elif channel is not None and message["type"] == "subscribe":
                channel.open = True
                channel.connected()


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable("the Redis server that the nodes of this cluster share cannot be reached; try again later")


def _why(error: BaseException) -> str:
    """Redis's own errors hold no secret: a URL is not in them, and an AUTH is not repeated."""
    return str(error) or type(error).__name__
