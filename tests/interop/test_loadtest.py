"""The load tool drives servers that are not ours: aiortc, with whole frames in and out."""

from __future__ import annotations

import asyncio

import pytest

from live777py.loadtest.run import Plan, run
from tests.interop.aiortc_server import AiortcServer, Setup, aiortc_server

pytestmark = pytest.mark.usefixtures("loopback_candidates")


@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_viewers_of_another_server(setup: Setup) -> None:
    async with aiortc_server(AiortcServer(setup=setup)) as server:
        plan = Plan(mode="whep", url=f"{server.url}whep", sessions=2, seconds=2.0, ramp=0.0)
        report = await run(plan, asyncio.Event())
        assert (report.connected, report.failures) == (2, {})
        assert report.first_key_frame_ms is not None
        assert report.frames is not None
        assert report.frames > 20
        assert server.deleted == 2


async def test_publishers_of_another_server() -> None:
    async with aiortc_server(AiortcServer()) as server:
        over = asyncio.Event()
        plan = Plan(mode="whip", url=f"{server.url}whip", sessions=1, seconds=30.0, ramp=0.0, codec="vp8")
        publishing = asyncio.create_task(run(plan, over))
        await server.published.wait()
        assert server.viewed is not None
        images = await server.viewed.frames(40)
        over.set()
        report = await publishing
        assert (report.connected, report.failures) == (1, {})
        assert images[-1].shape == (360, 640, 3)
        assert server.viewed.audio_level > 0.01
        assert server.deleted == 1
