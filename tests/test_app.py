"""The composition root: addresses, and what is built from the configuration."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from live777py.app import announcement, build_app, listen
from live777py.config import SocketAddress, parse
from live777py.errors import StartError
from live777py.store import Database

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
    database = await Database.open(store)  # one process, and one user in it, at a time
    await database.close()
