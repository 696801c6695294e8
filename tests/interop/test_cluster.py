"""Nodes as one: what is published at B is managed and played through A. Nodes and the Redis server go and return."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from livekit import api

from tests.conformance.livekit_server import refused
from tests.fakes.remote import offer
from tests.interop.clusters import HEARTBEAT_MS, Node, camera, counting, node
from tests.redis_server import RedisServer
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from livekit.protocol.models import ParticipantInfo

pytestmark = pytest.mark.filterwarnings("ignore:The HMAC key is 6 bytes long")  # that of `dev = true`

DEFAULT_HEARTBEAT_MS = 2000
FORGOTTEN = 10.0
"""Seconds after which a dead node is gone from lists."""


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path) as server:
        yield server


@contextlib.asynccontextmanager
async def two_nodes(
    directory: Path, redis: RedisServer, *, heartbeat_ms: int = HEARTBEAT_MS, config: str = ""
) -> AsyncIterator[tuple[Node, Node]]:
    async with contextlib.AsyncExitStack() as stack:
        starting = (node(directory, redis, name, heartbeat_ms=heartbeat_ms, config=config) for name in "ab")
        a, b = await asyncio.gather(*(stack.enter_async_context(each) for each in starting))
        await eventually(lambda: knows(a, "b"))
        await eventually(lambda: knows(b, "a"))
        yield a, b


async def knows(one: Node, other: str) -> bool:
    return any(f"node {other} is there" in line for line in one.gateway.log)


async def listed(at: Node, room: str, count: int) -> dict[str, ParticipantInfo] | None:
    found = await at.participants(room)
    return found if len(found) == count else None


async def publishes(at: Node, stream: str) -> bool:
    view = await at.stream(stream)
    sessions = view["publish"]["sessions"] if view else []
    return any(session["state"] == "connected" for session in sessions)


async def test_what_is_published_at_b_is_seen_and_managed_at_a(tmp_path: Path, redis: RedisServer) -> None:
    async with two_nodes(tmp_path, redis) as (a, b):
        made = await a.api.room.create_room(api.CreateRoomRequest(name="show", metadata="made at a"))
        (seen,) = await b.rooms()
        assert (seen.sid, seen.metadata) == (made.sid, "made at a")

        async with camera(b, "show"):
            await eventually(lambda: listed(a, "show", 1))
            async with counting(f"{a.url}/whep/show") as frames:
                await frames.more(30)
                infos = await eventually(lambda: listed(a, "show", 2))
                assert infos.keys() == (await b.participants("show")).keys()
                assert [room.num_participants for room in await a.rooms()] == [2]
                assert [room.num_participants for room in await b.rooms()] == [2]
                await assert_one_list(a, b)

                video = next(track for track in infos["show"].tracks if track.type == 1)
                viewer = next(identity for identity in infos if identity != "show")
                wanted = api.UpdateSubscriptionsRequest(room="show", identity=viewer, track_sids=[video.sid])
                await b.api.room.update_subscriptions(wanted)
                await eventually(lambda: still(frames.frames))
                wanted.subscribe = True
                await b.api.room.update_subscriptions(wanted)
                await frames.more(30)
                mute = api.MuteRoomTrackRequest(room="show", identity="show", track_sid=video.sid, muted=True)
                await a.api.room.mute_published_track(mute)
                await eventually(lambda: still(frames.frames))

                await b.api.room.remove_participant(api.RoomParticipantIdentity(room="show", identity=viewer))
                await eventually(lambda: listed(a, "show", 1))

            await a.api.room.remove_participant(api.RoomParticipantIdentity(room="show", identity="show"))
            assert await a.participants("show") == {}
            with refused("not_found", 404, "participant does not exist"):
                await a.api.room.remove_participant(api.RoomParticipantIdentity(room="show", identity="show"))
        await b.api.room.delete_room(api.DeleteRoomRequest(room="show"))
        assert await a.rooms() == []
        assert await a.gateway.get("/api/streams/") == []


async def assert_one_list(*nodes: Node) -> None:
    """Every node shows one publisher and one viewer, and none of the sessions between the nodes."""
    for each in nodes:
        for view in (await each.stream("show"), await each.gateway.get("/api/streams/show")):
            assert view is not None
            assert [len(view[side]["sessions"]) for side in ("publish", "subscribe")] == [1, 1]
            assert view["statsScope"] == "clusterNodeWork"


async def still(frames: list[float]) -> bool:
    return time.monotonic() - frames[-1] > 1


async def test_one_pull_for_all_who_watch(tmp_path: Path, redis: RedisServer) -> None:
    """Who waits at A gets what is published at B, by one session between them, and what is published at A then."""
    async with two_nodes(tmp_path, redis) as (a, b), counting(f"{a.url}/whep/cam") as first:
        async with camera(b, "cam", goodbye=True), counting(f"{a.url}/whep/cam") as second:
            await asyncio.gather(first.more(30), second.more(30))
            assert sum("plays from" in line for line in b.gateway.log) == 1
            another = {"data": offer("opus", "vp8"), "headers": {"Content-Type": "application/sdp"}}
            assert await a.ask("POST", "/whip/cam", **another) == 409
            assert await b.ask("POST", "/whip/cam", **another) == 409
            assert await a.ask("POST", "/whip/other", **another) == 201
        async with camera(a, "cam"):
            await first.more(30)


async def test_redirect_and_a_session_of_another_node(tmp_path: Path, redis: RedisServer) -> None:
    name = "cam 1 ü"
    async with two_nodes(tmp_path, redis, config='whep = "redirect"\n') as (a, b), camera(b, quote(name)):
        await eventually(lambda: publishes(a, name))
        async with counting(f"{a.url}/whep/{quote(name)}") as frames:
            await frames.more(30)
        assert not any("plays from" in line for line in a.gateway.log)
        view = await a.stream(name)
        assert view is not None
        path = f"/session/{quote(name)}/{view['publish']['sessions'][0]['id']}"
        assert await a.ask("GET", path) == 204
        assert await a.ask("POST", path, json={"kind": "video", "enabled": False}) == 200
        assert await a.ask("DELETE", path) == 204
        assert await a.ask("DELETE", path) == 404
        assert await a.stream(name) is None


@pytest.mark.parametrize("heartbeat_ms", [HEARTBEAT_MS, pytest.param(DEFAULT_HEARTBEAT_MS, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.slow)], ids=["killed", "frozen"]
)
async def test_a_node_dies(tmp_path: Path, redis: RedisServer, number: signal.Signals, heartbeat_ms: int) -> None:
    """It is gone from A's lists in time, and its stream can be published to A at once."""
    async with two_nodes(tmp_path, redis, heartbeat_ms=heartbeat_ms) as (a, b):
        await a.api.room.create_room(api.CreateRoomRequest(name="show"))
        async with camera(b, "show"), camera(b, "other"), counting(f"{a.url}/whep/show") as frames:
            await frames.more(30)
            await eventually(lambda: listed(a, "other", 1))
            os.kill(b.gateway.pid, number)
            died = time.monotonic()
            try:
                async with camera(a, "show"):
                    await frames.more(30)
                    assert time.monotonic() - died < FORGOTTEN
                    await eventually(lambda: listed(a, "show", 2), within=died + FORGOTTEN - time.monotonic())
                    await eventually(lambda: listed(a, "other", 0), within=died + FORGOTTEN - time.monotonic())
                    assert time.monotonic() - died < FORGOTTEN
                    assert await b_is_gone(a)
                    assert [room.name for room in await a.rooms() if room.num_participants] == ["show"]
            finally:
                if number is signal.SIGSTOP:
                    os.kill(b.gateway.pid, signal.SIGCONT)


