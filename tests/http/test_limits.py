"""Requests per second, and who is counted."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from aiohttp.test_utils import make_mocked_request

from live777py.errors import TooManyRequests
from live777py.http.client import ClientAddress, ClientResolver
from live777py.http.limits import RateLimiter
from tests.http.doors import FRAGMENT, OpenDoor


def _client(ip: str = "192.0.2.1") -> ClientAddress:
    return ClientAddress(ip=ip_address(ip), direct_loopback=False)


def _passed(limiter: RateLimiter, client: ClientAddress, attempts: int, now: float) -> int:
    passed = 0
    for _ in range(attempts):
        try:
            limiter.check(client, now)
        except TooManyRequests:
            continue
        passed += 1
    return passed


def test_ten_seconds_may_come_at_once_and_then_the_rate() -> None:
    limiter = RateLimiter(5)
    assert _passed(limiter, _client(), 100, 0.0) == 50
    assert _passed(limiter, _client(), 100, 1.0) == 5
    assert _passed(limiter, _client(), 100, 1000.0) == 50


def test_retry_after_is_when_one_more_may_pass() -> None:
    limiter = RateLimiter(1)
    assert _passed(limiter, _client(), 10, 0.0) == 10
    with pytest.raises(TooManyRequests) as raised:
        limiter.check(_client(), 0.5)
    assert raised.value.retry_after == 1
    limiter.check(_client(), 0.5 + raised.value.retry_after)


def test_addresses_do_not_pay_for_each_other() -> None:
    limiter = RateLimiter(1)
    assert _passed(limiter, _client("192.0.2.1"), 20, 0.0) == 10
    assert _passed(limiter, _client("192.0.2.2"), 20, 0.0) == 10
    assert _passed(limiter, _client("2001:db8::1"), 20, 0.0) == 10
    assert _passed(limiter, _client("2001:db8::2"), 20, 0.0) == 0
    assert _passed(limiter, _client("2001:db8:0:1::1"), 20, 0.0) == 10


def test_memory_is_bounded() -> None:
    limiter = RateLimiter(1)
    for number in range(50_000):
        limiter.check(_client(str(ip_address(0x0A000000 + number))), 0.0)
    assert len(limiter._buckets) <= 10_000


@pytest.mark.parametrize(
    ("limiter", "client"),
    [
        (RateLimiter(0), _client()),
        (RateLimiter(1), ClientAddress(ip=ip_address("127.0.0.1"), direct_loopback=True)),
    ],
)
def test_who_is_not_counted(limiter: RateLimiter, client: ClientAddress) -> None:
    assert _passed(limiter, client, 1000, 0.0) == 1000


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("198.51.100.7", None, "198.51.100.7"),
        ("198.51.100.7", "192.0.2.1", "198.51.100.7"),
        ("127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("::1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "6.6.6.6, 192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "6.6.6.6, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
        ("127.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
        ("127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", "6.6.6.6, garbage, 10.0.0.1", "10.0.0.1"),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str, forwarded: str | None, expected: str) -> None:
    resolver = ClientResolver(["127.0.0.0/8", "::1/128", "10.0.0.0/8"])
    request = make_mocked_request("POST", "/", headers={"X-Forwarded-For": forwarded} if forwarded else {})
    assert str(resolver.resolve(request.clone(remote=peer)).ip) == expected


@pytest.mark.parametrize(
    ("peer", "header", "loopback"),
    [
        ("127.0.0.1", None, True),
        ("::1", None, True),
        ("::ffff:127.0.0.1", None, True),
        ("127.0.0.1", "Via", False),
        ("192.0.2.1", None, False),
        ("", None, False),
    ],
)
def test_direct_loopback(peer: str, header: str | None, loopback: bool) -> None:
    request = make_mocked_request("POST", "/", headers={header: "x"} if header else {})
    assert ClientResolver(()).resolve(request.clone(remote=peer)).direct_loopback is loopback


async def test_429_with_retry_after(open_door: OpenDoor) -> None:
    door = await open_door("[http]\nrate_limit = 1\n")
    remote = {"X-Forwarded-For": "192.0.2.1"}
    for method, path, headers in (
        ("POST", "/api/streams/x", {}),
        ("PATCH", "/session/x/y", FRAGMENT),
        ("DELETE", "/session/x/y", {}),
    ):
        statuses = [(await door.ask(method, path, headers={**headers, **remote})).status for _ in range(11)]
        assert statuses[-1] == 429
    response = await door.ask("POST", "/api/streams/x", headers=remote)
    assert response.status == 429
    assert response.headers["Retry-After"].isdigit()
    assert response.content_type == "application/problem+json"
    assert (await door.ask("GET", "/api/streams/", headers=remote)).status == 200
    assert (await door.ask("POST", "/api/streams/y", headers={"X-Forwarded-For": "192.0.2.2"})).status == 204
