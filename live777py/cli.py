"""The command line. Exit codes: 0 ended by a signal, 1 cannot start (port, permission), 2 wrong arguments or file.

Of `bench`: 0 all sessions were good, 1 one was not.
"""

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
        elif arguments.command == "token":
            _create_token(arguments)
        elif arguments.command == "bench":
            return _bench(arguments)
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
    settings.external(config)
    if config.cluster.redis_url:
        settings.cluster(config)
    for warning in warnings(config, os.environ):
        print(f"warning: {warning}", file=sys.stderr)
    print("the configuration is good")


def _create_token(arguments: argparse.Namespace) -> None:
    from live777py.livekit.token_command import Wanted, create  # noqa: PLC0415 (as above)

    wanted = Wanted(
        api_key=arguments.api_key,
        room=arguments.room,
        identity=arguments.identity,
        name=arguments.name,
        metadata=arguments.metadata,
        kind=arguments.kind,
        attributes=tuple(arguments.attribute),
        grants=tuple(arguments.grant),
        valid_for=arguments.valid_for,
    )
    print(create(load(arguments.config, os.environ).livekit, wanted))


def _bench(arguments: argparse.Namespace) -> int:
    log.setup("error", verbose=arguments.verbose)
    from live777py.loadtest import command  # noqa: PLC0415 (as above)

    return command.bench(arguments)


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
    token = commands.add_parser("token", help="make a token of the LiveKit API").add_subparsers(
        dest="token_command", required=True, metavar="create"
    )
    create = token.add_parser("create", help="print one, signed with a key of the configuration")
    create.add_argument("-c", "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS)
    create.add_argument("--api-key", default="", metavar="KEY", help="default: the first of the configuration")
    create.add_argument("--room", default="", help="the room that it is for")
    create.add_argument("--identity", default="", help="who joins, or calls")
    create.add_argument("--name", default="", help="of the participant, as people read it")
    create.add_argument("--metadata", default="", help="of the participant")
    create.add_argument("--kind", default="", help="of the participant, such as agent")
    create.add_argument("--attribute", action="append", default=[], metavar="NAME=VALUE", help="of the participant")
    create.add_argument(
        "--grant",
        action="append",
        default=[],
        help="roomAdmin, canPublish=false, canPublishSources=camera,microphone, sip.call, or a JSON object of "
        "video grants; may be repeated. default: roomJoin, if there is a room",
    )
    create.add_argument("--valid-for", default="6h", metavar="TIME", help="such as 90s, 30m, 6h, 7d. default: 6h")
    _add_bench(commands.add_parser("bench", help="load a WHIP or WHEP server, this one or another"))
    return parser


def _add_bench(bench: argparse.ArgumentParser) -> None:
    bench.add_argument("mode", choices=("whip", "whep"), help="publish, or play")
    bench.add_argument("url", help="{n} in it is the number of the session, from 0")
    bench.add_argument("--sessions", type=_count, default=1, metavar="N", help="default: 1")
    bench.add_argument("--duration", type=_seconds, default=10.0, metavar="SECONDS", help="with all. default: 10")
    bench.add_argument(
        "--ramp", type=_seconds, default=50.0, metavar="N", help="sessions begun a second, 0: all at once. default: 50"
    )
    bench.add_argument("--token", metavar="TOKEN", help="bearer token; {n} as in the URL")
    bench.add_argument("--codec", choices=("h264", "vp8"), default="h264", help="of what is published. default: h264")
    bench.add_argument(
        "--bind", action="append", default=[], metavar="IP", help="media address of this machine; may be repeated"
    )
    bench.add_argument("--json", action="store_true", help="print the report as JSON (docs/bench.md)")
    bench.add_argument("-v", "--verbose", action="count", default=argparse.SUPPRESS, help="log more")


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError(text)
    return number
