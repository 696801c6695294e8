"""The files of a recording, by Live777's names: `v_init.m4s`, `v_seg_0001.m4s`; of the next Period `v1_init.m4s`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from live777py.recorder.configuration import Container, Kind

MANIFEST: Final = "manifest.mpd"
MASTER_PLAYLIST: Final = "master.m3u8"
THUMBNAIL: Final = "thumbnail.jpg"
PLAYLISTS: Final[dict[Kind, str]] = {"video": "video.m3u8", "audio": "audio.m3u8"}
_EXTENSIONS: Final[dict[Container, str]] = {"mp4": "m4s", "webm": "webm"}
_LETTERS: Final[dict[str, Kind]] = {"v": "video", "a": "audio"}
_NAME: Final = re.compile(r"([va])(0|[1-9][0-9]{0,5})?_(?:init|seg_([0-9]{4,9}))\.(m4s|webm)", re.ASCII)


@dataclass(frozen=True, slots=True)
class SegmentName:
    kind: Kind
    period: int
    number: int | None
    """None: the init segment."""
    container: Container


def _prefix(kind: Kind, period: int) -> str:
    return kind[0] + (str(period) if period else "")


def init_name(kind: Kind, period: int, container: Container) -> str:
    """`period` counts from 0."""
    return f"{_prefix(kind, period)}_init.{_EXTENSIONS[container]}"


def segment_name(kind: Kind, period: int, number: int, container: Container) -> str:
    """`number` counts from 1 in each Period."""
    return f"{_prefix(kind, period)}_seg_{number:04}.{_EXTENSIONS[container]}"


def media_template(kind: Kind, period: int, container: Container) -> str:
    """SegmentTemplate@media."""
    return f"{_prefix(kind, period)}_seg_$Number%04d$.{_EXTENSIONS[container]}"


def parse(name: str) -> SegmentName | None:
    """What a file of a recording is; None when it is no init segment and no segment."""
    found = _NAME.fullmatch(name)
    if found is None or found[2] == "0":
        return None
    number = int(found[3]) if found[3] else None
    if number == 0:
        return None
    return SegmentName(_LETTERS[found[1]], int(found[2] or 0), number, "webm" if found[4] == "webm" else "mp4")
