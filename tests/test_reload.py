"""Reading the configuration again: with parts that refuse, and in a process with a publisher and a viewer."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import aiohttp
import pytest

from live777py.config import Config, parse
from live777py.errors import ConfigError, StartError, Unprocessable
from live777py.reload import Reloader
from tests.fakes.remote import offer, watch
from tests.gateway import Gateway, running_gateway
from tests.light import LightPeer
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

OLD = parse("[auth]\ntokens = ['one']\n", {})
NEW = parse("[auth]\ntokens = ['two']\n[webrtc]\nworkers = 2\n", {})


class Part:
    """Remembers what it was given; `refuses` one configuration."""

    def __init__(self, refuses: Config | None = None) -> None:
        self.given: list[Config] = []
        self._refuses = refuses

    async def __call__(self, config: Config) -> None:
        self.given.append(config)
        if self._refuses is not None and config.auth == self._refuses.auth:
            raise StartError("cannot listen on whep://hunter2@x")


async def test_parts_get_what_can_change() -> None:
    part = Part()
    reloader = Reloader(OLD, lambda: NEW)
    reloader.add(part)
    for applied in (("auth.tokens",), ()):
        report = await reloader.reload()
        assert (report.applied, report.restart_needed) == (applied, ("webrtc.workers",))
    (given,) = part.given
    assert given.auth == NEW.auth
    assert given.webrtc == OLD.webrtc


async def test_a_part_that_refuses_undoes_the_others() -> None:
    first, second, third = Part(), Part(refuses=NEW), Part()
    reloader = Reloader(OLD, lambda: NEW)
    reloader.add(first, second, third)
    for _ in range(2):
        with pytest.raises(Unprocessable) as raised:
            await reloader.reload()
        assert raised.value.detail == "cannot listen on whep://***@x"
        assert first.given[-1] == second.given[-1] == OLD
        assert third.given == []


async def test_a_wrong_file_reaches_nobody() -> None:
    def read() -> Config:
        raise ConfigError("live777.toml: not TOML")

    part = Part()
    reloader = Reloader(OLD, read)
    reloader.add(part)
    with pytest.raises(Unprocessable, match=r"live777\.toml: not TOML"):
        await reloader.reload()
    assert part.given == []


async def test_one_at_a_time() -> None:
    """What the second one reads is compared with what the first one has made."""
    entered, leave = asyncio.Event(), asyncio.Event()
    wanted = [NEW, OLD]
    order: list[Config] = []

    async def slow(config: Config) -> None:
        order.append(config)
        entered.set()
        await leave.wait()

    reloader = Reloader(OLD, lambda: wanted.pop(0))
    reloader.add(slow)
    reloads = [asyncio.create_task(reloader.reload()) for _ in range(2)]
    await entered.wait()
    assert len(order) == 1
    assert wanted == [OLD]
    leave.set()
    reports = await asyncio.gather(*reloads)
    assert [report.applied for report in reports] == [("auth.tokens",)] * 2
    assert [config.auth for config in order] == [NEW.auth, OLD.auth]


async def _join(gateway: Gateway, client: aiohttp.ClientSession, path: str, sdp: str) -> tuple[LightPeer, str]:
    async with client.post(gateway.url + path, data=sdp, headers={"Content-Type": "application/sdp"}) as response:
        assert response.status == 201, await response.text()
        peer = LightPeer()
        await peer.connect(await response.text())
        return peer, response.headers["Location"]


async def _status(gateway: Gateway, token: str, path: str = "/api/streams/") -> int:
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as client, client.get(gateway.url + path, headers=headers) as response:
        return response.status


async def _reload(gateway: Gateway, says: str) -> None:
    before = len(gateway.log)
    gateway.process.send_signal(signal.SIGHUP)
    await gateway.logged(says, after=before)


async def test_sessions_stay(tmp_path: Path) -> None:
    """Token, streams, level, limits: all of them change under a publisher and a viewer."""
    old = "[auth]\ntokens = ['old-token']\n[stream.leaving]\n"
    async with running_gateway(tmp_path, config=old) as gateway:
        headers = {"Authorization": "Bearer old-token"}
        async with aiohttp.ClientSession(headers=headers) as client:
            publisher, _ = await _join(gateway, client, "/whip/cam", offer("opus", "vp8"))
            viewer, location = await _join(gateway, client, "/whep/cam", watch("opus", "vp8"))

            gateway.configure(
                "cors = true\n[auth]\ntokens = ['new-token']\n[log]\nlevel = 'debug'\n"
                "[strategy]\nauto_create_whip = false\n"
                "[[ice_servers]]\nurls = ['stun:stun.example.org']\n[webrtc]\nworkers = 2\n[stream.coming]\n"
            )
            await _reload(gateway, "need a restart: webrtc.workers")
            assert await _status(gateway, "old-token") == 401
            assert await _status(gateway, "new-token") == 200
            assert await gateway.logged(" DEBUG ")

        async with aiohttp.ClientSession(headers={"Authorization": "Bearer new-token"}) as client:
            async with client.get(f"{gateway.url}/api/streams/", headers={"Origin": "http://elsewhere"}) as response:
                assert response.headers["Access-Control-Allow-Origin"] == "*"
                streams = {stream["id"]: stream for stream in await response.json()}
            assert [name for name, stream in streams.items() if stream["provisioned"]] == ["coming"]
            for side in ("publish", "subscribe"):
                assert [session["state"] for session in streams["cam"][side]["sessions"]] == ["connected"]
            assert not publisher.closed.is_set()
            assert not viewer.closed.is_set()
            sdp = {"Content-Type": "application/sdp"}
            async with client.post(f"{gateway.url}/whip/other", data=offer("opus"), headers=sdp) as response:
                assert response.status == 404  # auto_create_whip is off by now
            async with client.post(f"{gateway.url}/whep/cam", data=watch("opus", "vp8"), headers=sdp) as response:
                assert "stun:stun.example.org" in response.headers["Link"]
            async with client.delete(gateway.url + location) as response:
                assert response.status == 204
            async with asyncio.timeout(5):
                await viewer.closed.wait()
        publisher.close()
        viewer.close()
        assert "new-token" not in "\n".join(gateway.log)


async def test_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, config="[auth]\ntokens = ['a-token']\n[stream.cam]\n") as gateway:
        gateway.configure("[auth]\ntokens = ['b-token']\n[stream.other]\n[log]\nlevel = 'loud'\n")
        await _reload(gateway, "the configuration stays as it was: ")
        assert "log.level: expected one of" in gateway.log[-1]
        assert await _status(gateway, "a-token", "/api/streams/cam") == 200
        assert await _status(gateway, "a-token", "/api/streams/other") == 404
        assert await _status(gateway, "b-token") == 401
        gateway.configure("[auth]\ntokens = ['b-token']\n")
        await _reload(gateway, "changed: auth.tokens, stream.cam")
        assert await _status(gateway, "b-token") == 200


async def test_by_the_api(tmp_path: Path) -> None:
    stored = f"[store]\npath = '{tmp_path}/nowhere/store.db'\n"
    async with (
        running_gateway(tmp_path, config=f"{stored}[auth]\ntokens = ['token']\n") as gateway,
        aiohttp.ClientSession() as client,
    ):
        url, headers = f"{gateway.url}/api/config/reload", {"Authorization": "Bearer token"}
        async with client.post(url) as response:
            assert response.status == 401
        gateway.configure(f"{stored}[auth]\ntokens = ['token']\n[webrtc]\nworkers = 0\n")
        async with client.post(url, headers=headers) as response:
            assert response.status == 422
            assert "webrtc.workers: expected an integer" in (await response.json())["detail"]
        gateway.configure(f"{stored}[auth]\ntokens = ['token']\n[webrtc]\nworkers = 2\n[stream.cam]\n")
        async with client.post(url, headers=headers) as response:
            assert response.status == 200
            assert await response.json() == {"applied": ["stream.cam"], "restartNeeded": ["webrtc.workers"]}
        gateway.configure(
            f"{stored}[auth]\ntokens = ['other']\n[[webhooks]]\nurl = 'http://127.0.0.1:1'\nsecret = 'x'\n"
        )
        async with client.post(url, headers=headers) as response:
            assert response.status == 422
            assert "store.path: cannot use" in (await response.json())["detail"]
        assert await _status(gateway, "token", "/api/streams/cam") == 200


async def test_hooks_of_the_new_file(tmp_path: Path) -> None:
    program = tmp_path / "tell"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/out\n')
    program.chmod(0o755)
    async with running_gateway(tmp_path) as gateway:
        gateway.configure(f"[hooks]\non_stream_created = ['{program}']\n[stream.cam]\n")
        await _reload(gateway, "changed: ")

        async def told() -> str | None:
            return (tmp_path / "out").read_text() if (tmp_path / "out").exists() else None

        assert await eventually(told) == "stream-created cam\n"
