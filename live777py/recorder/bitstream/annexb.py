"""NAL units in the byte stream format: ITU-T H.264 and H.265, Annex B."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer

_START = re.compile(rb"\x00\x00\x01")
_LONGEST_HEADER = 1024
"""Bytes of a parameter set that are read. What we want stands within the first 200 even with all scaling lists."""


def nal_units(data: Buffer) -> list[memoryview]:
    """The NAL units of an access unit, without start codes; empty ones are left out."""
    view = memoryview(data)
    marks = [found.span() for found in _START.finditer(view)]
    units = []
    for (_, begin), (mark, _) in pairwise([*marks, (len(view), 0)]):
        # Zeros behind a unit belong to the next start code or are trailing_zero_8bits (B.1.1): a unit ends in a one.
        end = mark
        if end > begin and not view[end - 1]:
            end = begin + len(bytes(view[begin:end]).rstrip(b"\x00"))
        if end > begin:
            units.append(view[begin:end])
    return units


def length_prefixed(units: Iterable[memoryview]) -> bytes:
    """The sample format of ISO/IEC 14496-15 with four-byte lengths."""
    return b"".join([piece for unit in units for piece in (len(unit).to_bytes(4), unit)])


def payload(unit: Buffer) -> bytes:
    """The head of a NAL unit's RBSP, with the unit's header: emulation prevention bytes removed (H.264 7.4.1.1)."""
    return bytes(memoryview(unit)[:_LONGEST_HEADER]).replace(b"\x00\x00\x03", b"\x00\x00")
