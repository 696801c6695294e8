"""A TCP proxy in a process of its own: a line to cut, or to hold up.

`python -m tests.storage.tcp_proxy PORT TARGET_PORT`
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys


class Line:
    """From `port`, which stays the same, to `target`, both on 127.0.0.1. Usage: as a context."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self._target = target
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Line:
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.cut()

    def mend(self) -> None:
        assert self._process is None
        command = [sys.executable, "-m", "tests.storage.tcp_proxy", str(self.port), str(self._target)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def cut(self) -> None:
        """Like a power cut: open connections are reset, new ones refused."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process = None

    def hold(self) -> None:
        """Connections are open, and nothing moves."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def release(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _serve(port: int, target: int) -> None:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        above, below = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(_pump(reader, below), _pump(above, writer))

    server = await asyncio.start_server(forward, "127.0.0.1", port)
    print("ready", flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
