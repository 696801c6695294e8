"""`CDN-Loop` (RFC 8586): which streams a session leads to, or comes from, so that none is made to feed itself.

A stream's mark is told to the servers that it is pulled from and pushed to, and to nobody else: who knew it could keep
others from pulling.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

CDN_LOOP: Final = "CDN-Loop"
MAX_MARKS: Final = 32

_MARK: Final = re.compile(r"[0-9a-f]{32}")


def read_marks(values: Iterable[str]) -> frozenset[str]:
    """Of the header's fields; what other products write there is none of ours."""
    words = (word.partition(";")[0].strip() for value in values for word in value.split(","))
    return frozenset([word for word in words if _MARK.fullmatch(word)][:MAX_MARKS])


def write_marks(own: str, others: Iterable[str]) -> str:
    """`own` is there, however many the others are."""
    return ", ".join([own, *sorted({*others} - {own})][:MAX_MARKS])
