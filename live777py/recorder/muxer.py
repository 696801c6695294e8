"""Frames of one track and one configuration to segments. No I/O and no clock; times are ticks of the time line.

The boxes are written here and not by FFmpeg's muxer: a publisher's bytes then meet no C parser in this process, the
times and durations of the time line are what a segment says, and a segment costs what copying its bytes costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from live777py.media.native import length_prefixed
from live777py.recorder import mp4, webm
from live777py.recorder.bitstream import annexb, h264, h265
from live777py.recorder.configuration import configuration_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live777py.recorder.configuration import Configuration
    from live777py.recorder.frames import Frame

LONGEST: Final = 6
"""Segment lengths after which a segment is cut without a key frame: a publisher may never send one."""
MOST_BYTES: Final = 64 << 20
"""What a segment holds at most, likewise."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a segment that can be played when the parts before it have been (low latency)."""

    data: bytes
    time: int
    ticks: int
    timescale: int
    key: bool
    """It begins with a key frame; always so for audio."""

    @property
    def start(self) -> Fraction:
        """Seconds on the recording's time line."""
        return Fraction(self.time, self.timescale)

    @property
    def duration(self) -> Fraction:
        return Fraction(self.ticks, self.timescale)


@dataclass(frozen=True, slots=True)
class Segment(Chunk):
    """All of it; of what was given as chunks too."""

    frames: int


class Sample(NamedTuple):
    """A frame as it stands in a segment. `time` is when it is presented."""

    time: int
    key: bool
    data: bytes


class _Samples:
    """Frames in decoding order whose durations are not yet all known.

    They are kept as columns of values that the garbage collector does not look at: of many recordings there are a
    hundred thousand.
    """

    def __init__(self) -> None:
        self.times: list[int] = []
        self.keys: list[bool] = []
        self.data: list[bytes] = []

    def add(self, sample: Sample) -> None:
        self.times.append(sample.time)
        self.keys.append(sample.key)
        self.data.append(sample.data)

    def rows(self) -> list[Sample]:
        return [*map(Sample, self.times, self.keys, self.data)]

    def take(self, count: int) -> _Samples:
        taken = _Samples()
        for name in ("times", "keys", "data"):
            column = getattr(self, name)
            setattr(taken, name, column[:count])
            setattr(self, name, column[count:])
        return taken

    def __len__(self) -> int:
        return len(self.times)


