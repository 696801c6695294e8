"""Webhooks: a receiver on loopback that checks, refuses and goes away; a gateway that is killed."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from live777py.config import Config, parse
from live777py.config.values import EVENTS
from live777py.errors import StartError
from live777py.hooks import lanes, outbox, receiver, webhooks
from live777py.hooks.signature import sign
from live777py.hooks.webhooks import WebhookSender
from live777py.store import Database, Deliveries, Delivery
from live777py.streams.bus import EventBus
from live777py.streams.events import (
    PublishStarted,
    PublishStopped,
    RecordingEnded,
    RecordingStarted,
    SegmentWritten,
    StatsSampled,
    StreamCreated,
    StreamDeleted,
    SubscriberJoined,
    SubscriberLeft,
)
from tests.gateway import free_port, running_gateway
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from live777py.streams.events import StreamEvent

SECRET = "hunter2"
DOCS = Path(__file__).parents[2] / "docs/hooks.md"


def sample_verify() -> Callable[[str, str, bytes], bool]:
    """`verify(secret, header, body)` of the documentation, executed."""
    text = DOCS.read_text()
    source = text[text.index("```python\n") + len("```python\n") :]
    names: dict[str, Any] = {}
    exec(source[: source.index("```")], names)  # noqa: S102
    verify: Callable[[str, str, bytes], bool] = names["verify"]
    return verify


class Listener:
    """An HTTP server that keeps what was accepted. `answer` is asked for the status of every post."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answer: Callable[[dict[str, Any]], int] = lambda _: 204
        self.accepted: list[dict[str, Any]] = []
        self.seen: list[tuple[int, dict[str, Any], dict[str, str]]] = []
        self._verify = sample_verify()
        self._runner: web.AppRunner | None = None

    def url(self, userinfo: str = "") -> str:
        return f"http://{userinfo}127.0.0.1:{self.port}/hook?token={SECRET}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._receive)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        assert request.method == "POST"
        assert request.content_type == "application/json"
        assert self._verify("key", request.headers["Live777-Signature"], body)
        post = json.loads(body)
        assert request.headers["Live777-Delivery"] == post["id"]
        assert request.headers["Live777-Event"] == post["event"]
        status = self.answer(post)
        self.seen.append((status, post, dict(request.headers)))
        if status < 300:
            self.accepted.append(post)
        return web.Response(status=status, headers={"Location": f"http://127.0.0.1:{self.port}/elsewhere"})

    async def accept(self, count: int) -> list[dict[str, Any]]:
        async def enough() -> bool:
            return len(self.accepted) >= count

        await eventually(enough)
        return self.accepted


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener()
    await listener.start()
    yield listener
    await listener.stop()


class House:
    """A bus and senders on one store, one after the other."""

    def __init__(self, directory: Path) -> None:
        self.bus = EventBus()
        self.path = directory / "store.db"
        self.sender: WebhookSender | None = None
        self.store: Database | None = None

    def config(self, *hooks: str) -> Config:
        return parse(f"[store]\npath = '{self.path}'\n" + "".join(f"[[webhooks]]\n{hook}\n" for hook in hooks), {})

    async def start(self, *hooks: str) -> WebhookSender:
        self.store = Database(self.path)
        self.sender = WebhookSender(self.bus, self.config(*hooks), self.store, random=Random(1))
        await self.sender.start()
        return self.sender

    async def stop(self) -> None:
        if self.sender is not None and self.store is not None:
            await self.sender.stop()
            await self.store.close()
            self.sender = None


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(lanes, "FIRST_RETRY", 0.02)
    house = House(tmp_path)
    yield house
    await house.stop()


def hook(listener: Listener, more: str = "") -> str:
    return f"url = '{listener.url()}'\nsecret = 'key'\n{more}"


