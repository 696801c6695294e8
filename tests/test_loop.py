"""The header by which gateways tell each other where a stream leads."""

from __future__ import annotations

import pytest

from live777py.outbound.loop import MAX_MARKS, read_marks, write_marks

MARKS = [f"{number:032x}" for number in range(100)]
OWN = MARKS[99]


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        ([], []),
        ([MARKS[1]], [MARKS[1]]),
        ([f"{MARKS[1]},{MARKS[2]} ; x=y, other.example:80", f" {MARKS[3]}"], MARKS[1:4]),
        (["", ",;,", MARKS[1].upper().replace("0", "A"), MARKS[1][1:], "\u0661" * 32], []),
        ([", ".join(MARKS)], MARKS[:MAX_MARKS]),
    ],
)
def test_reading(values: list[str], marks: list[str]) -> None:
    assert read_marks(values) == set(marks)


def test_writing() -> None:
    assert write_marks(OWN, []) == OWN
    assert read_marks([write_marks(OWN, [*MARKS[:2], OWN])]) == {OWN, *MARKS[:2]}
    many = read_marks([write_marks(OWN, MARKS)])
    assert len(many) == MAX_MARKS
    assert OWN in many
