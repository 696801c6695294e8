"""SDP (RFC 8866) as a model that keeps every line and reads the ones that WebRTC uses.

Reading never fails on an attribute: one that does not parse describes nothing. Only text that is no SDP at all, or that
is larger than any client writes, is refused. What an offer must hold to be served is decided in `offer`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeGuard

from live777py import errors
from live777py.rtc.candidate import Candidate

if TYPE_CHECKING:
    from collections.abc import Mapping

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")

MAX_SIZE = 256 * 1024
"""Characters of one description or fragment."""
MAX_MEDIA = 64
MAX_LINES = 2000
"""Lines of one section; the longest real one, a browser's video section, has about 250."""
MAX_LINE = 8192

# After CRLF became LF: controls but for tab and LF, and what UTF-8 cannot encode.
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PAYLOAD_TYPES = {str(number): number for number in range(128)}
_MEDIA_LINE = re.compile(r"m=([!-~]+) +([0-9]{1,5})(?:/([0-9]{1,5}))? +([!-~]+)((?: +[!-~]+)+) *")
_STATIC_RTPMAP = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000"}


class RtpMap(NamedTuple):
    name: str
    clock_rate: int
    channels: int | None


class ExtMap(NamedTuple):
    """RFC 8285 section 5. The direction is the one after the slash, None where there is no slash."""

    id: int
    uri: str
    direction: Direction | None
    attributes: str


class Rid(NamedTuple):
    """RFC 8851 section 4."""

    id: str
    direction: Literal["send", "recv"]
    restrictions: tuple[tuple[str, str], ...]


class SimulcastId(NamedTuple):
    rid: str
    paused: bool


SimulcastStreams = tuple[tuple[SimulcastId, ...], ...]
"""RFC 8853 section 5.1: streams, each a list of alternatives in order of preference."""


