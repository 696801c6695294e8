"""`python -m tests.bench.watched`: the gateway, whose event loop notes its longest run between two waits.

SIGUSR1 has it print a line with that, in seconds of wall time and of the thread's CPU time, and begin anew. Everything
that became ready at once is in one run: no single block is longer.
"""

from __future__ import annotations

import json
import selectors
import signal
import time
from typing import Any, Final

LINE: Final = "longest run of the event loop:"
_longest = {"wall": 0.0, "cpu": 0.0}


class _WatchedSelector(selectors.DefaultSelector):
    _resumed = 0.0
    _used = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if self._resumed:
            _longest["wall"] = max(_longest["wall"], time.perf_counter() - self._resumed)
            _longest["cpu"] = max(_longest["cpu"], time.thread_time() - self._used)
        ready = super().select(timeout)
        self._resumed, self._used = time.perf_counter(), time.thread_time()
        return ready


def main() -> None:
    def write(_number: int, _frame: object) -> None:
        print(LINE, json.dumps(_longest), flush=True)
        _longest.update(wall=0.0, cpu=0.0)

    selectors.DefaultSelector = _WatchedSelector  # type: ignore[misc]
    signal.signal(signal.SIGUSR1, write)
    from live777py.__main__ import main as gateway

    gateway()


if __name__ == "__main__":
    main()
