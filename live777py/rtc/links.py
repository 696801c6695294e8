"""`Link` headers of a 201: the ICE servers that it names (RFC 8288, RFC 9725 section 4.6)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_LINKS: Final = 32
STUN_PORT: Final = 3478

# RFC 8288 section 3, RFC 9110 section 5.6: the target, then parameters whose values are tokens or quoted strings.
_TARGET = re.compile(r"\s*,*\s*<([^<>\s]*)>")
_PARAMETER = re.compile(r'\s*;\s*(?:([!#$&+\-.^_`|~0-9A-Za-z]+\*?)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?)?')
_ESCAPED = re.compile(r"\\(.)")
# RFC 7064 section 3.1, RFC 7065 section 3.1.
_SERVER = re.compile(
    r"(stuns?|turns?):(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:?@/]+))(?::([0-9]{1,5}))?(?:\?\S*)?", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True, slots=True)
class IceServer:
    """`scheme` is one of stun, stuns, turn, turns; `host` a name or an address without brackets."""

    scheme: str
    host: str
    port: int
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


def ice_servers(headers: Iterable[str]) -> tuple[IceServer, ...]:
    """In the order of the headers. A link that does not parse ends its header; other links are none of ours."""
    found = []
    for target, parameters in _links(headers):
        relations = parameters.get("rel", "").lower().split()
        server = _SERVER.fullmatch(target)
        if "ice-server" not in relations or server is None:
            continue
        scheme, literal, name, port = server.groups()
        number = int(port) if port else STUN_PORT
        if 0 < number <= 0xFFFF:
            found.append(
                IceServer(
                    scheme=scheme.lower(),
                    host=literal or name,
                    port=number,
                    username=parameters.get("username"),
                    credential=parameters.get("credential"),
                )
            )
    return tuple(found)


def _links(headers: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
    count = 0
    for header in headers:
        at = 0
        while (target := _TARGET.match(header, at)) and count < MAX_LINKS:
            count += 1
            at = target.end()
            parameters: dict[str, str] = {}
            while parameter := _PARAMETER.match(header, at):
                at = parameter.end()
                name, quoted, token = parameter.groups()
                if name is not None:
                    value = _ESCAPED.sub(r"\1", quoted) if quoted is not None else token or ""
                    parameters.setdefault(name.lower(), value)
            yield target[1], parameters
            at += len(header[at:]) - len(header[at:].lstrip())
            if header[at : at + 1] != ",":
                break
