"""CMAF tracks (ISO/IEC 23000-19): the init segment, and fragments of samples."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from live777py.recorder.boxes import box, full_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live777py.recorder.configuration import Configuration

TRACK: Final = 1
_SYNC: Final = 0x0200_0000
"""Sample flags, ISO/IEC 14496-12 8.8.3.1: depends on no other sample."""
_NOT_SYNC: Final = 0x0101_0000
_UNITY: Final = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_UNDETERMINED: Final = 0x55C4
"""Language "und", packed."""

STYP: Final = box(b"styp", b"msdh", bytes(4), b"msdhmsixcmfscmfl")


def init_segment(configuration: Configuration) -> bytes:
    track = _track(configuration)
    extends = full_box(b"trex", 0, 0, struct.pack(">5I", TRACK, 1, 0, 0, _SYNC))
    return box(b"ftyp", b"iso6", bytes(4), b"iso6cmfcdash") + box(
        b"moov", movie_header(configuration.timescale, 0, TRACK + 1), track, box(b"mvex", extends)
    )


def _track(configuration: Configuration) -> bytes:
    description = full_box(b"stsd", 0, 0, struct.pack(">I", 1), configuration.sample_entry)
    empty = (full_box(kind, 0, 0, bytes(4)) for kind in (b"stts", b"stsc", b"stco"))
    table = box(b"stbl", description, *empty, full_box(b"stsz", 0, 0, bytes(8)))
    size = (configuration.width, configuration.height)
    return track(TRACK, configuration.kind, table, timescale=configuration.timescale, size=size)


def movie_header(timescale: int, duration: int, next_track: int) -> bytes:
    times = struct.pack(">QQIQIH10x", 0, 0, timescale, duration, 0x10000, 0x100)
    return full_box(b"mvhd", 1, 0, times, _UNITY, bytes(24), struct.pack(">I", next_track))


def track(
    number: int,
    kind: str,
    sample_table: bytes,
    *,
    timescale: int,
    size: tuple[int, int],
    duration: int = 0,
    movie_duration: int = 0,
    edits: bytes = b"",
) -> bytes:
    """A trak box. `duration` counts in the track's time scale, `movie_duration` in the movie's."""
    video = kind == "video"
    width, height = size
    place = struct.pack(">QQIIQ8xHHHH", 0, 0, number, 0, movie_duration, 0, 0, 0 if video else 0x100, 0)
    head = full_box(b"tkhd", 1, 3, place, _UNITY, struct.pack(">II", width << 16, height << 16))
    media = full_box(b"mdhd", 1, 0, struct.pack(">QQIQHH", 0, 0, timescale, duration, _UNDETERMINED, 0))
    handler, name = (b"vide", b"video\0") if video else (b"soun", b"audio\0")
    handling = full_box(b"hdlr", 0, 0, bytes(4), handler, bytes(12), name)
    specific = full_box(b"vmhd", 0, 1, bytes(8)) if video else full_box(b"smhd", 0, 0, bytes(4))
    here = full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1))
    information = box(b"minf", specific, box(b"dinf", here), sample_table)
    return box(b"trak", head, edits, box(b"mdia", media, handling, information))


def fragment(
    sequence: int,
    decode_time: int,
    *,
    sizes: Sequence[int],
    durations: Sequence[int],
    offsets: Sequence[int] | None = None,
    keys: Sequence[bool] | None = None,
) -> bytes:
    """A moof box and the header of its mdat; the samples' data is to follow, in order.

    `offsets` are presentation minus decoding times; `keys` tells which samples are key frames: without it all are.
    """
    columns: list[Sequence[int]] = [durations, sizes]
    flags = 0x301
    if keys is not None:
        columns.append([_SYNC if key else _NOT_SYNC for key in keys])
        flags |= 0x400
    if offsets is not None:
        columns.append([offset & 0xFFFF_FFFF for offset in offsets])
        flags |= 0x800
    rows = struct.pack(
        f">{len(sizes) * len(columns)}I", *(value for row in zip(*columns, strict=True) for value in row)
    )
    # mfhd 16, tfhd 16 (default-base-is-moof), tfdt 20, trun 20 and its rows; headers of moof and traf 8 each.
    data_offset = 8 + 16 + 8 + 16 + 20 + 20 + len(rows) + 8
    run = full_box(b"trun", 1, flags, struct.pack(">II", len(sizes), data_offset), rows)
    head = full_box(b"tfhd", 0, 0x02_0000, struct.pack(">I", TRACK))
    begin = full_box(b"tfdt", 1, 0, struct.pack(">Q", decode_time))
    moof = box(b"moof", full_box(b"mfhd", 0, 0, struct.pack(">I", sequence)), box(b"traf", head, begin, run))
    return moof + struct.pack(">I4s", 8 + sum(sizes), b"mdat")
