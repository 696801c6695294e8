"""What every storage must do, as a class of tests: its subclasses have a fixture `storage`."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from live777py.errors import NotFound, RangeNotSatisfiable
from live777py.storage import StoragePath

if TYPE_CHECKING:
    from live777py.storage import Storage

SEGMENT = StoragePath("cam/1700000000/v_seg_0001.m4s")
MANIFEST = StoragePath("cam/1700000000/manifest.mpd")


async def read(storage: Storage, path: StoragePath, *, start: int = 0, end: int | None = None) -> bytes:
    async with await storage.get(path, start=start, end=end) as found:
        return await found.read()


class Contract:
    async def test_what_is_put_is_got(self, storage: Storage) -> None:
        before = time.time()
        await storage.put(SEGMENT, [b"styp", bytearray(b"moof"), memoryview(b"mdat")])
        async with await storage.get(SEGMENT) as found:
            assert await found.read() == b"stypmoofmdat"
            assert (found.start, found.end) == (0, 12)
        entry = await storage.head(SEGMENT)
        assert found.entry == entry
        assert (entry.path, entry.size, entry.content_type) == (SEGMENT, 12, "video/mp4")
        assert before - 2 < entry.modified < time.time() + 2
        assert entry.etag.startswith('"')
        assert entry.etag.endswith('"')

    async def test_an_object_may_be_empty_and_large(self, storage: Storage) -> None:
        await storage.put(MANIFEST, b"")
        assert await read(storage, MANIFEST) == b""
        large = bytes(range(256)) * 4 * 4096 * 3
        await storage.put(SEGMENT, large)
        assert await read(storage, SEGMENT) == large

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            (0, None, b"0123456789"),
            (3, None, b"3456789"),
            (3, 5, b"34"),
            (9, 99, b"9"),
            (0, 1, b"0"),
            (0, 10, b"0123456789"),
        ],
    )
    async def test_ranges(self, storage: Storage, start: int, end: int | None, expected: bytes) -> None:
        await storage.put(SEGMENT, b"0123456789")
        async with await storage.get(SEGMENT, start=start, end=end) as found:
            assert await found.read() == expected
            assert (found.start, found.end) == (start, start + len(expected))
            assert found.entry.size == 10

    async def test_a_range_behind_the_end(self, storage: Storage) -> None:
        await storage.put(SEGMENT, b"0123456789")
        with pytest.raises(RangeNotSatisfiable) as raised:
            await storage.get(SEGMENT, start=10)
        assert raised.value.size == 10

    async def test_a_new_version_has_another_etag(self, storage: Storage) -> None:
        await storage.put(MANIFEST, b"one")
        first = (await storage.head(MANIFEST)).etag
        await storage.put(MANIFEST, b"two")
        assert await read(storage, MANIFEST) == b"two"
        assert (await storage.head(MANIFEST)).etag != first

    async def test_who_reads_sees_one_version(self, storage: Storage) -> None:
        await storage.put(SEGMENT, b"a" * 3_000_000)
        async with await storage.get(SEGMENT) as found:
            await storage.put(SEGMENT, b"b" * 3_000_000)
            assert set(await found.read()) == {ord("a")}

    async def test_what_is_not_there(self, storage: Storage) -> None:
        for question in (storage.get, storage.head):
            with pytest.raises(NotFound, match=r"no object cam/1700000000/v_seg_0001\.m4s"):
                await question(SEGMENT)
        assert await storage.list() == []
        assert await storage.list(StoragePath("cam")) == []
        await storage.delete(SEGMENT)
        await storage.delete_prefix(StoragePath("cam"))

    async def test_a_directory_is_no_object(self, storage: Storage) -> None:
        await storage.put(SEGMENT, b"x")
        with pytest.raises(NotFound):
            await storage.head(StoragePath("cam/1700000000"))
        with pytest.raises(NotFound):
            await storage.get(StoragePath("cam"))

    async def test_lists_are_of_directories(self, storage: Storage) -> None:
        names = ["cam/1/a", "cam/1/b", "cam/10/a", "cam/1/deep/er", "camera/1/a", "<img onerror>/ä%2f?/#"]
        await asyncio.gather(*(storage.put(StoragePath(name), name.encode()) for name in names))
        assert [entry.path for entry in await storage.list()] == sorted(names)
        listed = await storage.list(StoragePath("cam/1"))
        assert [entry.path for entry in listed] == ["cam/1/a", "cam/1/b", "cam/1/deep/er"]
        assert [entry.size for entry in listed] == [7, 7, 13]
        assert listed[0] == await storage.head(StoragePath("cam/1/a"))
        for name in names:
            assert await read(storage, StoragePath(name)) == name.encode()

    async def test_deletions(self, storage: Storage) -> None:
        names = ["cam/1/a", "cam/1/b", "cam/1/deep/er", "cam/10/a", "other/1/a"]
        await asyncio.gather(*(storage.put(StoragePath(name), b"x") for name in names))
        await storage.delete(StoragePath("cam/1/a"))
        assert [entry.path for entry in await storage.list()] == names[1:]
        await storage.delete_prefix(StoragePath("cam/1"))
        assert [entry.path for entry in await storage.list()] == names[3:]
        await storage.put(StoragePath("cam/1/a"), b"again")
        assert await read(storage, StoragePath("cam/1/a")) == b"again"

    async def test_the_loop_is_free(self, storage: Storage) -> None:
        """Longest wait of a callback while forty objects of 1 MB are written and read."""
        loop = asyncio.get_running_loop()
        late = [0.0]

        def look(due: float) -> None:
            late.append(loop.time() - due)
            timer[0] = loop.call_at(loop.time() + 0.005, look, loop.time() + 0.005)

        timer = [loop.call_soon(look, loop.time())]
        await asyncio.gather(*(storage.put(StoragePath(f"cam/{number}"), bytes(1_000_000)) for number in range(40)))
        await asyncio.gather(*(read(storage, StoragePath(f"cam/{number}")) for number in range(40)))
        timer[0].cancel()
        assert len(late) > 5
        assert sorted(late)[len(late) // 2] < 0.05
