"""What a listener is sent at the very end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from live777py.http.event_stream import Mailbox, encode_event, send_events

if TYPE_CHECKING:
    from aiohttp.web import Request, StreamResponse


async def test_what_was_put_before_the_end_is_sent() -> None:
    """Also where the listener's connection was busy then."""
    mailbox = Mailbox()
    last = encode_event(b"{}", "reconnect")
    mailbox.put(last)
    mailbox.close()

    async def follow(request: Request) -> StreamResponse:
        return await send_events(request, mailbox)

    app = web.Application()
    app.router.add_get("/", follow)
    async with TestClient(TestServer(app)) as client, client.get("/") as response:
        assert await response.read() == last
