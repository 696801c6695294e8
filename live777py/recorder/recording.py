"""A recording as a state machine: frames and the time in, periods and segments out. No I/O.

`timeline` says where frames lie; here sound and picture are merged in that order, so that a boundary between two
periods falls between the same frames of both. `docs/recording.md` tells the rules.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from live777py.recorder.bitstream import BitstreamError
from live777py.recorder.configuration import OPUS_TIMESCALE, VIDEO_TIMESCALE
from live777py.recorder.key_frames import KeyFrameRequests
from live777py.recorder.made import (
    ChunkMade,
    PeriodBegan,
    PeriodEnded,
    Rotated,
    SamplesTaken,
    SegmentMade,
    TrackBegan,
)
from live777py.recorder.muxer import Segment
from live777py.recorder.silence import silence
from live777py.recorder.timeline import Origin, TrackTimeline
from live777py.recorder.transcode import make_muxer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from live777py.recorder.configuration import Configuration
    from live777py.recorder.frames import Frame
    from live777py.recorder.made import Made
    from live777py.recorder.muxer import Chunk, Sample
    from live777py.rtc.parameters import Kind

PATIENCE: Final = 2.0
"""Seconds for which the first frames of one kind wait for those of the other."""
REPORT_PATIENCE: Final = 4.0
"""Seconds for which the first frames of all kinds wait for sender reports: by RFC 3550 section 6.3.1 these come
within 3.1 s."""
MOST_WAITING: Final = 16 << 20
"""Bytes of first frames that wait."""
HOLD: Final = 1.0
"""Seconds for which a frame waits for what is to be recorded before it."""
PICTURE_LULL: Final = 5.0
"""Seconds without a picture after which sound goes on alone. Screens that nothing changes on send one a second."""
SOUND_HOLE: Final = 0.06
"""Seconds of missing sound that are filled with silence."""
DAMAGE_PATIENCE: Final = 5.0
"""Seconds without a key frame after which damaged pictures are better than none."""
_TIMESCALE: Final = {"video": VIDEO_TIMESCALE, "audio": OPUS_TIMESCALE}


class Muxer(Protocol):
    """Implemented by `muxer.TrackMuxer` and `transcode.TranscodingMuxer`."""

    @property
    def configuration(self) -> Configuration: ...
    @property
    def init(self) -> bytes: ...
    def accepts(self, frame: Frame) -> bool: ...
    def push(self, frame: Frame, time: int) -> Sequence[Chunk]: ...
    def cut(self, time: int) -> Sequence[Chunk]: ...
    def finish(self, end: int | None = None) -> Sequence[Chunk]: ...
    def untold(self) -> list[Sample]: ...


class MakeMuxer(Protocol):
    def __call__(self, frame: Frame, *, seconds: float, chunk_seconds: float | None, aligned: bool) -> Muxer:
        """Raises `BitstreamError`."""


@dataclass(frozen=True, kw_only=True)
class RecordingSettings:
    """Seconds; `max_seconds` 0 is without limit. With `chunk_seconds` parts of segments are made too."""

    segment_seconds: float = 10.0
    max_seconds: float = 0.0
    chunk_seconds: float | None = None


def _sampled(frame: Frame, known: Frame) -> float:
    """When a frame was sampled, by what is known of a later one of its track."""
    if frame.synced or not known.synced:
        return frame.wallclock
    return known.wallclock - (known.timestamp - frame.timestamp) / frame.clock_rate


class _Placed(NamedTuple):
    position: float
    frame: Frame
    arrived: float


class _Track:
    def __init__(self, kind: Kind, muxer: Muxer, start: float) -> None:
        self.kind = kind
        self.muxer = muxer
        self.timescale = muxer.configuration.timescale
        self.number = 1
        self.last: float | None = None
        self.end = start
        """Where the newest frame's time is over, as far as is known."""

    def placed(self, position: float, usual: float) -> None:
        self.end = position + (usual if self.last is None else min(max(position - self.last, 0.001), 0.2))
        self.last = position


