"""Sound that no browser plays from a segment (PCMU, PCMA, G722) as Opus, by FFmpeg's libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast

import av

from live777py.recorder.bitstream import BitstreamError
from live777py.recorder.configuration import OPUS_TIMESCALE
from live777py.recorder.frames import TRANSCODED_CODECS, DataFrame
from live777py.recorder.muxer import TrackMuxer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live777py.recorder.configuration import Configuration
    from live777py.recorder.frames import Frame
    from live777py.recorder.muxer import Chunk, Sample

_DECODERS: Final = {"PCMU": ("pcm_mulaw", 8000), "PCMA": ("pcm_alaw", 8000), "G722": ("adpcm_g722", 16_000)}
"""And what they are sampled at; the RTP clock of G722 counts half of its samples (RFC 3551 section 4.5.2)."""
_PACKET: Final = 50
"""Of a second: 20 ms, what WebRTC sends."""
_BIT_RATE: Final = 32_000
_LONGEST_PAYLOAD: Final = 8000
"""Bytes: a second of any of them."""


class OpusTranscoder:
    """Keeps the time of what it is given, to the sample, and starts anew where time jumps."""

    def __init__(self, codec: str) -> None:
        name, self._rate = _DECODERS[codec]
        self._decoder = self._context(name, "r")
        self._encoder = self._context("libopus", "w")
        self._encoder.format = av.AudioFormat("s16")
        self._encoder.bit_rate = _BIT_RATE
        self._ticks = OPUS_TIMESCALE // self._rate
        self._samples = bytearray()
        """Of 16 bits, not yet encoded."""
        self._begin = 0
        """When the first of them is heard."""
        self._earliest = -(2**63)

    def _context(self, name: str, mode: Literal["r", "w"]) -> av.AudioCodecContext:
        context = cast("av.AudioCodecContext", av.CodecContext.create(name, mode))
        context.sample_rate = self._rate
        context.layout = av.AudioLayout("mono")
        return context

    def push(self, frame: Frame, time: int) -> Iterator[tuple[int, bytes]]:
        """Packets of Opus that are complete, with their times; all times are ticks of 1/48000 s."""
        expected = self._begin + len(self._samples) // 2 * self._ticks
        if not self._samples or abs(time - expected) > OPUS_TIMESCALE // _PACKET:
            self._samples.clear()
            self._begin = time
        else:
            self._begin += time - expected
        self._begin = max(self._begin, self._earliest)
        self._samples += self._decoded(bytes(memoryview(frame)[:_LONGEST_PAYLOAD]))
        size = 2 * self._rate // _PACKET
        while len(self._samples) >= size:
            samples = av.AudioFrame(format="s16", layout="mono", samples=size // 2)
            samples.sample_rate = self._rate
            samples.planes[0].update(bytes(self._samples[:size]))
            del self._samples[:size]
            for packet in self._encoder.encode(samples):
                yield self._begin, bytes(packet)
            self._earliest = self._begin + 1
            self._begin += OPUS_TIMESCALE // _PACKET

    def _decoded(self, payload: bytes) -> bytes:
        if not payload:
            return b""
        try:
            frames = self._decoder.decode(av.Packet(payload))
        except av.FFmpegError as error:
            raise BitstreamError("a payload that cannot be decoded") from error
        return b"".join(bytes(decoded.planes[0])[: 2 * decoded.samples] for decoded in frames)


class TranscodingMuxer:
    """A `TrackMuxer` of what an `OpusTranscoder` makes of the frames."""

    def __init__(
        self, frame: Frame, *, seconds: float, chunk_seconds: float | None = None, aligned: bool = False
    ) -> None:
        self._codec = frame.codec
        self._transcoder = OpusTranscoder(frame.codec)
        self._muxer = TrackMuxer(_opus(b""), seconds=seconds, chunk_seconds=chunk_seconds, aligned=aligned)

    @property
    def configuration(self) -> Configuration:
        return self._muxer.configuration

    @property
    def timescale(self) -> int:
        return self._muxer.timescale

    @property
    def init(self) -> bytes:
        return self._muxer.init

    def accepts(self, frame: Frame) -> bool:
        return frame.codec == self._codec

    def push(self, frame: Frame, time: int) -> list[Chunk]:
        out: list[Chunk] = []
        for at, packet in self._transcoder.push(frame, time):
            out += self._muxer.push(_opus(packet), at)
        return out

    def cut(self, time: int) -> list[Chunk]:
        return self._muxer.cut(time)

    def untold(self) -> list[Sample]:
        return self._muxer.untold()

    def finish(self, end: int | None = None) -> list[Chunk]:
        return self._muxer.finish(end)


def _opus(packet: bytes) -> DataFrame:
    return DataFrame(packet, codec="opus", timestamp=0, clock_rate=OPUS_TIMESCALE)


def make_muxer(
    frame: Frame, *, seconds: float, chunk_seconds: float | None = None, aligned: bool = False
) -> TrackMuxer | TranscodingMuxer:
    """The muxer for a track that begins with `frame`; `BitstreamError` when the frame does not tell enough."""
    if frame.codec in TRANSCODED_CODECS:
        return TranscodingMuxer(frame, seconds=seconds, chunk_seconds=chunk_seconds, aligned=aligned)
    return TrackMuxer(frame, seconds=seconds, chunk_seconds=chunk_seconds, aligned=aligned)
