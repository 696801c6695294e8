"""Logging: one line per record on standard error, no secrets, and an adapter that names stream and session."""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

if TYPE_CHECKING:
    import asyncio

TRACE: Final = 5
_LEVELS: Final = {
    "off": logging.CRITICAL + 10,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}
_STEPS: Final = tuple(_LEVELS)

_SECRETS: Final = (
    (re.compile(r"(?i)\b(bearer\s+)[^\s,;\"']+"), r"\1***"),
    (re.compile(r"(?i)([?&](?:token|access_token|key|password|secret)=)[^&\s\"']+"), r"\1***"),
    (re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@\"']+@"), r"\1***@"),
)


_CONTEXT: Final = ("stream", "session")

_T = TypeVar("_T")
_logger = logging.getLogger(__name__)


def bind(logger: logging.Logger, *, stream: str, session: str | None = None) -> logging.LoggerAdapter[logging.Logger]:
    """A logger whose lines say `stream=NAME session=ID` before the message."""
    return logging.LoggerAdapter(logger, {"stream": stream, "session": session})


def watched(task: asyncio.Task[_T]) -> asyncio.Task[_T]:
    """For a task that runs until it is cancelled: a fault that ends it is logged at once, not when it is forgotten."""
    task.add_done_callback(_tell_fault)
    return task


def _tell_fault(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _logger.error("the task %r has ended by a fault of ours", task.get_name(), exc_info=error)


class LineFormatter(logging.Formatter):
    """ISO 8601 UTC time, level, logger, message. What is not printable is escaped, so nobody can forge a line.

    The lines of a traceback follow, each behind a bar.
    """

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-5s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        context = [f"{name}={value}" for name in _CONTEXT if (value := getattr(record, name, None)) is not None]
        if context:
            record.message = f"{' '.join(context)}: {record.message}"
        return _printable(redact(super().formatMessage(record)))

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        lines = redact(super().formatException(ei)).splitlines()
        return "\n".join(f"  | {_printable(line)}" for line in lines)


def redact(text: str) -> str:
    """Hide bearer tokens, tokens in queries, and user info in URLs."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def setup(level: str, *, verbose: int = 0, stream: TextIO | None = None) -> None:
    """Log to `stream`, from `level` up: see `set_level`."""
    logging.addLevelName(logging.WARNING, "WARN")
    logging.addLevelName(TRACE, "TRACE")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    for previous in root.handlers[:]:
        root.removeHandler(previous)
    root.addHandler(handler)
    set_level(level, verbose=verbose)


def set_level(level: str, *, verbose: int = 0) -> None:
    """`level` is a name of the configuration file; each of `verbose` raises it by one step.

    Other packages speak from warning up, or when the level is trace.
    """
    step = min(_STEPS.index(level) + verbose, len(_STEPS) - 1)
    threshold = _LEVELS[_STEPS[step]]
    logging.getLogger().setLevel(threshold if threshold == TRACE else max(threshold, logging.WARNING))
    logging.getLogger("live777py").setLevel(threshold)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
