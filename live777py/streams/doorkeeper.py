"""Who may come in, and as whom: asked before a session is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from live777py.streams.clients import Client
    from live777py.streams.participant import Participant
    from live777py.streams.session import Role


class Doorkeeper(Protocol):
    """Implemented by `livekit.rooms.Rooms`."""

    async def check(self, client: Client) -> None:
        """Before anything is looked at. Raises `Forbidden` for a token that is no good any more."""

    def admit(self, stream: str, role: Role, session: str, client: Client) -> AbstractAsyncContextManager[Participant]:
        """Keeps a place for the session that is made inside, until the context ends.

        Raises `NotFound`, `Forbidden` and `Unavailable`. Who has the same identity goes.
        """
