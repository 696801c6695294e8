"""python -m live777py, and the console script: a signal ends the process quietly also while it imports."""

import os
import signal
import sys


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not the system's default, which process 1 of a container does not have.
        signal.signal(number, lambda *_: os._exit(0))
    signal.signal(signal.SIGHUP, lambda *_: None)  # to read the configuration again: it is about to be read
    from live777py.cli import main as run  # noqa: PLC0415 (the imports take a while)

    return run()


if __name__ == "__main__":
    sys.exit(main())
