"""Trickled candidates and ICE restarts: `application/trickle-ice-sdpfrag` (RFC 8840 section 9)."""

from __future__ import annotations

from dataclasses import dataclass

from live777py.rtc.candidate import Candidate


@dataclass(frozen=True, kw_only=True, slots=True)
class Fragment:
    """`candidates` are (mid, candidate); the mid is None where the fragment names none. A bundle has one transport."""

    ice_ufrag: str | None
    ice_pwd: str | None
    candidates: tuple[tuple[str | None, Candidate], ...]
    end_of_candidates: bool


def parse_fragment(text: str) -> Fragment:
    """Raises `errors.BadRequest`, and nothing else, for any text."""
    raise NotImplementedError
