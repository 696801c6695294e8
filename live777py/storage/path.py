"""The names of stored objects: checked once, when they are made, so that no store has to ask again."""

from __future__ import annotations

import re
from typing import Final, Self

from live777py.errors import BadRequest

MAX_PATH: Final = 900
"""Bytes of UTF-8. Object stores take keys of 1024 bytes, `recorder.storage.root` included."""
MAX_SEGMENT: Final = 255
"""Bytes of UTF-8: the longest file name of Linux's file systems."""

PARTIAL: Final = ".partial-"
"""What the names of files begin with that are being written. No object is named so."""

_TYPES: Final = {
    "jpg": "image/jpeg",
    "json": "application/json",
    "m3u8": "application/vnd.apple.mpegurl",
    "m4s": "video/mp4",
    "mp4": "video/mp4",
    "mpd": "application/dash+xml",
    "webm": "video/webm",
}


class StoragePath(str):
    """A relative POSIX path below the root of a storage: `{stream}/{record}/v_seg_0001.m4s`.

    `StoragePath(text)` raises BadRequest for everything that could leave the root, that a file system or an object
    store would read in another way, or that is too long. Being a `str`, it is compared and sorted as one.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        why = _fault(text)
        if why:
            raise BadRequest(f"not the path of an object: {why}")
        return super().__new__(cls, text)

    def __truediv__(self, below: str) -> StoragePath:
        return StoragePath(f"{self}/{below}")

    @property
    def segments(self) -> list[str]:
        return self.split("/")

    @property
    def name(self) -> str:
        return self.rpartition("/")[2]

    @property
    def parent(self) -> StoragePath | None:
        """None directly below the root."""
        above = self.rpartition("/")[0]
        return StoragePath(above) if above else None

    @property
    def is_index(self) -> bool:
        """A manifest or a playlist: it names other objects, and is written again and again."""
        return self.endswith((".mpd", ".m3u8"))

    @property
    def content_type(self) -> str:
        """By the name, so that every store says the same. Audio is in files `a_*`, that of later periods in `a1_*`."""
        known = _TYPES.get(self.rpartition(".")[2].lower(), "application/octet-stream")
        if known.startswith("video/") and re.match(r"a\d*_", self.name):
            return f"audio/{known.removeprefix('video/')}"
        return known


def is_storage_path(text: str) -> bool:
    return _fault(text) is None


def _fault(text: str) -> str | None:
    """Without repeating the text: it may be long, and it comes from anybody."""
    if not text:
        return "it is empty"
    if not text.isprintable():
        return "it has control characters"
    if "\\" in text:
        return "it has a backslash"
    if len(text.encode()) > MAX_PATH:
        return f"it is longer than {MAX_PATH} bytes"
    for segment in text.split("/"):
        if segment in {"", ".", ".."}:
            return 'it has an empty, "." or ".." segment'
        if segment.startswith(PARTIAL):
            return f'it has a segment that begins with "{PARTIAL}"'
        if len(segment.encode()) > MAX_SEGMENT:
            return f"it has a segment of more than {MAX_SEGMENT} bytes"
    return None
