"""The cluster as one node sees it: its parts put together, and what the other nodes ask of this one."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Final

import msgspec

from live777py import log
from live777py.cluster.directory import Directory
from live777py.cluster.key import ClusterKey
from live777py.cluster.membership import Membership, whep_url
from live777py.cluster.relays import Relays
from live777py.cluster.rpc import NodeAway, Rpc
from live777py.cluster.views import merge
from live777py.errors import Conflict
from live777py.streams.events import (
    PublishStarted,
    PublishStopped,
    SessionStateChanged,
    StatsSampled,
    StreamDeleted,
)
from live777py.streams.views import StreamView

if TYPE_CHECKING:
    from live777py.cluster.membership import Node
    from live777py.cluster.settings import ClusterSettings
    from live777py.store import KeyValue
    from live777py.store.redis_link import RedisLink
    from live777py.streams.bus import Reader
    from live777py.streams.events import StreamEvent
    from live777py.streams.manager import StreamManager

_MAKE_WAY: Final = "stream.make-way"
_DELETE: Final = "stream.delete"
_STREAMS: Final = "streams"
_SESSION: Final = "session"

_logger = logging.getLogger(__name__)


class _Session(msgspec.Struct, frozen=True, array_like=True, gc=False):
    stream: str
    session: str


class Cluster:
    """Usage: `cluster = Cluster(...)`, `await cluster.start()` before the streams are, `await cluster.stop()` before
    they are stopped. Link and store belong to the caller.
    """

    def __init__(self, settings: ClusterSettings, link: RedisLink, store: KeyValue, manager: StreamManager) -> None:
        self.settings: Final = settings
        self.node: Final = settings.node
        self.rpc: Final = Rpc(link, self.node.id, timeout=settings.timeout, alive=lambda: self.nodes)
        self.key: Final = ClusterKey(store, self.node.id)
        self._manager = manager
        self._membership = Membership(store, self.node, heartbeat=settings.heartbeat, changed=self._look_again)
        self.directory: Final = Directory(
            store, self._membership, make_way=self._ask_to_make_way, changed=self._holder_changed, taken=self._taken
        )
        self.relays: Final = Relays(manager, self.directory, self.key)
        self._published: set[str] = set()
        self._look = asyncio.Event()
        self._work: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self.rpc.serve(_MAKE_WAY, self._make_way)
        self.rpc.serve(_DELETE, self._delete)
        self.rpc.serve(_STREAMS, self._list)
        self.rpc.claim(_SESSION, self._has_session)

    async def start(self) -> None:
        await self.rpc.start()
        self._membership.start()
        self.directory.start()
        self._tasks = [
            log.watched(asyncio.create_task(work, name=f"cluster {name}"))
            for name, work in (
                ("streams", self._follow(self._manager.bus.subscribe())),
                ("directory", self._keep()),
            )
        ]
        _logger.info("node %s at %s", self.node.id, self.node.url)

    async def stop(self) -> None:
        """The other nodes know at once that this one has gone, with all of its streams."""
        for task in (*self._tasks, *self._work):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._work, return_exceptions=True)
        await self.relays.stop()
        await self.directory.keep(())
        await self.directory.stop()
        await self._membership.stop()
        await self.rpc.stop()

    # What this node asks of the others

    @property
    def nodes(self) -> dict[str, Node]:
        """The others that are there."""
        return self._membership.nodes

    async def streams(self, name: str = "") -> list[StreamView]:
        """Of all nodes as one list; with a name that one alone. Raises StoreUnavailable."""
        answers = await self.rpc.gather(_STREAMS, name.encode())
        others = [
            msgspec.json.decode(answer, type=list[StreamView])
            for _, answer in sorted(answers.items())
            if isinstance(answer, bytes)
        ]
        return merge([self._views(name), *others])

    def place_of_stream(self, stream: str) -> str | None:
        """The URL of another node that publishes it."""
        holder = None if self._manager.sharing.publishes(stream) else self.directory.holder(stream)
        return None if holder is None else holder.url

    async def place_of_session(self, stream: str, session: str) -> str | None:
        """The URL of another node that has it. Raises StoreUnavailable, and NodeAway while its URL is not known."""
        if self._manager.sharing.has_session(stream, session):
            return None
        found = await self.rpc.find(_SESSION, msgspec.msgpack.encode(_Session(stream, session)))
        if found is None:
            return None
        if found not in self.nodes:
            raise NodeAway(found)
        return self.nodes[found].url

    def way_out(self, stream: str) -> str | None:
        """The WHEP endpoint at which viewers can go on when this node ends; None: at the one where they began.

        The URLs of nodes are shown to viewers only where they are redirected to them anyway. One node is as good as
        another where the publisher has to find a new one too.
        """
        if self.settings.whep != "redirect" or not self.nodes:
            return None
        node = self.directory.holder(stream) or random.choice(tuple(self.nodes.values()))  # noqa: S311 (no secret)
        return whep_url(node, stream)

    async def token(self, stream: str) -> str:
        """What says to another node that this one asks. Raises StoreError."""
        await self.key.load()
        return self.key.token(stream)

    async def is_node(self, token: str, stream: str | None) -> bool:
        return await self.key.holder(token, stream) is not None

    async def delete_elsewhere(self, stream: str) -> bool:
        """Whether another node had it. Raises StoreUnavailable."""
        answers = await self.rpc.gather(_DELETE, stream.encode())
        return b"deleted" in answers.values()

    def look_at(self, stream: str) -> None:
        """Somebody has been let in, or was not: what the bus says of it comes later."""
        self._note(stream)
        self._look.set()

    async def _ask_to_make_way(self, node: str, stream: str) -> None:
        try:
            await self.rpc.call(node, _MAKE_WAY, stream.encode())
        except NodeAway:
            self._membership.forget(node)

    # What the others ask of this node

    async def _make_way(self, body: bytes) -> bytes:
        stream = body.decode()
        if self.directory.claiming(stream) and not self._manager.sharing.publishes(stream):
            raise Conflict("another node is about to have the stream", retry_after=1)
        await self._manager.sharing.make_way(stream)
        return b""

    async def _delete(self, body: bytes) -> bytes:
        stream = body.decode()
        if not self._manager.sharing.has(stream):
            return b""
        await self._manager.sharing.close_all(stream)
        return b"deleted"

    async def _list(self, body: bytes) -> bytes:
        return msgspec.json.encode(self._views(body.decode()))

    def _views(self, name: str) -> list[StreamView]:
        if not name:
            return self._manager.streams()
        return [self._manager.stream(name)] if self._manager.sharing.has(name) else []

    async def _has_session(self, body: bytes) -> bool:
        wanted = msgspec.msgpack.decode(body, type=_Session)
        return self._manager.sharing.has_session(wanted.stream, wanted.session)

    # What happens

    async def _follow(self, events: Reader[StreamEvent]) -> None:
        missed = 0
        with events:
            async for event in events:
                self.relays.tell(event)
                match event:
                    case (
                        SessionStateChanged(stream=stream, state="new" | "closed")
                        | PublishStarted(stream=stream)
                        | PublishStopped(stream=stream)
                        | StreamDeleted(stream=stream)
                    ):
                        self._note(stream)
                    case StatsSampled():
                        self.relays.tick()
                if events.missed != missed:
                    missed = events.missed
                    self.relays.look()
                    self._published = self._manager.sharing.published()
                    self._look.set()

    def _note(self, stream: str) -> None:
        if self._manager.sharing.publishes(stream):
            if stream not in self._published:
                self._published.add(stream)
                self._look.set()
        elif stream in self._published:
            self._published.discard(stream)
            self._look.set()

    async def _keep(self) -> None:
        """The directory says what is published here: after every change, and again where the store was away."""
        while True:
            self._look.clear()
            await self.directory.keep(self._published)
            try:
                async with asyncio.timeout(self.settings.heartbeat):
                    await self._look.wait()
            except TimeoutError:
                continue

    def _look_again(self) -> None:
        self._look.set()

    def _holder_changed(self, stream: str) -> None:
        self.relays.follow(stream)
        if stream in self._published:
            self._look.set()

    def _taken(self, stream: str) -> None:
        task = log.watched(asyncio.create_task(self._manager.sharing.close_publisher(stream), name="taken over"))
        self._work.add(task)
        task.add_done_callback(self._work.discard)
