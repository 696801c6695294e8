"""NAL units in the byte stream format: ITU-T H.264 and H.265, Annex B."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.media.native import length_prefixed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer

_LONGEST_HEADER = 1024
"""Bytes of a parameter set that are read. What we want stands within the first 200 even with all scaling lists."""


def nal_units(data: Buffer) -> list[memoryview]:
    """The NAL units of an access unit, without start codes; empty ones are left out."""
    return units_of(length_prefixed(data))


def units_of(sample: bytes) -> list[memoryview]:
    """The NAL units of what `length_prefixed` has made."""
    view = memoryview(sample)
    units = []
    at = 0
    while at < len(view):
        begin = at + 4
        at = begin + int.from_bytes(view[at:begin])
        units.append(view[begin:at])
    return units


def sample_of(units: Iterable[memoryview]) -> bytes:
    """The sample format of ISO/IEC 14496-15 with four-byte lengths."""
    return b"".join([piece for unit in units for piece in (len(unit).to_bytes(4), unit)])


def payload(unit: Buffer) -> bytes:
    """The head of a NAL unit's RBSP, with the unit's header: emulation prevention bytes removed (H.264 7.4.1.1)."""
    return bytes(memoryview(unit)[:_LONGEST_HEADER]).replace(b"\x00\x00\x03", b"\x00\x00")
