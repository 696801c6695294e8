"""What nodes show to each other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from live777py.cluster.key import LIFETIME, PREFIX, ClusterKey
from live777py.store import Database, SqliteKeyValue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteKeyValue]:
    database = Database(tmp_path / "store.db")
    store = SqliteKeyValue(database)
    yield store
    await store.close()
    await database.close()


async def loaded(store: SqliteKeyValue, name: str) -> ClusterKey:
    key = ClusterKey(store, name)
    await key.load()
    return key


async def test_a_token_is_good_for_its_stream_at_every_node(store: SqliteKeyValue) -> None:
    a, b = await loaded(store, "a"), ClusterKey(store, "b")
    assert await b.holder(a.token("cam"), "cam") == "a"
    assert await b.holder(a.token("cam"), "other") is None
    assert await b.holder(a.token("cam"), None) is None


@pytest.mark.parametrize("bad", ["", "x", PREFIX, f"{PREFIX}x.y", "Bearer x", f"{PREFIX}ü.ü", f"{PREFIX}e30.e30"])
async def test_what_is_no_token(store: SqliteKeyValue, bad: str) -> None:
    assert await (await loaded(store, "a")).holder(bad, "cam") is None


async def test_a_token_that_was_changed(store: SqliteKeyValue) -> None:
    a = await loaded(store, "a")
    token = a.token("cam")
    place = len(PREFIX) + 3
    for changed in (token[:-1], token + "A", token[:place] + chr(ord(token[place]) ^ 1) + token[place + 1 :]):
        assert await a.holder(changed, "cam") is None


async def test_a_token_ends(store: SqliteKeyValue, monkeypatch: pytest.MonkeyPatch) -> None:
    a = await loaded(store, "a")
    token, now = a.token("cam"), time.time()
    monkeypatch.setattr(time, "time", lambda: now + LIFETIME - 1)
    assert await a.holder(token, "cam") == "a"
    monkeypatch.setattr(time, "time", lambda: now + LIFETIME + 1)
    assert await a.holder(token, "cam") is None


async def test_another_key_is_found_out(store: SqliteKeyValue) -> None:
    a = await loaded(store, "a")
    old = a.token("cam")
    await store.delete("secret")
    b = await loaded(store, "b")
    assert await b.holder(old, "cam") is None
    assert await a.holder(b.token("cam"), "cam") == "b"
    stranger = ClusterKey(store, "c")
    stranger._key = b"another" * 5
    assert await a.holder(stranger.token("cam"), "cam") is None
