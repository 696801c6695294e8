"""The index: what is in it, who owns a directory, and what those who collect are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from live777py.errors import Conflict, NotFound, StoreError
from live777py.recorder.index import Recording, RecordingIndex, RecordKey, Written, record_id
from live777py.storage import StoragePath
from live777py.store import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WRITTEN = Written(duration_ms=10_000, bytes=5000, codecs=("avc1.42e01f", "opus"))


class House:
    """An index in a file; `changes` is how often it has changed."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path)
        self.changes = 0
        self.index = RecordingIndex(self.database)
        self.index.on_change(self._count)

    def _count(self) -> None:
        self.changes += 1

    async def begin(self, stream: str = "cam", record: str = "1718200000", directory: str | None = None) -> RecordKey:
        recording = Recording(
            stream=stream,
            record=record,
            directory=directory or f"{stream}/{record}",
            start_us=int(record) * 1_000_000,
        )
        await self.index.begin(recording)
        return recording.key

    async def end(self, key: RecordKey) -> None:
        await self.index.end(key, "Completed", WRITTEN, end_us=1_718_200_010_000_000, reason="stopped")

    async def since(self, since_us: int = 0, stream: str | None = None, limit: int = 100) -> list[str]:
        found = await self.index.changed_since(since_us, stream=stream, limit=limit)
        return [recording.record for recording in found]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "store.db")
    yield house
    await house.database.close()


async def test_from_begin_to_end(house: House) -> None:
    key = await house.begin()
    (begun,) = await house.index.active()
    assert (begun.status, begun.end_us, begun.bytes, begun.codecs) == ("Active", None, 0, ())
    assert begun.mpd_path == "cam/1718200000/manifest.mpd"
    await house.index.written(key, WRITTEN)
    assert (await house.index.find(key)).codecs == ("avc1.42e01f", "opus")
    await house.end(key)
    ended = await house.index.find(key)
    assert (ended.status, ended.reason, ended.duration_ms, ended.bytes) == ("Completed", "stopped", 10_000, 5000)
    assert ended.end_us == 1_718_200_010_000_000
    assert await house.index.active() == []
    assert await house.index.ended() == [ended]
    assert house.changes == 3


async def test_reading_and_changing_what_is_not_there_makes_no_file(house: House) -> None:
    nothing = RecordKey("cam", "1")
    assert await house.index.all() == []
    assert await house.index.streams() == []
    assert await house.index.owner(StoragePath("cam/1/a_init.m4s")) is None
    assert await house.index.ack([nothing]) == 0
    await house.index.remove(nothing)
    await house.index.written(nothing, WRITTEN)
    with pytest.raises(NotFound):
        await house.index.find(nothing)
    assert not house.database.path.exists()
    assert house.changes == 0


@pytest.mark.parametrize(
    ("stream", "record", "directory"),
    [
        ("cam", "1718200000", "elsewhere"),
        ("other", "1718200001", "cam/1718200000"),
        ("other", "1718200001", "cam/1718200000/below/it"),
        ("other", "1718200001", "cam"),
        ("cam", "1718200001", "cam/1718200000"),
    ],
)
async def test_a_directory_holds_one_recording(house: House, stream: str, record: str, directory: str) -> None:
    await house.begin()
    with pytest.raises(Conflict):
        await house.begin(stream, record, directory)
    assert len(await house.index.all()) == 1


@pytest.mark.parametrize("directory", ["cam/1718200001", "cam/17182000001", "cam/171820000", "cam2", "ca", "cam/2"])
async def test_a_directory_beside_it_does_not(house: House, directory: str) -> None:
    await house.begin()
    await house.begin("other", "1718200001", directory)


