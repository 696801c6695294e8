"""Server-sent events (WHATWG HTML, section 9.2): one listener's connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENT_STREAM: Final = "text/event-stream"
KEEP_ALIVE: Final = 15.0
"""Seconds without an event after which a comment is sent."""
STALLED: Final = 60.0
"""Seconds for which a listener may take nothing before it is dropped."""

_COMMENT: Final = b":\n\n"
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Type": EVENT_STREAM,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}


def encode_event(data: bytes, name: str | None = None) -> bytes:
    """`data` is JSON: one line."""
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + data + b"\n\n"


class Mailbox:
    """What one listener has not been sent yet: of each kind the newest message only, so a slow one costs nothing."""

    def __init__(self) -> None:
        self.closed = False
        self._messages: dict[str, bytes] = {}
        self._ready = asyncio.Event()

    def put(self, message: bytes, kind: str = "") -> None:
        self._messages.pop(kind, None)
        self._messages[kind] = message
        self._ready.set()

    def close(self) -> None:
        self.closed = True
        self._ready.set()

    async def take(self) -> list[bytes]:
        """Waits for something; empty when the mailbox has been closed and there is nothing left."""
        await self._ready.wait()
        if not self.closed:
            self._ready.clear()
        messages = list(self._messages.values())
        self._messages.clear()
        return messages


async def send_events(request: web.Request, mailbox: Mailbox) -> web.StreamResponse:
    """Until the mailbox is closed and empty, or the listener has gone."""
    response = web.StreamResponse(headers=_HEADERS)
    try:
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        while messages := await _next(mailbox):
            async with asyncio.timeout(STALLED):
                for message in messages:
                    await response.write(message)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    except ConnectionResetError:
        pass
    return response


async def _next(mailbox: Mailbox) -> list[bytes]:
    try:
        async with asyncio.timeout(KEEP_ALIVE):
            return await mailbox.take()
    except TimeoutError:
        return [_COMMENT]
