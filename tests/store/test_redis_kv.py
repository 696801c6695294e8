"""What the server adds: others who write, and an outage."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import pytest

from live777py.errors import ConfigError, StoreError, StoreUnavailable
from live777py.store.redis_kv import RedisKeyValue
from live777py.store.redis_link import Channel, RedisLink
from tests.store.test_keyvalue import told
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from live777py.store import KeyValue
    from tests.redis_server import RedisServer

TIMEOUT = 0.5


@pytest.fixture
async def quick(server: RedisServer) -> AsyncIterator[RedisKeyValue]:
    """One that gives up soon."""
    link = RedisLink(server.url, name="tests", timeout=TIMEOUT)
    store = RedisKeyValue(link)
    yield store
    await store.close()
    await link.close()


async def works(store: KeyValue) -> bool:
    try:
        await store.get("")
    except StoreUnavailable:
        return False
    return True


async def test_the_writes_of_others_are_told(redis: RedisKeyValue, quick: RedisKeyValue) -> None:
    async with redis.watch("a") as changes:
        entry = await quick.put("a", b"1")
        assert await told(changes, 1) == [("a", b"1")]
        assert await redis.compare_and_swap("a", entry.version, b"2") is not None
        assert await quick.compare_and_swap("a", entry.version, b"3") is None


async def test_names_are_apart(server: RedisServer, redis: RedisKeyValue) -> None:
    link = RedisLink(server.url, name="others")
    other = RedisKeyValue(link)
    await redis.put("a", b"1")
    async with other.watch("") as changes:
        await redis.put("a", b"2")
        await other.put("b", b"")
        assert await told(changes, 1) == [("b", b"")]
    assert [entry.key for entry in await other.list("")] == ["b"]
    await other.close()
    await link.close()


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_an_outage_is_said_and_passes(
    server: RedisServer, quick: RedisKeyValue, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    kept = await quick.put("a", b"1")
    await quick.put("changes", b"1")
    await quick.put("goes", b"1", expires=1)
    async with quick.watch("") as changes:
        assert len(await told(changes, 3)) == 3
        if how == "kill":
            await server.kill()
        else:
            server.freeze()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="Redis server"):
            await quick.put("a", b"2")
        assert time.monotonic() - began < TIMEOUT + 0.5
        began = time.monotonic()
        for _ in range(100):  # nobody waits for a server that is known to be away
            with pytest.raises(StoreUnavailable):
                await quick.get("a")
        assert time.monotonic() - began < TIMEOUT
        await asyncio.sleep(1)  # what expires does so meanwhile

        if how == "kill":
            await server.start()
        else:
            server.thaw()
        await eventually(lambda: works(quick))
        assert (await quick.put("changes", b"2")).version > kept.version
        seen = dict(await told(changes, 1))
        while len(seen) < 2 + (await quick.get("a") != kept):
            seen |= dict(await told(changes, 1))
        assert seen["changes"] == b"2"
        assert seen["goes"] is None
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert sum(line.startswith("the Redis server is away") for line in lines) == 1
    assert sum(line == "the Redis server is back" for line in lines) == 1


async def test_a_server_that_is_not_there_yet(server: RedisServer, quick: RedisKeyValue) -> None:
    await server.kill()
    async with quick.watch("a") as changes:
        with pytest.raises(StoreUnavailable):
            await quick.get("a")
        await server.start()
        await eventually(lambda: works(quick))
        await quick.put("a", b"1")
        assert await told(changes, 1) == [("a", b"1")]


async def test_a_server_that_has_lost_its_data(server: RedisServer, redis: RedisKeyValue) -> None:
    old = await redis.put("a", b"1")
    assert await server.command("FLUSHALL") == b"+OK"
    assert await redis.list("") == []
    assert await redis.compare_and_swap("a", old.version, b"2") is None
    assert (await redis.put("a", b"1")).version > old.version


async def test_the_next_write_tells_of_a_loss(server: RedisServer, redis: RedisKeyValue) -> None:
    """Of everything, while all connections stay."""
    async with redis.watch("a") as changes:
        await redis.put("a", b"1")
        assert await told(changes, 1) == [("a", b"1")]
        await server.command("FLUSHALL")
        await redis.put("other", b"")
        assert await told(changes, 1) == [("a", None)]


async def test_a_lost_connection_of_the_channels_is_made_anew(server: RedisServer, redis: RedisKeyValue) -> None:
    async with redis.watch("") as changes:
        await redis.put("a", b"1")
        assert await told(changes, 1) == [("a", b"1")]
        await server.command("CLIENT", "KILL", "TYPE", "pubsub")
        await redis.put("b", b"1")
        assert await told(changes, 1) == [("b", b"1")]


async def test_a_silent_channel_is_asked(server: RedisServer) -> None:
    link = RedisLink(server.url, name="tests", timeout=TIMEOUT, silence=0.1)
    store = RedisKeyValue(link)
    async with store.watch("") as changes:
        await store.put("a", b"1")
        assert await told(changes, 1) == [("a", b"1")]
        pings = 0
        while pings < 3:
            pings = int((await server.command("EVAL", COUNT_PINGS, "0")).removeprefix(b":"))
            await asyncio.sleep(0.05)
        await store.put("a", b"2")
        assert await told(changes, 1) == [("a", b"2")]
    await store.close()
    await link.close()


COUNT_PINGS = "return tonumber(string.match(redis.call('INFO', 'commandstats'), 'cmdstat_ping:calls=(%d+)') or 0)"


async def test_a_wrong_password_is_an_error_that_does_not_repeat_it(server: RedisServer) -> None:
    link = RedisLink(server.url.replace("//", "//:hunter2@"), name="tests")
    with pytest.raises(StoreError) as caught:
        await RedisKeyValue(link).get("a")
    assert "hunter2" not in caught.value.detail
    await link.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:6379", "redis://127.0.0.1:port"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match=r"cluster\.redis_url"):
        RedisLink(url, name="tests")


async def test_channels_that_are_asked_for_at_the_same_time(server: RedisServer) -> None:
    link = RedisLink(server.url, name="tests")
    heard: list[bytes] = []
    channels = [Channel(f"c{number}", heard.append, lambda: None) for number in range(20)]
    for round_ in (channels[:10], channels[10:]):
        await asyncio.gather(*(link.channels.listen(channel) for channel in round_))

    async def all_open() -> bool:
        return all(channel.open for channel in channels)

    await eventually(all_open)
    for channel in channels:
        assert await link.publish(channel.name, channel.name.encode()) == 1

    async def all_heard() -> bool:
        return len(heard) == len(channels)

    await eventually(all_heard)
    await link.close()


async def test_whoever_is_cancelled_stops(quick: RedisKeyValue) -> None:
    """At whatever moment of a command: a node that ends cancels those who give signs of life, and waits for them."""

    async def beat() -> None:
        while True:
            await quick.put("beat", b"")
            await asyncio.sleep(0)

    await quick.get("")
    for moment in range(100):
        task = asyncio.create_task(beat())
        for _ in range(moment):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled(), moment
