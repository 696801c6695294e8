"""Lines that cannot be forged, levels, and what is kept out of them."""

from __future__ import annotations

import asyncio
import io
import logging
from typing import TYPE_CHECKING

import pytest

from live777py import log

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged, at info. The root logger is as before afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("live777py")
    before = root.handlers[:], root.level, ours.level
    output = io.StringIO()
    log.setup("info", stream=output)
    yield output
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)


def test_one_line_per_record(lines: io.StringIO) -> None:
    logging.getLogger("live777py.test").info("a\nINFO forged %s", "b\r\x1b[31m\u2028c")
    (line,) = lines.getvalue().splitlines()
    assert line.endswith(" INFO  live777py.test a\\nINFO forged b\\r\\x1b[31m\\u2028c")
    assert line[10] == "T"
    assert line[23] == "Z"


def test_a_traceback_stands_behind_bars(lines: io.StringIO) -> None:
    try:
        int("Bearer abc\nERROR forged")
    except ValueError:
        logging.getLogger("live777py.test").exception("failed")
    first, *rest = lines.getvalue().splitlines()
    assert first.endswith(" ERROR live777py.test failed")
    assert all(line.startswith("  | ") for line in rest)
    assert "abc" not in lines.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cret",
        "{'Authorization': 'bearer s3cret'}",
        "GET /x?a=1&token=s3cret HTTP/1.1",
        "whip://s3cret@example.org/whip/x",
        "rtsp://user:s3cret@example.org/",
    ],
)
def test_secrets_are_hidden(lines: io.StringIO, text: str) -> None:
    logging.getLogger("live777py.test").warning("%s", text)
    assert "s3cret" not in lines.getvalue()
    assert "***" in lines.getvalue()


def test_stream_and_session_stand_before_the_message(lines: io.StringIO) -> None:
    logger = logging.getLogger("live777py.test")
    log.bind(logger, stream="100%s", session="abc").info("left after %d s", 5)
    log.bind(logger, stream="50%").info("no arguments")
    first, second = lines.getvalue().splitlines()
    assert first.endswith("stream=100%s session=abc: left after 5 s")
    assert second.endswith("stream=50%: no arguments")


async def test_a_task_that_fails_is_told_at_once(lines: io.StringIO) -> None:
    async def work(error: BaseException | None) -> None:
        if error is not None:
            raise error

    for error in (None, asyncio.CancelledError(), KeyError("a fault")):
        await asyncio.wait([log.watched(asyncio.create_task(work(error), name="worker"))])
        assert ("worker" in lines.getvalue()) == isinstance(error, KeyError)
    assert "KeyError: 'a fault'" in lines.getvalue()


@pytest.mark.parametrize(
    ("level", "verbose", "ours", "others"),
    [
        ("off", 0, logging.CRITICAL + 10, logging.CRITICAL + 10),
        ("error", 0, logging.ERROR, logging.ERROR),
        ("info", 0, logging.INFO, logging.WARNING),
        ("info", 1, logging.DEBUG, logging.WARNING),
        ("info", 2, log.TRACE, log.TRACE),
        ("warn", 9, log.TRACE, log.TRACE),
    ],
)
def test_levels(lines: io.StringIO, level: str, verbose: int, ours: int, others: int) -> None:
    log.setup(level, verbose=verbose, stream=lines)
    assert logging.getLogger("live777py").getEffectiveLevel() == ours
    assert logging.getLogger("aiohttp").getEffectiveLevel() == others
