"""MPD and playlists: rules of the schema, the times of the segments themselves, and FFmpeg's two readers."""

from __future__ import annotations

import io
import sys
import threading
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live777py.recorder.configuration import Configuration
from live777py.recorder.manifest import date_time, duration, write_manifest
from live777py.recorder.names import SegmentName, init_name, parse, segment_name
from live777py.recorder.playlist import write_playlists
from live777py.recorder.presentation import Presentation, Segments
from tests.recorder import mpd
from tests.recorder.encoded import ffmpeg, opus, video
from tests.recorder.recording import STARTED, Recording

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from live777py.recorder.configuration import Kind

VIDEO = Configuration("video", "mp4", "avc1.42c01f", 90_000, width=1280, height=720)
AUDIO = Configuration("audio", "mp4", "opus", 48_000, sample_rate=48_000, channels=2)
WEBM = Configuration("video", "webm", "vp8", 1000, width=640, height=480)


def made(codec: str = "H264") -> Recording:
    recording = Recording()
    recording.record(video(codec), opus())
    recording.finish()
    return recording


@contextmanager
def served(recording: Recording, directory: Path) -> Iterator[str]:
    """The recording's files by HTTP: the address of its directory."""
    for name, data in recording.files.items():
        (directory / name).write_bytes(data)
    handler = partial(SimpleHTTPRequestHandler, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)


@pytest.mark.parametrize("codec", ["H264", "H265", "VP8", "VP9", "AV1"])
def test_ffmpeg_plays_the_manifest(codec: str, tmp_path: Path) -> None:
    """Every picture and every packet of sound, at its time, through FFmpeg's DASH reader."""
    recording = made(codec)
    with served(recording, tmp_path) as url:
        read = ffmpeg("-i", f"{url}/manifest.mpd", "-map", "0", "-c", "copy", "-f", "framehash", "-").decode()
    rows = [line.split(",") for line in read.splitlines() if not line.startswith("#")]
    base = {line[4]: Fraction(line.split(":")[1].strip()) for line in read.splitlines() if line.startswith("#tb ")}
    pictures = [int(row[2]) * base["0"] for row in rows if row[0] == "0"]
    sound = [int(row[2]) * base["1"] for row in rows if row[0] == "1"]
    assert pictures == [Fraction(index, 25) for index in range(75)]
    assert sound == [Fraction(index, 50) for index in range(151)]


def test_the_hls_reader_plays_the_playlists(tmp_path: Path) -> None:
    recording = made()
    recording.record(video("H264", size="640x360"), opus(), at=10)
    recording.finish()
    with (
        served(recording, tmp_path) as url,
        av.open(f"{url}/master.m3u8", "r", format="hls", options={"http_persistent": "0"}) as container,
    ):
        sizes = [(packet.stream.type, packet.size) for packet in container.demux() if packet.size]
    assert len([size for kind, size in sizes if kind == "video"]) == 150
    assert len([size for kind, size in sizes if kind == "audio"]) == 302


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_the_manifest_tells_what_the_segments_say(codec: str) -> None:
    recording = made(codec)
    _, listed = mpd.read(recording.files["manifest.mpd"])
    names = [name for name in recording.files if "_seg_" in name]
    assert sorted(segment.name for segment in listed) == sorted(names)
    for segment in listed:
        with av.open(io.BytesIO(recording.files[segment.init] + recording.files[segment.name]), "r") as container:
            times = [
                packet.pts * packet.time_base
                for packet in container.demux()
                if packet.pts is not None and packet.time_base is not None
            ]
        assert times[0] == segment.media_time
        assert times[-1] < segment.media_time + segment.duration


def test_a_publisher_who_comes_back_begins_a_period_and_the_pause_is_left_out() -> None:
    recording = made()
    recording.presentation.finished = False
    recording.record(video("VP8", size="640x360"), (), at=Fraction(33, 4))
    root, listed = mpd.read(recording.files["manifest.mpd"])
    assert root.get("profiles") == "urn:mpeg:dash:profile:full:2011"
    periods = root.findall(f"{mpd.NAMESPACE}Period")
    assert [period.get("start") for period in periods] == ["PT0S", "PT3.02S"]
    again = [segment for segment in listed if segment.name.startswith("v1_")]
    assert [segment.name for segment in again] == [f"v1_seg_000{index}.webm" for index in (1, 2, 3)]
    assert abs(again[0].start - Fraction("3.02")) < Fraction(1, 1000)
    assert recording.presentation.duration == Fraction("6.02")


