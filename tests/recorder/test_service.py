"""Recordings begun and ended by the API, by pattern and by what happens to streams; over minutes of virtual time."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from live777py.errors import (
    Conflict,
    NotFound,
    SpoolFull,
    StorageFull,
    StorageUnavailable,
    StoreError,
    Unavailable,
)
from live777py.recorder import session as session_module
from live777py.recorder.journal import Journal
from live777py.recorder.service import RecorderService
from live777py.recorder.settings import RecorderSettings
from live777py.storage import StoragePath
from live777py.streams.events import RecordingEnded, RecordingStarted, SegmentWritten
from tests.fakes.recorder import FakeStreams, InlinePool, MemoryIndex, MemoryStorage, Publisher
from tests.recorder.sources import pictures, sounds
from tests.virtual_time import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from live777py.errors import Live777Error
    from live777py.storage import Storage
    from live777py.streams.events import RecordingEndReason, StreamEvent

MPD = "{urn:mpeg:dash:schema:mpd:2011}"
SETTINGS = RecorderSettings(segment_seconds=2, resume_seconds=10, max_seconds=0)


@dataclass
class Rig:
    service: RecorderService
    streams: FakeStreams
    storage: MemoryStorage
    index: MemoryIndex
    events: list[StreamEvent] = field(default_factory=list)

    def told(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def reasons(self) -> list[RecordingEndReason]:
        return [event.reason for event in self.told(RecordingEnded)]

    def manifest(self, path: str) -> ET.Element:
        return ET.fromstring(self.storage.objects[path])  # noqa: S314 (our own)


@asynccontextmanager
async def rig(settings: RecorderSettings = SETTINGS, streams: FakeStreams | None = None) -> AsyncIterator[Rig]:
    streams = streams or FakeStreams()
    storage, index = MemoryStorage(), MemoryIndex()
    directory = Path(tempfile.mkdtemp())
    pool = InlinePool()
    journal = Journal(directory, executor=pool)
    service = RecorderService(streams, streams, as_storage(storage), index, settings, journal=journal, pool=pool)
    made = Rig(service, streams, storage, index)

    async def listen() -> None:
        async for event in streams.bus.subscribe():
            made.events.append(event)

    listener = asyncio.create_task(listen())
    await asyncio.sleep(0)
    await service.open()
    await asyncio.sleep(0)
    try:
        yield made
    finally:
        await service.close()
        shutil.rmtree(directory)
        streams.bus.close()
        await listener
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        assert service.counts.active == 0
        started = [event.directory for event in made.told(RecordingStarted)]
        assert sorted(started) == sorted(event.directory for event in made.told(RecordingEnded))
        assert len(service.live) == 0


def as_storage(storage: MemoryStorage) -> Storage:
    return storage  # type: ignore[return-value]


async def publish(streams: FakeStreams, stream: str = "cam", *, seconds: float = 6.0) -> Publisher:
    publisher = streams.publish(stream, "video", "audio")
    await asyncio.sleep(0.01)
    await send(publisher, seconds=seconds)
    return publisher


async def send(publisher: Publisher, *, seconds: float, start: float = 0.0, **other: Any) -> None:
    frames = {"video": pictures(seconds, start=start, **other), "audio": sounds(seconds, start=start)}
    await publisher.send(frames, seconds=seconds)  # type: ignore[arg-type]


def test_a_recording_from_its_start_to_its_end() -> None:
    async def body() -> None:
        async with rig() as it:
            publisher = it.streams.publish("cam", "video", "audio")
            assert not it.service.recording("cam")
            view = await it.service.start("cam")
            assert it.service.recording("cam")
            assert view.stream == "cam"
            assert re.fullmatch(r"[0-9]{10}", view.record_id)
            assert view.directory == f"cam/{view.record_id}"
            assert view.mpd_path == f"{view.directory}/manifest.mpd"
            assert await it.service.start("cam") == view
            await send(publisher, seconds=6)
            await asyncio.sleep(1.5)
            running = it.manifest(view.mpd_path)
            assert running.get("type") == "dynamic"
            await it.service.stop("cam")
            assert not it.service.recording("cam")
            ended = it.manifest(view.mpd_path)
            assert ended.get("type") == "static"
            assert ended.get("mediaPresentationDuration") == "PT6S"
            names = {path.removeprefix(f"{view.directory}/") for path in it.storage.objects}
            assert {"v_init.webm", "v_seg_0001.webm", "v_seg_0003.webm", "a_init.m4s", "a_seg_0003.m4s"} <= names
            assert "v_seg_0004.webm" not in names
            segments = it.told(SegmentWritten)
            assert len(segments) == 6
            assert sum(event.size for event in segments) == it.service.counts.bytes
            assert it.service.counts.segments == 6
            assert it.reasons == ["stopped"]
            ((_, status, written, reason),) = it.index.ends
            assert (status, reason) == ("Completed", "stopped")
            assert written.duration_ms == 6000
            assert set(written.codecs) == {"vp8", "opus"}
            await it.service.stop("cam")
        assert it.service.counts.ended == {"stopped": 1}

    run(body())


def test_the_manifest_names_only_what_is_there() -> None:
    async def body() -> None:
        async with rig() as it:
            publisher = it.streams.publish("cam", "video", "audio")
            await it.service.start("cam")
            await send(publisher, seconds=7)
            await it.service.stop("cam")
        known: set[str] = set()
        for path in it.storage.order:
            if path.endswith(".mpd"):
                assert any("_seg_" in one for one in known)
            known.add(path)
        last_segment = max(i for i, path in enumerate(it.storage.order) if "_seg_" in path)
        assert it.storage.order[-1].endswith("manifest.mpd")
        assert last_segment < len(it.storage.order) - 1

    run(body())


@pytest.mark.parametrize(
    ("base_dir", "record_id"),
    [("archive/1718200000", "1718200000"), ("archive/cam", ""), ("x/12345", "")],
)
def test_a_directory_of_ones_own(base_dir: str, record_id: str) -> None:
    async def body() -> None:
        async with rig() as it:
            it.streams.publish("cam", "video")
            view = await it.service.start("cam", StoragePath(base_dir))
            assert view.directory == base_dir
            assert view.record_id == record_id
            it.streams.publish("other", "video")
            with pytest.raises(Conflict):
                await it.service.start("other", StoragePath(base_dir))
            assert not it.service.recording("other")

    run(body())


def test_without_a_publisher_there_is_nothing_to_record() -> None:
    async def body() -> None:
        async with rig() as it:
            with pytest.raises(NotFound):
                await it.service.start("cam")
            it.streams.publish("cam", "video").leave()
            with pytest.raises(Conflict, match="nobody publishes"):
                await it.service.start("cam")
            assert it.index.rows == {}

    run(body())


def test_two_of_one_second_have_names_of_their_own() -> None:
    async def body() -> None:
        async with rig() as it:
            it.streams.publish("cam", "video")
            first = await it.service.start("cam")
            await it.service.stop("cam")
            second = await it.service.start("cam")
            assert first.directory != second.directory

    run(body())


def test_who_begins_and_ends_without_pause_is_asked_to_wait() -> None:
    async def body() -> None:
        async with rig() as it:
            it.streams.publish("cam", "video")

            async def begin_and_end(times: int, directory: StoragePath | None = None) -> None:
                for _ in range(times):
                    await it.service.start("cam", directory)
                    await it.service.stop("cam")

            with pytest.raises(Unavailable, match="too often"):
                await begin_and_end(10)
            with pytest.raises(Unavailable, match="too often"):
                await begin_and_end(1, StoragePath("archive/that/nobody/has"))

    run(body())


def test_a_publisher_that_comes_back_in_time_goes_on() -> None:
    async def body() -> None:
        async with rig() as it:
            publisher = it.streams.publish("cam", "video", "audio")
            view = await it.service.start("cam")
            await send(publisher, seconds=5)
            publisher.leave()
            it.streams.delete("cam")
            await asyncio.sleep(5)
            assert it.service.recording("cam")
            again = it.streams.publish("cam", "video", "audio")
            await asyncio.sleep(0.01)
            await send(again, seconds=4, start=100, size=(320, 180))
            again.leave()
            await asyncio.sleep(9)
            assert it.service.recording("cam")
            await asyncio.sleep(3)
            assert not it.service.recording("cam")
            assert it.reasons == ["publisher-left"]
            manifest = it.manifest(view.mpd_path)
            periods = manifest.findall(f"{MPD}Period")
            assert [period.get("start") for period in periods] == ["PT0S", "PT5S"]
            assert manifest.get("mediaPresentationDuration") == "PT9S"
            assert f"{view.directory}/v1_init.webm" in it.storage.objects

    run(body())


def test_a_stream_that_is_deleted_ends_its_recording() -> None:
    async def body() -> None:
        async with rig() as it:
            publisher = it.streams.publish("cam", "video", "audio")
            await it.service.start("cam")
            await send(publisher, seconds=3)
            publisher.leave()
            it.streams.delete("cam")
            await asyncio.sleep(12)
            assert it.reasons == ["stream-deleted"]

    run(body())


def test_rotation_goes_on_in_another_directory() -> None:
    async def body() -> None:
        async with rig(RecorderSettings(segment_seconds=2, max_seconds=4)) as it:
            publisher = it.streams.publish("cam", "video", "audio")
            first = await it.service.start("cam", StoragePath("archive/cam"))
            await send(publisher, seconds=9)
            await asyncio.sleep(2)
            second = await it.service.start("cam")
            assert second.directory.startswith("cam/")
            await it.service.stop("cam")
            assert it.reasons == ["rotated", "rotated", "stopped"]
            directories = [event.directory for event in it.told(RecordingStarted)]
            assert directories[0] == first.directory
            assert len(set(directories)) == 3
            durations = [event.duration for event in it.told(RecordingEnded)]
            assert durations == pytest.approx([4, 4, 1], abs=0.05)
            for directory in directories:
                assert it.manifest(f"{directory}/manifest.mpd").get("type") == "static"

    run(body())


def test_streams_of_a_pattern_are_recorded_when_they_are_published() -> None:
    async def body() -> None:
        settings = RecorderSettings(segment_seconds=2, resume_seconds=0, auto_streams=("cam*",))
        async with rig(settings) as it:
            for name in ("cam1", "other", "cam2"):
                it.streams.publish(name, "video")
            await asyncio.sleep(0.1)
            assert [it.service.recording(name) for name in ("cam1", "other", "cam2")] == [True, False, True]
            await it.service.stop("cam1")
            await asyncio.sleep(20)
            assert not it.service.recording("cam1"), "until it is published again"
            it.streams.published["cam1"].leave()
            it.streams.publish("cam1", "video")
            await asyncio.sleep(0.1)
            assert it.service.recording("cam1")
        assert sorted(it.reasons) == ["shutdown", "shutdown", "stopped"]

    run(body())


def test_with_the_process_recordings_are_finished() -> None:
    async def body() -> None:
        async with rig() as it:
            publisher = it.streams.publish("cam", "video", "audio")
            view = await it.service.start("cam")
            await send(publisher, seconds=3)
        assert it.manifest(view.mpd_path).get("type") == "static"
        assert it.reasons == ["shutdown"]
        with pytest.raises(Unavailable):
            await it.service.start("cam")

    run(body())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StorageFull("no space left"), "storage-full"),
        (SpoolFull("the spool is full"), "storage-full"),
        (StorageUnavailable("away"), "storage-failed"),
    ],
)
def test_a_storage_that_fails_ends_the_recording_and_nothing_else(
    error: Live777Error, reason: RecordingEndReason, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        async with rig() as it:
            publisher = it.streams.publish("cam", "video", "audio")
            await it.service.start("cam")
            await send(publisher, seconds=3)
            await asyncio.sleep(1.5)
            it.storage.error = error
            await send(publisher, seconds=5, start=3)
            await asyncio.sleep(2)
            assert not it.service.recording("cam")
            assert it.reasons == [reason]
            assert it.index.ends[0][1] == "Failed"
            it.storage.error = None
            await it.service.start("cam")
            await it.service.stop("cam")

    with caplog.at_level(logging.ERROR):
        run(body())
    assert error.detail in caplog.text


def test_a_storage_that_hangs_holds_up_nothing_but_its_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "MOST_WAITING", 3000)

    async def body() -> None:
        async with rig() as it:
            publisher = it.streams.publish("cam", "video", "audio")
            await it.service.start("cam")
            it.storage.seconds = 30
            sending = asyncio.create_task(send(publisher, seconds=30))
            async with asyncio.timeout(0.1):
                it.streams.publish("other", "video")
                await it.service.start("other")
                assert it.service.recording("cam")
            await sending
            assert not it.service.recording("cam")
            await asyncio.sleep(3600)
            assert it.reasons == ["storage-slow"]

    run(body())


def test_the_end_of_the_process_does_not_wait_for_a_storage_that_hangs(caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        async with rig() as it:
            publisher = it.streams.publish("cam", "video", "audio")
            await it.service.start("cam")
            await send(publisher, seconds=3)
            await asyncio.sleep(1.5)
            it.storage.seconds = 1e6
            begin = asyncio.get_running_loop().time()
            await it.service.close()
            assert asyncio.get_running_loop().time() - begin < 10

    run(body())
    assert "within" in caplog.text


def test_an_index_that_fails_is_said_and_the_recording_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        async with rig() as it:
            publisher = it.streams.publish("cam", "video", "audio")
            view = await it.service.start("cam")
            it.index.error = StoreError("the disk is full")
            await send(publisher, seconds=5)
            await it.service.stop("cam")
            assert it.manifest(view.mpd_path).get("mediaPresentationDuration") == "PT5S"
            with pytest.raises(StoreError):
                await it.service.start("cam")
            assert not it.service.recording("cam")

    run(body())
    assert "the disk is full" in caplog.text


def test_beginning_does_not_wait_for_another_that_begins() -> None:
    async def body() -> None:
        async with rig() as it:
            it.index.seconds = 60
            it.streams.publish("slow", "video")
            it.streams.publish("fast", "video")
            slow = asyncio.create_task(it.service.start("slow"))
            await asyncio.sleep(0.01)
            again = asyncio.create_task(it.service.start("slow"))
            await asyncio.sleep(0.01)
            it.index.seconds = 0
            async with asyncio.timeout(1):
                await it.service.start("fast")
                assert it.service.recording("slow")
                await it.service.stop("fast")
            slow.cancel()
            assert (await again).stream == "slow"
            assert it.service.recording("slow")

    run(body())


def test_one_that_is_ended_while_it_begins() -> None:
    async def body() -> None:
        async with rig() as it:
            it.index.seconds = 1
            it.streams.publish("cam", "video")
            beginning = asyncio.create_task(it.service.start("cam"))
            await asyncio.sleep(0.1)
            await it.service.stop("cam")
            assert (await beginning).stream == "cam"
            assert not it.service.recording("cam")
            assert it.reasons == ["stopped"]

    run(body())


def test_a_publisher_without_key_frames_is_asked() -> None:
    async def body() -> None:
        async with rig() as it:
            publisher = it.streams.publish("cam", "video")
            await it.service.start("cam")
            await publisher.send({"video": pictures(20, gop=10_000)}, seconds=20)
            ((_, track),) = publisher.media
            assert {asked for _, asked in it.streams.asked} == {track}
            assert len(it.streams.asked) >= 3

    run(body())


def test_frames_that_a_tap_has_lost_are_counted() -> None:
    async def body() -> None:
        async with rig() as it:
            publisher = await publish(it.streams)
            await it.service.start("cam")
            await asyncio.sleep(0.1)
            for (tap,) in it.streams.taps.values():
                tap.dropped = 3
            publisher.leave()
            await it.service.stop("cam")
            assert it.service.counts.dropped == 6

    run(body())


def test_low_latency_shows_segments_that_are_being_made() -> None:
    async def body() -> None:
        async with rig(RecorderSettings(segment_seconds=4, low_latency=True)) as it:
            publisher = it.streams.publish("cam", "audio")
            view = await it.service.start("cam")
            sending = asyncio.create_task(publisher.send({"audio": sounds(10)}, seconds=10))
            await asyncio.sleep(3)
            path = StoragePath(f"{view.directory}/a_seg_0001.m4s")
            assert path not in it.storage.objects
            chunks = it.service.live.read(path)
            assert chunks is not None
            data = b"".join([chunk async for chunk in chunks])
            assert data == it.storage.objects[path]
            assert it.service.live.read(path) is None
            await sending
            template = it.manifest(view.mpd_path).find(f".//{MPD}SegmentTemplate")
            assert template is not None
            assert template.get("availabilityTimeOffset") == "3.5"

    run(body())


def test_settings_count_for_the_recordings_that_begin_afterwards() -> None:
    async def body() -> None:
        async with rig() as it:
            it.streams.publish("cam", "video")
            await it.service.start("cam")
            it.service.reconfigure(RecorderSettings(auto_streams=("new",), resume_seconds=0))
            it.streams.publish("new", "video")
            await asyncio.sleep(0.1)
            assert it.service.recording("new")
            it.streams.published["new"].leave()
            it.streams.published["cam"].leave()
            await asyncio.sleep(session_module.PACE)
            assert [it.service.recording(name) for name in ("new", "cam")] == [False, True]

    run(body())
