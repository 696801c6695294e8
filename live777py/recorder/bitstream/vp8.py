"""VP8 frame headers: RFC 6386 section 9.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.recorder.bitstream.reader import BitstreamError

if TYPE_CHECKING:
    from typing_extensions import Buffer


def picture_size(frame: Buffer) -> tuple[int, int]:
    """Width and height of a key frame."""
    head = bytes(memoryview(frame)[:10])
    if len(head) < 10 or head[0] & 1 or head[3:6] != b"\x9d\x01\x2a":
        raise BitstreamError("not a key frame of VP8")
    width, height = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    if not (width and height):
        raise BitstreamError("no such picture size")
    return width, height
