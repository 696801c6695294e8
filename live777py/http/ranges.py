"""Conditional requests and ranges (RFC 9110 sections 13 and 14), as far as stored objects need them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING

from live777py.errors import RangeNotSatisfiable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from live777py.storage import Entry

_RANGE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ByteRange:
    """`start` to before `end`, both within the object."""

    start: int
    end: int


def not_modified(headers: Mapping[str, str], entry: Entry) -> bool:
    """RFC 9110 section 13.2.2: If-Modified-Since counts without If-None-Match alone."""
    if (wanted := headers.get("If-None-Match")) is not None:
        return has_tag(wanted, entry.etag)
    since = _seconds(headers.get("If-Modified-Since"))
    return since is not None and int(entry.modified) <= since


def has_tag(wanted: str, tag: str) -> bool:
    """The value of If-None-Match: compared weakly (section 13.1.2)."""
    tags = {each.strip().removeprefix("W/") for each in wanted.split(",")}
    return "*" in tags or tag.removeprefix("W/") in tags


def wanted_range(headers: Mapping[str, str], entry: Entry) -> ByteRange | None:
    """None for all of it: also where several ranges, or another unit, are asked for (section 14.2 lets us).

    Raises RangeNotSatisfiable.
    """
    match = _RANGE.fullmatch(headers.get("Range", ""))
    if match is None or match.groups() == ("", "") or not _same_version(headers.get("If-Range"), entry):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, entry.size - int(last)), entry.size
    else:
        start, end = int(first), min(int(last) + 1, entry.size) if last else entry.size
        if last and int(last) < start:
            return None
    if start >= entry.size or start >= end:
        raise RangeNotSatisfiable(f"the object has {entry.size} bytes", size=entry.size)
    return ByteRange(start=start, end=end)


def http_date(seconds: float) -> str:
    return formatdate(int(seconds), usegmt=True)


def _same_version(condition: str | None, entry: Entry) -> bool:
    """RFC 9110 section 13.1.5: a strong tag, or exactly the date."""
    if condition is None:
        return True
    if '"' in condition:
        return condition.strip() == entry.etag and not entry.etag.startswith("W/")
    return _seconds(condition) == int(entry.modified)


def _seconds(date: str | None) -> float | None:
    if date is None:
        return None
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
