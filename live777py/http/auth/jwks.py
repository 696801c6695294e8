"""Where verification keys come from: a file that is read again when it changes, or a URL whose answer is kept.

Nobody waits longer than one fetch. A source that fails is left alone for a while, and its last keys stay good for a
bounded time, so that an authority that is away for some minutes locks nobody out.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

import aiohttp

from live777py.http.auth.keyset import MAX_BYTES, KeySet, parse_key_set

if TYPE_CHECKING:
    from collections.abc import Callable

    from live777py.http.auth.keyset import VerificationKey

FETCH_TIMEOUT: Final = 5.0
"""Seconds, all together."""

_HEADERS: Final = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}

_logger = logging.getLogger(__name__)


class KeySource(Protocol):
    async def find(self, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]: ...
    async def close(self) -> None: ...


def key_source(location: str, client: Callable[[], aiohttp.ClientSession]) -> KeySource:
    """`location` is a path or an http(s) URL."""
    if re.match(r"(?i)https?://", location):
        return KeyUrl(location, client)
    return KeyFile(Path(location))


class KeyFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = KeySet()
        self._seen: tuple[int, ...] | None = None

    async def find(self, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
        await asyncio.to_thread(self._read_if_changed)
        return self._keys.find(kid, algorithm)

    async def close(self) -> None:
        pass

    def _read_if_changed(self) -> None:
        """A file that cannot be used changes nothing, and is said once."""
        signature: tuple[int, ...] = ()
        try:
            status = self._path.stat()
            signature = (status.st_mtime_ns, status.st_size, status.st_ino)
            if signature == self._seen:
                return
            with self._path.open("rb") as file:
                self._keys = parse_key_set(file.read(MAX_BYTES + 1))
            _logger.info("%d keys read from auth.jwks", len(self._keys.keys))
        except (OSError, ValueError) as error:
            if signature != self._seen:
                _logger.warning("auth.jwks cannot be used: %s", getattr(error, "strerror", None) or error)
        self._seen = signature


@dataclass
class FetchSchedule:
    """When to fetch, and how long what was fetched is good. Seconds of one monotonic clock."""

    DEFAULT_AGE: ClassVar = 300.0
    MIN_AGE: ClassVar = 10.0
    MAX_AGE: ClassVar = 3600.0
    UNKNOWN_KEY_EVERY: ClassVar = 10.0
    """A token with an unknown `kid` may mean that the keys were changed; anybody can make one."""
    AFTER_FAILURE: ClassVar = 30.0
    KEPT_ON_FAILURE: ClassVar = 3600.0

    _fresh_until: float = float("-inf")
    _kept_until: float = float("-inf")
    _not_before: float = float("-inf")

    def fresh(self, now: float) -> bool:
        return now < self._fresh_until

    def due(self, now: float) -> bool:
        """Whether the source may be asked, by somebody who finds no fresh key."""
        return now >= self._not_before

    def expired(self, now: float) -> bool:
        return now >= self._kept_until

    def fetched(self, now: float, max_age: float | None) -> None:
        age = self.DEFAULT_AGE if max_age is None else min(max(max_age, self.MIN_AGE), self.MAX_AGE)
        self._fresh_until = now + age
        self._kept_until = self._fresh_until + self.KEPT_ON_FAILURE
        self._not_before = now + self.UNKNOWN_KEY_EVERY

    def failed(self, now: float) -> None:
        self._not_before = now + self.AFTER_FAILURE


class KeyUrl:
    def __init__(
        self, url: str, client: Callable[[], aiohttp.ClientSession], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._client = client
        self._clock = clock
        self._keys = KeySet()
        self._schedule = FetchSchedule()
        self._fetch: asyncio.Task[None] | None = None

    async def find(self, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
        now = self._clock()
        found = self._keys.find(kid, algorithm)
        if found and self._schedule.fresh(now):
            return found
        if self._fetch is None and self._schedule.due(now):
            self._fetch = asyncio.create_task(self._update(), name="jwks")
        if self._fetch is not None:
            # Unlike `await`, this ends neither the fetch with one who waits nor those who wait with the fetch.
            await asyncio.wait([self._fetch])
        return () if self._schedule.expired(self._clock()) else self._keys.find(kid, algorithm)

    async def close(self) -> None:
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait([self._fetch])

    async def _update(self) -> None:
        try:
            self._keys, max_age = await self._get()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self._schedule.failed(self._clock())
            # Neither the URL nor the error's own text: both may hold a password.
            reason = str(error) if type(error) is ValueError else type(error).__name__
            _logger.warning("auth.jwks cannot be fetched: %s", reason)
        else:
            self._schedule.fetched(self._clock(), max_age)
            _logger.info("%d keys fetched from auth.jwks", len(self._keys.keys))
        finally:
            self._fetch = None

    async def _get(self) -> tuple[KeySet, float | None]:
        """The keys and the `max-age` of the answer. A redirect is a failure: where keys come from is configured."""
        async with (
            asyncio.timeout(FETCH_TIMEOUT),
            self._client().get(self._url, allow_redirects=False, headers=_HEADERS) as response,
        ):
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            text = bytearray()
            async for chunk in response.content.iter_chunked(MAX_BYTES):
                text += chunk
                if len(text) > MAX_BYTES:
                    break
            return parse_key_set(bytes(text)), _max_age(response.headers.get("Cache-Control", ""))


def _max_age(cache_control: str) -> float | None:
    """RFC 9111 section 5.2.2; what must not be kept is kept for the least time there is."""
    if re.search(r"(?i)\bno-(store|cache)\b", cache_control):
        return 0.0
    found = re.search(r"(?i)\bmax-age\s*=\s*\"?(\d{1,9})", cache_control)
    return float(found[1]) if found else None
