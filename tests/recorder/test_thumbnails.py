"""Who makes a picture, how often, and what those get who ask while it is made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from live777py.errors import NotFound, Unavailable
from live777py.recorder import pictures, thumbnails
from live777py.recorder.names import THUMBNAIL
from live777py.recorder.thumbnails import Thumbnails
from live777py.storage import LocalStorage, StoragePath
from tests.fakes.recorder import FakeStreams
from tests.recorder.encoded import ffmpeg, video
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DIRECTORY = StoragePath("cam/1718200000")


class House:
    """One stream of video, whose frames come when `send` is called; `made` counts what was decoded."""

    def __init__(self, directory: Path) -> None:
        self.streams = FakeStreams()
        self.storage = LocalStorage(directory)
        self.thumbnails = Thumbnails(self.streams, self.streams, self.storage)
        self.publisher = self.streams.publish("cam", "audio", "video")
        self.track = self.publisher.media[1][1]

    async def send(self, codec: str = "VP8", number: int = 0) -> None:
        async def tapped() -> bool:
            return bool(self.streams.taps.get(self.track))

        await eventually(tapped)
        for tap in self.streams.taps[self.track]:
            tap.push(video(codec, seconds=1)[number : number + 3])


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    yield house
    await house.thumbnails.close()
    await house.storage.close()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    codecs: list[str] = []
    make = pictures.of_key_frame

    def count(codec: str, data: bytes) -> bytes:
        codecs.append(codec)
        return make(codec, data)

    monkeypatch.setattr(pictures, "of_key_frame", count)
    return codecs


async def test_all_who_ask_get_the_same(house: House, decoded: list[str]) -> None:
    asking = [asyncio.create_task(house.thumbnails.of_stream("cam")) for _ in range(20)]
    await house.send()
    answers = await asyncio.gather(*asking)
    assert len(set(answers)) == 1
    assert answers[0].jpeg.startswith(b"\xff\xd8")
    assert await house.thumbnails.of_stream("cam") is answers[0], "it is new enough"
    assert decoded == ["VP8"]
    assert house.streams.taps[house.track] == []


async def test_an_old_one_is_made_again(house: House, monkeypatch: pytest.MonkeyPatch, decoded: list[str]) -> None:
    monkeypatch.setattr(thumbnails, "KEPT_SECONDS", 0)
    for codec in ("VP8", "H264"):
        asking = asyncio.create_task(house.thumbnails.of_stream("cam"))
        await house.send(codec)
        await asking
    assert decoded == ["VP8", "H264"]


async def test_who_leaves_takes_it_from_nobody(house: House) -> None:
    first, second = (asyncio.create_task(house.thumbnails.of_stream("cam")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await house.send()
    assert (await second).jpeg


async def test_the_first_frame_need_not_be_a_key_frame(house: House, decoded: list[str]) -> None:
    asking = asyncio.create_task(house.thumbnails.of_stream("cam"))
    await house.send(number=1)
    await house.send(number=0)
    assert (await asking).jpeg
    assert decoded == ["VP8"]


async def test_without_video(house: House) -> None:
    with pytest.raises(NotFound):
        await house.thumbnails.of_stream("unknown")
    house.streams.publish("sound", "audio")
    with pytest.raises(NotFound, match="no video"):
        await house.thumbnails.of_stream("sound")


async def test_a_publisher_that_leaves_takes_its_picture_along(house: House) -> None:
    asking = asyncio.create_task(house.thumbnails.of_stream("cam"))
    await house.send()
    await asking
    asking = asyncio.create_task(house.thumbnails.of_stream("cam"))
    await asking
    house.publisher.leave()
    with pytest.raises(NotFound):
        await house.thumbnails.of_stream("cam")


async def test_a_publisher_that_leaves_meanwhile(house: House) -> None:
    asking = asyncio.create_task(house.thumbnails.of_stream("cam"))

    async def tapped() -> bool:
        return bool(house.streams.taps.get(house.track))

    await eventually(tapped)
    house.publisher.leave()
    with pytest.raises(NotFound, match="gone"):
        await asking


async def test_no_key_frame_comes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "KEY_FRAME_SECONDS", 0.05)
    with pytest.raises(Unavailable) as raised:
        await house.thumbnails.of_stream("cam")
    assert raised.value.retry_after > 0
    assert house.streams.taps[house.track] == []


async def test_the_work_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "MAX_MAKING", 2)
    for stream in ("a", "b", "c"):
        house.streams.publish(stream, "video")
    asking = [asyncio.create_task(house.thumbnails.of_stream(stream)) for stream in ("a", "b")]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await house.thumbnails.of_stream("c")
    for stream in ("a", "b"):
        house.streams.published[stream].leave()
    assert [type(result) for result in await asyncio.gather(*asking, return_exceptions=True)] == [NotFound, NotFound]


async def test_few_are_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "MAX_KEPT", 2)
    for stream in ("a", "b", "c"):
        publisher = house.streams.publish(stream, "video")
        house.track = publisher.media[0][1]
        asking = asyncio.create_task(house.thumbnails.of_stream(stream))
        await house.send()
        await asking
    assert list(house.thumbnails._kept) == ["b", "c"]


def segment() -> tuple[bytes, bytes]:
    data = ffmpeg(*["-f", "lavfi", "-i", "testsrc2=s=640x360:d=1", "-c:v", "libvpx", "-b:v", "1M", "-f", "webm", "-"])
    return data[:200], data[200:]


async def test_of_a_recording(house: House) -> None:
    """Video begins with the second Period, and the numbers of segments do not begin with 1."""
    init, media = segment()
    for name, data in (
        ("a_init.m4s", b"x"),
        ("a_seg_0001.m4s", b"x"),
        ("v2_init.webm", init),
        ("v2_seg_0010.webm", b"later"),
        ("v2_seg_0009.webm", media),
        ("v10_init.webm", b"later"),
        ("v10_seg_0001.webm", b"later"),
        ("v1_seg_0001.webm", b"without init segment"),
    ):
        await house.storage.put(DIRECTORY / name, data)
    made = await house.thumbnails.of_recording(DIRECTORY)
    async with await house.storage.get(DIRECTORY / THUMBNAIL) as stored:
        assert await stored.read() == made.jpeg
    assert made.jpeg.startswith(b"\xff\xd8")


@pytest.mark.parametrize("names", [[], ["a_init.m4s", "a_seg_0001.m4s"], ["v_init.m4s"], ["below/v_init.m4s"]])
async def test_a_recording_without_video(house: House, names: list[str]) -> None:
    for name in names:
        await house.storage.put(DIRECTORY / name, b"x")
    with pytest.raises(NotFound):
        await house.thumbnails.of_recording(DIRECTORY)


async def test_a_recording_that_does_not_decode(house: House) -> None:
    for name in ("v_init.m4s", "v_seg_0001.m4s"):
        await house.storage.put(DIRECTORY / name, b"junk")
    with pytest.raises(NotFound):
        await house.thumbnails.of_recording(DIRECTORY)
    assert len(await house.storage.list()) == 2


async def test_at_the_end_nobody_waits(house: House) -> None:
    asking = asyncio.create_task(house.thumbnails.of_stream("cam"))
    await asyncio.sleep(0)
    await house.thumbnails.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
