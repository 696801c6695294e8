"""Names of objects: no hostile one is made, every one that is made stays below the root."""

from __future__ import annotations

import os.path
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live777py.errors import BadRequest
from live777py.storage import StoragePath
from live777py.storage.path import MAX_PATH, is_storage_path

HOSTILE = [
    "",
    "/",
    ".",
    "..",
    "../x",
    "cam/../../etc/passwd",
    "cam/..",
    "./cam",
    "cam/./x",
    "/etc/passwd",
    "//host/share",
    "cam//x",
    "cam/",
    "cam\\..\\x",
    "..\\x",
    "C:\\x",
    "cam\0.mpd",
    "cam/\0",
    "cam\n",
    "cam/\x7f",
    "cam/\u202e",
    "cam/\ud800",
    "cam/.partial-1-1",
    ".partial-x/manifest.mpd",
    "x" * 256,
    "ä" * 128,
    "/".join(["x" * 200] * 5),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_path(text: str) -> None:
    """S08: what a URL names is decoded before it comes here, and what is not decoded is a plain name."""
    with pytest.raises(BadRequest, match="not the path of an object: it ") as raised:
        StoragePath(text)
    assert len(raised.value.detail) < 100
    if text:
        assert not is_storage_path(text)
        with pytest.raises(BadRequest):
            StoragePath("cam") / text


@pytest.mark.parametrize(
    "text", ["cam", "cam/1700000000/manifest.mpd", "a b/ü", "..%2f", "%2e%2e/x", "...", "$(id)", ".x", "ä" * 127]
)
def test_a_plain_path(text: str) -> None:
    path = StoragePath(text)
    assert path == text
    assert "/".join(path.segments) == text


def test_its_parts() -> None:
    path = StoragePath("cam") / "1700000000" / "manifest.mpd"
    assert path == "cam/1700000000/manifest.mpd"
    assert path.name == "manifest.mpd"
    assert path.parent == "cam/1700000000"
    assert StoragePath("cam").parent is None
    assert {path: 1}[StoragePath("cam/1700000000/manifest.mpd")] == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cam/1/manifest.mpd", "application/dash+xml"),
        ("cam/1/v_init.m4s", "video/mp4"),
        ("cam/1/a_init.m4s", "audio/mp4"),
        ("cam/1/a12_seg_0001.m4s", "audio/mp4"),
        ("a_cam/1/v_seg_0001.m4s", "video/mp4"),
        ("cam/1/a_seg_0001.webm", "audio/webm"),
        ("cam/1/v_seg_0001.webm", "video/webm"),
        ("cam/1/master.m3u8", "application/vnd.apple.mpegurl"),
        ("cam/1/thumbnail.jpg", "image/jpeg"),
        ("cam/1/all.MP4", "video/mp4"),
        ("cam/1/mpd", "application/octet-stream"),
        ("cam.mpd/1/x.html", "application/octet-stream"),
    ],
)
def test_content_types(name: str, expected: str) -> None:
    assert StoragePath(name).content_type == expected


_segments = st.one_of(st.sampled_from(["..", ".", "", "a", "\\", "\0", "..%2f"]), st.text(max_size=20))


@given(st.one_of(st.text(), st.lists(_segments, max_size=8).map("/".join)))
def test_every_path_stays_below_the_root(text: str) -> None:
    try:
        path = StoragePath(text)
    except BadRequest:
        return
    assert os.path.normpath(f"/srv/{path}") == f"/srv/{path}"
    assert PurePosixPath("/srv", path).is_relative_to("/srv/")
    assert ".." not in PurePosixPath(path).parts
    assert len(os.fsencode(path)) <= MAX_PATH
