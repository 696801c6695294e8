"""Calls among nodes, over a real Redis server."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from live777py.cluster import rpc as rpc_module
from live777py.cluster.rpc import NodeAway
from live777py.errors import Conflict, Live777Error, NotFound, StoreUnavailable
from tests.cluster.conftest import TIMEOUT, Hands, hands
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.redis_server import RedisServer


async def echo(body: bytes) -> bytes:
    return body.upper()


async def conflict(_body: bytes) -> bytes:
    raise Conflict("taken", retry_after=3)


async def broken(_body: bytes) -> bytes:
    raise RuntimeError("a fault of ours")


async def never(_body: bytes) -> bytes:
    await asyncio.Event().wait()
    return b""


async def slow(body: bytes) -> bytes:
    await asyncio.sleep(0.3)
    return body.upper()


async def yes(_body: bytes) -> bool:
    return True


async def test_a_call_is_answered(server: RedisServer) -> None:
    async with hands(server, "a") as a, hands(server, "b") as b:
        b.rpc.serve("echo", echo)
        assert await a.rpc.call("b", "echo", b"hello") == b"HELLO"
        big = b"x" * 5_000_000
        assert await a.rpc.call("b", "echo", big) == big.upper()
        with pytest.raises(NotFound, match="does not know other"):
            await a.rpc.call("b", "other")


async def test_an_error_is_raised_by_the_caller(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async with hands(server, "a") as a, hands(server, "b") as b:
        b.rpc.serve("conflict", conflict)
        b.rpc.serve("broken", broken)
        with pytest.raises(Conflict, match="taken") as caught:
            await a.rpc.call("b", "conflict")
        assert caught.value.retry_after == 3
        with pytest.raises(Live777Error, match="the node failed") as failed:
            await a.rpc.call("b", "broken")
        assert failed.value.status == 500
    assert any("fault of ours" in (record.exc_text or "") for record in caplog.records)


async def test_a_node_that_is_not_there_is_known_at_once(server: RedisServer) -> None:
    async with hands(server, "a") as a:
        began = time.monotonic()
        with pytest.raises(NodeAway, match="node b"):
            await a.rpc.call("b", "echo")
        assert await a.rpc.find("x", b"") is None
        assert await a.rpc.gather("x") == {}
        assert time.monotonic() - began < TIMEOUT / 2


async def test_a_node_that_does_not_answer_is_waited_for_in_vain(server: RedisServer) -> None:
    async with hands(server, "a", alive=("b", "c")) as a, hands(server, "b") as b, hands(server, "c") as c:
        b.rpc.serve("x", never)
        c.rpc.serve("x", echo)
        began = time.monotonic()
        with pytest.raises(NodeAway):
            await a.rpc.call("b", "x")
        assert await a.rpc.gather("x", b"c") == {"c": b"C"}
        assert 2 * TIMEOUT <= time.monotonic() - began < 4 * TIMEOUT


async def test_nobody_waits_long_for_a_node_that_gives_no_sign_of_life(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc_module, "GRACE", 0.1)
    async with hands(server, "a", alive=("c",)) as a, hands(server, "b") as b, hands(server, "c") as c:
        a.rpc._timeout = 30
        b.rpc.serve("x", never)
        c.rpc.serve("x", slow)
        c.rpc.serve("echo", echo)
        async with asyncio.timeout(10):
            assert await a.rpc.gather("x", b"c") == {"c": b"C"}
            with pytest.raises(NodeAway):
                await a.rpc.call("b", "x")
        b.rpc.serve("echo", echo)  # one that answers is heard, known or not
        assert await a.rpc.gather("echo", b"x") == {"b": b"X", "c": b"X"}


async def test_the_one_that_has_it_is_found(server: RedisServer) -> None:
    async with hands(server, "a") as a, hands(server, "b") as b, hands(server, "c") as c:

        async def mine(body: bytes) -> bool:
            return body == b"c's"

        c.rpc.claim("thing", mine)
        a.rpc.claim("thing", yes)
        assert await a.rpc.find("thing", b"c's") == "c"
        assert await a.rpc.find("thing", b"nobody's") is None
        assert await b.rpc.find("thing", b"nobody's") == "a"


async def test_gather_asks_everybody_else(server: RedisServer) -> None:
    async with hands(server, "a") as a, hands(server, "b") as b, hands(server, "c") as c:
        for each, handler in ((a, echo), (b, echo), (c, conflict)):
            each.rpc.serve("x", handler)
        answers = await a.rpc.gather("x", b"hello")
        assert answers.keys() == {"b", "c"}
        assert answers["b"] == b"HELLO"
        assert isinstance(answers["c"], Conflict)


async def test_without_redis_nobody_is_asked_and_it_recovers(server: RedisServer) -> None:
    async with hands(server, "a", alive=("b",)) as a, hands(server, "b") as b:
        b.rpc.serve("echo", echo)
        await server.kill()
        await eventually(lambda: away(a))
        await eventually(lambda: away(b))  # who has not noticed yet counts as ready below
        with pytest.raises(StoreUnavailable, match="Redis"):
            await a.rpc.find("echo", b"")
        await server.start()
        await eventually(a.ready)
        await eventually(b.ready)
        assert await a.rpc.call("b", "echo", b"again") == b"AGAIN"


async def away(one: Hands) -> bool:
    try:
        await one.rpc.gather("echo")
    except StoreUnavailable:
        return True
    return False


async def test_what_is_not_understood_is_passed_over(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async with hands(server, "a") as a, hands(server, "b") as b:
        b.rpc.serve("echo", echo)
        await a.link.publish("{tests:0}:nodes", b"\xc1 no message")
        assert await a.rpc.call("b", "echo", b"on") == b"ON"
    assert sum("not understood" in record.getMessage() for record in caplog.records) == 2
