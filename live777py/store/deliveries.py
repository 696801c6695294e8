"""The queue of webhook deliveries: in order within a stream of a hook, and bounded for each hook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from live777py.store.database import Database

_COLUMNS = "hook, stream, id, event, body, created_ms, number"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One event for one hook. `created_ms` is Unix time; `number` is the queue's, 0 before `put`.

    What a hook's name has up to its first colon is its family; without a colon, "".
    """

    hook: str
    stream: str
    id: str
    event: str
    body: bytes
    created_ms: int
    number: int = 0


class Deliveries:
    """Every method raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, deliveries: Sequence[Delivery], *, limit: int) -> int:
        """All of them or none. How many of the oldest went because a hook had more than `limit`."""

        def work(connection: sqlite3.Connection) -> int:
            connection.executemany(
                "INSERT INTO delivery (hook, stream, id, event, body, created_ms) VALUES (?, ?, ?, ?, ?, ?)",
                [(each.hook, each.stream, each.id, each.event, each.body, each.created_ms) for each in deliveries],
            )
            return sum(
                connection.execute(
                    "DELETE FROM delivery WHERE hook = ?1 AND number <= "
                    "(SELECT number FROM delivery WHERE hook = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
                    (hook, limit),
                ).rowcount
                for hook in {each.hook for each in deliveries}
            )

        return await self._database.run(work)

    async def first(self, hook: str, stream: str) -> Delivery | None:
        def work(connection: sqlite3.Connection) -> Delivery | None:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM delivery WHERE hook = ? AND stream = ? ORDER BY number LIMIT 1",  # noqa: S608
                (hook, stream),
            ).fetchone()
            return row and Delivery(**dict(zip(_COLUMNS.split(", "), row, strict=True)))

        return await self._database.run(work)

    async def remove(self, delivery: Delivery) -> None:
        await self._database.run(
            lambda connection: connection.execute("DELETE FROM delivery WHERE number = ?", (delivery.number,)).close()
        )

    async def streams(self, hook: str) -> list[str]:
        """Those that something waits for."""

        def work(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute("SELECT DISTINCT stream FROM delivery WHERE hook = ?", (hook,))
            return [stream for (stream,) in rows]

        return await self._database.run(work)

    async def keep_only(self, hooks: Collection[str], *, family: str) -> int:
        """Forget what waits for hooks of the family that are no more; how many those were."""
        known = tuple(hooks)
        marks = ", ".join("?" * len(known))
        return await self._database.run(
            lambda connection: (
                connection.execute(
                    "DELETE FROM delivery WHERE substr(hook, 1, instr(hook, ':')) = ? "  # noqa: S608
                    f"AND hook NOT IN ({marks})",
                    (family, *known),
                ).rowcount
            )
        )
