"""Boxes of the ISO base media file format (ISO/IEC 14496-12): written from parts, read without trust."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class BoxError(ValueError):
    """Bytes that are not the boxes which they should be."""


def box(kind: bytes, *parts: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


@dataclass(frozen=True, slots=True)
class Box:
    kind: bytes
    begin: int
    """Of the header, in the bytes that were read."""
    body: int
    end: int


def header(data: bytes | memoryview, at: int) -> Box:
    """The box that begins at `at`; its end may lie behind the data."""
    if len(data) - at < 8:
        raise BoxError("box ends too early")
    size, kind = struct.unpack_from(">I4s", data, at)
    body = at + 8
    if size == 1:
        if len(data) - at < 16:
            raise BoxError("box ends too early")
        size = int.from_bytes(data[at + 8 : at + 16])
        body = at + 16
    if at + size < body:
        raise BoxError("no such size of a box")
    return Box(kind, at, body, at + size)


def boxes(data: bytes | memoryview, begin: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes that lie side by side in `data[begin:end]`."""
    end = len(data) if end is None else end
    at = begin
    while at < end:
        found = header(data, at)
        if found.end > end:
            raise BoxError("box ends too early")
        yield found
        at = found.end


def find(data: bytes | memoryview, *path: bytes, begin: int = 0, end: int | None = None) -> Box:
    """The first box at a path of kinds, one inside the other."""
    for found in boxes(data, begin, end):
        if found.kind == path[0]:
            return found if len(path) == 1 else find(data, *path[1:], begin=found.body, end=found.end)
    raise BoxError(f"no {path[0].decode('latin-1')} box")