@pytest.mark.parametrize(("first", "second"), [("cam", "cam/1718200001"), ("cam/1718200000", "cam")])
async def test_directories_of_one_stream_may_be_in_one_another(house: House, first: str, second: str) -> None:
    """`base_dir` may be the directory of the stream: what follows, after rotation too, is below it."""
    await house.begin(directory=first)
    await house.begin(record="1718200001", directory=second)
    with pytest.raises(Conflict):
        await house.begin("other", "1718200002", "cam/1718200002")


async def test_whose_an_object_is(house: House) -> None:
    await house.begin()
    await house.begin("other", "1718200000", "archive/deep")
    owners = {
        "cam/1718200000/v_seg_0001.m4s": "cam",
        "cam/1718200000/x/y": "cam",
        "archive/deep/manifest.mpd": "other",
        "archive/manifest.mpd": None,
        "archive/deep": None,
        "archive/deeper/manifest.mpd": None,
        "cam/1718200000": None,
        "cam/1/v_seg_0001.m4s": None,
    }
    assert {path: await house.index.owner(StoragePath(path)) for path in owners} == owners


async def test_collecting(house: House) -> None:
    """Who asks again with the newest `updated_us` it has seen misses nothing and sees nothing twice."""
    keys = [await house.begin(record=str(1718200000 + number)) for number in range(3)]
    await house.begin("other", "1718200000")
    assert await house.since(stream="cam", limit=2) == ["1718200000", "1718200001"]
    last = (await house.index.changed_since(0, stream="cam", limit=2))[-1].updated_us
    assert await house.since(last, stream="cam") == ["1718200002"]
    await house.end(keys[0])
    assert await house.since(last, stream="cam") == ["1718200002", "1718200000"]
    assert len(await house.since()) == 4


async def test_acked_ones_are_not_told_again_and_can_be_forgotten(house: House) -> None:
    first, second = await house.begin(), await house.begin(record="1718200001")
    assert await house.index.ack([first, second]) == 0, "they are being recorded"
    await house.end(first)
    assert await house.index.forget_acked([first]) == 0
    assert await house.index.ack([first, first, RecordKey("cam", "none")]) == 1
    assert await house.since() == ["1718200001"]
    assert [recording.acked for recording in await house.index.of_stream("cam")] == [True, False]
    assert await house.index.forget_acked([first, second]) == 1
    assert [recording.record for recording in await house.index.all()] == ["1718200001"]


async def test_streams_are_those_with_something_to_play(house: House) -> None:
    for stream in ("b", "a", "empty"):
        key = await house.begin(stream)
        if stream != "empty":
            await house.index.written(key, WRITTEN)
    await house.index.written(await house.begin("a", "1718200001"), WRITTEN)
    assert await house.index.streams() == ["a", "b"]
    await house.index.remove(RecordKey("b", "1718200000"))
    assert await house.index.streams() == ["a"]


async def test_it_is_there_after_a_restart(tmp_path: Path) -> None:
    before, after = House(tmp_path / "store.db"), House(tmp_path / "store.db")
    key = await before.begin()
    await before.index.written(key, WRITTEN)
    active = await before.index.active()
    await before.database.close()
    assert await after.index.active() == active
    await after.database.close()


async def test_a_failure_is_one_error_and_changes_nothing(house: House) -> None:
    key = await house.begin()
    await house.database.run(lambda connection: connection.execute("PRAGMA max_page_count = 20").close())
    with pytest.raises(StoreError, match="full"):
        await house.index.end(key, "Failed", WRITTEN, end_us=1, reason="x" * 200_000)
    assert (await house.index.find(key)).active
    assert house.changes == 1


@pytest.mark.parametrize(
    ("directory", "record"),
    [
        ("cam/1718200000", "1718200000"),
        ("1718200000", "1718200000"),
        ("a/b/17182000001", "17182000001"),
        ("1718200000/cam", ""),
        ("archive", ""),
        ("cam/171820000", ""),
        ("cam/١٧١٨٢٠٠٠٠٠", ""),
    ],
)
def test_the_record_of_a_directory(directory: str, record: str) -> None:
    assert record_id(directory) == record
