"""How much a client may say: LiveKit's limits, and its words for what is beyond them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from live777py.livekit.errors import TwirpError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_NAME: Final = 256
"""Characters of an identity, or of the name of a room or of a participant."""
MAX_METADATA: Final = 512 * 1024
"""Bytes."""
MAX_ATTRIBUTES: Final = 64 * 1024
"""Bytes of all names and values."""


def check_metadata(metadata: str) -> None:
    """Raises TwirpError."""
    if len(metadata.encode()) > MAX_METADATA:
        text = "metadata size exceeds limits"
        raise TwirpError("invalid_argument", f"{text} {MAX_METADATA}", {"argument": text})


def check_attributes(attributes: Mapping[str, str]) -> None:
    """Raises TwirpError."""
    if size_of(attributes) > MAX_ATTRIBUTES:
        text = "attribute size exceeds limits"
        raise TwirpError("invalid_argument", f"{text} {MAX_ATTRIBUTES}", {"argument": text})


def size_of(attributes: Mapping[str, str]) -> int:
    return sum(len(name.encode()) + len(value.encode()) for name, value in attributes.items())
