"""Recordings whose process died: every whole segment plays again, and a second repair changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from live777py.recorder.files import StoredFiles
from live777py.recorder.muxer import TrackMuxer
from live777py.recorder.names import parse
from live777py.recorder.reading import Damaged, read_init
from live777py.recorder.repair import Repaired, repair
from live777py.storage import LocalStorage, StoragePath
from tests.recorder import mpd
from tests.recorder.encoded import ENCODERS, opus, video
from tests.recorder.recording import STARTED, Recording

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TEXTS = ("manifest.mpd", "master.m3u8", "video.m3u8", "audio.m3u8")


class Memory:
    """Files in memory."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files

    async def sizes(self) -> dict[str, int]:
        return {name: len(data) for name, data in self.files.items()}

    async def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        return self.files[name][start:end]


def repaired(files: Mapping[str, bytes]) -> Repaired:
    return asyncio.run(repair(Memory(files), started=STARTED, segment_seconds=1))


def recording(codec: str = "H264", *, periods: int = 1) -> Recording:
    made = Recording()
    made.record(video(codec), opus())
    if periods > 1:
        made.record(video(codec, size="640x360"), opus(), at=10)
    return made


@pytest.mark.parametrize("codec", ["H264", "H265", "VP8", "VP9", "AV1"])
def test_a_repaired_recording_is_what_a_finished_one_is(codec: str) -> None:
    made = recording(codec, periods=2)
    died = dict(made.files)
    assert b"dynamic" in died["manifest.mpd"]
    made.finish()
    result = repaired(died)
    assert not result.dropped
    assert {name: made.files[name] for name in result.texts} == dict(result.texts)
    assert result.presentation.duration == made.presentation.duration
    assert dict(repaired({**died, **result.texts}).texts) == dict(result.texts)


@pytest.mark.parametrize("missing", [(), ("manifest.mpd",), TEXTS])
def test_the_old_texts_give_only_the_wall_clock(missing: tuple[str, ...]) -> None:
    made = recording(periods=2)
    died = {name: data for name, data in made.files.items() if name not in missing}
    made.finish()
    result = repaired(died)
    assert result.texts["manifest.mpd"] == made.files["manifest.mpd"]
    assert result.texts["video.m3u8"] == made.files["video.m3u8"]


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_a_segment_that_is_cut_off_is_left_out(codec: str) -> None:
    made = recording(codec)
    (name,) = [name for name in made.files if name.startswith("v_seg_0003")]
    whole = made.files[name]
    for length in (0, 3, 20, 200, len(whole) // 2, len(whole) - 1):
        result = repaired({**made.files, name: whole[:length]})
        assert result.dropped == (name,)
        _, listed = mpd.read(result.texts["manifest.mpd"])
        assert [segment.name for segment in listed if segment.name.startswith("v")] == [
            name.replace("3", str(index)) for index in (1, 2)
        ]


def test_a_missing_segment_ends_a_period() -> None:
    made = recording()
    del made.files["v_seg_0002.m4s"]
    result = repaired(made.files)
    _, listed = mpd.read(result.texts["manifest.mpd"])
    assert [segment.name for segment in listed] == [
        "v_seg_0001.m4s",
        "a_seg_0001.m4s",
        "a_seg_0002.m4s",
        "v_seg_0003.m4s",
        "a_seg_0003.m4s",
    ]
    assert result.texts["video.m3u8"].count(b"DISCONTINUITY") == 1
    dates = [line for line in result.texts["video.m3u8"].splitlines() if b"DATE" in line]
    assert dates == [
        b"#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z",
        b"#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:22.000Z",
    ]
    assert dict(repaired({**made.files, **result.texts}).texts) == dict(result.texts)


def test_what_has_no_init_segment_cannot_be_played() -> None:
    made = recording()
    for init in (None, b"", made.files["v_init.m4s"][:300], made.files["a_seg_0001.m4s"]):
        files = {name: data for name, data in made.files.items() if name != "v_init.m4s"}
        if init is not None:
            files["v_init.m4s"] = init
        result = repaired(files)
        assert {name for name in result.dropped if name != "v_init.m4s"} == {f"v_seg_000{n}.m4s" for n in (1, 2, 3)}
        assert {segment.name for segment in mpd.read(result.texts["manifest.mpd"])[1]} == {
            f"a_seg_000{n}.m4s" for n in (1, 2, 3)
        }


def test_nothing_to_play_is_said() -> None:
    for files in ({}, {"v_init.m4s": recording().files["v_init.m4s"]}, {"v_seg_0001.m4s": b"?"}):
        result = repaired(files)
        assert not result.presentation.periods
        assert sorted(result.texts) == ["manifest.mpd"]
        mpd.read(result.texts["manifest.mpd"])


def test_a_segment_that_repeats_another_is_left_out() -> None:
    made = recording()
    made.files["v_seg_0004.m4s"] = made.files["v_seg_0002.m4s"]
    assert repaired(made.files).dropped == ("v_seg_0004.m4s",)


@pytest.mark.parametrize("codec", [*ENCODERS, "opus"])
def test_an_init_segment_tells_the_configuration(codec: str) -> None:
    frames = opus() if codec == "opus" else video(codec)
    muxer = TrackMuxer(frames[0], seconds=1)
    name = parse(f"v_init.{'webm' if codec == 'VP8' else 'm4s'}")
    assert name is not None
    read = read_init(muxer.init, name)
    assert read == muxer.configuration
    assert read.sample_entry == muxer.configuration.sample_entry


async def test_the_files_of_a_storage(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    made = recording()
    directory = StoragePath("cam/1700000000")
    try:
        for name, data in made.files.items():
            await storage.put(directory / name, data)
        result = await repair(StoredFiles(storage, directory), started=STARTED, segment_seconds=1)
    finally:
        await storage.close()
    made.finish()
    assert result.texts["manifest.mpd"] == made.files["manifest.mpd"]


@pytest.mark.parametrize("codec", ["H264", "VP8", "AV1", "H265", "VP9"])
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damage_of_any_kind_costs_no_more_than_its_file(codec: str, data: st.DataObject) -> None:
    """Bytes that are wrong, missing or too many: a file is taken or left, nothing else happens."""
    made = recording(codec)
    files = dict(made.files)
    names = sorted(name for name in files if parse(name))
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(names))
        content = bytearray(files[name])
        begin = data.draw(st.integers(0, min(len(content), 400)))
        end = begin + data.draw(st.integers(0, 8))
        content[begin:end] = data.draw(st.binary(max_size=12))
        files[name] = bytes(content)
    result = repaired(files)
    mpd.read(result.texts["manifest.mpd"])


def test_damaged_init_segments_are_told() -> None:
    name = parse("v_init.m4s")
    assert name is not None
    muxer = TrackMuxer(video("H265")[0], seconds=1)
    for codec in (b"zzzz", b"av01"):
        with pytest.raises(Damaged):
            read_init(muxer.init.replace(b"hvc1", codec), name)
    webm = TrackMuxer(video("VP8")[0], seconds=1).init
    for damage in (webm[:40], webm.replace(b"\xb0\x82", b"\xb1\x82"), b"\x1a\x45\xdf\xa3\x80"):
        with pytest.raises(Damaged):
            read_init(damage, replace(name, container="webm"))


def test_duration_is_right_to_the_segment() -> None:
    made = recording()
    for last in (3, 2):
        for kind in "va":
            made.files.pop(f"{kind}_seg_000{last}.m4s", None)
            made.files.pop(f"{kind}_seg_0004.m4s", None)
        assert repaired(made.files).presentation.duration == Fraction(last - 1)
