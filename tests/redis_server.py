"""A Redis server of the tests' own, on loopback, that can be stopped, frozen and killed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from typing import TYPE_CHECKING, Self

from tests.gateway import free_port
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

PROGRAM = "redis-server"


def available() -> bool:
    return shutil.which(PROGRAM) is not None


class RedisServer:
    """Usage: `async with RedisServer(directory) as server`. What was written survives `stop` and `kill`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """It answers when this returns."""
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self._directory),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "daemonize": "no",
        }
        self._process = await asyncio.create_subprocess_exec(
            PROGRAM,
            *(part for name, value in options.items() for part in (f"--{name}", value)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await eventually(self._answers)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Its connections stay, and nothing comes of them."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def command(self, *words: str) -> bytes:
        """The first line of its answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            parts = [b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)]
            writer.write(b"".join(parts))
            return (await reader.readline()).rstrip()
        finally:
            writer.close()
            await writer.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.kill()

    async def _answers(self) -> bool:
        try:
            return await self.command("PING") == b"+PONG"
        except ConnectionError:
            return False

    async def _end(self, number: signal.Signals) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(number)
        if number is not signal.SIGKILL:
            self.thaw()
        await self._process.wait()