async def b_is_gone(a: Node) -> bool:
    return [view["id"] for view in await a.gateway.get("/api/streams/")] == ["show"]


@pytest.mark.parametrize("seconds", [3.0, pytest.param(20.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "how", ["emptied", *(pytest.param(how, marks=pytest.mark.slow) for how in ("frozen", "killed"))]
)
async def test_redis_goes_away_and_returns(tmp_path: Path, redis: RedisServer, how: str, seconds: float) -> None:
    """Sessions play on, the API says 503, and then everything is as before, also where the server has lost its data."""
    async with two_nodes(tmp_path, redis, heartbeat_ms=DEFAULT_HEARTBEAT_MS) as (a, b), camera(b, "show"):
        await eventually(lambda: listed(a, "show", 1))
        async with counting(f"{a.url}/whep/show") as far, counting(f"{b.url}/whep/show") as near:
            await asyncio.gather(far.more(30), near.more(30))
            before = await eventually(lambda: listed(a, "show", 3))
            if how == "frozen":
                redis.freeze()
            else:
                await redis.kill()
            began = time.monotonic()
            while time.monotonic() < began + seconds:
                for each in (a, b):
                    with refused("unavailable", 503, "Redis"):
                        await each.participants("show")
                    with refused("unavailable", 503, "Redis"):
                        await each.api.room.create_room(api.CreateRoomRequest(name="new"))
                    assert await each.ask("GET", "/api/streams/") == 503
                await asyncio.sleep(0.2)
            ended = time.monotonic()
            if how == "frozen":
                redis.thaw()
            else:
                if how == "emptied":
                    shutil.rmtree(tmp_path / "appendonlydir")
                await redis.start()

            async def as_before() -> bool:
                with contextlib.suppress(api.ServerError):
                    return all([(await each.participants("show")).keys() == before.keys() for each in (a, b)])
                return False

            await eventually(as_before, within=10)
            await a.api.room.create_room(api.CreateRoomRequest(name="new"))
            assert "new" in {room.name for room in await b.rooms()}
            await asyncio.gather(far.more(30), near.more(30))
            for frames in (far, near):
                assert frames.between(began, ended) > 0.9 * 30 * (ended - began)
            viewer = next(iter(before.keys() - {"show"}))
            await a.api.room.remove_participant(api.RoomParticipantIdentity(room="show", identity=viewer))
            assert (await b.participants("show")).keys() == before.keys() - {viewer}
