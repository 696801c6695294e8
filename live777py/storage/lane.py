"""What waits in the spool for one recording, in the order in which it goes up. No I/O."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

    from live777py.storage.path import StoragePath
    from live777py.storage.storage import Entry

FIRST: Final = 0.5
LONGEST: Final = 30.0
JITTER: Final = 0.2


@dataclass(eq=False)
class Upload:
    """One version of an object on its way. `done`: the store has answered, or will not."""

    entry: Entry
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Lane:
    """The objects of one directory. What names others is put after them, and so it goes up after them."""

    def __init__(self) -> None:
        self.disk = asyncio.Lock()
        """Held while its files change: they are written in the order of the calls, one after the other."""
        self.users = 0
        """Calls that have it in hand. A lane without, and with nothing in it, is forgotten."""
        self.current: Upload | None = None
        self.task: asyncio.Task[None] | None = None
        self._waiting: dict[StoragePath, Entry] = {}
        self._failures = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: Entry) -> Entry | None:
        """At the end; the version that it replaces, which is not to go up any more."""
        replaced = self._waiting.pop(entry.path, None)
        self._waiting[entry.path] = entry
        return replaced

    def first(self) -> Entry | None:
        return next(iter(self._waiting.values()), None)

    def holds(self, entry: Entry) -> bool:
        """It, and not a newer version of it."""
        return self._waiting.get(entry.path) is entry

    def remove(self, path: StoragePath) -> Entry | None:
        return self._waiting.pop(path, None)

    def clear(self) -> list[Entry]:
        entries = list(self._waiting.values())
        self._waiting.clear()
        return entries

    def went_well(self) -> None:
        self._failures = 0

    def delay(self, random: Random) -> float:
        """Seconds to wait after a failure: doubled from `FIRST` to `LONGEST`, with jitter."""
        wanted = min(FIRST * float(2**self._failures), LONGEST)
        self._failures = min(self._failures + 1, 16)
        return min(wanted * random.uniform(1 - JITTER, 1 + JITTER), LONGEST)
