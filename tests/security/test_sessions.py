"""Sessions that nobody finishes, and sessions that somebody else guesses."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import aiohttp
import psutil
import pytest

from tests.gateway import running_gateway
from tests.security.peer import HandMade
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

UNFINISHED = 300
REAPED_WITHIN = 20.0
"""Seconds: 15 to the limit, and room for the tick that notices."""


@pytest.mark.timeout(180)
async def test_posts_without_ice_are_reaped(tmp_path: Path) -> None:
    """S17: what is never finished goes away, memory and descriptors with it."""
    config = "[strategy]\nauto_delete_whep = 0\n"
    async with running_gateway(tmp_path, config=config) as gateway, aiohttp.ClientSession() as client:
        process = psutil.Process(gateway.pid)

        async def flood(round_: int) -> None:
            peers = [HandMade(f"{gateway.url}/whep/flood{round_}") for _ in range(UNFINISHED)]
            for peer in peers:
                await peer.post(client, direction="recvonly")

            async def none_left() -> bool:
                streams = await gateway.get("/api/streams/")
                return not any(
                    session["state"] != "closed" for stream in streams for session in stream["subscribe"]["sessions"]
                )

            await eventually(none_left, within=REAPED_WITHIN)

        await flood(0)
        memory, files = process.memory_info().rss, process.num_fds()
        await flood(1)
        assert process.memory_info().rss < memory * 1.1
        assert process.num_fds() <= files + 2


async def test_a_session_cannot_be_guessed(tmp_path: Path) -> None:
    """S18: ids are random, and one that is not there looks like one of another stream."""
    async with running_gateway(tmp_path) as gateway, aiohttp.ClientSession() as client:
        peers = [HandMade(f"{gateway.url}/whip/{name}") for name in ("one", "two")]
        await asyncio.gather(*(peer.post(client) for peer in peers))
        ids = [peer.location.rsplit("/", 1)[1] for peer in peers]
        assert all(uuid.UUID(value).version == 4 for value in ids)
        answers = []
        for path in (f"/session/one/{uuid.uuid4()}", f"/session/two/{ids[0]}"):
            async with client.delete(gateway.url + path) as response:
                answers.append((response.status, await response.json()))
        assert [status for status, _ in answers] == [404, 404]
        assert answers[0] == answers[1]
        assert [await gateway.stream(name) is not None for name in ("one", "two")] == [True, True]
