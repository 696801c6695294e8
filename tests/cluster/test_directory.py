"""Who is there, and who has which stream: nodes over one store, in one process."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from live777py.cluster import directory as directory_module
from live777py.cluster.directory import Directory
from live777py.cluster.membership import MISSED, Membership
from live777py.errors import Conflict, StoreUnavailable
from live777py.store import Database, SqliteKeyValue
from tests.cluster.conftest import node
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from live777py.store import Entry

HEARTBEAT = 0.05


class Away(SqliteKeyValue):
    """A store that can be away."""

    away = False

    async def get(self, key: str) -> Entry | None:
        self._check()
        return await super().get(key)

    async def put(self, key: str, value: bytes, *, expires: float | None = None) -> Entry:
        self._check()
        return await super().put(key, value, expires=expires)

    async def delete(self, key: str, *, version: int | None = None) -> bool:
        self._check()
        return await super().delete(key, version=version)

    def _check(self) -> None:
        if self.away:
            raise StoreUnavailable("away")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Away]:
    database = Database(tmp_path / "store.db")
    store = Away(database)
    yield store
    await store.close()
    await database.close()


class Peer:
    """A node with streams."""

    def __init__(self, store: SqliteKeyValue, name: str, others: dict[str, Peer], *, run: str = "1") -> None:
        self.name = name
        self.published: set[str] = set()
        self.stubborn = False
        self.taken: list[str] = []
        self.changed: list[str] = []
        self._others = others
        self.membership = Membership(store, node(name, run), heartbeat=HEARTBEAT, changed=lambda: None)
        self.directory = Directory(
            store, self.membership, make_way=self._ask, changed=self.changed.append, taken=self.taken.append
        )

    async def _ask(self, other: str, stream: str) -> None:
        peer = self._others.get(other)
        if peer is None:
            return
        if peer.stubborn and stream in peer.published:
            raise Conflict("it stays")
        peer.published.discard(stream)

    async def publish(self, stream: str) -> None:
        async with self.directory.claimed(stream):
            self.published.add(stream)

    async def keep(self) -> None:
        await self.directory.keep(self.published)

    async def holds(self, stream: str) -> str | None:
        found = self.directory.holder(stream)
        return None if found is None else found.id


class Nodes:
    def __init__(self, store: SqliteKeyValue) -> None:
        self._store = store
        self.peers: dict[str, Peer] = {}

    @contextlib.asynccontextmanager
    async def peer(self, name: str, *, run: str = "1") -> AsyncIterator[Peer]:
        peer = self.peers[name] = Peer(self._store, name, self.peers, run=run)
        peer.membership.start()
        peer.directory.start()
        try:
            yield peer
        finally:
            del self.peers[name]
            await peer.directory.keep(())
            await peer.directory.stop()
            await peer.membership.stop()


async def sees(peer: Peer, *names: str) -> bool:
    return set(peer.membership.nodes) == set(names)


async def held_by(peer: Peer, stream: str, name: str | None) -> bool:
    return await peer.holds(stream) == name


async def test_nodes_see_each_other_until_they_leave(store: Away) -> None:
    nodes = Nodes(store)
    async with nodes.peer("a") as a:
        async with nodes.peer("b"), nodes.peer("c") as c:
            await eventually(lambda: sees(a, "b", "c"))
            await eventually(lambda: sees(c, "a", "b"))
        await eventually(lambda: sees(a))


async def test_a_node_that_is_silent_is_forgotten(store: Away) -> None:
    nodes = Nodes(store)
    async with nodes.peer("a") as a:
        await store.put("node/b", b'{"id":"b","run":"1","url":"http://b","version":"0"}', expires=MISSED * HEARTBEAT)
        await eventually(lambda: sees(a, "b"))
        await eventually(lambda: sees(a), within=5)


async def test_a_second_node_of_the_same_name_is_noticed(store: Away, caplog: pytest.LogCaptureFixture) -> None:
    async with Nodes(store).peer("a"), Nodes(store).peer("a", run="2"):

        async def noticed() -> bool:
            return any("calls itself a too" in record.getMessage() for record in caplog.records)

        await eventually(noticed)


async def test_who_publishes_is_known_to_all(store: Away) -> None:
    nodes = Nodes(store)
    async with nodes.peer("a") as a, nodes.peer("b") as b:
        await b.publish("cam")
        await eventually(lambda: held_by(a, "cam", "b"))
        assert await b.holds("cam") is None
        b.published.clear()
        await b.keep()
        await eventually(lambda: held_by(a, "cam", None))
        assert a.changed == ["cam", "cam"]


async def test_a_claim_that_comes_to_nothing_is_given_back(store: Away) -> None:
    async with Nodes(store).peer("a") as a:
        async with a.directory.claimed("cam"):
            await a.keep()
            assert await store.get("stream/cam") is not None
        await a.keep()
        assert await store.get("stream/cam") is None


async def test_one_of_two_publishers_is_refused(store: Away) -> None:
    nodes = Nodes(store)
    async with nodes.peer("a") as a, nodes.peer("b") as b:
        b.stubborn = True
        await b.publish("cam")
        with pytest.raises(Conflict):
            await a.publish("cam")
        await b.keep()
        b.stubborn = False
        await a.publish("cam")
        await eventually(lambda: held_by(b, "cam", "a"))
        assert b.taken == ["cam"]
        await b.keep()
        await a.keep()
        assert await b.holds("cam") == "a"


async def test_of_many_who_come_at_once_one_gets_in(store: Away) -> None:
    nodes = Nodes(store)
    async with contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(nodes.peer(name)) for name in "abcde"]
        for peer in peers:
            peer.stubborn = True
        results = await asyncio.gather(*(peer.publish("cam") for peer in peers), return_exceptions=True)
        assert sum(result is None for result in results) == 1
        assert sum(isinstance(result, Conflict) for result in results) == 4


async def test_what_a_dead_node_had_can_be_published_at_once(store: Away) -> None:
    nodes = Nodes(store)
    async with nodes.peer("a") as a:
        await store.put("stream/cam", b'{"node":"dead","run":"1"}')
        await store.put("stream/mine", b'{"node":"a","run":"before"}')
        await a.publish("cam")
        await a.publish("mine")
        assert await a.holds("cam") is None
        await a.keep()
        for stream in ("cam", "mine"):
            entry = await store.get(f"stream/{stream}")
            assert entry is not None
            assert entry.value == b'{"node":"a","run":"1"}'


async def test_what_is_not_understood_is_passed_over(store: Away, caplog: pytest.LogCaptureFixture) -> None:
    nodes = Nodes(store)
    async with nodes.peer("a") as a:
        await store.put("node/odd", b'{"id": 7}')
        await store.put("stream/cam", b"[]")
        async with nodes.peer("b"):
            await eventually(lambda: sees(a, "b"))
        await a.publish("cam")
        entry = await store.get("stream/cam")
        assert entry is not None
        assert entry.value == b'{"node":"a","run":"1"}'
    assert any("node odd is of another version" in record.getMessage() for record in caplog.records)


async def test_what_dead_nodes_leave_behind_goes(store: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory_module, "_ORPHANED", 0.1)
    nodes = Nodes(store)
    async with nodes.peer("a") as a, nodes.peer("b") as b:
        await b.publish("living")
        await store.put("stream/cam", b'{"node":"dead","run":"1"}')

        async def gone() -> bool:
            await a.keep()
            return await store.get("stream/cam") is None

        await eventually(gone)
        assert await store.get("stream/living") is not None


async def test_a_store_that_was_away_or_has_lost_all_is_told_again(store: Away) -> None:
    nodes = Nodes(store)
    async with nodes.peer("a") as a, nodes.peer("b") as b:
        await b.publish("cam")
        await eventually(lambda: held_by(a, "cam", "b"))
        store.away = True
        await b.publish("cam")  # it is b's already
        with pytest.raises(StoreUnavailable):
            await b.publish("other")
        b.published.add("other")
        await b.keep()
        store.away = False
        await store.delete("stream/cam")

        async def entered() -> bool:
            await b.keep()
            return (await a.holds("cam"), await a.holds("other")) == ("b", "b")

        await eventually(entered)
