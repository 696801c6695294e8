"""A Redis server, and what one node of several has in its hands."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from live777py.cluster.membership import Node
from live777py.cluster.rpc import Rpc
from live777py.store.redis_kv import RedisKeyValue
from live777py.store.redis_link import RedisLink
from tests import redis_server
from tests.redis_server import RedisServer
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TIMEOUT = 0.5


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    if not redis_server.available():
        pytest.skip("redis-server is not installed")
    async with RedisServer(tmp_path) as server:
        yield server


def node(name: str, run: str = "1") -> Node:
    return Node(id=name, run=run, url=f"http://{name}:7777", version="0")


class Hands:
    """Of the node `name`."""

    def __init__(self, name: str, link: RedisLink, *, run: str = "1", alive: tuple[str, ...] = ()) -> None:
        self.node = node(name, run)
        self.link = link
        self.store = RedisKeyValue(link)
        self.rpc = Rpc(link, name, timeout=TIMEOUT, alive=lambda: alive)

    async def ready(self) -> bool:
        return self.rpc.listening


@contextlib.asynccontextmanager
async def hands(server: RedisServer, name: str, *, run: str = "1", alive: tuple[str, ...] = ()) -> AsyncIterator[Hands]:
    link = RedisLink(server.url, name="tests", timeout=TIMEOUT)
    own = Hands(name, link, run=run, alive=alive)
    await own.rpc.start()
    await eventually(own.ready)
    try:
        yield own
    finally:
        await own.rpc.stop()
        await own.store.close()
        await link.close()
