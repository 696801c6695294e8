"""Which worker a new session goes to. A stream keeps to one while it has room: packets that cross workers cost more."""

from __future__ import annotations

from collections import Counter
from typing import Final

CAPACITY: Final = 2_000
"""Tracks and subscriptions of one worker before a stream spills over to the next."""


class Placement:
    def __init__(self, workers: int, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._load = dict.fromkeys(range(workers), 0)
        self._groups: dict[str, Counter[int]] = {}

    def take(self, group: str, load: int, *, at: int | None = None) -> int | None:
        """A worker for a session of `group` with `load` tracks or subscriptions; None if every worker is gone.

        `at` is the one that it must be, or None if that is gone.
        """
        worker = self.choose(group, load) if at is None else at
        if worker not in self._load:
            return None
        members = self._groups.setdefault(group, Counter())
        members[worker] += 1
        self._load[worker] += load
        return worker

    def choose(self, group: str, load: int) -> int | None:
        """The worker that `take` would give, untaken."""
        if not self._load:
            return None
        members = self._groups.get(group, Counter())
        with_room = [worker for worker in members if self._load[worker] + load <= self._capacity]
        return max(with_room, key=members.__getitem__) if with_room else min(self._load, key=self._load.__getitem__)

    def give_back(self, group: str, worker: int, load: int) -> None:
        """Undo one `take`. The worker may have been removed in between."""
        if worker not in self._load:
            return
        self._load[worker] -= load
        members = self._groups[group]
        members[worker] -= 1
        if not members[worker]:
            del members[worker]
        if not members:
            del self._groups[group]

    def remove_worker(self, worker: int) -> None:
        self._load.pop(worker, None)
        for group, members in tuple(self._groups.items()):
            members.pop(worker, None)
            if not members:
                del self._groups[group]
