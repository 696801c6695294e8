"""The spool before a bucket of a real S3 server, which goes away and comes back."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from live777py.errors import NotFound, RangeNotSatisfiable, SpoolFull, StartError, StorageError, StorageUnavailable
from live777py.storage import Entry, LocalStorage, ObjectStorage, Spool, StoragePath
from live777py.storage.bucket import open_bucket
from live777py.storage.kept import Kept
from live777py.storage.lane import LONGEST, Lane
from live777py.storage.slots import Slots
from tests.storage.contract import MANIFEST, SEGMENT, Contract, read
from tests.storage.s3 import SECRET, settings
from tests.storage.tcp_proxy import Line
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from live777py.storage import Data, Storage
    from live777py.storage.settings import BucketSettings

RECORD = StoragePath("cam/1700000000")


class Watched(ObjectStorage):
    """Notes what went up, in order, and can be made to wait or to refuse."""

    def __init__(self, configured: BucketSettings) -> None:
        super().__init__(open_bucket(configured), concurrency=8)
        self.stored: list[tuple[StoragePath, bytes]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.begun = asyncio.Event()
        self.refused: set[StoragePath] = set()
        self.busy = 0
        self.busiest = 0

    async def put(self, path: StoragePath, data: Data, *, durable: bool = True) -> None:
        assert isinstance(data, bytes)
        self.begun.set()
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        try:
            await self.open.wait()
            if path in self.refused:
                raise StorageError(f"{path}: refused")
            await super().put(path, data, durable=durable)
            self.stored.append((path, data))
        finally:
            self.busy -= 1

    @property
    def order(self) -> list[str]:
        return [path for path, _ in self.stored]


@pytest.fixture
def line(s3_port: int, unused_port: int) -> Iterator[Line]:
    with Line(unused_port, s3_port) as line:
        yield line


@pytest.fixture
def configured(line: Line, bucket: str) -> BucketSettings:
    return settings(line.port, bucket, timeout=2)


@pytest.fixture
async def store(configured: BucketSettings) -> AsyncIterator[Watched]:
    store = Watched(configured)
    yield store
    await store.close()


@pytest.fixture
async def direct(s3_port: int, bucket: str) -> AsyncIterator[ObjectStorage]:
    """To the bucket, not by the line."""
    storage = ObjectStorage(open_bucket(settings(s3_port, bucket)))
    yield storage
    await storage.close()


@asynccontextmanager
async def spooled(
    store: Storage, directory: Path, *, max_bytes: int = 100_000_000, concurrency: int = 8
) -> AsyncIterator[Spool]:
    spool = await Spool.open(store, directory, max_bytes=max_bytes, concurrency=concurrency, random=random.Random(1))
    try:
        yield spool
    finally:
        await spool.close()


@pytest.fixture
async def spool(store: Watched, tmp_path: Path) -> AsyncIterator[Spool]:
    async with spooled(store, tmp_path / "spool") as spool:
        yield spool


@pytest.fixture
async def storage(spool: Spool) -> Spool:
    return spool


async def drained(spool: Spool, *, within: float = 60) -> None:
    async with asyncio.timeout(within):
        await spool.drained()


async def failed(spool: Spool, times: int = 1) -> None:
    """It has failed so often since."""
    reached = spool.statistics.failures + times

    async def so_often() -> bool:
        return spool.statistics.failures >= reached

    await eventually(so_often, within=60)


def files(directory: Path) -> list[str]:
    objects = directory / "objects"
    return sorted(str(path.relative_to(objects)) for path in objects.rglob("*"))


class TestContract(Contract):
    """While objects are on their way."""


async def test_the_contract_holds_for_what_is_up(spool: Spool) -> None:
    await spool.put(SEGMENT, b"0123456789")
    await drained(spool)
    assert await read(spool, SEGMENT, start=3, end=5) == b"34"
    assert (await spool.head(SEGMENT)).size == 10
    assert await spool.presign(SEGMENT, 60) is not None
    await spool.delete(SEGMENT)
    with pytest.raises(NotFound):
        await spool.head(SEGMENT)


async def test_nothing_stays_on_the_disk(spool: Spool, tmp_path: Path, direct: ObjectStorage) -> None:
    paths = [StoragePath(f"cam{number % 7}/1/{number:03}") for number in range(70)]
    await asyncio.gather(*(spool.put(path, path.encode()) for path in paths))
    await drained(spool)
    assert files(tmp_path / "spool") == []
    assert [entry.path for entry in await direct.list()] == sorted(paths)
    assert spool._lanes == {}
    counted = spool.statistics
    assert (counted.queued_files, counted.queued_bytes) == (0, 0)
    assert (counted.uploaded_files, counted.uploaded_bytes) == (70, sum(map(len, paths)))
    assert (counted.failures, counted.refused) == (0, 0)


async def test_a_recording_is_readable_while_the_store_is_away(spool: Spool, line: Line) -> None:
    line.cut()
    await spool.put(SEGMENT, b"0123456789")
    await spool.put(MANIFEST, b"<MPD>")
    assert await read(spool, SEGMENT, start=3, end=5) == b"34"
    assert (await spool.head(MANIFEST)).size == 5
    assert await spool.presign(SEGMENT, 60) is None
    with pytest.raises(StorageUnavailable):
        await spool.list()
    with pytest.raises(StorageUnavailable):
        await spool.head(StoragePath("unknown"))
    line.mend()


async def test_a_manifest_that_is_up_is_read_while_the_store_is_away(spool: Spool, line: Line) -> None:
    path = RECORD / "manifest.mpd"
    await spool.put(path, b"first")
    await spool.put(RECORD / "v_init.m4s", b"init")
    await drained(spool)
    line.cut()
    entry = await spool.head(path)
    async with await spool.get(path, start=1, end=3) as found:
        assert (found.entry, await found.read()) == (entry, b"ir")
    with pytest.raises(RangeNotSatisfiable):
        await spool.get(path, start=5)
    with pytest.raises(StorageUnavailable):
        await spool.head(RECORD / "v_init.m4s")
    await spool.put(path, b"second")
    assert await read(spool, path) == b"second"
    line.mend()
    await drained(spool)
    assert await read(spool, path) == b"second"
    await spool.delete(path)
    with pytest.raises(NotFound):
        await spool.head(path)
    await spool.put(path, b"third")
    await drained(spool)
    await spool.delete_prefix(RECORD)
    with pytest.raises(NotFound):
        await spool.head(path)


def test_what_is_kept_is_bounded() -> None:
    kept = Kept(most=10)
    paths = [StoragePath(f"cam/{number}/manifest.mpd") for number in range(4)]
    for path in paths:
        kept.add(Entry(path=path, size=4, modified=0, etag='""'), b"data")
    assert [kept.get(path) is not None for path in paths] == [False, False, True, True]
    kept.add(Entry(path=paths[2], size=10, modified=0, etag='""'), bytes(10))
    assert [kept.get(path) is not None for path in paths] == [False, False, True, False]
    kept.forget_below(StoragePath("cam/2"))
    assert kept.get(paths[2]) is None


async def record(spool: Spool, record: StoragePath, segments: int, *, pause: float = 0.0) -> dict[str, bytes]:
    """What a recorder does: segments of video and audio, and after each two a manifest that names all so far."""
    seeded = random.Random(record)
    objects: dict[str, bytes] = {}
    for number in range(1, segments + 1):
        for name, size in ((f"v_seg_{number:04}.m4s", 100_000), (f"a_seg_{number:04}.m4s", 10_000)):
            objects[record / name] = seeded.randbytes(size)
            await spool.put(record / name, objects[record / name])
        objects[record / "manifest.mpd"] = "\n".join(sorted(objects)).encode()
        await spool.put(record / "manifest.mpd", objects[record / "manifest.mpd"])
        await asyncio.sleep(pause)
    return objects


def assert_in_order(stored: list[tuple[StoragePath, bytes]]) -> None:
    """Every manifest was preceded by all that it names; segments are in the order in which they were made."""
    up: dict[str | None, list[str]] = {}
    for path, data in stored:
        before = up.setdefault(path.parent, [])
        if path.is_index:
            named = {name for name in data.decode().split("\n") if not name.endswith(".mpd")}
            assert named <= set(before)
        else:
            before.append(path)
    for paths in up.values():
        video = [path for path in dict.fromkeys(paths) if "/v_" in path]
        assert video == sorted(video)


async def test_every_object_survives_outages_of_every_kind(
    spool: Spool, store: Watched, line: Line, direct: ObjectStorage, tmp_path: Path
) -> None:
    """The line is cut twice in the middle of uploads, and held up once, longer than a request may take."""
    records = [StoragePath(f"cam{number}/1700000000") for number in range(4)]
    recorders = [asyncio.create_task(record(spool, path, 30, pause=0.05)) for path in records]

    async def so_many(number: int) -> bool:
        return len(store.stored) >= number

    await eventually(partial(so_many, 20))
    for _ in range(2):
        line.cut()
        await failed(spool, 3)
        line.mend()
        await eventually(partial(so_many, len(store.stored) + 10), within=60)
    line.hold()
    await failed(spool)
    line.release()
    expected: dict[str, bytes] = {}
    for made in await asyncio.gather(*recorders):
        expected |= made
    await drained(spool)
    found = {entry.path: await read(direct, entry.path) for entry in await direct.list()}
    assert found == expected
    assert_in_order(store.stored)
    assert files(tmp_path / "spool") == []
    assert spool.statistics.queued_bytes == 0


async def test_a_restart_goes_on_in_the_same_order(
    line: Line, configured: BucketSettings, direct: ObjectStorage, tmp_path: Path
) -> None:
    line.cut()
    store = Watched(configured)
    async with spooled(store, tmp_path / "spool") as spool:
        expected = await record(spool, RECORD, 10)
        await failed(spool)
        assert store.stored == []
        waiting = (spool.statistics.queued_files, spool.statistics.queued_bytes)
        assert waiting == (21, sum(map(len, expected.values())))
    partial = tmp_path / "spool" / "objects" / RECORD / ".partial-1-1"
    partial.write_bytes(b"its writer was killed")
    line.mend()
    store = Watched(configured)
    store.open.clear()
    async with spooled(store, tmp_path / "spool") as spool:
        assert not partial.exists()
        assert (spool.statistics.queued_files, spool.statistics.queued_bytes) == waiting
        assert await read(spool, RECORD / "manifest.mpd") == expected[RECORD / "manifest.mpd"]
        late = RECORD / "v_seg_9999.m4s"
        await spool.put(late, b"late")
        store.open.set()
        await drained(spool)
    assert store.order == [*(path for path in expected if not path.endswith(".mpd")), RECORD / "manifest.mpd", late]
    assert {entry.path: await read(direct, entry.path) for entry in await direct.list()} == expected | {late: b"late"}


async def test_a_clock_that_is_set_back_does_not_change_the_order(
    configured: BucketSettings, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.cut()
    store = Watched(configured)
    async with spooled(store, tmp_path / "spool") as spool:
        for number, seconds in enumerate((2_000_000_000, 1_000_000_000, 1_000_000_000)):
            monkeypatch.setattr("time.time_ns", lambda seconds=seconds: seconds * 10**9)
            await spool.put(RECORD / str(9 - number), b"x")
        monkeypatch.undo()
        await failed(spool)
    line.mend()
    store = Watched(configured)
    async with spooled(store, tmp_path / "spool") as spool:
        await drained(spool)
    assert store.order == [RECORD / "9", RECORD / "8", RECORD / "7"]


async def test_a_newer_manifest_takes_the_place_of_one_that_waits(spool: Spool, store: Watched) -> None:
    store.open.clear()
    await spool.put(RECORD / "v_init.m4s", b"init")
    await store.begun.wait()
    for number in range(5):
        await spool.put(RECORD / f"v_seg_{number}.m4s", b"x")
        await spool.put(RECORD / "manifest.mpd", str(number).encode())
    assert spool.statistics.queued_files == 7
    assert spool.statistics.queued_bytes == 4 + 5 + 1
    store.open.set()
    await drained(spool)
    assert store.order == [
        RECORD / name for name in ("v_init.m4s", *(f"v_seg_{number}.m4s" for number in range(5)), "manifest.mpd")
    ]
    assert store.stored[-1][1] == b"4"


async def test_a_newer_version_of_what_is_going_up_follows_it(spool: Spool, store: Watched) -> None:
    store.open.clear()
    await spool.put(MANIFEST, b"old")
    await store.begun.wait()
    await spool.put(SEGMENT, b"x")
    await spool.put(MANIFEST, b"newer")
    assert await read(spool, MANIFEST) == b"newer"
    store.open.set()
    await drained(spool)
    assert store.stored == [(MANIFEST, b"old"), (SEGMENT, b"x"), (MANIFEST, b"newer")]
    assert await read(spool, MANIFEST) == b"newer"
    assert spool.statistics.queued_bytes == 0


async def test_puts_at_the_same_time_go_up_in_the_order_of_the_calls(spool: Spool, store: Watched) -> None:
    paths = [RECORD / f"{number:03}" for number in random.Random(3).sample(range(200), 60)]
    await asyncio.gather(*(spool.put(path, bytes(1000 * (number % 7))) for number, path in enumerate(paths)))
    await drained(spool)
    assert store.order == paths


async def test_a_refused_object_holds_up_its_recording_alone(
    spool: Spool, store: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    store.refused.add(SEGMENT)
    other = StoragePath("other/1/x")
    await spool.put(SEGMENT, b"x")
    await spool.put(MANIFEST, b"<MPD>")
    await failed(spool)
    await spool.put(other, b"x")

    async def up() -> bool:
        return other in store.order

    await eventually(up)
    assert store.order == [other]
    store.refused.clear()
    await drained(spool)
    assert store.order == [other, SEGMENT, MANIFEST]
    assert "an upload failed, again in" in caplog.text
    assert f"{SEGMENT}: refused" in caplog.text


async def test_the_bound(spool: Spool, store: Watched, tmp_path: Path, line: Line) -> None:
    """Nothing is dropped: who puts is told, and a manifest still has room, so that the recording can be ended."""
    line.cut()
    async with spooled(store, tmp_path / "small", max_bytes=16_000) as small:
        for number in range(16):
            await small.put(RECORD / f"{number}.m4s", bytes(1000))
        with pytest.raises(SpoolFull, match="16 objects of 16000 bytes wait for the object store") as raised:
            await small.put(RECORD / "16.m4s", bytes(1))
        assert raised.value.status == 507
        assert small.statistics.refused == 1
        await small.put(RECORD / "manifest.mpd", bytes(900))
        with pytest.raises(SpoolFull):
            await small.put(RECORD / "master.m3u8", bytes(900))
        assert small.statistics.queued_files == 17
        line.mend()
        await drained(small)
        await small.put(RECORD / "17.m4s", bytes(16_000))
        await drained(small)
    assert len(store.order) == 18


async def test_a_put_that_is_given_up_is_whole_or_nothing(spool: Spool, store: Watched) -> None:
    for number in range(20):
        task = asyncio.create_task(spool.put(RECORD / str(number), bytes(100_000)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await spool.put(RECORD / "last", b"x")
    await drained(spool)
    assert store.order[-1] == RECORD / "last"
    assert all(len(data) == 100_000 for path, data in store.stored[:-1])
    assert spool.statistics.queued_bytes == 0


async def test_deleting_what_waits_and_what_goes_up(spool: Spool, store: Watched, direct: ObjectStorage) -> None:
    store.open.clear()
    for name in ("going", "waiting", "kept"):
        await spool.put(RECORD / name, b"x")
    await spool.put(StoragePath("other/1/x"), b"x")
    await store.begun.wait()
    await spool.delete(RECORD / "waiting")
    going = asyncio.create_task(spool.delete(RECORD / "going"))
    store.open.set()
    await going
    await drained(spool)
    assert [entry.path for entry in await direct.list()] == [RECORD / "kept", "other/1/x"]
    store.open.clear()
    store.begun.clear()
    for name in ("going", "waiting"):
        await spool.put(RECORD / name, b"x")
    await store.begun.wait()
    all_of_it = asyncio.create_task(spool.delete_prefix(StoragePath("cam")))
    store.open.set()
    await all_of_it
    await drained(spool)
    assert [entry.path for entry in await direct.list()] == ["other/1/x"]
    assert spool.statistics.queued_bytes == 0


async def test_files_that_somebody_else_removes(spool: Spool, store: Watched, tmp_path: Path) -> None:
    store.open.clear()
    await spool.put(RECORD / "going", b"x")
    await store.begun.wait()
    await spool.put(RECORD / "gone", b"x")
    await spool.put(RECORD / "here", b"x")
    (tmp_path / "spool" / "objects" / RECORD / "gone").unlink()
    store.open.set()
    await drained(spool)
    assert store.order == [RECORD / "going", RECORD / "here"]


async def test_lists_have_what_waits_and_what_is_up(spool: Spool, store: Watched) -> None:
    await spool.put(RECORD / "up", b"x")
    await spool.put(MANIFEST, b"old")
    await drained(spool)
    store.open.clear()
    await spool.put(MANIFEST, b"newer")
    await spool.put(RECORD / "waits", b"xx")
    listed = await spool.list(StoragePath("cam"))
    assert [(entry.path, entry.size) for entry in listed] == [(MANIFEST, 5), (RECORD / "up", 1), (RECORD / "waits", 2)]
    store.open.set()


async def test_uploads_at_a_time_are_bounded(store: Watched, tmp_path: Path) -> None:
    store.open.clear()
    async with spooled(store, tmp_path / "two", concurrency=2) as spool:
        for number in range(10):
            await spool.put(StoragePath(f"cam{number}/x"), b"x")
        await store.begun.wait()
        store.open.set()
        await drained(spool)
    assert store.busiest == 2
    assert len(store.stored) == 10


async def test_an_outage_is_told_once(spool: Spool, line: Line, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "live777py.storage")
    line.cut()
    for number in range(5):
        await spool.put(StoragePath(f"cam{number}/1/x"), b"x")
    await failed(spool, 8)
    line.mend()
    await drained(spool)
    messages = [record.getMessage() for record in caplog.records if "object store" in record.getMessage()]
    assert len(messages) == 2
    assert "cannot be reached; " in messages[0]
    assert messages[1].startswith("the object store is back; ")
    assert SECRET not in caplog.text


async def test_closing_does_not_wait_for_a_store_that_is_away(store: Watched, tmp_path: Path, line: Line) -> None:
    line.cut()
    spool = await Spool.open(store, tmp_path / "spool", max_bytes=100, concurrency=1)
    await spool.put(SEGMENT, b"x")
    await failed(spool)
    async with asyncio.timeout(3):
        await spool.close()
    assert files(tmp_path / "spool")[-1] == SEGMENT


async def test_one_process_at_a_time(spool: Spool, store: Watched, tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"recorder\.storage\.spool_dir: cannot use .*: another process uses it"):
        await Spool.open(store, tmp_path / "spool", max_bytes=1, concurrency=1)


async def test_a_directory_that_cannot_be_used(store: Watched, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StartError, match=r"cannot use .*file: File exists"):
        await Spool.open(store, tmp_path / "file", max_bytes=1, concurrency=1)


async def test_a_disk_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.scandir", fail)
    (tmp_path / "spool" / "objects").mkdir(parents=True)
    with pytest.raises(StartError, match=r"spool_dir: cannot read .*: the storage: Input/output error"):
        await Spool.open(LocalStorage(tmp_path), tmp_path / "spool", max_bytes=1, concurrency=1)


def test_delays_double_up_to_half_a_minute() -> None:
    lane = Lane()
    delays = [lane.delay(random.Random(number)) for number in range(20)]
    assert 0.4 <= delays[0] <= 0.6
    assert all(later > sooner for sooner, later in pairwise(delays[:6]))
    assert 0.8 * LONGEST <= delays[-1] <= LONGEST
    assert len(set(delays[10:])) > 3
    lane.went_well()
    assert lane.delay(random.Random(1)) <= 0.6


async def test_slots() -> None:
    slots = Slots(3)
    slots.failed()
    assert slots.limit == 1
    for _ in range(5):
        slots.went_well()
    assert slots.limit == 3
    async with slots, slots, slots:
        waiting = asyncio.create_task(slots.__aenter__())
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with slots:
        pass


async def test_a_directory_serves_as_well_as_a_bucket(tmp_path: Path) -> None:
    async with spooled(LocalStorage(tmp_path / "below"), tmp_path / "spool") as spool:
        expected = await record(spool, RECORD, 3)
        await drained(spool)
        assert {entry.path: await read(spool, entry.path) for entry in await spool.list()} == expected
