"""Trickled candidates and ICE restarts: `application/trickle-ice-sdpfrag` (RFC 8840 section 9)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from live777py import errors
from live777py.rtc import sdp
from live777py.rtc.candidate import Candidate
from live777py.rtc.parameters import shared

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_CANDIDATES = 256
"""Of one fragment; a browser with ten interfaces sends some sixty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fragment:
    """`candidates` are (mid, candidate); the mid is None where the fragment names none. A bundle has one transport.

    Whether `ice_ufrag` starts a restart is for the caller to see: it does when the session knows another one.
    """

    ice_ufrag: str | None
    ice_pwd: str | None = field(repr=False)
    candidates: tuple[tuple[str | None, Candidate], ...]
    end_of_candidates: bool


def parse_fragment(text: str) -> Fragment:
    """Reads the three shapes that clients send: credentials before or after the pseudo m-line, or no m-line at all.

    An empty candidate, as Firefox ends its list with, is the end of candidates (RFC 8838 section 14). Raises
    `errors.BadRequest`, and nothing else, for any text.
    """
    try:
        header, media = sdp.read_sections(text)
    except errors.Unprocessable as error:
        raise errors.BadRequest(error.detail) from None
    sections: tuple[sdp.Section, ...] = (sdp.Section(header), *media)
    candidates: list[tuple[str | None, Candidate]] = []
    ended = False
    for section in sections:
        mid = section.attribute("mid")
        for value in section.attributes("candidate"):
            if value.strip():
                candidates.append((mid, Candidate.parse(value.strip())))
            else:
                ended = True
        ended = ended or section.end_of_candidates
    if len(candidates) > MAX_CANDIDATES:
        raise errors.BadRequest(f"more than {MAX_CANDIDATES} candidates")
    ufrag = _one("ufrag", (value for section in sections for value in section.attributes("ice-ufrag")))
    pwd = _one("password", (value for section in sections for value in section.attributes("ice-pwd")))
    if ufrag is None and pwd is None and not candidates and not ended:
        raise errors.BadRequest("the fragment has neither credentials nor candidates")
    return Fragment(ice_ufrag=ufrag, ice_pwd=pwd, candidates=tuple(candidates), end_of_candidates=ended)


def write_fragment(*, ufrag: str, pwd: str, mid: str, candidate: Candidate) -> str:
    """A candidate of ours for the section that tags the bundle (RFC 8840 section 4.4, RFC 9725 section 4.3.2)."""
    pseudo_section = ("m=audio 9 UDP/TLS/RTP/SAVPF 0", f"a=mid:{mid}", f"a={candidate}")
    return "".join(f"{line}\r\n" for line in (f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{pwd}", *pseudo_section))


def restart_head(description: str) -> tuple[str, ...]:
    """What every answer to a restart repeats of our own answer or offer (RFC 9725 section 4.3.3).

    That is ice-lite, ice-options, the group, and the section that tags it as a pseudo m-line (RFC 8840 section 4.4).
    """
    session, *sections = description.split("\r\nm=")
    kept = [line for line in session.split("\r\n") if line.startswith(("a=ice-lite", "a=ice-options:", "a=group:"))]
    tagged = next(section.split("\r\n") for section in sections if "\r\na=end-of-candidates" in section)
    kind, _, protocol, *_ = tagged[0].split(" ")
    kept.append(f"m={kind} 9 {protocol} 0")
    return shared((*kept, *(line for line in tagged if line.startswith("a=mid:"))))


def write_restart(head: tuple[str, ...], *, ufrag: str, pwd: str, candidates: Sequence[Candidate]) -> str:
    """The answer to a restart: all candidates, as in the answer to an offer."""
    lines = [*head, f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{pwd}", *(f"a={candidate}" for candidate in candidates)]
    return "".join(f"{line}\r\n" for line in (*lines, "a=end-of-candidates"))


def _one(what: str, values: Iterable[str]) -> str | None:
    found = set(values)
    if len(found) > 1:
        raise errors.BadRequest(f"the fragment has more than one ICE {what}")
    return found.pop() if found else None
