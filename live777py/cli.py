"""The command line. Exit codes: 0 ended by a signal, 1 cannot start (port, permission), 2 wrong arguments or file."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from live777py import __version__, log
from live777py.config import load, template, warnings
from live777py.errors import ConfigError, StartError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live777py.config import Config

OK: Final = 0
CANNOT_START: Final = 1
WRONG_CONFIG: Final = 2


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "config":
            sys.stdout.write(template())
        elif arguments.command == "check":
            _check(arguments.config)
        else:
            _serve(arguments.config, arguments.verbose)
    except ConfigError as error:
        return _fail(error.detail, WRONG_CONFIG)
    except StartError as error:
        return _fail(error.detail, CANNOT_START)
    return OK


def _serve(path: Path | None, verbose: int) -> None:
    def read() -> Config:
        return load(path, os.environ)

    config = read()
    log.setup(config.log.level, verbose=verbose)
    from live777py.app import serve  # noqa: PLC0415 (the other commands need no media engine)

    asyncio.run(serve(config, read, verbose=verbose))


def _check(path: Path | None) -> None:
    from live777py import settings  # noqa: PLC0415 (it imports what only this command and serving need)

    config = load(path, os.environ)
    settings.cascade(config)
    for warning in warnings(config, os.environ):
        print(f"warning: {warning}", file=sys.stderr)
    print("the configuration is good")


def _fail(detail: str, code: int) -> int:
    print(f"live777py: {log.redact(' '.join(detail.split()))}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="live777py", description="WHIP/WHEP media gateway.")
    parser.add_argument("--version", action="version", version=f"live777py {__version__}")
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="default: live777.toml, if it is there")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="log more; -vv still more")
    commands = parser.add_subparsers(dest="command", title="commands (none: serve)", metavar="[COMMAND]")
    commands.add_parser("config", help="print a configuration file with every key and its default")
    check = commands.add_parser("check", help="check a configuration file")
    check.add_argument("-c", "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS)
    return parser
