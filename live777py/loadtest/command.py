"""`live777py bench`: a run, printed."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

from live777py.errors import BadRequest, ConfigError
from live777py.loadtest.report import as_json, as_text
from live777py.loadtest.run import Plan, run

if TYPE_CHECKING:
    import argparse

    from live777py.loadtest.report import Report


def bench(arguments: argparse.Namespace) -> int:
    """The exit code. Raises `ConfigError` or `StartError`."""
    plan = Plan(
        mode=arguments.mode,
        url=arguments.url,
        sessions=arguments.sessions,
        seconds=arguments.duration,
        ramp=arguments.ramp,
        token=arguments.token,
        codec=arguments.codec,
        bind=tuple(arguments.bind),
    )
    try:
        report = asyncio.run(_until_signal(plan))
    except BadRequest as error:
        raise ConfigError(error.detail) from error
    sys.stdout.write((as_json if arguments.json else as_text)(report) + "\n")
    return 1 if report.failed else 0


async def _until_signal(plan: Plan) -> Report:
    """A signal ends the run early; what it has shown until then is told."""
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    return await run(plan, over)
