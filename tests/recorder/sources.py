"""A publisher whose frames are numbered, and the reading back of what was recorded of them. No encoder is needed."""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from live777py.recorder import boxes, webm
from live777py.recorder.frames import DataFrame
from live777py.recorder.made import PeriodBegan, PeriodEnded, Rotated, SegmentMade

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from live777py.recorder.configuration import Configuration
    from live777py.recorder.made import Made
    from live777py.rtc.parameters import Kind

WALLCLOCK = 1_700_000_000.0


def picture(
    number: int,
    time: float,
    *,
    key: bool = False,
    gap: bool = False,
    size: tuple[int, int] = (640, 360),
    drift: float = 0.0,
) -> DataFrame:
    """VP8 (RFC 6386 section 9.1), its header and nothing else. `drift` is RTP's against the publisher's clock."""
    head = bytes((0x10 if key else 0x11, 0, 0))
    if key:
        head += b"\x9d\x01\x2a" + struct.pack("<HH", *size)
    return DataFrame(
        head + struct.pack(">I", number),
        codec="VP8",
        timestamp=5_000 + round(time * (1 + drift) * 90_000),
        clock_rate=90_000,
        wallclock=WALLCLOCK + time,
        key_frame=key,
        gap=gap,
        width=size[0] if key else 0,
        height=size[1] if key else 0,
    )


def sound(number: int, time: float, *, drift: float = 0.0) -> DataFrame:
    return DataFrame(
        b"\x78" + struct.pack(">I", number),
        codec="opus",
        timestamp=77 + round(time * (1 + drift) * 48_000),
        clock_rate=48_000,
        wallclock=WALLCLOCK + time,
    )


def pictures(seconds: float, *, start: float = 0.0, rate: int = 25, gop: int = 25, **other: object) -> list[DataFrame]:
    return [
        picture(number, start + number / rate, key=number % gop == 0, **other)  # type: ignore[arg-type]
        for number in range(int(seconds * rate))
    ]


def sounds(seconds: float, *, start: float = 0.0, drift: float = 0.0) -> list[DataFrame]:
    return [sound(number, start + number * 0.02, drift=drift) for number in range(round(seconds * 50))]


@dataclass
class ReadTrack:
    configuration: Configuration
    numbers: list[int] = field(default_factory=list)
    """Of the frames; silence that the recorder put in is -1."""
    times: list[Fraction] = field(default_factory=list)
    """Seconds on the recording's time line."""
    segments: list[tuple[Fraction, Fraction, bool]] = field(default_factory=list)
    """Start, end, whether it begins with a key frame."""


@dataclass
class ReadPeriod:
    start: Fraction
    duration: Fraction | None = None
    tracks: dict[Kind, ReadTrack] = field(default_factory=dict)


@dataclass
class ReadRecording:
    periods: list[ReadPeriod] = field(default_factory=list)

    def numbers(self, kind: Kind) -> list[int]:
        return [number for period in self.periods if kind in period.tracks for number in period.tracks[kind].numbers]

    def times(self, kind: Kind) -> list[Fraction]:
        return [time for period in self.periods if kind in period.tracks for time in period.tracks[kind].times]


def read(made: Iterable[Made]) -> list[ReadRecording]:
    recordings = [ReadRecording()]
    numbers: defaultdict[tuple[int, Kind], int] = defaultdict(int)
    for item in made:
        periods = recordings[-1].periods
        match item:
            case PeriodBegan():
                assert item.number == len(periods)
                periods.append(ReadPeriod(item.start, tracks={t.kind: ReadTrack(t.configuration) for t in item.tracks}))
            case SegmentMade():
                assert item.period == len(periods) - 1
                numbers[item.period, item.kind] += 1
                assert item.number == numbers[item.period, item.kind]
                track = periods[-1].tracks[item.kind]
                segment = item.segment
                track.segments.append((segment.start, segment.start + segment.duration, segment.key))
                for time, data in samples(segment.data, track.configuration):
                    track.times.append(time)
                    track.numbers.append(int.from_bytes(data[-4:]) if len(data) > 4 else -1)
            case PeriodEnded():
                assert item.number == len(periods) - 1
                periods[-1].duration = item.duration
            case Rotated():
                recordings.append(ReadRecording())
                numbers.clear()
    return recordings


def samples(segment: bytes, configuration: Configuration) -> Iterator[tuple[Fraction, bytes]]:
    """Presentation time in seconds and data of each frame."""
    if configuration.container == "webm":
        for block in webm.read_clusters(segment):
            yield Fraction(block.time, 1000), segment[block.begin : block.end]
        return
    for box in boxes.boxes(segment):
        if box.kind != b"moof":
            continue
        begin = boxes.find(segment, b"traf", b"tfdt", begin=box.body, end=box.end)
        run = boxes.find(segment, b"traf", b"trun", begin=box.body, end=box.end)
        time = int.from_bytes(segment[begin.body + 4 : begin.end])
        flags, count, offset = struct.unpack_from(">III", segment, run.body)
        columns = (flags >> 8 & 0xF).bit_count()
        at = box.begin + offset
        for index in range(count):
            duration, size = struct.unpack_from(">II", segment, run.body + 12 + index * 4 * columns)
            yield Fraction(time, configuration.timescale), segment[at : at + size]
            time += duration
            at += size
