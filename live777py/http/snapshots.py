"""GET /api/sse/streams: the list of streams, sent whenever it has changed (Live777's API)."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

from live777py import log
from live777py.errors import StoreUnavailable
from live777py.http.auth import Access
from live777py.http.changes import ChangeFollower
from live777py.http.event_stream import EVENT_STREAM, Mailbox, encode_event, send_events
from live777py.http.resource import Content, Operation, Resource
from live777py.http.streams import STREAM_FILTER, wanted_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from live777py.http.keys import Nodes, Streams
    from live777py.streams.events import StreamEvent
    from live777py.streams.views import StreamView


@dataclass
class _Channel:
    """The listeners of one filter. `sent` is what all of them have been given."""

    sent: bytes = b""
    mailboxes: set[Mailbox] = field(default_factory=set)


class SnapshotFeed:
    """One encoding for all listeners of the same filter, made only when a view may have changed.

    In a cluster (`nodes`) it is the list of all nodes; what changes elsewhere is seen when the streams here are next
    looked at, every two seconds at the latest.
    """

    def __init__(self, streams: Callable[[], Streams], nodes: Callable[[], Nodes | None] = lambda: None) -> None:
        self._channels: dict[frozenset[str], _Channel] = {}
        self._streams = streams
        self._nodes = nodes
        self._asking: asyncio.Task[None] | None = None
        self._version = -1
        self._follower = ChangeFollower(self._refresh, self.close)

    @contextmanager
    def listen(self, names: frozenset[str]) -> Iterator[Mailbox]:
        """A mailbox with the newest snapshot of the streams named, or of all if none is named."""
        streams = self._streams()
        self._follower.start(streams.bus)
        channel = self._channels.get(names)
        nodes = self._nodes()
        if channel is None:
            sent = b"" if nodes is not None else encode_snapshot(streams.streams(), names)
            channel = self._channels[names] = _Channel(sent)
        mailbox = Mailbox()
        if channel.sent:
            mailbox.put(channel.sent)
        elif nodes is not None:
            self._ask(nodes)
        channel.mailboxes.add(mailbox)
        try:
            yield mailbox
        finally:
            channel.mailboxes.discard(mailbox)
            if not channel.mailboxes and self._channels.get(names) is channel:
                del self._channels[names]
            if not self._channels:
                self._follower.stop()

    def close(self) -> None:
        """Every listener's connection ends."""
        if self._asking is not None:
            self._asking.cancel()
        for channel in self._channels.values():
            for mailbox in channel.mailboxes:
                mailbox.close()

    def _refresh(self, _events: list[StreamEvent], _missed: bool) -> None:
        nodes = self._nodes()
        if nodes is not None:
            self._ask(nodes)
            return
        streams = self._streams()
        version = streams.version
        if version == self._version:
            return
        self._version = version
        self._send(streams.streams())

    def _ask(self, nodes: Nodes) -> None:
        if self._asking is None:
            self._asking = log.watched(asyncio.create_task(self._merge(nodes), name="streams of all nodes"))

    async def _merge(self, nodes: Nodes) -> None:
        try:
            views = await nodes.streams()
        except StoreUnavailable:
            return  # the next look tries again, and until then nothing is known to have changed
        finally:
            self._asking = None
        self._send(views)

    def _send(self, views: list[StreamView]) -> None:
        for names, channel in self._channels.items():
            snapshot = encode_snapshot(views, names)
            if snapshot != channel.sent:
                channel.sent = snapshot
                for mailbox in channel.mailboxes:
                    mailbox.put(snapshot)


FEED: Final = web.AppKey("snapshot_feed", SnapshotFeed)


def encode_snapshot(views: list[StreamView], names: frozenset[str]) -> bytes:
    """Sorted by id, so that equal states are equal bytes."""
    wanted = [view for view in views if not names or view.id in names]
    return encode_event(msgspec.json.encode(sorted(wanted, key=lambda view: view.id)))


async def follow_streams(request: web.Request) -> web.StreamResponse:
    """`?streams=a&streams=b` keeps only those named."""
    with request.app[FEED].listen(wanted_streams(request)) as mailbox:
        return await send_events(request, mailbox)


RESOURCE = Resource(
    path="/api/sse/streams",
    operations={
        "GET": Operation(
            summary="Follow the list of streams: a full snapshot at once and after every change",
            handler=follow_streams,
            access=Access.EVERYTHING,
            query=STREAM_FILTER,
            answers={200: Content(media_type=EVENT_STREAM)},
        )
    },
)
