"""Every row has a check that runs, and docs/conformance.md says the same as they do."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from tests.conformance.checklist import IDS, Checklist

DIRECTORY = Path(__file__).parent
DOCUMENT = (DIRECTORY.parents[1] / "docs" / "conformance.md").read_text()
MODULES = [path for path in sorted(DIRECTORY.glob("test_*.py")) if "ROWS = Checklist()\n" in path.read_text()]


def _rows(path: Path) -> Checklist:
    rows: Checklist = importlib.import_module(f"tests.conformance.{path.stem}").ROWS
    return rows


ROWS = sorted((row for path in MODULES for row in _rows(path).rows), key=lambda row: IDS.index(row.id))


def test_every_row_has_one_check() -> None:
    assert [row.id for row in ROWS] == list(IDS)


def test_every_check_runs() -> None:
    for path in MODULES:
        assert path.read_text().count("\n\n\n@ROWS.cases()\nasync def test_") == 1, path


def test_the_document_lists_the_rows() -> None:
    line = r"^\| ([WPX]\d\d) \| ([^|]+) \| ([^|]*?) ?\| ([^|]+) \| (yes|\[no\]\(#deviations\)) \|$"
    assert re.findall(line, DOCUMENT, re.MULTILINE) == [
        (row.id, row.level, row.section, row.text, "[no](#deviations)" if row.deviates else "yes") for row in ROWS
    ]


def test_every_deviation_has_its_reason() -> None:
    _, _, section = DOCUMENT.partition("\n## Deviations\n")
    reasons = re.findall(r"^\| ([WPX]\d\d(?:, [WPX]\d\d)*) \| [^|]+ \| [^|]+ \|$", section, re.MULTILINE)
    assert sorted(row for rows in reasons for row in rows.split(", ")) == sorted(row.id for row in ROWS if row.deviates)
