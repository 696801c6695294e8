"""Telephone codecs become Opus: the tone is still there, at its time."""

from __future__ import annotations

import array
import io
import math
from fractions import Fraction

import av
import pytest

from live777py.recorder.frames import DataFrame
from live777py.recorder.muxer import Segment, TrackMuxer
from live777py.recorder.transcode import OpusTranscoder, TranscodingMuxer, make_muxer
from tests.recorder.encoded import ffmpeg, opus, video

ENCODERS = {"PCMU": ("pcm_mulaw", "mulaw", 8000), "PCMA": ("pcm_alaw", "alaw", 8000), "G722": ("g722", "g722", 16_000)}
TONE = 440


def frames(codec: str, *, milliseconds: int = 20, seconds: int = 2) -> list[DataFrame]:
    encoder, container, rate = ENCODERS[codec]
    source = f"-f lavfi -i sine=f={TONE}:d={seconds}:r={rate} -ac 1"
    data = ffmpeg(*f"{source} -c:a {encoder} -f {container} -".split())
    step = 8 * milliseconds
    return [
        DataFrame(data[at : at + step], codec=codec, timestamp=at, clock_rate=8000) for at in range(0, len(data), step)
    ]


def tone(samples: array.array[float], rate: int) -> float:
    """The frequency, by the zero crossings that rise."""
    crossings = [index for index in range(1, len(samples)) if samples[index - 1] < 0 <= samples[index]]
    return (len(crossings) - 1) * rate / (crossings[-1] - crossings[0])


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("milliseconds", [10, 20, 30])
def test_what_was_heard_is_heard(codec: str, milliseconds: int) -> None:
    came = frames(codec, milliseconds=milliseconds)
    muxer = make_muxer(came[0], seconds=1)
    assert isinstance(muxer, TranscodingMuxer)
    assert muxer.configuration.codecs == "opus"
    out = []
    for frame in came:
        assert muxer.accepts(frame)
        out += muxer.push(frame, 48_000 + frame.timestamp * muxer.timescale // 8000)
    out += muxer.finish()
    assert out[0].start == 1
    lasts = sum((chunk.duration for chunk in out), Fraction(0))
    assert abs(lasts - 2) <= Fraction(1, 50)
    samples = array.array("f")
    with av.open(io.BytesIO(muxer.init + b"".join(chunk.data for chunk in out)), "r") as container:
        for block in container.decode(audio=0):
            samples.frombytes(bytes(block.planes[0])[: 4 * block.samples])
    heard = samples[4800:]
    assert math.sqrt(sum(value * value for value in heard) / len(heard)) > 0.05
    assert tone(heard, 48_000) == pytest.approx(TONE, rel=0.01)


def test_a_jump_of_time_is_kept() -> None:
    came = frames("PCMU", milliseconds=30)
    transcoder = OpusTranscoder("PCMU")
    times = []
    for index, frame in enumerate(came):
        times += [at for at, _ in transcoder.push(frame, index * 1440 + (96_000 if index >= 10 else 0))]
    assert times[:15] == [index * 960 for index in range(15)]
    assert times[15] == 10 * 1440 + 96_000


def test_a_slow_correction_of_time_is_followed() -> None:
    transcoder = OpusTranscoder("PCMA")
    times = [at for index, frame in enumerate(frames("PCMA")) for at, _ in transcoder.push(frame, index * 965)]
    assert times == [index * 965 for index in range(100)]


def test_cuts_reach_the_segments() -> None:
    came = frames("PCMU")
    muxer = TranscodingMuxer(came[0], seconds=1, aligned=True)
    out = []
    for index, frame in enumerate(came):
        out += muxer.push(frame, index * 960)
    out += muxer.cut(48_000)
    assert [chunk.duration for chunk in [*out, *muxer.finish()] if isinstance(chunk, Segment)] == [1, 1]


def test_what_needs_no_transcoding_is_muxed_as_it_is() -> None:
    assert isinstance(make_muxer(opus()[0], seconds=1), TrackMuxer)
    assert isinstance(make_muxer(video("H264")[0], seconds=1), TrackMuxer)


@pytest.mark.parametrize("payload", [b"", b"\x00", bytes(100_000)])
def test_any_payload_is_taken(payload: bytes) -> None:
    transcoder = OpusTranscoder("G722")
    list(transcoder.push(DataFrame(payload, codec="G722", timestamp=0, clock_rate=8000), 0))
    good = frames("G722")[0]
    assert list(transcoder.push(good, 48_000_000))
