"""Entity tags of ICE sessions: each restart has another one (RFC 9725 section 4.3.1, RFC 9110 section 13.1.1)."""

from __future__ import annotations

from typing import Final

from live777py.errors import PreconditionFailed, PreconditionRequired

_ANY: Final = frozenset({"*", '"*"'})
"""The second is how RFC 9725 prints it in its own example."""


def check_match(if_match: str | None, etag: str, *, strict: bool) -> bool:
    """Whether a request is for `etag`, by its If-Match; True where it says that it is for any.

    A missing one is for any too, and raises `PreconditionRequired` if `strict`. One that names others raises
    `PreconditionFailed`; if not `strict`, tags may lack their quotes.
    """
    if if_match is None:
        if strict:
            raise PreconditionRequired("If-Match is needed: the ETag of the session, or * for an ICE restart")
        return False
    tags = [tag.strip() for tag in if_match.split(",")]
    if any(tag in _ANY for tag in tags):
        return True
    if etag not in (tags if strict else [_quoted(tag) for tag in tags]):
        raise PreconditionFailed("If-Match is not of this session, or of an ICE session that was restarted")
    return False


def _quoted(tag: str) -> str:
    opaque = tag.removeprefix("W/").strip('"')
    return f'"{opaque}"'
