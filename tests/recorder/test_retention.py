"""What is deleted, when, and what never is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from live777py import settings
from live777py.config import parse
from live777py.errors import ConfigError, StorageError
from live777py.recorder.index import Recording, RecordingIndex, Written
from live777py.recorder.retention import Retention, RetentionRule, superfluous
from live777py.storage import LocalStorage, StoragePath
from live777py.store import Database
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECOND = 1_000_000
DAY = 86_400 * SECOND
START = 1_718_200_000


def recording(stream: str, day: int, size: int = 10, *, active: bool = False) -> Recording:
    """It lasted for a day."""
    start = START * SECOND + day * DAY
    return Recording(
        stream=stream,
        record=str(start // SECOND),
        directory=f"{stream}/{start // SECOND}",
        start_us=start,
        end_us=None if active else start + DAY,
        status="Active" if active else "Completed",
        bytes=size,
    )


def days(rules: list[RetentionRule], recordings: list[Recording], *, now: int = 10) -> list[tuple[str, int]]:
    found = superfluous(recordings, rules, START * SECOND + now * DAY)
    return [(each.stream, (each.start_us // SECOND - START) // 86_400) for each in found]


def test_without_limits_everything_stays() -> None:
    assert days([RetentionRule()], [recording("cam", day) for day in range(9)]) == []
    assert days([], [recording("cam", 0)]) == []


def test_days_count_from_the_end() -> None:
    recordings = [recording("cam", day) for day in (8, 0, 5, 6)]
    assert days([RetentionRule(keep_days=4)], recordings) == [("cam", 0)]
    assert days([RetentionRule(keep_days=3)], recordings) == [("cam", 0), ("cam", 5)]


def test_bytes_are_of_all_streams_of_the_rule_and_the_oldest_goes() -> None:
    recordings = [recording("a", 1), recording("b", 2), recording("a", 3), recording("b", 0)]
    assert days([RetentionRule(keep_bytes=40)], recordings) == []
    assert days([RetentionRule(keep_bytes=39)], recordings) == [("b", 0)]
    assert days([RetentionRule(keep_bytes=10)], recordings) == [("b", 0), ("a", 1), ("b", 2)]


def test_what_is_old_makes_room() -> None:
    recordings = [recording("a", 0, 100), recording("a", 5, 50), recording("a", 6, 50)]
    assert days([RetentionRule(keep_days=5, keep_bytes=100)], recordings) == [("a", 0)]


def test_what_is_being_recorded_takes_room_and_stays() -> None:
    recordings = [recording("a", 0, 1000, active=True), recording("a", 1), recording("a", 9)]
    assert days([RetentionRule(keep_days=1, keep_bytes=5)], recordings) == [("a", 1), ("a", 9)]


def test_the_first_rule_for_a_stream_counts() -> None:
    rules = [
        RetentionRule(streams=("cam1", "door*"), keep_days=3),
        RetentionRule(streams=("cam*",), keep_bytes=10),
        RetentionRule(keep_days=1),
    ]
    streams = ("cam1", "cam2", "cam3", "door7", "other", "Cam1")
    recordings = [recording(stream, day) for stream in streams for day in (2, 7)]
    assert set(days(rules, recordings)) == {
        *[(stream, 2) for stream in streams],
        ("cam2", 7),
        ("other", 7),
        ("Cam1", 7),
    }


def test_the_configuration() -> None:
    text = "keep_days = 7\nkeep_bytes = 100\n[[recorder.retention]]\nstreams = ['cam*']\nkeep_bytes = 5\n"
    assert settings.retention(parse(f"[recorder]\n{text}", {})) == (
        RetentionRule(streams=("cam*",), keep_bytes=5),
        RetentionRule(keep_days=7, keep_bytes=100),
    )
    assert not any(rule.limits for rule in settings.retention(parse("", {})))


@pytest.mark.parametrize(
    "text", ["keep_days = -1", "keep_bytes = 1.5", "[[recorder.retention]]", "[[recorder.retention]]\nstreams = []"]
)
def test_a_configuration_that_makes_no_sense(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(f"[recorder]\n{text}", {})


class House:
    def __init__(self, directory: Path) -> None:
        self.database = Database(directory / "store.db")
        self.index = RecordingIndex(self.database)
        self.storage = LocalStorage(directory / "storage")

    async def add(self, made: Recording) -> None:
        await self.storage.put(StoragePath(made.directory) / "manifest.mpd", b"x" * made.bytes)
        await self.index.begin(made)
        if not made.active:
            written = Written(duration_ms=1, bytes=made.bytes, codecs=())
            await self.index.end(made.key, "Completed", written, end_us=made.end_us or 0, reason=None)

    async def directories(self) -> list[str]:
        return [str(entry.path.parent) for entry in await self.storage.list()]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    yield house
    await house.storage.close()
    await house.database.close()


async def test_a_pass(house: House) -> None:
    old, new = recording("cam", 0), recording("cam", 5)
    for each in (old, new, recording("live", 0, active=True)):
        await house.add(each)
    retention = Retention(house.index, house.storage, [RetentionRule(keep_days=3)])
    await retention.clean(START * SECOND + 6 * DAY)
    assert await house.directories() == [new.directory, f"live/{START}"]
    assert {each.stream for each in await house.index.all()} == {"cam", "live"}


async def test_it_runs_by_itself_and_when_the_limits_change(house: House) -> None:
    for day in range(3):
        await house.add(recording("cam", day))
    retention = Retention(house.index, house.storage, [RetentionRule(keep_bytes=20)])
    retention.start()

    async def left(count: int) -> bool:
        return len(await house.index.all()) == count

    await eventually(lambda: left(2))
    retention.reconfigure([RetentionRule(keep_bytes=10)])
    await eventually(lambda: left(1))
    await retention.stop()


async def test_what_fails_does_not_keep_the_rest(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stuck, free = recording("cam", 0), recording("cam", 1)
    for each in (stuck, free):
        await house.add(each)
    delete = house.storage.delete_prefix

    async def fail(prefix: StoragePath) -> None:
        if prefix == stuck.directory:
            raise StorageError("no right to do that")
        await delete(prefix)

    monkeypatch.setattr(house.storage, "delete_prefix", fail)
    retention = Retention(house.index, house.storage, [RetentionRule(keep_days=1)])
    await retention.clean(START * SECOND + 6 * DAY)
    assert await house.directories() == [stuck.directory]
    assert [each.directory for each in await house.index.all()] == [stuck.directory], "it can be tried again"
    assert f"{stuck.directory} cannot be deleted: no right to do that" in caplog.text


async def test_a_store_that_fails_is_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await house.add(recording("cam", 0))
    await house.database.run(lambda connection: connection.execute("DROP TABLE recording").close())
    await Retention(house.index, house.storage, [RetentionRule(keep_days=1)]).clean(START * SECOND + 6 * DAY)
    assert "old recordings cannot be looked for" in caplog.text
