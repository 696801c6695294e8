"""Sessions that nobody finishes, and sessions that somebody else guesses."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import aiohttp
import psutil
import pytest

from live777py.http.door import RESOURCES
from tests.fakes.remote import watch
from tests.gateway import running_gateway
from tests.http.doors import AUTH, FRAGMENT, READ_ONLY, SDP, scoped
from tests.http.routes import JSON
from tests.security import impatient
from tests.security.peer import HandMade
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

UNFINISHED = 300
REAPED_WITHIN = impatient.LIMIT + 5
"""Seconds: to the limit, and room for the tick that notices."""


@pytest.mark.timeout(180)
async def test_posts_without_ice_are_reaped(tmp_path: Path) -> None:
    """S17: what is never finished goes away, memory and descriptors with it."""
    config = "[strategy]\nauto_delete_whep = 0\n"
    async with (
        running_gateway(tmp_path, config=config, module=impatient.__name__) as gateway,
        aiohttp.ClientSession() as client,
    ):
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


SESSION_OPERATIONS = [
    ("GET", "", {}, None),
    ("PATCH", "", FRAGMENT, "a=end-of-candidates\r\n"),
    ("POST", "", JSON, '{"kind": "video", "enabled": false}'),
    ("GET", "/layer", {}, None),
    ("POST", "/layer", JSON, '{"encodingId": "q"}'),
    ("DELETE", "/layer", {}, None),
    ("POST", "/events", JSON, "[]"),
    ("GET", "/events/guessed", {}, None),
    ("DELETE", "/events/guessed", {}, None),
    ("DELETE", "", {}, None),
]


def test_every_operation_of_a_session_is_listed() -> None:
    served = {
        (method, resource.path.removeprefix("/session/{stream}/{session}").replace("{events}", "guessed"))
        for resource in RESOURCES
        if "{session}" in resource.path
        for method in resource.operations
    }
    assert served == {(method, path) for method, path, _headers, _body in SESSION_OPERATIONS}


async def test_a_session_of_somebody_else_looks_like_none(tmp_path: Path) -> None:
    """S18: another viewer's token of the same stream gets, word for word, what a guess gets; and does nothing."""
    async with running_gateway(tmp_path, config=AUTH) as gateway, aiohttp.ClientSession() as client:
        mine, yours = scoped("cam", READ_ONLY, sub="me"), scoped("cam", READ_ONLY, sub="you")
        offered = watch("opus", "vp8")
        async with client.post(f"{gateway.url}/whep/cam", data=offered, headers={**SDP, **mine}) as response:
            assert response.status == 201
            location = response.headers["Location"]
        guess = f"/session/cam/{uuid.uuid4()}"
        for method, path, headers, body in SESSION_OPERATIONS:
            answers = []
            for session in (location, guess):
                async with client.request(
                    method, gateway.url + session + path, data=body, headers={**headers, **yours}
                ) as response:
                    answers.append((response.status, await response.text()))
            assert answers[0] == answers[1]
            assert answers[0][0] == 404, (method, path)
        async with client.delete(gateway.url + location, headers=mine) as response:
            assert response.status == 204


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