def test_dynamic_manifest_of_a_running_recording() -> None:
    presentation = Presentation(STARTED, 10)
    period = presentation.begin_period(Fraction(0), STARTED, VIDEO, AUDIO)
    root, listed = mpd.read(write_manifest(presentation, published=STARTED, utc_timing="/api/time?a&b"))
    assert not listed
    period.tracks["video"].segments.append(0, 900_000, 3_125_001)
    root, listed = mpd.read(write_manifest(presentation, published=STARTED + 10, utc_timing="/api/time?a&b"))
    assert {name: root.get(name) for name in ("type", "availabilityStartTime", "publishTime")} == {
        "type": "dynamic",
        "availabilityStartTime": "2023-11-14T22:13:20.000Z",
        "publishTime": "2023-11-14T22:13:30.000Z",
    }
    assert root.get("timeShiftBufferDepth") is None
    assert [it.get("value") for it in root.iter(f"{mpd.NAMESPACE}UTCTiming")] == ["/api/time?a&b"]
    (representation,) = root.iter(f"{mpd.NAMESPACE}Representation")
    assert representation.get("bandwidth") == "2500001"
    assert [segment.name for segment in listed] == ["v_seg_0001.m4s"]


def test_low_latency_tells_of_the_segment_in_progress() -> None:
    presentation = Presentation(STARTED, 2, chunk_seconds=0.5)
    period = presentation.begin_period(Fraction(0), STARTED, VIDEO, AUDIO)
    period.tracks["video"].segments.append(0, 180_000, 1000)
    period.tracks["video"].pending = (180_000, 180_000)
    period.tracks["audio"].pending = (0, 96_000)
    root, listed = mpd.read(write_manifest(presentation, published=STARTED))
    assert [segment.name for segment in listed] == ["v_seg_0001.m4s", "v_seg_0002.m4s", "a_seg_0001.m4s"]
    templates = list(root.iter(f"{mpd.NAMESPACE}SegmentTemplate"))
    assert {(it.get("availabilityTimeOffset"), it.get("availabilityTimeComplete")) for it in templates} == {
        ("1.5", "false")
    }
    latency = root.find(f"{mpd.NAMESPACE}ServiceDescription/{mpd.NAMESPACE}Latency")
    assert latency is not None
    assert latency.get("target") == "1500"
    presentation.finished = True
    _, listed = mpd.read(write_manifest(presentation, published=STARTED))
    assert [segment.name for segment in listed] == ["v_seg_0001.m4s"]


def test_segments_without_key_frame_are_not_said_to_have_one() -> None:
    presentation = Presentation(STARTED, 2)
    segments = presentation.begin_period(Fraction(0), STARTED, VIDEO).tracks["video"].segments
    segments.append(0, 180_000, 1000)
    assert b"startWithSAP" in write_manifest(presentation, published=STARTED)
    assert b"INDEPENDENT" in write_playlists(presentation)["master.m3u8"]
    segments.append(180_000, 180_000, 1000, key=False)
    assert b"startWithSAP" not in write_manifest(presentation, published=STARTED)
    assert b"INDEPENDENT" not in write_playlists(presentation)["master.m3u8"]


SEGMENT = st.tuples(st.sampled_from([0, 0, 0, 5]), st.sampled_from([10, 10, 10, 11]) | st.integers(1, 2**33))


@settings(deadline=None)
@given(start=st.integers(0, 2**40), segments=st.lists(SEGMENT, min_size=1, max_size=40))
def test_the_time_line_of_segments_is_kept_whatever_it_is(start: int, segments: list[tuple[int, int]]) -> None:
    presentation = Presentation(STARTED, 2, finished=True)
    period = presentation.begin_period(Fraction(start, 90_000), STARTED, VIDEO)
    wanted = []
    at = start
    for gap, ticks in segments:
        at += gap
        period.tracks["video"].segments.append(at, ticks, 1)
        wanted.append((Fraction(at, 90_000), Fraction(ticks, 90_000)))
        at += ticks
    _, listed = mpd.read(write_manifest(presentation, published=STARTED))
    assert [(segment.media_time, segment.duration) for segment in listed] == wanted
    playlist = write_playlists(presentation)["video.m3u8"].decode()
    lengths = [float(line[8:-1]) for line in playlist.splitlines() if line.startswith("#EXTINF:")]
    assert lengths == pytest.approx([ticks / 90_000 for _, ticks in segments], abs=1e-6)


def test_segments_do_not_overlap() -> None:
    segments = Segments()
    segments.append(10, 10, 1)
    for time, ticks in ((19, 5), (20, 0), (25, -1)):
        with pytest.raises(ValueError, match="overlap"):
            segments.append(time, ticks, 1)


def test_playlists_have_the_same_discontinuities() -> None:
    presentation = Presentation(STARTED, 2)
    first = presentation.begin_period(Fraction(0), STARTED, VIDEO)
    first.tracks["video"].segments.append(0, 180_000, 1000)
    second = presentation.begin_period(Fraction(5), STARTED + 5, VIDEO, AUDIO)
    second.tracks["video"].segments.append(450_000, 180_000, 500)
    second.tracks["audio"].segments.append(240_480, 96_000, 100)
    presentation.begin_period(Fraction(9), STARTED + 9, VIDEO)
    playlists = write_playlists(presentation)
    assert playlists["audio.m3u8"].decode().splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:8",
        "#EXT-X-TARGETDURATION:3",
        "#EXT-X-MEDIA-SEQUENCE:1",
        "#EXT-X-PLAYLIST-TYPE:EVENT",
        "#EXT-X-GAP",
        "#EXTINF:2.000000,",
        "gap0.m4s",
        "#EXT-X-DISCONTINUITY",
        '#EXT-X-MAP:URI="a1_init.m4s"',
        "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:25.010Z",
        "#EXTINF:2.000000,",
        "a1_seg_0001.m4s",
    ]
    assert playlists["video.m3u8"].count(b"#EXT-X-DISCONTINUITY\n") == 1
    assert playlists["master.m3u8"].decode().splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio.m3u8"',
        '#EXT-X-STREAM-INF:AUDIO="audio",RESOLUTION=1280x720,BANDWIDTH=4400,CODECS="avc1.42c01f,opus"',
        "video.m3u8",
    ]
    presentation.finished = True
    assert all(
        playlist.endswith(b"#EXT-X-ENDLIST\n")
        for name, playlist in write_playlists(presentation).items()
        if name != "master.m3u8"
    )


