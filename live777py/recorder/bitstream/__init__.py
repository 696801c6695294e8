"""What a codec's own headers say: profile, level, size, colours. Nothing here trusts its input."""

from live777py.recorder.bitstream.reader import BitReader, BitstreamError

__all__ = ["BitReader", "BitstreamError"]
