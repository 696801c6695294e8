"""The other nodes of a cluster, as HTTP sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from live777py.streams.views import StreamView

TOKEN = "a node asks for "


class FakeNodes:
    """`publishers` and `sessions` say at which URL they are, `ways_out` where viewers of a stream can go on.

    `views` are of all nodes. `failure` is raised by all.
    """

    def __init__(self, *, ways_out: dict[str, str] | None = None) -> None:
        self.publishers: dict[str, str] = {}
        self.sessions: dict[tuple[str, str], str] = {}
        self.views: list[StreamView] = []
        self.ways_out = ways_out or {}
        self.failure: Exception | None = None

    async def streams(self, name: str = "") -> list[StreamView]:
        self._fail()
        return [view for view in self.views if not name or view.id == name]

    def place_of_stream(self, stream: str) -> str | None:
        return self.publishers.get(stream)

    async def place_of_session(self, stream: str, session: str) -> str | None:
        self._fail()
        return self.sessions.get((stream, session))

    def way_out(self, stream: str) -> str | None:
        return self.ways_out.get(stream)

    async def token(self, stream: str) -> str:
        return TOKEN + stream

    async def is_node(self, token: str, stream: str | None) -> bool:
        return token == f"{TOKEN}{stream}"

    async def holder(self, token: str, stream: str | None) -> str | None:
        return "b" if await self.is_node(token, stream) else None

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
