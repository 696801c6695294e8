"""Bits, most significant first, as the video codecs write them."""

from __future__ import annotations


class BitstreamError(ValueError):
    """A header that cannot be what it says it is, or one of something that we do not record."""


class BitReader:
    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self.left = 8 * len(data)

    def bits(self, count: int) -> int:
        """An unsigned number of `count` bits: u(n), f(n)."""
        if count > self.left:
            raise BitstreamError("header ends too early")
        self.left -= count
        return (self._value >> self.left) & ((1 << count) - 1)

    def flag(self) -> bool:
        return self.bits(1) == 1

    def skip(self, count: int) -> None:
        self.bits(count)

    def unsigned(self) -> int:
        """Exp-Golomb ue(v), ITU-T H.264 9.1."""
        zeros = 0
        while not self.bits(1):
            zeros += 1
            if zeros > 32:
                raise BitstreamError("number of more than 32 bits")
        return (1 << zeros) - 1 + self.bits(zeros)

    def signed(self) -> int:
        """Exp-Golomb se(v), ITU-T H.264 9.1.1."""
        value = self.unsigned()
        return (value + 1) // 2 if value & 1 else -(value // 2)
