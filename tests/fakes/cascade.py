"""Cascades and sources in memory, as HTTP sees them."""

from __future__ import annotations

from dataclasses import dataclass

from live777py.errors import Conflict, NotFound, UpstreamError
from live777py.streams.views import SourceView


@dataclass(frozen=True, kw_only=True)
class Hop:
    stream: str
    source_url: str | None
    target_url: str | None
    authorization: str | None


class FakeCascade:
    """`hops` and `urls` are what came in. `failure` is raised by everything that asks another node."""

    def __init__(self) -> None:
        self.hops: list[Hop] = []
        self.urls: list[str] = []
        self.failure: UpstreamError | None = None
        self._sources: dict[str, SourceView] = {}

    async def cascade(
        self, stream: str, *, source_url: str | None, target_url: str | None, authorization: str | None
    ) -> None:
        if self.failure is not None:
            raise self.failure
        self.hops.append(Hop(stream=stream, source_url=source_url, target_url=target_url, authorization=authorization))

    def sources(self) -> list[SourceView]:
        return list(self._sources.values())

    def source(self, stream: str) -> SourceView:
        if stream not in self._sources:
            raise NotFound("the stream has no source")
        return self._sources[stream]

    async def add_source(self, stream: str, url: str) -> SourceView:
        if self.failure is not None:
            raise self.failure
        if stream in self._sources:
            raise Conflict("the stream has a source")
        self.urls.append(url)
        self._sources[stream] = SourceView(id=f"{stream}-1", stream_id=stream, source_type="whep", state="Connected")
        return self._sources[stream]

    async def remove_source(self, stream: str) -> None:
        del self._sources[self.source(stream).stream_id]