async def test_what_is_posted(house: House, listener: Listener) -> None:
    await house.start(hook(listener))
    said: list[StreamEvent] = [
        StreamCreated(stream="日本 <b>"),
        PublishStarted(stream="日本 <b>", session="1"),
        StatsSampled(),
        SubscriberJoined(stream="日本 <b>", session="2"),
        SubscriberLeft(stream="日本 <b>", session="2", reason="peer-closed"),
        PublishStopped(stream="日本 <b>", session="1", reason="idle-timeout"),
        StreamDeleted(stream="日本 <b>", reason="orphaned"),
        RecordingStarted(stream="日本 <b>", directory="d"),
        SegmentWritten(stream="日本 <b>", directory="d", path="d/v_seg_0001.m4s", start=0, duration=10, size=1),
        RecordingEnded(stream="日本 <b>", directory="d", reason="stopped", duration=10),
    ]
    for event in said:
        house.bus.publish(event)
    posts = await listener.accept(9)
    assert len({post.pop("id") for post in posts}) == 9
    assert all(1.7e12 < post.pop("time") < 1e13 for post in posts)
    stream = {"stream": "日本 <b>"}
    assert posts == [
        {"event": "stream-created", **stream},
        {"event": "publish-started", **stream, "session": "1"},
        {"event": "subscriber-joined", **stream, "session": "2"},
        {"event": "subscriber-left", **stream, "session": "2", "reason": "peer-closed"},
        {"event": "publish-stopped", **stream, "session": "1", "reason": "idle-timeout"},
        {"event": "stream-deleted", **stream, "reason": "orphaned"},
        {"event": "recording_started", **stream, "path": "d"},
        {"event": "segment", **stream, "path": "d/v_seg_0001.m4s"},
        {"event": "recording_ended", **stream, "reason": "stopped", "path": "d"},
    ]
    assert {post["event"] for post in posts} == set(EVENTS)


async def test_a_hook_hears_what_it_asked_for(house: House, listener: Listener) -> None:
    second = Listener()
    await second.start()
    await house.start(
        hook(listener, "events = ['stream-deleted', 'publish-started']\nstreams = ['cam*', 'x']"), hook(second)
    )
    for stream in ("cam1", "other", "Cam", "x"):
        house.bus.publish(StreamCreated(stream=stream))
        house.bus.publish(PublishStarted(stream=stream, session="1"))
    everything = await second.accept(8)
    posts = await listener.accept(2)
    assert {(post["event"], post["stream"]) for post in posts} == {
        ("publish-started", "cam1"),
        ("publish-started", "x"),
    }
    ids = {(post["stream"], post["event"]): post["id"] for post in everything}
    assert all(ids[post["stream"], post["event"]] == post["id"] for post in posts)
    await house.stop()
    await second.stop()


@pytest.mark.parametrize("status", [500, 404, 307, 301, 304])
async def test_what_is_not_taken_is_posted_again_and_nothing_overtakes_it(
    house: House, listener: Listener, status: int
) -> None:
    refused: Counter[str] = Counter()

    def answer(post: dict[str, Any]) -> int:
        if post["stream"] != "bad":
            return 200
        refused[post["id"]] += 1
        return status if refused[post["id"]] <= 3 else 200

    listener.answer = answer
    await house.start(hook(listener))
    for number in range(3):
        for stream in ("bad", "good"):
            house.bus.publish(PublishStarted(stream=stream, session=str(number)))
    await listener.accept(6)
    for stream in ("bad", "good"):
        assert [post["session"] for post in listener.accepted if post["stream"] == stream] == ["0", "1", "2"]
    assert [post["stream"] for post in listener.accepted[:3]] == ["good"] * 3
    assert set(refused.values()) == {4}
    signatures = {headers["Live777-Signature"] for _, post, headers in listener.seen if post["stream"] == "bad"}
    assert all(value.startswith("t=") for value in signatures)


async def test_410_is_the_end_of_an_event(house: House, listener: Listener) -> None:
    listener.answer = lambda post: 410 if post["event"] == "stream-created" else 200
    sender = await house.start(hook(listener))
    house.bus.publish(StreamCreated(stream="cam"))
    house.bus.publish(PublishStarted(stream="cam", session="1"))
    assert [post["event"] for post in await listener.accept(1)] == ["publish-started"]
    assert [status for status, *_ in listener.seen] == [410, 200]
    assert sender.given_up == 1


