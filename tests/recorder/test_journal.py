"""Segments that were in the making when the process died, and the space in which a recording on a full disk ends."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from live777py.errors import StorageUnavailable
from live777py.recorder import recovery
from live777py.recorder.index import Recording as Row
from live777py.recorder.journal import Journal
from live777py.recorder.muxer import Sample, Segment, TrackMuxer, segment_of
from live777py.recorder.names import MANIFEST, init_name, segment_name
from live777py.recorder.recovery import recover
from live777py.storage import LocalStorage, StoragePath
from tests.fakes.recorder import InlinePool, MemoryIndex
from tests.recorder import mpd
from tests.recorder.encoded import ENCODERS, decoded, opus, video
from tests.recorder.recording import STARTED, Recording
from tests.storage.contract import read
from tests.storage.small_disk import may_mount, small_disk
from tests.virtual_time import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from live777py.recorder.frames import DataFrame
    from live777py.storage import Entry

DIRECTORY = StoragePath("cam/1700000000")
NAME = "v_seg_0001.m4s"
SAMPLES = [Sample(time, time == 0, b"abc") for time in range(5)]


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = Journal(tmp_path / "journal")
    yield journal
    journal.close()


def ticks(frame: DataFrame, timescale: int, first: int) -> int:
    return (frame.timestamp - first) * timescale // frame.clock_rate


@pytest.mark.parametrize("codec", [*ENCODERS, "opus"])
@pytest.mark.parametrize("chunk_seconds", [None, 0.2])
def test_what_is_told_of_a_segment_makes_it(codec: str, chunk_seconds: float | None) -> None:
    """Asked for at any time; the last segment, whose end nobody told, too."""
    frames = opus() if codec == "opus" else video(codec)
    muxer = TrackMuxer(frames[0], seconds=1, chunk_seconds=chunk_seconds)
    told: list[Sample] = []
    made: list[tuple[list[Sample], Segment]] = []
    for index, frame in enumerate(frames):
        for chunk in muxer.push(frame, ticks(frame, muxer.timescale, frames[0].timestamp)):
            if isinstance(chunk, Segment):
                made.append((told, chunk))
                told = []
        if index % 7 == 6:
            told += muxer.untold()
    told += muxer.untold()
    (last,) = (chunk for chunk in muxer.finish() if isinstance(chunk, Segment))
    assert not muxer.untold()
    restored = segment_of(muxer.configuration, len(made) + 1, told)
    assert (restored.time, restored.frames, restored.key) == (last.time, last.frames, True)
    assert abs(restored.ticks - last.ticks) <= muxer.timescale // 25
    pictures = decoded(muxer.init + restored.data)
    assert [time for time, _ in pictures] == [time for time, _ in decoded(muxer.init + last.data)]
    if chunk_seconds is None and restored.ticks == last.ticks:
        assert restored.data == last.data
    assert made
    for samples, segment in made:
        assert samples[0].time == segment.time


async def test_samples_come_back_as_they_were(journal: Journal) -> None:
    it = journal.of(DIRECTORY)
    await it.begin()
    await it.write({NAME: SAMPLES[:2], "a_seg_0001.m4s": SAMPLES[:1]}, stored=[])
    await it.write({NAME: SAMPLES[2:]}, stored=["a_seg_0001.m4s"])
    assert await journal.leftovers() == []  # it runs
    it.close()
    again = journal.of(DIRECTORY)
    assert await again.names() == [NAME]
    assert await again.read(NAME) == SAMPLES
    (left,) = await journal.leftovers()
    assert left.directory == DIRECTORY
    await again.begin()
    assert await again.names() == []
    await again.forget()
    assert await journal.leftovers() == []


async def test_many_samples_at_once(journal: Journal) -> None:
    it = journal.of(DIRECTORY)
    await it.begin()
    many = [Sample(time, False, bytes(4000)) for time in range(3000)]
    await it.write({NAME: many}, stored=[])
    assert await it.read(NAME) == many
    await it.forget()


async def test_a_segment_with_a_hole_is_not_written_on(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    it = journal.of(DIRECTORY)
    await it.begin()
    await it.write({NAME: SAMPLES[:2]}, stored=[])

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "writev", full)
        with pytest.raises(OSError, match="No space"):
            await it.write({NAME: SAMPLES[2:3]}, stored=[])
    await it.write({NAME: SAMPLES[3:]}, stored=[])
    assert await it.read(NAME) == SAMPLES[:2]
    await it.write({"v_seg_0002.m4s": SAMPLES}, stored=[NAME])
    assert await it.read("v_seg_0002.m4s") == SAMPLES
    await it.forget()


async def _died(codec: str, storage: LocalStorage, journal: Journal, *, cut: int = 0) -> tuple[Recording, int]:
    """A recording of which the third second was in the making; of its journal `cut` bytes are missing."""
    made = Recording()
    frames = video(codec)
    made.record(frames, opus())
    muxer = TrackMuxer(frames[0], seconds=1)
    for frame in frames:
        muxer.push(frame, ticks(frame, muxer.timescale, frames[0].timestamp))
    container = muxer.configuration.container
    name = segment_name("video", 0, 3, container)
    sound = segment_name("audio", 0, 3, "mp4")
    samples = muxer.untold()
    for each, data in made.files.items():
        if each not in {name, sound}:
            await storage.put(DIRECTORY / each, data)
    it = journal.of(DIRECTORY)
    await it.begin()
    await it.write({name: samples}, stored=[])
    it.close()
    (file,) = (path for path in it._path.iterdir() if path.name == name)
    os.truncate(file, max(0, file.stat().st_size - cut))
    return made, len(samples)


@pytest.mark.parametrize("codec", ENCODERS)
async def test_a_segment_in_the_making_is_made(codec: str, journal: Journal, tmp_path: Path) -> None:
    storage, index = LocalStorage(tmp_path / "storage"), MemoryIndex()
    try:
        made, _ = await _died(codec, storage, journal)
        row = Row(stream="cam", record="1700000000", directory=str(DIRECTORY), start_us=round(STARTED * 1e6))
        await index.begin(row)
        await recover(storage, index, journal, [row], await journal.leftovers())
        ((_, status, written, reason),) = index.ends
        assert (status, reason) == ("Completed", "interrupted")
        assert abs(written.duration_ms - 3000) <= 40
        root, listed = mpd.read(await read(storage, DIRECTORY / MANIFEST))
        assert root.get("type") == "static"
        pictures = [segment.name for segment in listed if segment.name.startswith("v")]
        assert len(pictures) == 3
        whole = b"".join([await read(storage, DIRECTORY / name) for name in [listed[0].init, *pictures]])
        assert len(decoded(whole)) == len(video(codec))
        assert not list((tmp_path / "journal").iterdir())
        before = {entry.path: entry.etag for entry in await storage.list()}
        await recover(storage, index, journal, [], await journal.leftovers())
        assert {entry.path: entry.etag for entry in await storage.list()} == before
        assert made.files[init_name("audio", 0, "mp4")] == await read(storage, DIRECTORY / "a_init.m4s")
    finally:
        await storage.close()


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(cut=st.integers(0, 60_000))
def test_a_journal_that_ends_anywhere(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("cut")

    async def body() -> None:
        pool = InlinePool()
        journal = Journal(directory / "journal", executor=pool)
        storage = LocalStorage(directory / "storage")
        storage._executor = pool  # type: ignore[assignment]
        await _died("H264", storage, journal, cut=cut)
        row = Row(stream="cam", record="1700000000", directory=str(DIRECTORY), start_us=round(STARTED * 1e6))
        index = MemoryIndex()
        await index.begin(row)
        await recover(storage, index, journal, [row], [])
        _, listed = mpd.read(await read(storage, DIRECTORY / MANIFEST))
        names = [listed[0].init, *(segment.name for segment in listed if segment.name.startswith("v"))]
        pictures = decoded(b"".join([await read(storage, DIRECTORY / name) for name in names]))
        assert 50 <= len(pictures) <= 75

    run(body())


async def test_what_could_not_be_ended_is_ended_at_the_next_start(journal: Journal, tmp_path: Path) -> None:
    """A leftover that the index knows as over: its manifest is made static, its row stays."""
    storage, index = LocalStorage(tmp_path / "storage"), MemoryIndex()
    try:
        await _died("H264", storage, journal)
        await recover(storage, index, journal, [], await journal.leftovers())
        assert not index.ends
        root, _ = mpd.read(await read(storage, DIRECTORY / MANIFEST))
        assert root.get("type") == "static"
        assert await journal.leftovers() == []
    finally:
        await storage.close()


class Away(LocalStorage):
    """Answers when it has been asked often enough."""

    asked = 0

    async def list(self, prefix: StoragePath | None = None) -> list[Entry]:
        self.asked += 1
        if self.asked < 4:
            raise StorageUnavailable("the object store cannot be reached")
        return await super().list(prefix)


async def test_a_storage_that_is_away_is_waited_for(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "FIRST_RETRY", 0.01)
    storage, index = Away(tmp_path / "storage"), MemoryIndex()
    try:
        await _died("H264", storage, journal)
        row = Row(stream="cam", record="1700000000", directory=str(DIRECTORY), start_us=round(STARTED * 1e6))
        await index.begin(row)
        await recover(storage, index, journal, [row], await journal.leftovers())
        assert storage.asked == 4
        assert [status for _, status, _, _ in index.ends] == ["Completed"]
        assert await journal.leftovers() == []
    finally:
        await storage.close()


async def test_without_an_init_segment_nothing_can_be_made(journal: Journal, tmp_path: Path) -> None:
    storage, index = LocalStorage(tmp_path / "storage"), MemoryIndex()
    it = journal.of(DIRECTORY)
    await it.begin()
    await it.write({NAME: SAMPLES, "nonsense": SAMPLES}, stored=[])
    it.close()
    try:
        await recover(storage, index, journal, [], await journal.leftovers())
        assert await storage.list() == []
        assert await journal.leftovers() == []
    finally:
        await storage.close()


@pytest.mark.skipif(not may_mount(), reason="CAP_SYS_ADMIN is needed to mount a small disk")
async def test_space_is_kept_for_the_end(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        journal = Journal(disk / "journal")
        it = journal.of(DIRECTORY)
        await it.begin()
        try:
            await it.reserve(50_000)
            await it.reserve(70_000)
            fill(disk)
            with pytest.raises(OSError, match="No space"):
                (disk / "manifest").write_bytes(bytes(70_000))
            await it.release()
            (disk / "manifest").write_bytes(bytes(70_000))
        finally:
            it.close()
        assert [left.directory for left in await journal.leftovers()] == [DIRECTORY]
        journal.close()


def fill(disk: Path) -> None:
    """To the last byte."""
    with (disk / "fill").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
