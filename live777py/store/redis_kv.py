"""`KeyValue` on a Redis server, for several nodes at once.

`{name}:value:KEY` is a hash of value and version, which Redis lets expire; `{name}:keys` a sorted set of all keys, in
which a prefix is a range; `{name}:version` the newest version; what changes is told on the channel `{name}:changes`,
with no key where the server is found to have lost everything. The braces keep all of it in one slot of a Redis cluster.
"""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from live777py import log
from live777py.errors import StoreError, StoreUnavailable
from live777py.store.keyvalue import Change, Changes, Entry
from live777py.store.redis_link import RETRY, Channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from redis.commands.core import AsyncScript

    from live777py.store.redis_link import RedisLink

_logger = logging.getLogger(__name__)

_WRITE: Final = """
local found = redis.call('HGET', KEYS[1], 'version')
if ARGV[4] == 'none' then
    if found then return false end
elseif ARGV[4] ~= 'any' and found ~= ARGV[4] then
    return false
end
if ARGV[5] == 'delete' then
    redis.call('ZREM', KEYS[2], ARGV[1])
    if redis.call('DEL', KEYS[1]) == 0 then return false end
    redis.call('PUBLISH', ARGV[6], ARGV[1])
    return found
end
-- Not less than the time, so that no version comes back where the server has lost its data.
local time = redis.call('TIME')
local newest = tonumber(redis.call('GET', KEYS[3]))
if not newest then redis.call('PUBLISH', ARGV[6], '') end
local next = math.max((newest or 0) + 1, time[1] * 1000000 + time[2])
local version = string.format('%.0f', next)
redis.call('SET', KEYS[3], version)
redis.call('HSET', KEYS[1], 'value', ARGV[2], 'version', version)
if ARGV[3] == '' then
    redis.call('PERSIST', KEYS[1])
else
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('PUBLISH', ARGV[6], ARGV[1])
return version
"""
_READ: Final = """
local rows = {}
local keys = {ARGV[3]}
if ARGV[1] ~= '' then
    keys = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2])
end
for _, key in ipairs(keys) do
    local found = redis.call('HMGET', KEYS[2] .. key, 'value', 'version')
    if found[2] then
        rows[#rows + 1] = {key, found[1], found[2], redis.call('PTTL', KEYS[2] .. key)}
    else
        redis.call('ZREM', KEYS[1], key)
    end
end
return rows
"""


@dataclass(frozen=True, kw_only=True)
class _Row:
    entry: Entry
    expires_ms: int | None


@dataclass(kw_only=True, eq=False)
class _Watch:
    """`known` are the versions that were told, `deadlines` when those that expire do, in the loop's time."""

    changes: Changes
    known: dict[str, int] = field(default_factory=dict)
    deadlines: dict[str, float] = field(default_factory=dict)

    def tell(self, key: str, row: _Row | None, now: float) -> None:
        self.deadlines.pop(key, None)
        if row is None:
            if self.known.pop(key, None) is not None:
                self.changes.tell(Change(key=key, entry=None))
            return
        if row.expires_ms is not None:
            self.deadlines[key] = now + row.expires_ms / 1000
        if self.known.get(key) != row.entry.version:
            self.known[key] = row.entry.version
            self.changes.tell(Change(key=key, entry=row.entry))