async def test_what_is_too_old_is_given_up(house: House, listener: Listener) -> None:
    database = Database(house.path)
    (webhook,) = house.config(hook(listener)).webhooks
    old = Delivery(
        hook=webhooks.key_of(webhook), stream="cam", id="old", event="stream-created", body=b"{}", created_ms=1
    )
    await Deliveries(database).put([old], limit=10)
    await database.close()
    await house.start(hook(listener))
    house.bus.publish(StreamDeleted(stream="cam", reason="orphaned"))
    assert [post["event"] for post in await listener.accept(1)] == ["stream-deleted"]
    assert len(listener.seen) == 1


async def test_a_slow_stream_holds_up_no_other(house: House, listener: Listener) -> None:
    """And no more than so many posts are under way at a time."""
    under_way = most = 0
    release = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await release.wait()
        under_way -= 1
        return web.Response()

    app = web.Application()
    app.router.add_post("/", slow)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await house.start(f"url = 'http://127.0.0.1:{port}/'\nsecret = 'key'", hook(listener))
    for number in range(30):
        house.bus.publish(StreamCreated(stream=str(number)))
    await listener.accept(30)

    async def busy() -> bool:
        return under_way == receiver.MAX_CONCURRENT

    await eventually(busy)
    release.set()
    await house.stop()
    await runner.cleanup()
    assert most == receiver.MAX_CONCURRENT


async def test_the_queue_survives(house: House, listener: Listener) -> None:
    """The receiver is away, the gateway ends and starts again, the receiver comes back."""
    await listener.stop()
    await house.start(hook(listener))
    for number in range(3):
        house.bus.publish(PublishStarted(stream="cam", session=str(number)))
    await house.stop()
    await house.start(hook(listener))
    house.bus.publish(PublishStarted(stream="cam", session="3"))
    await listener.start()
    assert [post["session"] for post in await listener.accept(4)] == ["0", "1", "2", "3"]


async def test_the_last_words_are_posted(house: House, listener: Listener) -> None:
    await house.start(hook(listener))
    house.bus.publish(PublishStopped(stream="cam", session="1", reason="shutdown"))
    await house.stop()
    assert [post["reason"] for post in listener.accepted] == ["shutdown"]


async def test_other_hooks_after_a_reload(house: House, listener: Listener) -> None:
    second = Listener()
    await second.start()
    sender = await house.start()
    assert not house.path.exists()
    house.bus.publish(StreamCreated(stream="before"))
    await asyncio.sleep(0)
    await sender.reconfigure(house.config(hook(listener)))
    house.bus.publish(StreamCreated(stream="one"))
    await listener.accept(1)
    await listener.stop()
    house.bus.publish(StreamCreated(stream="lost"))
    await sender.reconfigure(house.config(hook(listener, "events = ['stream-deleted']"), hook(second)))
    house.bus.publish(StreamCreated(stream="two"))
    await second.accept(1)
    await sender.reconfigure(house.config(hook(second)))
    await listener.start()
    await sender.reconfigure(house.config(hook(second), hook(listener)))
    house.bus.publish(StreamCreated(stream="three"))
    assert [post["stream"] for post in await listener.accept(2)] == ["one", "three"]
    assert [post["stream"] for post in await second.accept(2)] == ["two", "three"]
    await house.stop()
    await second.stop()


async def test_a_queue_that_is_too_long_loses_its_oldest(
    house: House, listener: Listener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "MAX_QUEUED", 2)
    sender = await house.start(hook(listener))
    await listener.stop()
    for number in range(5):
        house.bus.publish(PublishStarted(stream="cam", session=str(number)))

    async def counted() -> bool:
        return sender.given_up == 3

    await eventually(counted)
    await listener.start()
    assert [post["session"] for post in await listener.accept(2)] == ["3", "4"]
    assert "3 events are given up" in caplog.text


async def test_events_that_the_bus_forgot_are_counted(
    house: House, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "CAPACITY", 2)
    sender = await house.start(hook(listener))
    for number in range(5):
        house.bus.publish(StreamCreated(stream=str(number)))
    await listener.accept(2)
    assert sender.given_up == 3


