"""Programs, each run without a shell in a session of its own, so that it can be ended with all that it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_LINES: Final = 200
"""Lines of one program's output that are logged."""
MAX_LINE: Final = 1000
"""Bytes of a line."""


class ProgramFailed(Exception):
    """The text says why."""


class Log(Protocol):
    def debug(self, msg: str, /, *args: object) -> None: ...


class Programs:
    """`close` stops reading what background processes of ended programs print."""

    def __init__(self) -> None:
        self._outputs: set[asyncio.BaseTransport] = set()

    def close(self) -> None:
        for output in self._outputs:
            output.close()

    async def run(
        self, arguments: Sequence[bytes], environment: Mapping[bytes, bytes], *, limit: float | None, log: Log
    ) -> None:
        """Wait until the program ends; what it has put in the background may go on. `limit` is in seconds.

        Raises ProgramFailed. When it takes too long, or this is cancelled, its whole process group is killed.
        """
        try:
            writing = await self._open_output(log)
        except OSError as error:
            raise ProgramFailed(f"cannot be run: {error.strerror}") from None
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise ProgramFailed(f"cannot be run: {error.strerror}") from None
        finally:
            os.close(writing)
        try:
            async with asyncio.timeout(limit):
                status = await process.wait()
        except TimeoutError:
            raise ProgramFailed(f"took longer than {limit:g} s and was killed") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if status != 0:
            raise ProgramFailed(f"ended with exit status {status}" if status > 0 else f"ended by signal {-status}")

    async def _open_output(self, log: Log) -> int:
        """The writing end of a pipe of our own: with asyncio's, `wait` lasts as long as anybody holds it."""
        reading, writing = os.pipe()
        output = _Output(log, self._outputs)
        await asyncio.get_running_loop().connect_read_pipe(lambda: output, os.fdopen(reading, "rb", 0))
        return writing


class _Output(asyncio.Protocol):
    """Logs lines as they come, for as long as anybody holds the other end of the pipe."""

    def __init__(self, log: Log, opened: set[asyncio.BaseTransport]) -> None:
        self._log = log
        self._opened = opened
        self._line = bytearray()
        self._lines = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._opened.add(transport)

    def data_received(self, data: bytes) -> None:
        *complete, rest = data.split(b"\n")
        for piece in complete:
            self._append(piece)
            self._write()
        self._append(rest)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._opened.discard(self._transport)
        if self._line:
            self._write()

    def _append(self, piece: bytes) -> None:
        self._line += piece[: MAX_LINE - len(self._line)]

    def _write(self) -> None:
        self._lines += 1
        if self._lines <= MAX_LINES:
            self._log.debug("| %s", self._line.decode(errors="replace"))
        elif self._lines == MAX_LINES + 1:
            self._log.debug("| (what follows is not logged)")
        self._line.clear()
