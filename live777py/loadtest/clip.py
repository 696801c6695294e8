"""The loops that ship with the package (`scripts/loadtest_media.py` makes them), as frames to be written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import av
from av.bitstream import BitStreamFilterContext

from live777py.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.packet import Packet

VideoCodec = Literal["h264", "vp8"]

FRAME_RATE: Final = 30
"""Pictures a second."""
PACKET_RATE: Final = 50
"""Packets of sound a second."""

_MEDIA: Final = Path(__file__).parent / "media"


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """`video` begins with its only key frame, in the form of `media.native.Frame`; both parts are equally long."""

    codec: VideoCodec
    video: tuple[bytes, ...]
    audio: tuple[bytes, ...]


def load(codec: VideoCodec) -> Clip:
    """Raises `StartError` where the package lacks its files."""
    try:
        container = av.open(_MEDIA / f"{codec}.mkv", "r")
    except OSError as error:
        raise StartError(f"the clip of {codec} cannot be read: {error.strerror}") from error
    with container:
        pictures, sound = container.streams.video[0], container.streams.audio[0]
        # Matroska has H264 with lengths and its parameter sets apart.
        annex_b = BitStreamFilterContext("h264_mp4toannexb", pictures) if codec == "h264" else None
        video: list[bytes] = []
        audio: list[bytes] = []
        for packet in container.demux(pictures, sound):
            if packet.stream is sound:
                audio += _bytes_of([packet])
            else:
                video += _bytes_of([packet] if annex_b is None else annex_b.filter(packet))
    seconds = len(video) // FRAME_RATE
    return Clip(codec=codec, video=tuple(video), audio=tuple(audio[: seconds * PACKET_RATE]))


def _bytes_of(packets: list[Packet[Any]]) -> Iterator[bytes]:
    """The end of a file is an empty packet."""
    return (bytes(packet) for packet in packets if packet.size)
