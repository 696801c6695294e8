"""A recording in memory, as the service makes one: its files by name."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from live777py.recorder.manifest import write_manifest
from live777py.recorder.muxer import Chunk, Segment, TrackMuxer
from live777py.recorder.names import MANIFEST, init_name, segment_name
from live777py.recorder.playlist import write_playlists
from live777py.recorder.presentation import Period, Presentation
from tests.recorder.encoded import START

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from live777py.recorder.frames import DataFrame

STARTED = 1_700_000_000.0


@dataclass
class Recording:
    seconds: float = 1
    files: dict[str, bytes] = field(default_factory=dict)
    presentation: Presentation = field(default_factory=lambda: Presentation(STARTED, 1))

    def record(self, video: Sequence[DataFrame], audio: Sequence[DataFrame], *, at: Fraction | int = 0) -> None:
        """A Period of what came at `at` seconds of the time line."""
        muxers = {}
        if video:
            muxers["video"] = TrackMuxer(video[0], seconds=self.seconds)
        if audio:
            muxers["audio"] = TrackMuxer(audio[0], seconds=self.seconds, aligned=bool(video))
        period = self.presentation.begin_period(
            Fraction(at), STARTED + float(at), *(muxer.configuration for muxer in muxers.values())
        )
        for muxer in muxers.values():
            it = muxer.configuration
            self.files[init_name(it.kind, period.number, it.container)] = muxer.init
        for frame in by_time(video, audio):
            muxer = muxers["audio" if frame.codec == "opus" else "video"]
            done = muxer.push(frame, time(frame, muxer.timescale, at))
            self._keep(period, muxer, done)
            if muxer.configuration.kind == "video" and "audio" in muxers:
                for segment in done:
                    cut = muxers["audio"].cut(round((segment.start + segment.duration) * 48_000))
                    self._keep(period, muxers["audio"], cut)
        for muxer in muxers.values():
            self._keep(period, muxer, muxer.finish())
        self.write()

    def _keep(self, period: Period, muxer: TrackMuxer, chunks: Iterable[Chunk]) -> None:
        it = muxer.configuration
        track = period.tracks[it.kind]
        for segment in chunks:
            assert isinstance(segment, Segment)
            track.segments.append(segment.time, segment.ticks, len(segment.data), key=segment.key)
            self.files[segment_name(it.kind, period.number, track.segments.count, it.container)] = segment.data

    def finish(self) -> None:
        self.presentation.finished = True
        self.write()

    def write(self) -> None:
        self.files[MANIFEST] = write_manifest(self.presentation, published=STARTED + 5)
        self.files.update(write_playlists(self.presentation))


def time(frame: DataFrame, timescale: int, at: Fraction | int) -> int:
    return round(Fraction(at) * timescale) + (frame.timestamp - START) * timescale // frame.clock_rate


def by_time(video: Sequence[DataFrame], audio: Sequence[DataFrame]) -> list[DataFrame]:
    """As they arrive: each track in its own order."""
    out = []
    waiting = deque(audio)
    for frame in video:
        while waiting and waiting[0].wallclock <= frame.wallclock:
            out.append(waiting.popleft())
        out.append(frame)
    return out + list(waiting)
