"""What every `KeyValue` does: one suite over all of them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.waiting import eventually

if TYPE_CHECKING:
    from live777py.store import Change, Changes, KeyValue

LIMIT = 10.0
"""Seconds that a change may take to be told."""
SOON = 0.3


def text(change: Change) -> tuple[str, bytes | None]:
    return change.key, None if change.entry is None else change.entry.value


async def told(changes: Changes, count: int) -> list[tuple[str, bytes | None]]:
    async with asyncio.timeout(LIMIT):
        return [text(await anext(changes)) for _ in range(count)]


async def gone(store: KeyValue, key: str) -> bool:
    async def asked() -> bool:
        return await store.get(key) is None

    return await eventually(asked, within=LIMIT)


async def test_what_is_put_is_there(store: KeyValue) -> None:
    entry = await store.put("room/a", b"one")
    assert (entry.key, entry.value) == ("room/a", b"one")
    assert await store.get("room/a") == entry
    assert await store.get("room/b") is None


async def test_any_key_and_value(store: KeyValue) -> None:
    for key in ("a", "room/übung ☃/\N{GRINNING FACE}", "a*?[b]\\", "with space\n", "x" * 1000):
        for value in (b"", b"\0\r\n\xff", b"x" * 600_000):
            entry = await store.put(key, value)
            assert await store.get(key) == entry
            assert await store.list(key) == [entry]
            assert await store.delete(key)


async def test_put_replaces_and_the_version_is_another(store: KeyValue) -> None:
    first = await store.put("a", b"1")
    second = await store.put("a", b"1")
    assert first.version != second.version
    assert await store.get("a") == second


async def test_list_is_in_order_and_of_the_prefix_alone(store: KeyValue) -> None:
    for key in ("room/b", "room/a/2", "roo", "room", "room/a", "rooms/a", "room/ä", "s"):
        await store.put(key, key.encode())
    found = await store.list("room/")
    assert [entry.key for entry in found] == ["room/a", "room/a/2", "room/b", "room/ä"]
    for entry in found:
        assert entry.value == entry.key.encode()
        assert entry == await store.get(entry.key)
    assert len(await store.list("")) == 8
    assert await store.list("none/") == []


async def test_deleted_is_gone(store: KeyValue) -> None:
    await store.put("a", b"1")
    assert await store.delete("a")
    assert await store.get("a") is None
    assert await store.list("") == []
    assert not await store.delete("a")


async def test_delete_of_a_version(store: KeyValue) -> None:
    old = await store.put("a", b"1")
    new = await store.put("a", b"2")
    assert not await store.delete("a", version=old.version)
    assert await store.delete("a", version=new.version)
    assert not await store.delete("a", version=new.version)


async def test_compare_and_swap(store: KeyValue) -> None:
    made = await store.compare_and_swap("a", None, b"1")
    assert made is not None
    assert await store.compare_and_swap("a", None, b"x") is None
    changed = await store.compare_and_swap("a", made.version, b"2")
    assert changed is not None
    assert await store.compare_and_swap("a", made.version, b"x") is None
    assert await store.get("a") == changed
    assert changed.value == b"2"
    assert await store.compare_and_swap("b", changed.version, b"x") is None


async def test_a_version_does_not_come_back_after_a_delete(store: KeyValue) -> None:
    old = await store.put("a", b"1")
    await store.delete("a")
    await store.put("a", b"1")
    assert await store.compare_and_swap("a", old.version, b"2") is None


async def test_one_of_many_swaps_wins(store: KeyValue) -> None:
    entry = await store.put("a", b"0")
    won = await asyncio.gather(*(store.compare_and_swap("a", entry.version, b"%d" % n) for n in range(20)))
    (winner,) = [entry for entry in won if entry is not None]
    assert await store.get("a") == winner


async def test_counting_by_swaps_loses_nothing(store: KeyValue) -> None:
    async def add() -> None:
        while True:
            entry = await store.get("count")
            value = 1 if entry is None else int(entry.value) + 1
            if await store.compare_and_swap("count", None if entry is None else entry.version, b"%d" % value):
                return

    await asyncio.gather(*(add() for _ in range(20)))
    entry = await store.get("count")
    assert entry is not None
    assert entry.value == b"20"


async def test_what_expires_is_gone_and_not_before(store: KeyValue) -> None:
    began = time.monotonic()
    await store.put("a", b"1", expires=SOON)
    await store.put("b", b"1")
    await store.compare_and_swap("c", None, b"1", expires=60)
    assert await gone(store, "a")
    assert time.monotonic() - began >= SOON - 0.01
    assert [entry.key for entry in await store.list("")] == ["b", "c"]
    assert not await store.delete("a")


async def test_a_later_put_decides_when_it_expires(store: KeyValue) -> None:
    await store.put("kept", b"1", expires=SOON)
    await store.put("kept", b"2")
    await store.put("prolonged", b"1", expires=SOON)
    await store.put("prolonged", b"2", expires=60)
    await store.put("marker", b"1", expires=SOON)
    assert await gone(store, "marker")
    assert [entry.key for entry in await store.list("")] == ["kept", "prolonged"]


async def test_what_has_expired_can_be_made_anew_by_a_swap(store: KeyValue) -> None:
    old = await store.put("a", b"1", expires=SOON)
    assert await gone(store, "a")
    assert await store.compare_and_swap("a", old.version, b"2") is None
    assert await store.compare_and_swap("a", None, b"2") is not None


async def test_a_watch_tells_what_changes(store: KeyValue) -> None:
    await store.put("room/before", b"0")
    async with store.watch("room/") as changes:
        assert await told(changes, 1) == [("room/before", b"0")]
        await store.put("other/a", b"1")
        await store.put("room/a", b"1")
        assert await told(changes, 1) == [("room/a", b"1")]
        await store.compare_and_swap("room/b", None, b"2")
        await store.delete("room/before")
        assert await told(changes, 2) == [("room/b", b"2"), ("room/before", None)]


async def test_a_watch_begins_with_what_is_there(store: KeyValue) -> None:
    for key in ("a/1", "a/2", "b"):
        await store.put(key, b"")
    await store.delete("a/1")
    async with store.watch("a/") as changes:
        await store.put("a/3", b"")
        assert sorted(await told(changes, 2)) == [("a/2", b""), ("a/3", b"")]


async def test_a_watch_tells_the_newest_of_a_key(store: KeyValue) -> None:
    async with store.watch("") as changes:
        for number in range(50):
            await store.put("a", b"%d" % number)
        seen: list[tuple[str, bytes | None]] = []
        while not seen or seen[-1] != ("a", b"49"):
            seen += await told(changes, 1)
    values = [int(value or b"") for _key, value in seen]
    assert values == sorted(values)


async def test_a_watch_tells_what_expires(store: KeyValue) -> None:
    await store.put("a/before", b"1", expires=SOON)
    async with store.watch("a/") as changes:
        assert await told(changes, 1) == [("a/before", b"1")]
        await store.put("a/after", b"1", expires=SOON)
        assert await told(changes, 1) == [("a/after", b"1")]
        assert sorted(await told(changes, 2)) == [("a/after", None), ("a/before", None)]


async def test_an_unsuccessful_write_tells_nothing(store: KeyValue) -> None:
    entry = await store.put("a", b"1")
    async with store.watch("") as changes:
        assert await told(changes, 1) == [("a", b"1")]
        await store.compare_and_swap("a", None, b"x")
        await store.delete("a", version=entry.version + 1)
        await store.delete("b")
        await store.put("end", b"")
        assert await told(changes, 1) == [("end", b"")]


async def test_watches_are_apart(store: KeyValue) -> None:
    async with store.watch("a/") as first, store.watch("a/b") as second, store.watch("c") as third:
        await store.put("a/a", b"")
        await store.put("a/b", b"")
        await store.put("c", b"")
        assert await told(first, 2) == [("a/a", b""), ("a/b", b"")]
        assert await told(second, 1) == [("a/b", b"")]
        assert await told(third, 1) == [("c", b"")]


async def test_a_write_that_nobody_waits_for_is_told_all_the_same(store: KeyValue) -> None:
    async with store.watch("a") as changes:
        writing = asyncio.create_task(store.put("a", b"1"))
        while not writing.done():
            await asyncio.sleep(0)
            writing.cancel()
        await store.put("a/end", b"")
        seen = [await told(changes, 1)]
        while seen[-1] != [("a/end", b"")]:
            seen.append(await told(changes, 1))
        there = await store.get("a")
    assert (there is not None) == ([("a", b"1")] in seen)
