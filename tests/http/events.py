"""A listener to server-sent events, which reads line by line."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aiohttp import ClientResponse

    from tests.http.doors import Door

WITHIN = 10.0


class Listener:
    def __init__(self, response: ClientResponse) -> None:
        self.response = response

    @classmethod
    async def open(cls, door: Door, path: str, **headers: str) -> Listener:
        response = await door.client.get(path, headers=headers)
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        return cls(response)

    async def line(self) -> str:
        """With its end; "" at the end of the stream."""
        return (await asyncio.wait_for(self.response.content.readline(), WITHIN)).decode()

    async def event(self) -> tuple[str, Any]:
        """Its name ("" without one) and its data."""
        name, line = "", await self.line()
        if line.startswith("event: "):
            name, line = line.removeprefix("event: ").strip(), await self.line()
        assert line.startswith("data: ")
        assert await self.line() == "\n"
        return name, json.loads(line.removeprefix("data: "))

    async def silence(self) -> None:
        """Nothing has been sent that was not read, and nothing is being sent."""
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self.response.content.readline(), 0.3)

    async def snapshot(self) -> list[dict[str, Any]]:
        name, snapshot = await self.event()
        assert name == ""
        assert isinstance(snapshot, list)
        return snapshot

    async def names(self) -> list[str]:
        return [stream["id"] for stream in await self.snapshot()]
