"""Who made which session, so that one viewer's token does not end another viewer's session."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from live777py.errors import NotFound
from live777py.http.auth.access import ANYBODY, Mode, Principal

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class _Owner:
    identity: bytes
    publisher: bool


class SessionOwners:
    """Sessions end in many ways; the ended ones are forgotten when the table has doubled since the last look."""

    _MIN_LIMIT: Final = 1024

    def __init__(self) -> None:
        self._owners: dict[str, _Owner] = {}
        self._limit = self._MIN_LIMIT

    def __len__(self) -> int:
        return len(self._owners)

    @property
    def full(self) -> bool:
        """Call `keep` before the next `record`."""
        return len(self._owners) >= self._limit

    def record(self, session: str, principal: Principal, *, publisher: bool) -> None:
        if principal is not ANYBODY:  # who is so because everybody is
            self._owners[session] = _Owner(principal.identity, publisher)

    def keep(self, sessions: Iterable[str]) -> None:
        self._owners = {session: self._owners[session] for session in sessions if session in self._owners}
        self._limit = max(self._MIN_LIMIT, 2 * len(self._owners))

    def forget(self, session: str) -> None:
        self._owners.pop(session, None)

    def made_by(self, session: str, identity: bytes) -> bool:
        owner = self._owners.get(session)
        return owner is not None and hmac.compare_digest(owner.identity, identity)

    def check(self, session: str, principal: Principal) -> None:
        """Raises NotFound: another's session looks like none (RFC 9725 section 5)."""
        unlimited = principal.stream is None and principal.participant is None
        if unlimited or principal.mode & Mode.ADMIN or self.made_by(session, principal.identity):
            return
        owner = self._owners.get(session)
        if owner is None or not owner.publisher or not principal.mode & Mode.WRITE:
            raise NotFound("no such session")
