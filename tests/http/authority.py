"""A server beside the gateway that gives out keys or decides about tokens."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class Authority:
    """Answers every request as its members say, and keeps what it was asked. `answers` is cleared to hold them back."""

    url: str = ""
    status: int = 200
    body: str | bytes = ""
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Any] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.asked.append(await request.json() if request.can_read_body else dict(request.headers))
        try:
            await self.answers.wait()
            body = self.body if isinstance(self.body, bytes) else self.body.encode()
            return web.Response(status=self.status, body=body, headers=self.headers)
        finally:
            self.at_once -= 1


@pytest.fixture
async def authority() -> AsyncIterator[Authority]:
    authority = Authority()
    authority.answers.set()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", authority.handle)
    server = TestServer(app)
    await server.start_server()
    authority.url = str(server.make_url("/"))
    yield authority
    authority.answers.set()
    await server.close()