def test_hls_leaves_out_what_it_cannot_have() -> None:
    presentation = Presentation(STARTED, 2)
    assert write_playlists(presentation) == {}
    period = presentation.begin_period(Fraction(0), STARTED, WEBM, AUDIO)
    period.tracks["video"].segments.append(0, 2000, 1000)
    assert write_playlists(presentation) == {}
    period.tracks["audio"].segments.append(0, 96_000, 1000)
    playlists = write_playlists(presentation)
    assert sorted(playlists) == ["audio.m3u8", "master.m3u8"]
    assert playlists["master.m3u8"].splitlines()[-1] == b"audio.m3u8"


def test_a_day_is_written_quickly_and_stays_small() -> None:
    presentation = Presentation(STARTED, 10)
    segments = presentation.begin_period(Fraction(0), STARTED, VIDEO).tracks["video"].segments
    for index in range(8640):
        segments.append(index * 900_000, 900_000, 3_000_000)
    assert len(write_manifest(presentation, published=STARTED)) < 2000


def test_a_text_that_grew_is_the_text_of_all() -> None:
    grown = Presentation(STARTED, 2)
    times: dict[Kind, int] = {"video": 0, "audio": 0}
    grown.begin_period(Fraction(0), STARTED, VIDEO, AUDIO)
    appended: list[tuple[Kind, int, int]] = []
    for index in range(60):
        lengths: dict[Kind, int] = {"video": 180_000 + index % 7 // 3, "audio": 96_000}
        for kind, ticks in lengths.items():
            time = times[kind] + (500 if index == 40 else 0)
            grown.periods[0].tracks[kind].segments.append(time, ticks, 5000)
            appended.append((kind, time, ticks))
            times[kind] = time + ticks
        texts = write_manifest(grown, published=STARTED), write_playlists(grown)
    anew = Presentation(STARTED, 2)
    anew.begin_period(Fraction(0), STARTED, VIDEO, AUDIO)
    for kind, time, ticks in appended:
        anew.periods[0].tracks[kind].segments.append(time, ticks, 5000)
    assert texts == (write_manifest(anew, published=STARTED), write_playlists(anew))


def test_a_segment_more_costs_the_same_after_a_day() -> None:
    """Counted in calls: seconds depend on the machine."""
    presentation = Presentation(STARTED, 2)
    segments = presentation.begin_period(Fraction(0), STARTED, VIDEO).tracks["video"].segments

    def calls() -> int:
        segments.append(segments.end, 180_000 + segments.count % 2, 600_000)
        count = 0

        def note(_frame: object, _event: str, _argument: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(note)
        try:
            write_manifest(presentation, published=STARTED)
            write_playlists(presentation)
        finally:
            sys.setprofile(None)
        return count

    first = [calls() for _ in range(3)][-1]
    for _ in range(43_200):
        segments.append(segments.end, 180_000 + segments.count % 2, 600_000)
    calls()
    assert calls() == pytest.approx(first, abs=50)


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("v_init.m4s", SegmentName("video", 0, None, "mp4")),
        ("a12_seg_0003.m4s", SegmentName("audio", 12, 3, "mp4")),
        ("v1_seg_12345.webm", SegmentName("video", 1, 12345, "webm")),
        ("v0_init.m4s", None),
        ("v_seg_0000.m4s", None),
        ("v_seg_001.m4s", None),
        ("manifest.mpd", None),
        ("v_seg_0001.m4s.tmp", None),
        ("x_init.m4s", None),
        ("v_init.m4s\n", None),
    ],
)
def test_names(name: str, meaning: SegmentName | None) -> None:
    assert parse(name) == meaning
    if meaning is not None:
        again = (
            init_name(meaning.kind, meaning.period, meaning.container)
            if meaning.number is None
            else segment_name(meaning.kind, meaning.period, meaning.number, meaning.container)
        )
        assert again == name


def test_times_are_written_as_xml_schema_has_them() -> None:
    assert duration(Fraction(1, 3)) == "PT0.333333S"
    assert duration(10) == "PT10S"
    assert duration(3600.5) == "PT3600.5S"
    assert date_time(0.9996) == "1970-01-01T00:00:01.000Z"
