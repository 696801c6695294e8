"""The composition root: addresses, and what is built from the configuration."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from live777py.app import announcement, build_app, listen
from live777py.config import SocketAddress, parse
from live777py.errors import StartError
from live777py.store import Database
from tests.gateway import running_gateway
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("0.0.0.0", "http://127.0.0.1:7777"),
        ("::", "http://127.0.0.1:7777"),
        ("192.0.2.1", "http://192.0.2.1:7777"),
        ("2001:db8::1", "http://[2001:db8::1]:7777"),
    ],
)
def test_what_is_printed_can_be_pasted(host: str, origin: str) -> None:
    page, whip = announcement((host, 7777), pages=True)
    assert page.endswith(f" {origin}/")
    assert whip.endswith(f" {origin}/whip/demo")


def test_missing_pages_are_mentioned() -> None:
    page, _ = announcement(("127.0.0.1", 1), pages=False)
    assert page.endswith("(not built: make web)")


@pytest.mark.parametrize(
    ("host", "client", "accepted"),
    [("127.0.0.1", "127.0.0.1", True), ("::", "127.0.0.1", True), ("::", "::1", True), ("::1", "127.0.0.1", False)],
)
def test_the_unspecified_ipv6_address_takes_ipv4_too(host: str, client: str, accepted: bool) -> None:
    with listen(SocketAddress(host=host, port=0)) as listener:
        port = listener.getsockname()[1]
        family = socket.AF_INET6 if ":" in client else socket.AF_INET
        with socket.socket(family) as caller:
            assert (caller.connect_ex((client, port)) == 0) is accepted


async def test_a_start_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """The UDP port of a stream is taken: what was begun before that is noticed has tasks, files and a thread."""
    store = tmp_path / "store.db"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        config = f"""
[webrtc]
ice_udp_addrs = ["127.0.0.1:0"]
[[webhooks]]
url = "http://127.0.0.1:1/"
secret = "secret"
[store]
path = "{store}"
[stream.cam.channel]
listen = "127.0.0.1:{taken.getsockname()[1]}"
target = "127.0.0.1:9"
"""
        runner = web.AppRunner(build_app(parse(config, {})))
        with pytest.raises(StartError):
            await runner.setup()
        await runner.cleanup()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    database = Database(store)
    await database.open()  # one process, and one user in it, at a time
    await database.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_nobody_who_hangs_holds_up_the_end(tmp_path: Path, number: signal.Signals) -> None:
    """A server that takes every connection and never answers is source, target of the API and webhook."""
    taken: list[asyncio.StreamWriter] = []

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    silent = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\ntrap '' TERM\nsleep 60\n")
    slow.chmod(0o755)
    config = f"""
[hooks]
on_stream_created = ["{slow}"]
[[webhooks]]
url = "http://{silent}/"
secret = "secret"
[store]
path = "{tmp_path}/store.db"
[[stream.cam.sources]]
url = "whep://{silent}/whep/cam"
"""
    async with running_gateway(tmp_path, config=config) as gateway, aiohttp.ClientSession() as client:
        events = await client.get(f"{gateway.url}/api/sse/streams")
        asking = asyncio.create_task(
            client.post(f"{gateway.url}/api/cascade/other", json={"sourceUrl": f"http://{silent}/"})
        )

        async def all_are_waiting() -> bool:
            return len(taken) >= 3

        await eventually(all_are_waiting)
        began = asyncio.get_running_loop().time()
        gateway.process.send_signal(number)
        assert await gateway.process.wait() == 0
        assert asyncio.get_running_loop().time() - began < 5
        with contextlib.suppress(aiohttp.ClientError):
            await asking
        events.close()
    for writer in taken:
        writer.close()
    server.close()
    await server.wait_closed()
    assert not any("Traceback" in line or "never retrieved" in line for line in gateway.log)
