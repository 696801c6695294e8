"""The same store in each of its kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from live777py.store import Database, SqliteKeyValue
from live777py.store.redis_kv import RedisKeyValue
from live777py.store.redis_link import RedisLink
from tests import redis_server
from tests.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from live777py.store import KeyValue


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteKeyValue]:
    database = Database(tmp_path / "store.db")
    store = SqliteKeyValue(database)
    yield store
    await store.close()
    await database.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    if not redis_server.available():
        pytest.skip("redis-server is not installed")
    async with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
async def link(server: RedisServer) -> AsyncIterator[RedisLink]:
    link = RedisLink(server.url, name="tests")
    yield link
    await link.close()


@pytest.fixture
async def redis(link: RedisLink) -> AsyncIterator[RedisKeyValue]:
    store = RedisKeyValue(link)
    yield store
    await store.close()


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest) -> KeyValue:
    found: KeyValue = request.getfixturevalue(request.param)
    return found
