"""Sessions that come and go leave nothing in the process: no memory, descriptor or thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import psutil
import pytest

from tests.fakes.remote import watch
from tests.gateway import Gateway, running_gateway
from tests.light import LightPeer
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 3
GIVEN_BACK_WITHIN = 40
"""Seconds; closed sessions are listed for 30 of them."""
MEMORY_PER_VIEWER = 150_000
AT_ONCE = 20
SLOW = (pytest.mark.slow, pytest.mark.timeout(600))


class Crowd:
    """Viewers of one stream."""

    def __init__(self, gateway: Gateway, client: aiohttp.ClientSession) -> None:
        self._gateway = gateway
        self._client = client
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def come(self, count: int) -> list[tuple[str, LightPeer]]:
        return await asyncio.gather(*(self._one_comes() for _ in range(count)))

    async def go(self, viewers: list[tuple[str, LightPeer]]) -> None:
        """Half of them say goodbye, half of them DELETE; all of them are gone from the list of the living."""
        await asyncio.gather(*(self._one_goes(number, *viewer) for number, viewer in enumerate(viewers)))
        await eventually(self._nobody)

    async def _one_comes(self) -> tuple[str, LightPeer]:
        async with self._gate:
            headers = {"Content-Type": "application/sdp"}
            url = f"{self._gateway.url}/whep/crowd"
            async with self._client.post(url, data=watch("opus", "vp8"), headers=headers) as response:
                assert response.status == 201
                answer, location = await response.text(), response.headers["Location"]
            peer = LightPeer()
            await peer.connect(answer)
            return location, peer

    async def _one_goes(self, number: int, location: str, peer: LightPeer) -> None:
        async with self._gate:
            if number % 2:
                async with self._client.delete(self._gateway.url + location) as response:
                    assert response.status in {200, 204}
                async with asyncio.timeout(20):
                    await peer.closed.wait()
            peer.close()

    async def _nobody(self) -> bool:
        stream = await self._gateway.stream("crowd")
        return stream is None or all(session["state"] == "closed" for session in stream["subscribe"]["sessions"])


@pytest.mark.parametrize(
    ("count", "tolerance"),
    [pytest.param(100, 1.05, id="100"), pytest.param(1000, 1.10, id="1000", marks=SLOW)],
)
async def test_nothing_is_left_of_sessions(tmp_path: Path, count: int, tolerance: float) -> None:
    """Before: two sessions came and went, so that modules and tables of first use are there.

    `tests.streams.test_manager` and `tests.rtc.test_peer` count the tasks.
    """
    config = '[stream.crowd]\n[log]\nlevel = "warn"\n'
    async with running_gateway(tmp_path, config=config) as gateway, aiohttp.ClientSession() as client:
        process = psutil.Process(gateway.pid)
        crowd = Crowd(gateway, client)
        await crowd.go(await crowd.come(2))
        before, descriptors, threads = process.memory_info().rss, process.num_fds(), process.num_threads()
        for _ in range(ROUNDS):
            viewers = await crowd.come(count)
            taken = process.memory_info().rss - before
            assert taken < count * MEMORY_PER_VIEWER
            await crowd.go(viewers)
            print(f"{taken / count / 1000:.0f} kB per viewer")
        await memory_falls_to(process, before * tolerance)
        print(f"{before / 1e6:.1f} MB before, {process.memory_info().rss / 1e6:.1f} MB after")
        assert process.num_threads() <= threads
        assert client.connector is not None
        await client.connector.close()
        await eventually(lambda: descriptors_are_closed(process, descriptors))


async def descriptors_are_closed(process: psutil.Process, number: int) -> bool:
    return process.num_fds() <= number


async def memory_falls_to(process: psutil.Process, limit: float) -> None:
    async def small_enough() -> bool:
        return process.memory_info().rss <= limit

    try:
        await eventually(small_enough, within=GIVEN_BACK_WITHIN)
    except TimeoutError:
        pytest.fail(f"{process.memory_info().rss / 1e6:.1f} MB are held, {limit / 1e6:.1f} MB were to be")