class RedisKeyValue:
    """Usage: `store = RedisKeyValue(link)` ... `await store.close()`, before the link is closed."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._reading = link.script(_READ)
        self._writing = link.script(_WRITE)
        prefix = f"{{{link.name}}}"
        self._values = f"{prefix}:value:"
        self._index = f"{prefix}:keys"
        self._version = f"{prefix}:version"
        self._channel = Channel(f"{prefix}:changes", self._heard, self._look_at_all)
        self._watches: set[_Watch] = set()
        self._changed: dict[str, None] = {}
        """In order."""
        self._all_changed = True
        self._wake = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None

    async def close(self) -> None:
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.wait([self._follower])

    async def get(self, key: str) -> Entry | None:
        row = await self._row(key)
        return None if row is None else row.entry

    async def list(self, prefix: str) -> list[Entry]:
        return [row.entry for row in await self._rows(prefix)]

    async def put(self, key: str, value: bytes, *, expires: float | None = None) -> Entry:
        version = await self._write(key, "any", value=value, expires=expires)
        if version is None:
            raise AssertionError("a put has no condition")
        return Entry(key=key, value=value, version=version)

    async def compare_and_swap(
        self, key: str, expected_version: int | None, value: bytes, *, expires: float | None = None
    ) -> Entry | None:
        expected = "none" if expected_version is None else str(expected_version)
        version = await self._write(key, expected, value=value, expires=expires)
        return None if version is None else Entry(key=key, value=value, version=version)

    async def delete(self, key: str, *, version: int | None = None) -> bool:
        return await self._write(key, "any" if version is None else str(version)) is not None

    @asynccontextmanager
    async def watch(self, prefix: str) -> AsyncIterator[Changes]:
        watch = _Watch(changes=Changes(prefix))
        self._watches.add(watch)
        if self._follower is None:
            self._follower = log.watched(asyncio.create_task(self._follow(), name="redis watches"))
            await self._link.channels.listen(self._channel)
        else:
            self._look_at_all()
        try:
            yield watch.changes
        finally:
            self._watches.discard(watch)

    # Commands

    async def _row(self, key: str) -> _Row | None:
        rows = await self._read("", "", key)
        return rows[0] if rows else None

    async def _rows(self, prefix: str) -> tuple[_Row, ...]:
        start = prefix.encode()
        # No UTF-8 text has the byte 0xFF.
        return await self._read(b"[" + start if start else b"-", b"(" + start + b"\xff" if start else b"+", "")

    async def _read(self, start: bytes | str, end: bytes | str, key: str) -> tuple[_Row, ...]:
        found: Sequence[tuple[bytes, bytes, bytes, int]] = await self._eval(
            self._reading, (self._index, self._values), (start, end, key)
        )
        return tuple(
            _Row(
                entry=Entry(key=name.decode(), value=value, version=int(version)),
                expires_ms=None if remaining < 0 else remaining,
            )
            for name, value, version, remaining in found
        )

    async def _write(
        self, key: str, expected: str, *, value: bytes | None = None, expires: float | None = None
    ) -> int | None:
        """The version that was put or deleted; None where the expectation was wrong."""
        version: bytes | None = await self._eval(
            self._writing,
            (self._values + key, self._index, self._version),
            (
                key,
                value or b"",
                "" if expires is None else max(int(expires * 1000), 1),
                expected,
                "delete" if value is None else "put",
                self._channel.name,
            ),
        )
        return None if version is None else int(version)

    async def _eval(self, script: AsyncScript, keys: tuple[str, ...], arguments: tuple[Any, ...]) -> Any:
        return await self._link.run(lambda _: script(keys=keys, args=arguments))

    # Watches

    def _heard(self, message: bytes) -> None:
        if not message:
            self._look_at_all()
            return
        self._changed[message.decode()] = None
        self._wake.set()

    def _look_at_all(self) -> None:
        self._all_changed = True
        self._wake.set()

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = min((due for watch in self._watches for due in watch.deadlines.values()), default=math.inf)
            try:
                async with asyncio.timeout_at(due if due < math.inf else None):
                    await self._wake.wait()
            except TimeoutError:
                self._changed |= {
                    key: None for watch in self._watches for key, at in watch.deadlines.items() if at <= loop.time()
                }
            self._wake.clear()
            try:
                await self._look()
            except StoreError as error:
                level = logging.DEBUG if isinstance(error, StoreUnavailable) else logging.ERROR
                _logger.log(level, "what has changed is not known: %s", error.detail)
                self._look_at_all()
                await asyncio.sleep(RETRY)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        everything, self._all_changed = self._all_changed, False
        keys, self._changed = self._changed, {}
        if everything and self._channel.open:
            for watch in tuple(self._watches):
                rows = {row.entry.key: row for row in await self._rows(watch.changes.prefix)}
                for key in sorted({*watch.known, *rows}):
                    watch.tell(key, rows.get(key), loop.time())
        for key in keys:
            watches = [watch for watch in self._watches if key.startswith(watch.changes.prefix)]
            if watches:
                row = await self._row(key)
                for watch in watches:
                    watch.tell(key, row, loop.time())
