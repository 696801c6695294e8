"""Ids of objects as LiveKit makes them: a prefix and twelve characters that nobody mistakes for each other."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
LENGTH: Final = 12

ROOM: Final = "RM_"
PARTICIPANT: Final = "PA_"
TRACK: Final = "TR_"
DISPATCH: Final = "AD_"
JOB: Final = "AJ_"
WORKER: Final = "AW_"
EVENT: Final = "EV_"
NODE: Final = "ND_"
CAMERA_TRACK: Final = "TR_VC"
MICROPHONE_TRACK: Final = "TR_AM"


def new_id(prefix: str) -> str:
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def id_of(prefix: str, name: str) -> str:
    """Always the same for the same name, such as a session's id, which must itself be unique."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")
    digits = []
    for _ in range(LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return prefix + "".join(digits)
