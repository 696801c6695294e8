"""What the configuration says about recordings, as the recorder reads it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from live777py.recorder.recording import RecordingSettings

CHUNK_SECONDS: Final = 0.5
"""Of low latency."""


@dataclass(frozen=True, kw_only=True)
class RecorderSettings:
    """Of the recordings that begin from now on; the patterns count at once. `max_seconds` 0 is without limit."""

    auto_streams: tuple[str, ...] = ()
    segment_seconds: float = 10.0
    max_seconds: float = 86_400.0
    resume_seconds: float = 30.0
    low_latency: bool = False

    @property
    def recording(self) -> RecordingSettings:
        return RecordingSettings(
            segment_seconds=self.segment_seconds,
            max_seconds=self.max_seconds,
            chunk_seconds=CHUNK_SECONDS if self.low_latency else None,
        )

    def is_auto(self, stream: str) -> bool:
        return any(fnmatchcase(stream, pattern) for pattern in self.auto_streams)
