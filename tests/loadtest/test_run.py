"""The load tool against a gateway process, by the front door."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import sys
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from live777py import cli
from live777py.errors import BadRequest, StartError
from live777py.loadtest import run as runs
from live777py.loadtest.run import Plan, run
from tests.gateway import free_port, running_gateway
from tests.rtc.upstream import Upstream, serving
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from live777py.loadtest.report import Report
    from tests.gateway import Gateway


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running_gateway(tmp_path) as running:
        yield running


@contextlib.asynccontextmanager
async def publishing(gateway: Gateway, stream: str = "cam", **changes: Any) -> AsyncIterator[asyncio.Task[Report]]:
    """A run of publishers that is under way, until the block ends."""
    over = asyncio.Event()
    plan = replace(Plan(mode="whip", url=f"{gateway.url}/whip/{stream}", sessions=1, seconds=60.0, ramp=0.0), **changes)
    task = asyncio.create_task(run(plan, over))

    async def connected() -> bool:
        streams = await gateway.get("/api/streams/")
        states = [one["publish"]["sessions"][0]["state"] for one in streams]
        return states.count("connected") == plan.sessions

    try:
        await eventually(connected)
        yield task
    finally:
        over.set()
        await asyncio.wait([task])


def viewers(gateway: Gateway, stream: str = "cam", **changes: Any) -> Plan:
    plan = Plan(mode="whep", url=f"{gateway.url}/whep/{stream}", sessions=3, seconds=2.0, ramp=0.0)
    return replace(plan, **changes)


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_viewers_see_what_publishers_send(gateway: Gateway, codec: str) -> None:
    async with publishing(gateway, "cam{n}", sessions=2, codec=codec) as publishers:
        report = await run(viewers(gateway, "cam{n}", sessions=2), asyncio.Event())
        assert await gateway.stream("cam1") is not None
    assert (report.connected, report.failed, report.failures) == (2, 0, {})
    assert report.url == f"{gateway.url}/whep/cam0"
    assert report.packets > 2 * 100
    assert report.frames is not None
    assert report.frames > 2 * 30
    assert report.lost < report.packets / 20
    for times in (report.connected_ms, report.first_packet_ms, report.first_key_frame_ms):
        assert times is not None
        assert 0 < times.median <= times.p95 <= times.longest
    assert await gateway.get("/api/streams/") == []
    sent = publishers.result()
    assert (sent.connected, sent.failed, sent.first_packet_ms) == (2, 0, None)
    assert sent.packets >= report.packets
    assert [one.session for one in sent.details] == [0, 1]


async def test_a_key_frame_comes_when_it_is_asked_for(gateway: Gateway) -> None:
    """Without the cache of pictures, viewers wait for the publisher."""
    gateway.configure("[webrtc]\ngop_cache_bytes = 0\n")
    async with publishing(gateway):
        for _ in range(3):
            report = await run(viewers(gateway, sessions=1, seconds=0.5), asyncio.Event())
            assert report.failed == 0, report
            assert report.first_key_frame_ms is not None


async def test_a_stream_that_nobody_publishes_is_a_failure(gateway: Gateway) -> None:
    report = await run(viewers(gateway, sessions=2, seconds=0.1), asyncio.Event())
    assert (report.connected, report.failed) == (2, 2)
    assert report.failures == {"connected, and nothing came": 2}


async def test_a_second_publisher_is_refused_and_the_first_goes_on(gateway: Gateway) -> None:
    async with publishing(gateway):
        plan = Plan(mode="whip", url=f"{gateway.url}/whip/cam", sessions=2, seconds=0.0, ramp=0.0)
        report = await run(plan, asyncio.Event())
        assert (report.connected, report.failed, report.packets) == (0, 2, 0)
        assert report.failures == {f"{gateway.url}/whip/cam answers 409 Conflict": 2}


async def test_a_publisher_that_leaves_fails_its_viewers(gateway: Gateway) -> None:
    over = asyncio.Event()
    async with publishing(gateway):
        task = asyncio.create_task(run(viewers(gateway, sessions=1, seconds=60.0), over))

        async def watched() -> bool:
            stream = await gateway.stream("cam")
            return stream is not None and [one["state"] for one in stream["subscribe"]["sessions"]] == ["connected"]

        await eventually(watched)
    async with asyncio.timeout(20):
        report = await task
    assert report.failures == {"the session has ended: peer-closed": 1}
    assert over.is_set()


async def test_token_and_redirect(tmp_path: Path) -> None:
    config = '[auth]\ntokens = ["open-sesame-open-sesame"]\n'
    async with running_gateway(tmp_path, config=config) as gateway:

        async def elsewhere(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": str(request.rel_url)})

        async def asked(request: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(f"/again{request.rel_url}")

        app = web.Application()
        app.router.add_post("/whep/{stream}", asked)
        app.router.add_post("/again/whep/{stream}", elsewhere)
        plan = viewers(gateway, sessions=1, seconds=0.1)
        assert (await run(plan, asyncio.Event())).failures == {f"{plan.url} answers 401 Unauthorized": 1}
        token = "open-sesame-open-{n}".replace("{n}", "sesame")
        known = viewers(gateway, sessions=1, seconds=0.1, token=token)
        assert (await run(known, asyncio.Event())).connected == 1
        async with TestServer(app, host="127.0.0.1") as front:
            looping = viewers(gateway, sessions=1, seconds=0.1, token=token, url=str(front.make_url("/whep/cam")))
            [reason] = (await run(looping, asyncio.Event())).failures
            assert "redirects more than 5 times" in reason


async def test_over_before_it_began(gateway: Gateway) -> None:
    over = asyncio.Event()
    over.set()
    report = await run(viewers(gateway, sessions=2), over)
    assert report.failures == {"it was ended before it was connected": 2}


async def test_over_while_a_server_does_not_answer() -> None:
    async with serving(Upstream(held=True)) as upstream:
        over = asyncio.Event()
        plan = Plan(mode="whep", url=f"{upstream.url}whep/x", sessions=2, seconds=60.0, ramp=0.0)
        running = asyncio.create_task(run(plan, over))
        await upstream.asked.wait()
        over.set()
        async with asyncio.timeout(10):
            report = await running
    assert report.failures == {"it was ended before it was connected": 2}


async def test_what_cannot_be_begun() -> None:
    for url in ("ftp://here/whep/cam", "whep:///cam"):
        with pytest.raises(BadRequest):
            await run(Plan(mode="whep", url=url, sessions=1, seconds=1.0, ramp=0.0), asyncio.Event())
    foreign = Plan(mode="whep", url="http://127.0.0.1:9/", sessions=1, seconds=1.0, ramp=0.0, bind=("192.0.2.1",))
    with pytest.raises(StartError, match="cannot listen on UDP"):
        await run(foreign, asyncio.Event())


@pytest.mark.parametrize(
    ("host", "addresses"), [("127.0.0.2", ("127.0.0.2",)), ("localhost", ("127.0.0.1",)), ("::1", ("::1",))]
)
def test_a_server_of_this_machine_is_reached_by_loopback(host: str, addresses: tuple[str, ...]) -> None:
    assert runs._local(host) == addresses


def test_others_are_reached_by_every_other_address(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [ip_address(text) for text in ("10.1.2.3", "2001:db8::5", "127.0.0.1")]
    monkeypatch.setattr(runs, "local_addresses", lambda: found)
    assert runs._local("example.org") == runs._local("192.0.2.7") == ("10.1.2.3", "2001:db8::5")
    monkeypatch.setattr(runs, "local_addresses", lambda: found[2:])
    assert runs._local("example.org") == ("127.0.0.1",)


def test_descriptors_are_made_room_for_as_far_as_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    limits = [(100, 5000)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[0])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: told.append(pair))
    runs._allow_descriptors(1000)
    runs._allow_descriptors(100_000)
    limits[0] = (100, resource.RLIM_INFINITY)
    runs._allow_descriptors(100_000)
    limits[0] = (200_000, 200_000)
    runs._allow_descriptors(1000)
    assert told == [(1128, 5000), (5000, 5000), (100_128, resource.RLIM_INFINITY)]


def test_the_command_of_a_server_that_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live777py.log.setup", lambda *_, **__: None)  # of the process, which is the tests' here
    url = f"http://127.0.0.1:{free_port()}/whep/cam"
    assert cli.main(["bench", "whep", url, "--duration", "0", "--json"]) == 1
    report = msgspec.json.decode(capsys.readouterr().out)
    assert report["failures"] == {f"{url}: Connection refused": 1}
    assert cli.main(["bench", "whip", url, "--duration", "0", "--codec", "vp8"]) == 1
    assert "1 failed" in capsys.readouterr().out
    assert cli.main(["bench", "whep", "nonsense"]) == cli.WRONG_CONFIG


async def bench(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "live777py", "bench", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_command(gateway: Gateway) -> None:
    options = ("--sessions", "2", "--duration", "1", "--ramp", "0")
    async with publishing(gateway):
        code, out, err = await bench("whep", f"{gateway.url}/whep/cam", *options, "--json")
        assert (code, err) == (0, "")
        report = msgspec.json.decode(out)
        assert (report["mode"], report["sessions"], report["connected"], report["failed"]) == ("whep", 2, 2, 0)
    code, out, _ = await bench("whep", f"{gateway.url}/whep/nobody", "--duration", "0.1")
    assert code == 1
    assert "1 failed: connected, and nothing came" in out
    code, _, err = await bench("whep", "nonsense")
    assert code == 2
    assert "the URL has no host" in err
    assert (await bench("whep", gateway.url, "--sessions", "0"))[0] == 2
    assert (await bench("whep", gateway.url, "--ramp", "-1"))[0] == 2


async def test_a_signal_ends_it_early_and_it_tells_what_it_saw(gateway: Gateway) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "live777py", "bench", "whip", f"{gateway.url}/whip/cam", "--duration", "60"),
        stdout=asyncio.subprocess.PIPE,
    )

    async def connected() -> bool:
        stream = await gateway.stream("cam")
        return stream is not None and stream["publish"]["sessions"][0]["state"] == "connected"

    await eventually(connected)
    process.send_signal(signal.SIGINT)
    out, _ = await process.communicate()
    assert "connected              1 of 1" in out.decode()
    assert await gateway.stream("cam") is None
