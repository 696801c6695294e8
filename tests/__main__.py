"""`python -m tests [pytest's arguments]`: all tests, with coverage, in two processes side by side.

Real browsers and media programs mostly wait: they are one half of the time, and of a machine's two cores they need less
than one. Their output comes last; what failed, and what was run again, is told once more at the end.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

DATA: Final = Path(".make")
INTEROP: Final = "tests/interop"
PYTEST: Final = (sys.executable, "-m", "pytest", "--color=no", "--cov", "--cov-report=", "--cov-fail-under=0")
COVERAGE: Final = (sys.executable, "-m", "coverage")
NO_TESTS: Final = 5
TOLD: Final = re.compile(r"FAILED |ERROR |RERUN |=+ .*\b(passed|failed|error|no tests ran)\b")


def _start(name: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "COVERAGE_FILE": str(DATA / f".coverage.{name}")}
    return subprocess.Popen([*PYTEST, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _read(half: subprocess.Popen[bytes], into: list[bytes], *, shown: bool) -> None:
    assert half.stdout is not None
    while chunk := os.read(half.stdout.fileno(), 65_536):
        into.append(chunk)
        if shown:
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()


def main() -> int:
    DATA.mkdir(exist_ok=True)
    for old in DATA.glob(".coverage*"):
        old.unlink()
    signal.signal(signal.SIGINT, lambda *_: None)  # both halves hear it too, and end
    rest, interop = (
        _start("rest", "tests", "--ignore", INTEROP, *sys.argv[1:]),
        _start("interop", INTEROP, *sys.argv[1:]),
    )
    of_rest: list[bytes] = []
    of_interop: list[bytes] = []
    beside = threading.Thread(target=_read, args=(interop, of_interop), kwargs={"shown": False})
    beside.start()
    _read(rest, of_rest, shown=True)
    beside.join()
    codes = {rest.wait(), interop.wait()} - {NO_TESTS}
    told = [b"".join(half).decode(errors="replace") for half in (of_rest, of_interop)]
    print(told[1], flush=True)
    environment = {**os.environ, "COVERAGE_FILE": str(DATA / ".coverage")}
    for arguments in (["combine", "--quiet", str(DATA)], ["xml", "--quiet", "-o", f"{DATA}/coverage.xml"], ["report"]):
        codes.add(subprocess.run([*COVERAGE, *arguments], env=environment, check=False).returncode)
    for line in "\n".join(told).splitlines():
        if TOLD.match(line):
            print(line)
    return int(codes != {0})


if __name__ == "__main__":
    sys.exit(main())