@dataclass(frozen=True, slots=True)
class Section:
    """Lines without their line ends, in order, and the attributes that may stand at either level."""

    lines: tuple[str, ...]
    _attributes: Mapping[str, list[str]] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        index: dict[str, list[str]] = {}
        for line in self.lines:
            if line.startswith("a="):
                name, _, value = line[2:].partition(":")
                if name in index:
                    index[name].append(value)
                else:
                    index[name] = [value]
        object.__setattr__(self, "_attributes", index)

    def attributes(self, name: str) -> list[str]:
        """The values of `a=name:value` in order; an attribute without a value counts as an empty one."""
        return self._attributes.get(name, [])

    def attribute(self, name: str) -> str | None:
        values = self._attributes.get(name)
        return values[0] if values else None

    def has(self, name: str) -> bool:
        return name in self._attributes

    @property
    def direction(self) -> Direction | None:
        return next((direction for direction in DIRECTIONS if direction in self._attributes), None)

    @property
    def setup(self) -> str | None:
        value = self.attribute("setup")
        return None if value is None else value.strip().lower()

    @property
    def ice_ufrag(self) -> str | None:
        return self.attribute("ice-ufrag")

    @property
    def ice_pwd(self) -> str | None:
        return self.attribute("ice-pwd")

    @property
    def ice_options(self) -> tuple[str, ...]:
        return tuple(option for value in self.attributes("ice-options") for option in value.split())

    @property
    def fingerprints(self) -> tuple[tuple[str, str], ...]:
        """(hash function in lower case, value in upper case), RFC 8122 section 5."""
        found = []
        for value in self.attributes("fingerprint"):
            algorithm, _, digest = value.strip().partition(" ")
            found.append((algorithm.lower(), digest.strip().upper()))
        return tuple(found)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """A candidate of an unknown form is skipped, as RFC 8839 section 5.1 asks."""
        found = []
        for value in self.attributes("candidate"):
            try:
                found.append(Candidate.parse(value))
            except errors.BadRequest:
                continue
        return tuple(found)

    @property
    def end_of_candidates(self) -> bool:
        return self.has("end-of-candidates")

    @property
    def extmap_allow_mixed(self) -> bool:
        return self.has("extmap-allow-mixed")

    @property
    def extmaps(self) -> tuple[ExtMap, ...]:
        found = []
        for value in self.attributes("extmap"):
            entry, uri, attributes = (*value.split(None, 2), "", "", "")[:3]
            number, slash, direction = entry.partition("/")
            if not uri or not _is_number(number):
                continue
            if not slash:
                found.append(ExtMap(int(number), uri, None, attributes))
            elif _is_direction(direction):
                found.append(ExtMap(int(number), uri, direction, attributes))
        return tuple(found)

    @property
    def groups(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """RFC 5888: (semantics, mids)."""
        words = [value.split() for value in self.attributes("group")]
        return tuple((first, tuple(mids)) for first, *mids in filter(None, words))


@dataclass(frozen=True, slots=True)
class MediaSection(Section):
    """An m-section; `lines` are those after its m-line."""

    kind: str
    port: int
    port_count: int | None
    protocol: str
    formats: tuple[str, ...]

    @property
    def header(self) -> str:
        count = "" if self.port_count is None else f"/{self.port_count}"
        return f"m={self.kind} {self.port}{count} {self.protocol} {' '.join(self.formats)}"

    @property
    def mid(self) -> str | None:
        return self.attribute("mid")

    @property
    def msid(self) -> str | None:
        """RFC 8830, or the attribute of the first source that older clients write (RFC 5576)."""
        return self.attribute("msid") or next((s["msid"] for s in self.ssrcs.values() if "msid" in s), None)

    @property
    def payload_types(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(_PAYLOAD_TYPES[word] for word in self.formats if word in _PAYLOAD_TYPES))

    @property
    def rtpmaps(self) -> dict[int, tuple[RtpMap, ...]]:
        """What each payload type is said to be, twice in a conflict; the static ones of RFC 3551 need no rtpmap."""
        found: dict[int, tuple[RtpMap, ...]] = {}
        for value in self.attributes("rtpmap"):
            number, _, text = value.partition(" ")
            payload_type, mapping = _PAYLOAD_TYPES.get(number), _rtpmap(text)
            if payload_type is not None and mapping is not None:
                before = found.get(payload_type, ())
                if mapping not in before:
                    found[payload_type] = (*before, mapping)
        for static, text in _STATIC_RTPMAP.items():
            mapping = _rtpmap(text)
            if mapping is not None and static not in found and str(static) in self.formats:
                found[static] = (mapping,)
        return found

    @property
    def fmtps(self) -> dict[int, str]:
        found: dict[int, str] = {}
        for value in self.attributes("fmtp"):
            number, _, text = value.partition(" ")
            payload_type = _PAYLOAD_TYPES.get(number)
            if payload_type is not None:
                found.setdefault(payload_type, text.strip())
        return found

    @property
    def feedback(self) -> dict[int | None, set[str]]:
        """RFC 4585 section 4.2, by payload type; None is the wildcard `*`."""
        found: dict[int | None, set[str]] = {}
        for value in self.attributes("rtcp-fb"):
            number, _, text = value.partition(" ")
            payload_type = _PAYLOAD_TYPES.get(number)
            if payload_type is not None or number == "*":
                found.setdefault(payload_type, set()).add(text.strip())
        return found

    @property
    def rids(self) -> tuple[Rid, ...]:
        found: dict[str, Rid] = {}
        for value in self.attributes("rid"):
            name, direction, text = (*value.split(None, 2), "", "", "")[:3]
            if direction in ("send", "recv"):
                pairs = (item.partition("=") for item in text.split(";"))
                restrictions = tuple((key.strip(), content.strip()) for key, _, content in pairs if key.strip())
                found.setdefault(name, Rid(name, "send" if direction == "send" else "recv", restrictions))
        return tuple(found.values())

    @property
    def simulcast_send(self) -> SimulcastStreams:
        return self._simulcast("send")

    @property
    def simulcast_recv(self) -> SimulcastStreams:
        return self._simulcast("recv")

    def _simulcast(self, direction: str) -> SimulcastStreams:
        words = (self.attribute("simulcast") or "").split()
        for name, streams in zip(words[::2], words[1::2], strict=False):
            if name == direction:
                return tuple(
                    tuple(SimulcastId(rid.removeprefix("~"), rid.startswith("~")) for rid in stream.split(","))
                    for stream in streams.split(";")
                )
        return ()

    @property
    def ssrcs(self) -> dict[int, dict[str, str]]:
        """RFC 5576 section 4.1: the source attributes of each SSRC, in order of appearance."""
        found: dict[int, dict[str, str]] = {}
        for value in self.attributes("ssrc"):
            number, _, text = value.partition(" ")
            if _is_ssrc(number):
                name, _, content = text.partition(":")
                found.setdefault(int(number), {}).setdefault(name, content)
        return found

    @property
    def ssrc_groups(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        found = []
        for value in self.attributes("ssrc-group"):
            semantics, *numbers = value.split() or [""]
            if numbers and all(_is_ssrc(number) for number in numbers):
                found.append((semantics, tuple(int(number) for number in numbers)))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """`parse(str(x)) == x` for every description that was parsed; line ends become CRLF."""

    session: Section
    media: tuple[MediaSection, ...]

    def __str__(self) -> str:
        lines = [*self.session.lines]
        for section in self.media:
            lines += [section.header, *section.lines]
        return "\r\n".join(lines) + "\r\n"

    @property
    def bundle(self) -> tuple[str, ...]:
        """The mids of the first BUNDLE group (RFC 9143), empty without one."""
        return next((mids for semantics, mids in self.session.groups if semantics == "BUNDLE"), ())

    @property
    def ice_lite(self) -> bool:
        return self.session.has("ice-lite")

    def direction(self, section: MediaSection) -> Direction:
        """RFC 8866 section 6.7: the section's own, else the session's, else sendrecv."""
        return section.direction or self.session.direction or "sendrecv"


def parse(text: str) -> SessionDescription:
    """Raises `errors.BadRequest` for what is no SDP, `errors.Unprocessable` for what exceeds a limit; nothing else."""
    header, sections = read_sections(text)
    if not header or header[0] != "v=0":
        raise errors.BadRequest("not SDP: the first line is not v=0")
    if not any(line.startswith("o=") for line in header):
        raise errors.BadRequest("not SDP: no o= line")
    return SessionDescription(session=Section(header), media=sections)


def read_sections(text: str) -> tuple[tuple[str, ...], tuple[MediaSection, ...]]:
    """The lines before the first m-line, and the m-sections. Raises as `parse` does."""
    blocks = _split(text)
    if len(blocks) - 1 > MAX_MEDIA:
        raise errors.Unprocessable(f"more than {MAX_MEDIA} m-sections")
    return tuple(blocks[0]), tuple(_media_section(block) for block in blocks[1:])


def _split(text: str) -> list[list[str]]:
    if len(text) > MAX_SIZE:
        raise errors.Unprocessable(f"the description is longer than {MAX_SIZE} characters")
    text = text.replace("\r\n", "\n")
    # The test for printable text is quick and passes what nearly every client sends.
    if not text.replace("\n", "").isprintable() and _FORBIDDEN.search(text):
        raise errors.BadRequest("not SDP: a control character, or not UTF-8")
    blocks: list[list[str]] = [[]]
    for line in text.split("\n"):
        if not line:
            continue
        if line[1:2] != "=" or not "a" <= line[0] <= "z":
            raise errors.BadRequest("not SDP: a line without a type")
        if len(line) > MAX_LINE:
            raise errors.Unprocessable(f"a line is longer than {MAX_LINE} characters")
        if line[0] == "m":
            blocks.append([])
        blocks[-1].append(line)
    if max(map(len, blocks)) > MAX_LINES:
        raise errors.Unprocessable(f"a section has more than {MAX_LINES} lines")
    return blocks


def _media_section(lines: list[str]) -> MediaSection:
    match = _MEDIA_LINE.fullmatch(lines[0])
    if match is None:
        raise errors.BadRequest("not SDP: malformed m= line")
    kind, port, count, protocol, formats = match.groups()
    if int(port) > 65535:
        raise errors.BadRequest("not SDP: malformed m= line")
    return MediaSection(
        lines=tuple(lines[1:]),
        kind=kind,
        port=int(port),
        port_count=None if count is None else int(count),
        protocol=protocol,
        formats=tuple(formats.split()),
    )


@lru_cache(maxsize=256)
def _rtpmap(text: str) -> RtpMap | None:
    name, *numbers = text.strip().split("/")
    if not name or not 1 <= len(numbers) <= 2 or not all(_is_number(number) for number in numbers):
        return None
    return RtpMap(name=name, clock_rate=int(numbers[0]), channels=int(numbers[1]) if len(numbers) == 2 else None)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _is_ssrc(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**32


def _is_direction(text: str) -> TypeGuard[Direction]:
    return text in DIRECTIONS
