"""The index as Live777's file."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from live777py import settings
from live777py.config import parse
from live777py.recorder import export
from live777py.recorder.export import ExportSettings, IndexExport
from live777py.recorder.index import Recording, RecordingIndex, RecordKey, Written
from live777py.storage import LocalStorage, StoragePath
from live777py.store import Database
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class House:
    def __init__(self, directory: Path) -> None:
        self.path = directory / "recordings" / "index.json"
        self.database = Database(directory / "store.db")
        self.storage = LocalStorage(directory / "storage")
        self.index = RecordingIndex(self.database)
        self.export = IndexExport(self.index, self.storage, ExportSettings(path=self.path, node_alias="node-0"))

    async def lines(self) -> list[dict[str, Any]]:
        text = await asyncio.to_thread(self.path.read_text)
        return [json.loads(line) for line in text.splitlines()]

    async def begin(self, record: str) -> RecordKey:
        made = Recording(stream="cam", record=record, directory=f"cam/{record}", start_us=int(record) * 1_000_000)
        await self.index.begin(made)
        return made.key


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(export, "INTERVAL", 0.01)
    house = House(tmp_path)
    yield house
    await house.storage.close()
    await house.database.close()


async def test_it_follows_the_index(house: House) -> None:
    await house.export.start()
    key = await house.begin("1718200000")
    await house.begin("1718200001")

    async def both() -> bool:
        return house.path.exists() and len(await house.lines()) == 2

    await eventually(both)
    written = Written(duration_ms=9000, bytes=1, codecs=("opus",))
    await house.index.end(key, "Failed", written, end_us=1_718_200_009_000_000, reason="failed")
    await house.export.stop()
    ended = await house.index.find(key)
    assert (await house.lines())[0] == {
        "record": "1718200000",
        "stream": "cam",
        "record_dir": "cam/1718200000",
        "mpd_path": "cam/1718200000/manifest.mpd",
        "start_ts": 1_718_200_000_000_000,
        "end_ts": 1_718_200_009_000_000,
        "duration_ms": 9000,
        "status": "Failed",
        "node_alias": "node-0",
        "updated_at": ended.updated_us,
    }
    active = (await house.lines())[1]
    assert (active["status"], active["end_ts"], active["duration_ms"]) == ("Active", None, None)
    assert [path.name for path in house.path.parent.iterdir()] == ["index.json"]
    await house.index.ack([key])
    await house.export.stop()
    assert (await house.lines())[0]["status"] == "Acked"


async def test_an_end_in_the_middle_of_a_writing_loses_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = asyncio.Event()
    all_rows = house.index.all

    async def slow() -> list[Recording]:
        rows = await all_rows()
        reading.set()
        await asyncio.sleep(0.05)
        return rows

    await house.export.start()
    await eventually(lambda: asyncio.to_thread(house.path.exists))
    monkeypatch.setattr(house.index, "all", slow)
    await house.begin("1718200000")
    await reading.wait()
    await house.export.stop()
    assert [line["record"] for line in await house.lines()] == ["1718200000"]


async def test_what_is_there_at_the_start_is_written(house: House) -> None:
    await house.begin("1718200000")
    again = IndexExport(house.index, house.storage, ExportSettings(path=house.path, node_alias=None))
    await again.start()
    await again.stop()
    (line,) = await house.lines()
    assert line["node_alias"] is None


async def test_a_file_that_cannot_be_written_is_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.path.mkdir(parents=True)
    await house.begin("1718200000")
    await house.export.stop()
    assert f"recorder.index_path: cannot write {house.path}: Is a directory" in caplog.text
    assert [path.name for path in house.path.parent.iterdir()] == ["index.json"]


async def test_a_store_that_fails_is_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await house.begin("1718200000")
    await house.database.run(lambda connection: connection.execute("DROP TABLE recording").close())
    await house.export.stop()
    assert "recorder.index_path: the store" in caplog.text
    assert not house.path.exists()


async def test_without_a_path_there_is_no_file(house: House) -> None:
    assert settings.export(parse("", {})) is None
    wanted = settings.export(parse("[recorder]\nindex_path = 'x/index.json'\nnode_alias = 'n'", {}))
    assert wanted == ExportSettings(path=Path("x/index.json"), node_alias="n")
    none = IndexExport(house.index, house.storage, None)
    await none.start()
    await house.begin("1718200000")
    await none.stop()
    assert not house.path.exists()


def line(record: str, status: str, **more: object) -> bytes:
    known = {
        "record": record,
        "stream": "cam",
        "record_dir": f"/cam/{record}/",
        "mpd_path": f"cam/{record}/manifest.mpd",
    }
    times = {"start_ts": int(record) * 1_000_000, "updated_at": 1, "status": status}
    return json.dumps({**known, **times, **more}).encode()


def old_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize("form", ["lines", "array"])
async def test_the_file_of_live777_is_taken_over(house: House, form: str) -> None:
    """Of a recording that has several lines the last one counts."""
    lines = [
        line("1718200000", "Active"),
        line("1718200001", "Acked", end_ts=1_718_200_011_000_000, duration_ms=10_000),
        line("1718200000", "Completed", end_ts=1_718_200_010_000_000, duration_ms=9000, node_alias="n", unknown=1),
        line("1718200002", "Active"),
        line("1718200003", "Failed", record_dir="cam/1718200002"),
    ]
    content = b"[" + b",".join(lines) + b"]" if form == "array" else b"\n\n".join([*lines, b""])
    await asyncio.to_thread(old_file, house.path, content)
    await house.storage.put(StoragePath("cam/1718200000/manifest.mpd"), b"12345")
    await house.export.start()
    await house.export.stop()
    first, second, third = await house.index.all()
    assert (first.status, first.duration_ms, first.bytes, first.directory) == ("Completed", 9000, 5, "cam/1718200000")
    assert (second.status, second.acked, second.end_us) == ("Completed", True, 1_718_200_011_000_000)
    assert third.active
    assert await house.index.streams() == ["cam"]
    assert [each["status"] for each in await house.lines()] == ["Completed", "Acked", "Active"]
    await asyncio.to_thread(old_file, house.path, line("1718200009", "Completed"))
    again = IndexExport(house.index, house.storage, ExportSettings(path=house.path, node_alias=None))
    await again.start()
    await again.stop()
    assert len(await house.lines()) == 3, "our own index counts once there is one"


@pytest.mark.parametrize(
    "content",
    [
        b"[recorder]",
        b"{}",
        b"\xff",
        line("1718200000", "Completed", record_dir="../etc"),
        line("1718200000", "Completed") + b"\nand more",
    ],
)
async def test_a_file_that_is_no_index_is_left_as_it_is(
    house: House, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(old_file, house.path, content)
    await house.export.start()
    await house.begin("1718200000")
    await house.export.stop()
    assert await asyncio.to_thread(house.path.read_bytes) == content
    assert "recorder.index_path:" in caplog.text
    assert "left as it is" in caplog.text
