"""The same store in each of its kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from live777py.store import Database, SqliteKeyValue

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


@pytest.fixture(params=["sqlite"])
def store(request: pytest.FixtureRequest) -> KeyValue:
    found: KeyValue = request.getfixturevalue(request.param)
    return found
