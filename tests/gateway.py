"""A gateway process of its own for a test: real config file, real ports on loopback, stopped at the end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.confidential import assert_no_secret
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FIRST_PORT, SPAN, SPANS = 10_000, 1000, 22
_own = FIRST_PORT + os.getpid() % SPANS * SPAN
_ports = itertools.cycle(range(_own, _own + SPAN))

START_TIMEOUT = 60.0
STOP_TIMEOUT = 10.0


def free_port() -> int:
    """Below the ports that the system gives out, and in a span of this process's own: nobody takes it meanwhile."""
    for port in itertools.islice(_ports, SPAN):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


@dataclass
class Gateway:
    """`url` is `http://127.0.0.1:port`; `log` grows with what the process prints."""

    url: str
    config: Path
    process: asyncio.subprocess.Process
    log: list[str]

    @property
    def pid(self) -> int:
        return self.process.pid

    async def get(self, path: str) -> Any:
        async with aiohttp.ClientSession() as client, client.get(self.url + path) as response:
            response.raise_for_status()
            return await response.json()

    async def stream(self, name: str) -> dict[str, Any] | None:
        streams: list[dict[str, Any]] = await self.get("/api/streams/")
        return next((stream for stream in streams if stream["id"] == name), None)

    def configure(self, config: str) -> None:
        """Other keys behind the address, at once but unread; `config` as with `running_gateway`."""
        self.config.write_text(_minimal(self.url.removeprefix("http://")) + config)

    async def logged(self, text: str, *, after: int = 0) -> str:
        """The first line with `text` in it, the first `after` lines not counted."""

        async def line() -> str | None:
            return next((line for line in self.log[after:] if text in line), None)

        return await eventually(line)

    async def terminate(self) -> int:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT)


def _minimal(address: str) -> str:
    return f'[http]\nlisten = "{address}"\n'


async def _read_lines(stream: asyncio.StreamReader, log: list[str], started: asyncio.Event) -> None:
    async for line in stream:
        log.append(line.decode(errors="replace").rstrip())
        if "/whip/" in log[-1]:
            started.set()


@contextlib.asynccontextmanager
async def running_gateway(
    directory: Path,
    *,
    config: str = "",
    environment: dict[str, str] | None = None,
    port: int = 0,
    address: str = "127.0.0.1",
    module: str = "live777py",
) -> AsyncIterator[Gateway]:
    """The gateway with `config` appended to a minimal file, ready to answer. `port` 0: any that is free. `address` is
    where it listens for HTTP; `url` is always loopback's.

    `module` is what is run: the gateway, or something around it.
    """
    port = port or free_port()
    path = directory / f"live777-{port}.toml"
    minimal = _minimal(f"{address}:{port}")
    path.write_text(minimal + config)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, "-c", str(path)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={
            **os.environ,
            "LIVE777_WEBRTC_ICE_UDP_ADDRS": "127.0.0.1:0",
            "PYTHONUNBUFFERED": "1",
            **(environment or {}),
        },
    )
    log: list[str] = []
    started = asyncio.Event()
    assert process.stdout is not None
    reader = asyncio.create_task(_read_lines(process.stdout, log, started))
    ended = asyncio.create_task(process.wait())
    waiting = asyncio.create_task(started.wait())
    try:
        await asyncio.wait({ended, waiting}, timeout=START_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        assert started.is_set(), "the gateway did not start:\n" + "\n".join(log)
        yield Gateway(url=f"http://127.0.0.1:{port}", config=path, process=process, log=log)
    finally:
        waiting.cancel()
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(asyncio.shield(ended), STOP_TIMEOUT)
            except TimeoutError:
                process.kill()
        await ended
        await reader
    for text in (minimal + config, path.read_text()):
        assert_no_secret("\n".join(log), text, environment or {})
