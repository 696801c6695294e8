"""The rows of what RFC 9725, the WHEP draft and its extensions ask of a server: one check each.

A module of rows has a `Checklist`; its rows are the cases of one test, by their ids. docs/conformance.md shows them all
and says why those marked with `deviates` are kept in another way; `test_checklist.py` compares.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conformance.conftest import Gateway

IDS: Final = (
    *(f"W{number:02}" for number in range(1, 46)),
    *(f"P{number:02}" for number in range(1, 20)),
    *(f"X{number:02}" for number in range(1, 13)),
)
"""W: WHIP, P: WHEP, X: the extensions of WHEP."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a check may use. `start` is given what the configuration has besides an address for media."""

    start: Callable[..., Awaitable[Gateway]]
    directory: Path
    monkeypatch: pytest.MonkeyPatch


Check = Callable[[Ground], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """`section` is that of the specification, "" where there is none. `text` is what is looked at."""

    id: str
    level: str
    section: str
    text: str
    deviates: bool
    check: Check


class Checklist:
    def __init__(self) -> None:
        self.rows: list[Row] = []

    def row(
        self, number: str, level: str, section: str, text: str, *, deviates: bool = False
    ) -> Callable[[Check], Check]:
        def add(check: Check) -> Check:
            self.rows.append(Row(id=number, level=level, section=section, text=text, deviates=deviates, check=check))
            return check

        return add

    def cases(self) -> pytest.MarkDecorator:
        """To be used below the rows."""
        return pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in self.rows])