class Recording:
    """One recording after the other, without a frame between them.

    `begin` when a publisher comes, `feed` its frames, `end` when it has left; `feed` without frames when time passes.
    All positions are seconds, and `now` those of a monotonic clock.
    """

    def __init__(self, settings: RecordingSettings, *, make_muxer: MakeMuxer = make_muxer) -> None:
        self.settings = settings
        self.dropped = 0
        """Frames that are in no segment, of those that came after the beginning of what they belong to."""
        self._make_muxer = make_muxer
        self._expected: frozenset[Kind] = frozenset()
        self._unplaced: dict[Kind, deque[Frame]] = {"video": deque(), "audio": deque()}
        self._placed: dict[Kind, deque[_Placed]] = {"video": deque(), "audio": deque()}
        self._waiting_since: float | None = None
        self._waiting_bytes = 0
        self._zero: Origin | None = None
        """The publisher's clock at position 0; None until the source has begun."""
        self._timelines: dict[Kind, TrackTimeline] = {}
        self._tracks: dict[Kind, _Track] = {}
        """Of the period; empty between periods."""
        self._period = -1
        self._period_start = 0.0
        self._origin = 0.0
        """Where this recording began."""
        self._end = 0.0
        self._sound: Frame | None = None
        """The newest that was recorded: it tells the configuration."""
        self._sound_is_new = False
        """Sound comes that has no place in the period."""
        self._last_key: float | None = None
        self._damaged_since: float | None = None
        self._requests = KeyFrameRequests()
        self._made: list[Made] = []

    @property
    def duration(self) -> float:
        """Of what was recorded since the beginning or the last `Rotated`."""
        return max([track.end for track in self._tracks.values()], default=self._end) - self._origin

    def begin(self, kinds: Iterable[Kind]) -> None:
        self._expected = frozenset(kinds)
        if "video" in self._expected:
            self._requests.want()

    def feed(self, frames: Iterable[tuple[Kind, Sequence[Frame]]], now: float) -> list[Made]:
        for kind, some in frames:
            for frame in some:
                self._arrive(kind, frame, now)
        self._advance(now)
        return self._take_made()

    def end(self, now: float) -> list[Made]:
        """The source is over: all of it is made."""
        self._advance(now, over=True)
        self._close(None)
        self._zero = None
        self._timelines = {}
        self._waiting_since = None
        self._damaged_since = None
        self._last_key = None
        self._requests = KeyFrameRequests()
        return self._take_made()

    def in_the_making(self) -> list[SamplesTaken]:
        """What segments that are not whole have got since the last call: to be told after what `feed` has made."""
        return [
            SamplesTaken(self._period, kind, track.number, samples)
            for kind, track in self._tracks.items()
            if (samples := track.muxer.untold())
        ]

    def key_frame_due(self, now: float) -> bool:
        """Whether the publisher is to be asked now."""
        return self._requests.due(now)

    # From arrival to the right order

    def _arrive(self, kind: Kind, frame: Frame, now: float) -> None:
        if self._zero is not None:
            self._place(kind, frame, self._zero, now)
            return
        if self._waiting_since is None:
            self._waiting_since = now
        self._waiting_bytes += memoryview(frame).nbytes
        self._unplaced[kind].append(frame)

    def _place(self, kind: Kind, frame: Frame, zero: Origin, now: float, *, known: Frame | None = None) -> None:
        """`known` is a later frame of the track, which may know more of its clock."""
        timeline = self._timelines.get(kind)
        if timeline is None:
            timeline = self._timelines[kind] = TrackTimeline(
                clock_rate=frame.clock_rate,
                timescale=_TIMESCALE[kind],
                origin=zero,
                leads=kind == "audio" or "audio" not in self._expected,
                loose=kind == "video",
            )
        if known is None:
            ticks = timeline.place(frame.timestamp, frame.wallclock, synced=frame.synced)
        else:
            ticks = timeline.place(frame.timestamp, _sampled(frame, known), synced=known.synced)
        self._placed[kind].append(_Placed(ticks / _TIMESCALE[kind], frame, now))

    def _advance(self, now: float, *, over: bool = False) -> None:
        if self._zero is None and not self._align(now, over=over):
            return
        hold = 0.0 if over else HOLD
        while (kind := self._next(now - hold)) is not None:
            placed = self._placed[kind].popleft()
            self._take(kind, placed.position, placed.frame)

    def _align(self, now: float, *, over: bool) -> bool:
        """Begin where decoding can, with both kinds, and knowing their clocks, unless that takes too long."""
        video, audio = self._unplaced["video"], self._unplaced["audio"]
        while video and not video[0].key_frame:
            self._waiting_bytes -= memoryview(video.popleft()).nbytes
            self._requests.want()
        if not (video or audio) or self._waiting_since is None:
            return False
        if not over and self._is_patient(now - self._waiting_since) and not self._complete(video, audio):
            return False
        known = {kind: unplaced[-1] for kind, unplaced in self._unplaced.items() if unplaced}
        first = _sampled(video[0], known["video"]) if video else _sampled(audio[0], known["audio"])
        while audio and _sampled(audio[0], known["audio"]) < first:
            audio.popleft()
        self._zero = Origin(first - self._end)
        self._waiting_since = None
        self._waiting_bytes = 0
        for kind, unplaced in self._unplaced.items():
            while unplaced:
                self._place(kind, unplaced.popleft(), self._zero, now, known=known[kind])
        return True

    def _is_patient(self, waited: float) -> bool:
        here = all(self._unplaced[kind] for kind in self._expected)
        return waited < (REPORT_PATIENCE if here else PATIENCE) and self._waiting_bytes < MOST_WAITING

    def _complete(self, video: deque[Frame], audio: deque[Frame]) -> bool:
        if "video" in self._expected and not (video and video[-1].synced):
            return False
        if "audio" not in self._expected:
            return True
        return bool(audio and audio[-1].synced and (not video or audio[-1].wallclock >= _sampled(video[0], video[-1])))

    def _next(self, patient_until: float) -> Kind | None:
        """The kind whose frame is to be taken now."""
        video, audio = self._placed["video"], self._placed["audio"]
        if video and audio:
            return "video" if video[0].position <= audio[0].position else "audio"
        kind: Kind = "video" if video else "audio"
        if not self._placed[kind]:
            return None
        head = self._placed[kind][0]
        other = self._tracks.get("audio" if video else "video")
        if other is not None and head.arrived > patient_until:
            return None
        return kind

    # From the right order to periods

    def _take(self, kind: Kind, position: float, frame: Frame) -> None:
        try:
            if kind == "video":
                self._take_picture(position, frame)
            else:
                self._take_sound(position, frame)
        except BitstreamError:
            self.dropped += 1
            if kind == "video":
                self._damage(position)

    def _take_picture(self, position: float, frame: Frame) -> None:
        if frame.key_frame:
            if self._changes_with(position, frame):
                self._change(position, frame.wallclock, picture=frame)
            self._last_key = position
            self._damaged_since = None
            self._requests.arrived()
        elif self._is_useless(position, frame):
            self.dropped += 1
            return
        sound = self._tracks.get("audio")
        if sound is not None and position - sound.end > HOLD:
            self._fill(sound, position - HOLD / 2)
        self._push(self._tracks["video"], position, frame)

    def _is_useless(self, position: float, frame: Frame) -> bool:
        """A picture between key frames that cannot be shown, or has nowhere to go."""
        if "video" not in self._tracks:
            self._requests.want()
            return True
        if self._last_key is not None and position - self._last_key >= self.settings.segment_seconds:
            self._requests.want()
        if frame.gap:
            self._damage(position)
        return self._damaged_since is not None and position - self._damaged_since < DAMAGE_PATIENCE

    def _damage(self, position: float) -> None:
        self._requests.want()
        if self._damaged_since is None:
            self._damaged_since = position

    def _take_sound(self, position: float, frame: Frame) -> None:
        picture, sound = self._tracks.get("video"), self._tracks.get("audio")
        new = sound is None or not sound.muxer.accepts(frame)
        if new and picture is not None:
            # It begins at the next key frame, with a period.
            self._sound_is_new = True
            self._sound = frame
            self._requests.want()
            self.dropped += 1
            return
        lull = picture is not None and position - picture.end > PICTURE_LULL
        if sound is None or new or lull or (picture is None and self._is_long_enough(position)):
            self._change(position, frame.wallclock, sound=frame)
        sound = self._tracks["audio"]
        if sound.last is not None and position < sound.end - SOUND_HOLE:
            self.dropped += 1  # silence was recorded in its place
            return
        if position - sound.end > SOUND_HOLE:
            self._fill(sound, position)
        self._sound = frame
        self._push(sound, position, frame)

    def _changes_with(self, position: float, key_frame: Frame) -> bool:
        track = self._tracks.get("video")
        if track is None or self._sound_is_new or self._is_long_enough(position):
            return True
        return not track.muxer.accepts(key_frame)

    def _is_long_enough(self, position: float) -> bool:
        return 0 < self.settings.max_seconds <= position - self._origin

    def _change(
        self, position: float, wallclock: float, *, picture: Frame | None = None, sound: Frame | None = None
    ) -> None:
        """A new period, of the given kinds; sound goes on beside a picture."""
        start = math.floor(round(position * 1000, 3)) / 1000
        if picture is not None:
            waiting = self._placed["audio"]
            sound = waiting[0].frame if waiting else self._sound if "audio" in self._tracks else None
        muxers: dict[Kind, Muxer] = {}
        if picture is not None:
            muxers["video"] = self._muxer(picture, aligned=False)
        if sound is not None:
            muxers["audio"] = self._muxer(sound, aligned=picture is not None)
            self._sound = sound
        self._close(start)
        if self._is_long_enough(position):
            self._made.append(Rotated())
            self._origin = start
            self._period = -1
        self._period += 1
        self._period_start = start
        self._sound_is_new = False
        for kind, muxer in muxers.items():
            self._tracks[kind] = _Track(kind, muxer, start)
        tracks = tuple(TrackBegan(kind, muxer.configuration, muxer.init) for kind, muxer in muxers.items())
        self._made.append(PeriodBegan(self._period, self._seconds(start), wallclock, tracks))

    def _muxer(self, frame: Frame, *, aligned: bool) -> Muxer:
        seconds = self.settings.segment_seconds
        # A key frame that is due at the very second is not to be missed for the jitter of its time.
        seconds -= min(0.1, seconds / 10)
        return self._make_muxer(frame, seconds=seconds, chunk_seconds=self.settings.chunk_seconds, aligned=aligned)

    def _close(self, end: float | None) -> None:
        """End the period; without `end` where its last frame does."""
        if not self._tracks:
            return
        last = max(track.end for track in self._tracks.values())
        for kind in ("video", "audio"):
            if track := self._tracks.get(kind):
                self._made_of(track, track.muxer.finish(self._ticks(track, track.end if end is None else end)))
        self._tracks = {}
        self._end = math.ceil(round(last * 1000, 3)) / 1000 if end is None else end
        self._made.append(PeriodEnded(self._period, self._seconds(self._end) - self._seconds(self._period_start)))

    # From frames to segments

    def _push(self, track: _Track, position: float, frame: Frame) -> None:
        made = track.muxer.push(frame, self._ticks(track, position))
        track.placed(position, 1 / 30 if track.kind == "video" else 0.02)
        if made:
            self._made_of(track, made)

    def _fill(self, sound: _Track, until: float) -> None:
        """With silence."""
        if self._sound is not None:
            for position, frame in silence(sound.end, until, self._sound):
                self._push(sound, position, frame)

    def _made_of(self, track: _Track, chunks: Sequence[Chunk]) -> None:
        for chunk in chunks:
            if not isinstance(chunk, Segment):
                self._made.append(ChunkMade(self._period, track.kind, track.number, chunk))
                continue
            self._made.append(SegmentMade(self._period, track.kind, track.number, chunk))
            track.number += 1
            sound = self._tracks.get("audio")
            if track.kind == "video" and sound is not None:
                cut = math.ceil((chunk.start + chunk.duration) * sound.timescale)
                self._made_of(sound, sound.muxer.cut(cut))

    def _ticks(self, track: _Track, position: float) -> int:
        return round((position - self._origin) * track.timescale)

    def _seconds(self, position: float) -> Fraction:
        return Fraction(round((position - self._origin) * 1000), 1000)

    def _take_made(self) -> list[Made]:
        made, self._made = self._made, []
        return made