class TrackMuxer:
    """`push` takes frames in decoding order. Each frame waits for the next one, which tells how long it lasts.

    `seconds` is the wanted length of a segment. Video is cut at the first key frame after it. Audio is cut by itself
    after it, or, `aligned`, where `cut` says: at the segments of the video.
    With `chunk_seconds` `push` also returns the parts of the segment in progress.
    `frame` is the first frame (`configuration_of` reads it): a key frame if it is video. It is not pushed by this.
    """

    def __init__(
        self, frame: Frame, *, seconds: float, chunk_seconds: float | None = None, aligned: bool = False
    ) -> None:
        self.configuration = configuration_of(frame)
        self.timescale = self.configuration.timescale
        init_segment = webm.init_segment if self.configuration.container == "webm" else mp4.init_segment
        self.init: bytes = init_segment(self.configuration)
        self._codec = frame.codec
        self._in_units = frame.codec in {"H264", "H265"}
        self._video = self.configuration.kind == "video"
        self._length = max(1, round(seconds * self.timescale))
        # Nothing plays WebM with low latency.
        in_chunks = chunk_seconds is not None and self.configuration.container == "mp4"
        self._chunk_length = max(1, round((chunk_seconds or 0) * self.timescale)) if in_chunks else None
        self._aligned = aligned and not self._video
        self._cuts: list[int] = []
        self._samples = _Samples()
        self._segment: list[Chunk] = []
        """What the segment in progress has so far."""
        self._segment_start: int | None = None
        self._segment_frames = 0
        self._segment_bytes = 0
        self._end = 0
        """Where what was written ends."""
        self._sequence = 0
        self._last_duration = 0
        self._reordered = False
        self._parameter_sets = b""
        self._untold: list[Sample] = []

    def accepts(self, frame: Frame) -> bool:
        """False when the frame belongs to another configuration: a new Period begins with it.

        `BitstreamError` when the frame's headers are broken.
        """
        if frame.codec != self._codec:
            return False
        if not (self._video and frame.key_frame):
            return True
        if self._in_units and not self._sets_of(annexb.nal_units(frame)):
            return True
        return configuration_of(frame) == self.configuration

    def push(self, frame: Frame, time: int) -> list[Chunk]:
        """`time` is when the frame is presented. Returns what is complete: chunks and segments, in order."""
        data = self._data(frame)
        out: list[Chunk] = self._cut_until(time) if self._cuts and self._segment_start is not None else []
        if self._segment_start is not None:
            if self._is_over(frame, time - self._segment_start):
                out += self._close(len(self._samples), time)
            elif self._chunk_length is not None and self._chunk_is_full(time, self._chunk_length):
                out.append(self._flush(len(self._samples), time))
        if self._segment_start is None:
            self._begin(time)
        times = self._samples.times
        if times and time <= times[-1]:
            self._reordered = True
        sample = Sample(time, frame.key_frame or not self._video, data)
        self._samples.add(sample)
        self._untold.append(sample)
        self._segment_bytes += len(data)
        return out

    def untold(self) -> list[Sample]:
        """What the segment in progress has got since the last call, or since it began."""
        samples, self._untold = self._untold, []
        return samples

    def cut(self, time: int) -> list[Chunk]:
        """An aligned track's segment ends before the first frame that is at `time` or later."""
        self._cuts.append(time)
        return self._cut_until(self._samples.times[-1]) if self._samples else []

    def finish(self, end: int | None = None) -> list[Chunk]:
        """The rest, when no more frames come. `end`: where the last frame's time is over, if that is known."""
        if self._segment_start is None:
            return []
        last = max(self._samples.times, default=self._end)
        if end is None or end <= last:
            end = last + (self._last_duration or self.timescale // (30 if self._video else 50))
        return self._close(len(self._samples), end)

    def _begin(self, time: int) -> None:
        self._segment_start = time
        self._segment_bytes = 0

    def _is_over(self, frame: Frame, length: int) -> bool:
        if length >= LONGEST * self._length or self._segment_bytes >= MOST_BYTES:
            return True
        return length >= self._length and (frame.key_frame if self._video else not self._aligned)

    def _chunk_is_full(self, time: int, length: int) -> bool:
        return not self._reordered and bool(self._samples) and time - self._samples.times[0] >= length

    def _cut_until(self, time: int) -> list[Chunk]:
        """Carries out the cuts up to `time`, which is that of the next frame or of the newest that waits."""
        out: list[Chunk] = []
        while self._cuts and self._cuts[0] <= time:
            at = self._cuts.pop(0)
            count = sum(known < at for known in self._samples.times)
            behind = self._samples.times[count:]
            if count or self._segment:
                out += self._close(count, behind[0] if behind else time)
                if behind:
                    self._begin(behind[0])
        return out

    def _close(self, count: int, end: int) -> list[Chunk]:
        """Ends the segment behind `count` of the waiting frames, at `end`."""
        out: list[Chunk] = []
        if count:
            chunk = self._flush(count, end)
            if self._chunk_length is not None:
                out.append(chunk)
        data = b"".join(chunk.data for chunk in self._segment)
        first = self._segment[0]
        out.append(Segment(data, first.time, self._end - first.time, self.timescale, first.key, self._segment_frames))
        self._segment = []
        self._segment_frames = 0
        self._segment_start = None
        self._untold = self._samples.rows()
        return out

    def _flush(self, count: int, end: int) -> Chunk:
        samples = self._samples.take(count)
        start = max(samples.times[0], self._end)
        decode_times = _decode_times(samples.times, start) if self._reordered else samples.times
        end = max(end, decode_times[-1] + 1)
        self._last_duration = end - decode_times[-1]
        self._sequence += 1
        data = _fragment(
            self.configuration,
            self._sequence,
            samples,
            decode_times,
            end,
            first=not self._segment,
            reordered=self._reordered,
        )
        chunk = Chunk(data, decode_times[0], end - decode_times[0], self.timescale, samples.keys[0])
        self._segment.append(chunk)
        self._segment_frames += count
        self._end = end
        return chunk

    def _data(self, frame: Frame) -> bytes:
        if not self._in_units:
            return bytes(frame)
        data = length_prefixed(frame)
        if frame.key_frame:
            # Sets stay in the samples, and are put in where the publisher left them out: each segment stands alone,
            # also where an encoder numbers them anew.
            sets = self._sets_of(annexb.units_of(data))
            if not sets:
                return self._parameter_sets + data
            self._parameter_sets = annexb.sample_of(sets)
        return data

    def _sets_of(self, units: Sequence[memoryview]) -> list[memoryview]:
        if self._codec == "H264":
            return [unit for unit in units if unit[0] & 0x1F in {h264.SPS, h264.PPS}]
        return [unit for unit in units if h265.unit_type(unit) in h265.PARAMETER_SETS]


def segment_of(configuration: Configuration, number: int, samples: Sequence[Sample]) -> Segment:
    """What a muxer would have made of these samples (at least one) if they had been the last."""
    rows = _Samples()
    for sample in samples:
        rows.add(sample)
    reordered = any(after <= before for before, after in pairwise(rows.times))
    decode_times = _decode_times(rows.times, rows.times[0]) if reordered else rows.times
    usual = configuration.timescale // (30 if configuration.kind == "video" else 50)
    end = decode_times[-1] + (decode_times[-1] - decode_times[-2] if len(decode_times) > 1 else usual)
    data = _fragment(configuration, number, rows, decode_times, end, first=True, reordered=reordered)
    begin = decode_times[0]
    return Segment(data, begin, end - begin, configuration.timescale, rows.keys[0], len(rows))


def _decode_times(times: Sequence[int], start: int) -> list[int]:
    """Increasing times from `start` on: those of the presentation, in their order; so offsets may be negative."""
    decode_times: list[int] = []
    earliest = start
    for time in sorted(times):
        decode_times.append(max(time, earliest))
        earliest = decode_times[-1] + 1
    return decode_times


def _fragment(
    configuration: Configuration,
    sequence: int,
    samples: _Samples,
    decode_times: Sequence[int],
    end: int,
    *,
    first: bool,
    reordered: bool,
) -> bytes:
    """`first`: of a segment. `reordered`: the samples' times are not those of decoding."""
    durations = [after - before for before, after in pairwise([*decode_times, end])]
    if configuration.container == "webm":
        blocks = [
            webm.Block(time, data, len(data), key)
            for time, data, key in zip(decode_times, samples.data, samples.keys, strict=True)
        ]
        last = blocks[-1]
        blocks[-1] = webm.Block(last.time, last.data, last.size, last.key, duration=durations[-1])
        return b"".join(webm.clusters(blocks))
    offsets = None
    if reordered:
        offsets = [shown - decoded for shown, decoded in zip(samples.times, decode_times, strict=True)]
    head = mp4.fragment(
        sequence,
        decode_times[0],
        sizes=[*map(len, samples.data)],
        durations=durations,
        offsets=offsets,
        keys=samples.keys if configuration.kind == "video" else None,
    )
    styp = mp4.STYP if first else b""
    return b"".join((styp, head, *samples.data))
