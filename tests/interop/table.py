"""The table of `make interop`: a row for each client, direction and codec, in the order of the cases."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from live777py import __version__

VARIABLE: Final = "LIVE777_INTEROP_TABLE"
"""Names the file to be written; without it the cases run and nothing is."""

_HEAD: Final = """\
# Clients that it works with

Written by `make interop` ({date}, live777py {version}): each row is a program as that run found it, against a gateway
process of its own in a network namespace. "Works" means that decoded pictures were compared or counted, and sound
measured, where the client has them; [the cases](../tests/interop/matrix.py) say how. A client that cannot be had
says why.

| client | version | direction | codecs | result |
|---|---|---|---|---|
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    client: str
    version: str
    direction: str
    codecs: str
    result: str

    def __str__(self) -> str:
        cells = (self.client, self.version, self.direction, self.codecs, self.result)
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


@dataclass
class Table:
    """Rows come in any order and are written by number."""

    rows: dict[int, Row] = field(default_factory=dict)

    def write(self) -> None:
        path = os.environ.get(VARIABLE)
        if path and self.rows:
            head = _HEAD.format(date=f"{datetime.now(UTC):%Y-%m-%d}", version=__version__)
            Path(path).write_text(head + "\n".join(str(self.rows[number]) for number in sorted(self.rows)) + "\n")
