"""The index of recordings: one row for each, from its start until its objects, or the row alone, are deleted."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Literal, get_args

import msgspec

from live777py.errors import Conflict, NotFound
from live777py.recorder.names import MANIFEST

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from live777py.storage import StoragePath
    from live777py.store import Database

    T = TypeVar("T")

Status = Literal["Active", "Completed", "Failed"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)


@dataclass(frozen=True, kw_only=True)
class Recording:
    """`record` is its Unix time of 10 digits; `directory` is where its objects are, mostly `{stream}/{record}`.

    `start_us` and `end_us` are Unix microseconds. `duration_ms` and `bytes` are of what has been written, and none has
    been while `bytes` is 0. `codecs` are those of RFC 6381. `reason` says why it ended. `acked`: somebody has taken
    note of it (`PATCH /api/recordings`). `updated_us` grows from change to change of the whole index.
    """

    stream: str
    record: str
    directory: str
    start_us: int
    end_us: int | None = None
    duration_ms: int = 0
    status: Status = "Active"
    reason: str | None = None
    bytes: int = 0
    codecs: tuple[str, ...] = ()
    acked: bool = False
    updated_us: int = 0

    @property
    def key(self) -> RecordKey:
        return RecordKey(self.stream, self.record)

    @property
    def mpd_path(self) -> str:
        return f"{self.directory}/{MANIFEST}"

    @property
    def active(self) -> bool:
        return self.status == "Active"


@dataclass(frozen=True, kw_only=True)
class Written:
    """How much of a recording there is."""

    duration_ms: int
    bytes: int
    codecs: tuple[str, ...]


@dataclass(frozen=True)
class RecordKey:
    stream: str
    record: str


class RecordTaken(Conflict):
    """The stream has a recording of that name."""


def record_id(directory: str) -> str:
    """The record that a directory is named for: 10 digits or more at its end, "" without."""
    last = directory.rpartition("/")[2]
    return last if re.fullmatch("[0-9]{10,}", last) else ""


_COLUMNS: Final = tuple(each.name for each in fields(Recording))
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM recording"  # noqa: S608
_INSERT: Final = f"INSERT OR IGNORE INTO recording ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608


class RecordingIndex:
    """Every method raises StoreError. What is only read makes no file."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """It is called after each change, from now on."""
        self._listeners.append(listener)

    # Of the recorder

    async def begin(self, recording: Recording) -> None:
        """Raises RecordTaken, and Conflict where its directory is that of another, or is in, or has in it, one of
        another stream: objects belong to the stream whose directory they are in."""
        directory = recording.directory

        def work(connection: sqlite3.Connection) -> None:
            if _all(connection, "WHERE stream = ? AND record = ?", recording.stream, recording.record):
                raise RecordTaken("the stream has a recording of that second already")
            above = [directory[:end] for end, char in enumerate(directory) if char == "/"]
            taken = connection.execute(
                "SELECT 1 FROM recording WHERE directory = ? OR stream != ? "
                "AND (directory IN (SELECT value FROM json_each(?)) OR directory > ? AND directory < ?) LIMIT 1",
                # "0" is the character behind "/".
                (directory, recording.stream, json.dumps(above), f"{directory}/", f"{directory}0"),
            ).fetchone()
            if taken is not None:
                raise Conflict("another recording is in that directory")
            _insert(connection, recording)

        await self._database.run(work)
        self._changed()

    async def take_over(self, recordings: Sequence[Recording]) -> None:
        """Those of another index; all of them or none, and the first of any that are in one directory."""

        def work(connection: sqlite3.Connection) -> None:
            for recording in recordings:
                _insert(connection, recording)

        await self._database.run(work)
        self._changed()

    async def written(self, key: RecordKey, written: Written) -> None:
        """Nothing happens to one that is not in the index (any more)."""
        await self._update(key, {"duration_ms": written.duration_ms, "bytes": written.bytes, **_codecs(written)})

    async def end(self, key: RecordKey, status: Status, written: Written, *, end_us: int, reason: str | None) -> None:
        """Likewise."""
        values = {"status": status, "reason": reason, "end_us": end_us, "duration_ms": written.duration_ms}
        await self._update(key, {**values, "bytes": written.bytes, **_codecs(written)})

    async def active(self) -> list[Recording]:
        """Those that are being recorded; at the start, those that the end of the process before has cut off."""
        return await self._look(lambda connection: _all(connection, "WHERE status = 'Active' ORDER BY start_us"))

    # Of those who play

    async def find(self, key: RecordKey) -> Recording:
        """Raises NotFound."""
        found = await self._look(
            lambda connection: _all(connection, "WHERE stream = ? AND record = ?", key.stream, key.record)
        )
        if not found:
            raise NotFound("no such recording")
        return found[0]

    async def owner(self, path: StoragePath) -> str | None:
        """The stream whose recording the object belongs to, as far as the index knows."""
        above = json.dumps([path[:end] for end, char in enumerate(path) if char == "/"])
        found = await self._look(
            lambda connection: _all(connection, "WHERE directory IN (SELECT value FROM json_each(?))", above)
        )
        return found[0].stream if found else None

    async def of_stream(self, stream: str) -> list[Recording]:
        """The oldest first, acked ones too."""
        return await self._look(lambda connection: _all(connection, "WHERE stream = ? ORDER BY start_us", stream))

    async def streams(self) -> list[str]:
        """Those with a recording of which something has been written."""

        def work(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute("SELECT DISTINCT stream FROM recording WHERE bytes > 0 ORDER BY stream")
            return [stream for (stream,) in rows]

        return await self._database.look(work, otherwise=[])

    # Of those who collect

    async def changed_since(
        self, since_us: int, *, stream: str | None = None, status: Status | None = None, limit: int
    ) -> list[Recording]:
        """Those not acked whose `updated_us` is greater, in its order."""
        wanted = {column: value for column, value in (("stream", stream), ("status", status)) if value is not None}
        where = "".join(f" AND {column} = ?" for column in wanted)
        return await self._look(
            lambda connection: _all(
                connection,
                f"WHERE updated_us > ? AND NOT acked{where} ORDER BY updated_us LIMIT ?",
                *(since_us, *wanted.values(), limit),
            )
        )

    async def ack(self, keys: Sequence[RecordKey]) -> int:
        """How many there were. One that is being recorded is not acked: its end would be lost."""

        def work(connection: sqlite3.Connection, key: RecordKey) -> int:
            return connection.execute(
                "UPDATE recording SET acked = 1, updated_us = ? WHERE stream = ? AND record = ? AND status != 'Active'",
                (_now(connection), key.stream, key.record),
            ).rowcount

        return await self._change(keys, work)

    async def forget_acked(self, keys: Sequence[RecordKey]) -> int:
        """How many there were. The objects stay."""

        def work(connection: sqlite3.Connection, key: RecordKey) -> int:
            return connection.execute(
                "DELETE FROM recording WHERE stream = ? AND record = ? AND acked", (key.stream, key.record)
            ).rowcount

        return await self._change(keys, work)

    # Of those who delete

    async def ended(self) -> list[Recording]:
        """All that can be deleted, the oldest first."""
        return await self._look(lambda connection: _all(connection, "WHERE status != 'Active' ORDER BY start_us"))

    async def remove(self, key: RecordKey) -> None:
        def work(connection: sqlite3.Connection, key: RecordKey) -> int:
            return connection.execute(
                "DELETE FROM recording WHERE stream = ? AND record = ?", (key.stream, key.record)
            ).rowcount

        await self._change([key], work)

    async def all(self) -> list[Recording]:
        return await self._look(lambda connection: _all(connection, "ORDER BY stream, record"))

    async def _look(self, work: Callable[[sqlite3.Connection], list[Recording]]) -> list[Recording]:
        return await self._database.look(work, otherwise=[])

    async def _update(self, key: RecordKey, values: dict[str, object]) -> None:
        assignments = ", ".join(f"{column} = ?" for column in values)

        def work(connection: sqlite3.Connection, key: RecordKey) -> int:
            return connection.execute(
                f"UPDATE recording SET {assignments}, updated_us = ? WHERE stream = ? AND record = ?",  # noqa: S608
                (*values.values(), _now(connection), key.stream, key.record),
            ).rowcount

        await self._change([key], work)

    async def _change(self, keys: Sequence[RecordKey], work: Callable[[sqlite3.Connection, RecordKey], int]) -> int:
        """All of them or none; how many rows that were."""
        distinct = tuple(dict.fromkeys(keys))
        count = await self._database.look(
            lambda connection: sum(work(connection, key) for key in distinct), otherwise=0
        )
        if count:
            self._changed()
        return count

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()


def _codecs(written: Written) -> dict[str, object]:
    return {"codecs": " ".join(written.codecs)}


def _insert(connection: sqlite3.Connection, recording: Recording) -> None:
    values = {name: getattr(recording, name) for name in _COLUMNS}
    values |= {"codecs": " ".join(recording.codecs), "updated_us": _now(connection)}
    connection.execute(_INSERT, [values[name] for name in _COLUMNS])


def _all(connection: sqlite3.Connection, where: str, *values: object) -> list[Recording]:
    return [_recording(row) for row in connection.execute(f"{_SELECT} {where}", values)]


def _recording(row: tuple[object, ...]) -> Recording:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["codecs"] = str(values["codecs"]).split()
    values["acked"] = bool(values["acked"])
    return msgspec.convert(values, Recording)


def _now(connection: sqlite3.Connection) -> int:
    """Unix microseconds, and always more than the change before: who has read up to one change misses none."""
    (last,) = connection.execute("SELECT max(updated_us) FROM recording").fetchone()
    return max(time.time_ns() // 1000, (last or 0) + 1)