async def test_a_full_disk_holds_events_back(
    house: House, listener: Listener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "_STORE_RETRY", 0.02)
    await house.start(hook(listener))
    assert house.store is not None
    (pages,) = await house.store.run(lambda connection: connection.execute("PRAGMA page_count").fetchone())
    await house.store.run(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").close())
    for number in range(200):
        house.bus.publish(StreamCreated(stream=str(number)))

    async def complains() -> bool:
        return "full" in caplog.text

    await eventually(complains)
    assert listener.accepted == []
    await house.store.run(lambda connection: connection.execute("PRAGMA max_page_count = 100000").close())
    await listener.accept(200)


async def test_secrets_are_not_logged(house: House, listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    """Nor is the path: with some services it is the credential."""
    caplog.set_level(logging.DEBUG)
    listener.answer = lambda _: 500
    await house.start(f"url = '{listener.url(f'user:{SECRET}@')}'\nsecret = 'key'")
    house.bus.publish(StreamCreated(stream="cam"))

    async def logged() -> bool:
        return "status 500" in caplog.text

    await eventually(logged)
    await listener.stop()

    async def refused() -> bool:
        return "Connection refused" in caplog.text

    await eventually(refused)
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("live777py"))
    assert f"webhook http://127.0.0.1:{listener.port}, stream-created of stream cam: " in ours
    assert SECRET not in ours
    assert "/hook" not in ours


async def test_a_store_that_cannot_be_used_is_named(house: House, listener: Listener, tmp_path: Path) -> None:
    house.path = tmp_path / "nowhere/store.db"
    with pytest.raises(StartError, match=r"store\.path: cannot use .*: No such file or directory"):
        await house.start(hook(listener))
    sender = await house.start()
    with pytest.raises(StartError):
        await sender.reconfigure(house.config(hook(listener)))


def test_the_sample_knows_what_is_ours() -> None:
    verify, now = sample_verify(), int(time.time())
    good = sign("key", b"{}", now)
    assert verify("key", good, b"{}")
    assert not verify("key", good, b"{ }")
    assert not verify("another", good, b"{}")
    assert not verify("key", good.replace(f"t={now}", f"t={now + 1}"), b"{}")
    assert not verify("key", sign("key", b"{}", now - 400), b"{}")
    assert not verify("key", f"t={now}", b"{}")
    assert not verify("key", "", b"{}")


def test_the_signature_is_as_it_is_documented() -> None:
    """By openssl: printf '1800000000.{}' | openssl dgst -sha256 -hmac key."""
    openssl = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", "key"],
        input=b"1800000000.{}",
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert sign("key", b"{}", 1_800_000_000) == "t=1800000000,v1=" + openssl.stdout.decode().split()[-1]


async def test_killed_in_the_middle(tmp_path: Path, listener: Listener) -> None:
    """SIGKILL while posts are refused; the next process delivers every one, in order."""
    config = f"[store]\npath = '{tmp_path}/store.db'\n[[webhooks]]\n{hook(listener)}"
    names = [f"cam{number}" for number in range(5)]
    listener.answer = lambda _: 503
    async with running_gateway(tmp_path, config=config) as gateway:
        async with aiohttp.ClientSession() as client:
            for name in names:
                for method in ("POST", "DELETE"):
                    async with client.request(method, f"{gateway.url}/api/streams/{name}") as response:
                        assert response.status == 204

        async def all_tried() -> bool:
            return {post["stream"] for _, post, _ in listener.seen} == set(names)

        await eventually(all_tried)
        gateway.process.send_signal(signal.SIGKILL)
        await gateway.process.wait()
    listener.answer = lambda _: 200
    async with running_gateway(tmp_path, config=config) as gateway, aiohttp.ClientSession() as client:
        await listener.accept(10)
        async with client.get(f"{gateway.url}/metrics") as response:
            assert 'live777_events_given_up_total{by="webhooks"} 0.0' in await response.text()
    for name in names:
        told = [post["event"] for post in listener.accepted if post["stream"] == name]
        assert told == ["stream-created", "stream-deleted"]
    first_ids = {post["id"] for status, post, _ in listener.seen if status == 503}
    assert first_ids <= {post["id"] for post in listener.accepted}
