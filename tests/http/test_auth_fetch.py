"""Key sets from a URL: kept, fetched again, and what happens when the authority is away."""

from __future__ import annotations

import asyncio
import gzip
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from live777py.config import AuthConfig
from live777py.errors import Unauthorized
from live777py.http.auth import Access, AccessRequest, Authenticator, SessionOwners, jwks
from live777py.http.auth.jwks import FetchSchedule, KeyUrl
from live777py.http.auth.keyset import MAX_BYTES
from tests.http.signers import key_set, signer
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.http.authority import Authority


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def keys_of(authority: Authority, clock: Clock) -> AsyncIterator[KeyUrl]:
    async with aiohttp.ClientSession() as client:
        source = KeyUrl(f"{authority.url}keys.json", lambda: client, clock)
        try:
            yield source
        finally:
            await source.close()


def gives(authority: Authority, *kids: str) -> None:
    authority.status, authority.body = 200, key_set(*(signer("ES256", kid).jwk() for kid in kids))


async def test_what_was_fetched_is_kept(authority: Authority) -> None:
    gives(authority, "a")
    clock = Clock()
    async with keys_of(authority, clock) as source:
        for _ in range(3):
            assert await source.find("a", "ES256")
        clock.now += FetchSchedule.DEFAULT_AGE - 1
        assert await source.find("a", "ES256")
        assert len(authority.asked) == 1
        clock.now += 1
        assert await source.find("a", "ES256")
        assert len(authority.asked) == 2


@pytest.mark.parametrize(
    ("cache_control", "age"),
    [
        ("max-age=60", 60),
        ("public, Max-Age = 60, must-revalidate", 60),
        ("max-age=1", 10),
        ("max-age=99999999", 3600),
        ("no-store, max-age=600", 10),
        ("no-cache", 10),
        ("max-age=soon", 300),
    ],
)
async def test_how_long_it_is_kept(authority: Authority, cache_control: str, age: int) -> None:
    gives(authority, "a")
    authority.headers = {"Cache-Control": cache_control}
    clock = Clock()
    async with keys_of(authority, clock) as source:
        for after, fetches in ((0, 1), (age - 1, 1), (1, 2)):
            clock.now += after
            await source.find("a", "ES256")
            assert len(authority.asked) == fetches


async def test_an_unknown_key_is_asked_for_once_in_ten_seconds(authority: Authority) -> None:
    gives(authority, "a")
    clock = Clock()
    async with keys_of(authority, clock) as source:
        await source.find("a", "ES256")
        gives(authority, "b")
        for _ in range(5):
            assert not await source.find("b", "ES256")
        assert len(authority.asked) == 1
        clock.now += 10
        assert await source.find("b", "ES256")
        assert not await source.find("a", "ES256")
        assert not await source.find("c", "ES256")
        assert len(authority.asked) == 2


async def test_requests_at_the_same_time_share_one_fetch(authority: Authority) -> None:
    gives(authority, "a")
    authority.answers.clear()
    async with keys_of(authority, Clock()) as source:
        waiting = [asyncio.create_task(source.find("a", "ES256")) for _ in range(20)]
        await eventually(lambda: _true(len(authority.asked) == 1))
        waiting.pop().cancel()
        authority.answers.set()
        assert all(await asyncio.gather(*waiting))
        assert len(authority.asked) == 1


async def test_who_has_a_known_key_does_not_wait_for_an_unknown_one(authority: Authority) -> None:
    gives(authority, "a")
    clock = Clock()
    async with keys_of(authority, clock) as source:
        await source.find("a", "ES256")
        clock.now += 10
        authority.answers.clear()
        waiting = asyncio.create_task(source.find("b", "ES256"))
        await eventually(lambda: _true(len(authority.asked) == 2))
        assert await source.find("a", "ES256")
        assert not waiting.done()
        authority.answers.set()
        assert not await waiting


def _gone(authority: Authority) -> None:
    authority.status = 500


def _moved(authority: Authority) -> None:
    authority.status, authority.headers = 302, {"Location": authority.url + "other"}


def _nonsense(authority: Authority) -> None:
    authority.body = "<html>"


def _huge(authority: Authority) -> None:
    authority.body = key_set(signer("ES256", "a").jwk()) + " " * MAX_BYTES


def _bomb(authority: Authority) -> None:
    authority.body = gzip.compress(key_set(signer("ES256", "a").jwk()).encode() + b" " * 50_000_000)
    authority.headers = {"Content-Encoding": "gzip"}


def _silent(authority: Authority) -> None:
    authority.answers.clear()


@pytest.mark.parametrize("fail", [_gone, _moved, _nonsense, _huge, _bomb, _silent])
async def test_a_failure_is_remembered_and_the_old_keys_serve_on(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fail: object
) -> None:
    monkeypatch.setattr(jwks, "FETCH_TIMEOUT", 0.2)
    assert callable(fail)
    gives(authority, "a")
    clock = Clock()
    async with keys_of(authority, clock) as source:
        assert await source.find("a", "ES256")
        fail(authority)
        clock.now += FetchSchedule.DEFAULT_AGE
        for _ in range(3):
            assert await source.find("a", "ES256")
            assert not await source.find("b", "ES256")
        assert len(authority.asked) == 2
        assert caplog.text.count("auth.jwks cannot be fetched") == 1
        clock.now += FetchSchedule.KEPT_ON_FAILURE - 1
        assert await source.find("a", "ES256")
        assert len(authority.asked) == 3
        clock.now += 1
        assert not await source.find("a", "ES256")
        gives(authority, "a")
        authority.headers = {}
        authority.answers.set()
        clock.now += FetchSchedule.AFTER_FAILURE - 2
        assert not await source.find("a", "ES256")
        clock.now += 1
        assert await source.find("a", "ES256")


async def test_who_waits_is_not_ended_by_a_reload(authority: Authority) -> None:
    """The key set is dropped while its fetch is under way: the request is refused, not cut off."""
    gives(authority, "a")
    authority.answers.clear()
    authenticator = Authenticator(AuthConfig(jwks=authority.url), SessionOwners())
    token = signer("ES256", "a").token()
    request = AccessRequest(authorization=f"Bearer {token}", access=Access.SEE_STREAM, stream="cam")
    waiting = asyncio.create_task(authenticator.admit(request))
    await eventually(lambda: _true(bool(authority.asked)))
    await authenticator.reconfigure(AuthConfig(tokens=(token,)))
    with pytest.raises(Unauthorized):
        await waiting
    assert (await authenticator.admit(request)).stream is None
    await authenticator.close()


@pytest.mark.parametrize("url", ["http://user:hunter2@127.0.0.1:1/keys?key=hunter3", "http://hunter2..example/"])
async def test_nothing_of_the_url_is_logged(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    authenticator = Authenticator(AuthConfig(jwks=url), SessionOwners())
    token = signer("ES256").token()
    with pytest.raises(Unauthorized):
        await authenticator.admit(
            AccessRequest(authorization=f"Bearer {token}", access=Access.SEE_STREAM, stream="cam")
        )
    await authenticator.close()
    assert "auth.jwks cannot be fetched" in caplog.text
    assert "hunter" not in caplog.text
    assert token not in caplog.text


async def _true(condition: bool) -> bool:
    return condition
