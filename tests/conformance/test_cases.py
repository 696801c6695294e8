"""Live777's own black-box cases: what each asks, and that a test of that number answers.

`pytest -m live777_case` runs them all. Those over RTSP, capture hardware and MQTT are not among them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CASES = {
    1: "GET /api/strategy/ equals the defaults",
    2: "GET /api/info: the version contains the git hash; features",
    3: "an HTTP server on [::] answers",
    4: "a created stream is the one in the list",
    5: "a publisher is connected",
    6: "bytes are counted when media flows",
    7: "counters stay monotonic while sessions come and go",
    8: "an offer without candidates, which come by PATCH",
    9: "a viewer before a VP9 publisher",
    10: "UDP to data channels and back, byte by byte, without a publisher",
    11: "several publishers, several viewers, nobody there",
    12: "the matrix of programs, codecs and directions",
    13: "rules of the lifecycle and of negotiation",
}
TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("number", CASES)
def test_the_case_has_a_test(number: int) -> None:
    mark = re.compile(
        rf"^ *(@pytest\.mark|pytestmark = pytest\.mark|pytest\.mark)\.live777_case\({number}\)", re.MULTILINE
    )
    assert any(mark.search(path.read_text()) for path in TESTS.rglob("test_*.py"))
