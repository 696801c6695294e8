"""A frame as the recorder sees it: one access unit of video, or one packet of audio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from typing_extensions import Buffer

VIDEO_CODECS = frozenset({"H264", "H265", "VP8", "VP9", "AV1"})
TRANSCODED_CODECS = frozenset({"PCMU", "PCMA", "G722"})
"""Audio that no browser plays from a segment: recorded as Opus."""


class Frame(Protocol):
    """What a tap delivers. `memoryview(frame)` is the data, not copied.

    H264 and H265: Annex B, parameter sets in front of key frames. VP8, VP9 (superframe) as they are. AV1: a temporal
    unit of OBUs with size fields, without temporal delimiter. Audio: the payload of one packet.
    """

    def __buffer__(self, flags: int, /) -> memoryview: ...

    @property
    def codec(self) -> str:
        """ "H264", "H265", "VP8", "VP9", "AV1", "opus", "PCMU", "PCMA" or "G722"."""

    @property
    def timestamp(self) -> int:
        """When it is presented, in units of `clock_rate`: unwrapped, starts anywhere."""

    @property
    def clock_rate(self) -> int: ...

    @property
    def wallclock(self) -> float:
        """The same moment in unix seconds, on a time line that audio and video share."""

    @property
    def synced(self) -> bool:
        """`wallclock` comes from a sender report; else from the frame's arrival."""

    @property
    def key_frame(self) -> bool: ...

    @property
    def gap(self) -> bool:
        """Something before it was lost, or the source began anew."""

    @property
    def width(self) -> int:
        """Of a key frame; else 0."""

    @property
    def height(self) -> int: ...


class DataFrame(bytes):
    """A frame that did not come from the engine."""

    codec: str
    timestamp: int
    clock_rate: int
    wallclock: float
    synced: bool
    key_frame: bool
    gap: bool
    width: int
    height: int

    def __new__(
        cls,
        data: Buffer,
        *,
        codec: str,
        timestamp: int,
        clock_rate: int,
        wallclock: float = 0.0,
        synced: bool = True,
        key_frame: bool = True,
        gap: bool = False,
        width: int = 0,
        height: int = 0,
    ) -> Self:
        frame = super().__new__(cls, data)
        frame.codec = codec
        frame.timestamp = timestamp
        frame.clock_rate = clock_rate
        frame.wallclock = wallclock
        frame.synced = synced
        frame.key_frame = key_frame
        frame.gap = gap
        frame.width = width
        frame.height = height
        return frame
