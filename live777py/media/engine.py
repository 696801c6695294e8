"""The asyncio owner of the native engine: commands become awaitables, its queue becomes calls of handlers.

Everything here runs on the event loop that made the `MediaEngine`; the media threads are behind `native.Engine`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from live777py.errors import Live777Error, StartError, Unavailable
from live777py.media import native
from live777py.media.addresses import SocketAddress
from live777py.media.placement import Placement
from live777py.media.source import Source
from live777py.media.tap import CAPACITY, INTERVAL, Tap

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from live777py._media import ErrorCode, SrtpProfile, Stats

_logger = logging.getLogger(__name__)


class EngineGone(Unavailable):
    """The engine is closed, or the worker of this object has ended."""

    def __init__(self, detail: str = "the media engine is closed") -> None:
        super().__init__(detail, retry_after=5)


class CommandError(Live777Error):
    """The engine would not do it; `code` says why. Mostly a fault of ours: the ids are."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class TransportHandler(Protocol):
    """What a transport hears. Implemented by `rtc.peer.Peer`. The methods return soon and do not raise."""

    def ice_connected(self, local: str, remote: str, protocol: str) -> None: ...
    def reflexive_address(self, local: str, address: str) -> None: ...
    def ice_lost(self) -> None: ...
    def dtls_received(self, datagram: bytes) -> None: ...
    def media_changed(self, event: native.TrackStarted | native.TrackSilent | native.LayerChanged) -> None: ...
    def worker_closed(self, reason: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GopCache:
    """What of each video encoding is kept for viewers to begin with; `bytes` or `ms` 0 switches it off."""

    bytes: int = 4_194_304
    ms: int = 5000
    replays: int = 512
    """Viewers of one worker who are shown it at the same time."""


GOP_CACHE = GopCache()


@dataclass(slots=True)
class _Transport:
    worker: int
    handler: TransportHandler
    media: list[int]
    """Ids of its tracks and subscriptions."""


class MediaEngine:
    """`sockets[worker]` are the addresses that `addresses.worker_sockets` gave, `listeners[worker]` those of
    `addresses.worker_listeners`; it may be empty.

    The methods that return a future send their command at once, in the order of the calls, whether awaited or not.
    Awaiting gives the engine's answer, or raises `CommandError` or `EngineGone`; the call itself does not raise.
    """

    def __init__(
        self,
        sockets: Sequence[Sequence[str]],
        gop_cache: GopCache = GOP_CACHE,
        *,
        bandwidth_estimation: bool = True,
        listeners: Sequence[Sequence[str]] = (),
    ) -> None:
        """Raises `StartError` if an address cannot be bound."""
        try:
            self._engine = native.Engine(
                sockets=sockets,
                listeners=listeners,
                gop_cache_bytes=gop_cache.bytes,
                gop_cache_ms=gop_cache.ms,
                gop_cache_replays=gop_cache.replays,
                bandwidth_estimation=bandwidth_estimation,
            )
        except OSError as error:
            place = error.filename or "the addresses of media"  # protocol and address
            raise StartError(f"cannot listen on {place}: {error.strerror or error}") from error
        self.addresses = _parsed(self._engine.addresses())
        self.tcp_addresses = _parsed(self._engine.tcp_addresses())
        self.placement = Placement(len(self.addresses))
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(1)
        self._requests = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._transports: dict[int, _Transport] = {}
        self._owners: dict[int, _Transport] = {}
        self._taps: dict[int, Tap] = {}
        self._sources: dict[int, Source] = {}
        self._inbox: deque[object] = deque()
        self._closed = False
        self._dispatchers: dict[type, Callable[[Any], None]] = {
            native.Response: self._on_response,
            native.Dtls: self._on_dtls,
            native.IceConnected: self._on_ice_connected,
            native.ReflexiveAddress: self._on_reflexive_address,
            native.IceLost: self._on_ice_lost,
            native.TrackStarted: self._on_track_event,
            native.TrackSilent: self._on_track_event,
            native.LayerChanged: self._on_layer_changed,
            native.FramesReady: self._on_frames_ready,
            native.TapEnded: self._on_tap_ended,
            native.KeyFrameNeeded: self._on_key_frame_needed,
            native.Closed: self._on_worker_closed,
        }
        self._fd = self._engine.fileno()
        self._loop.add_reader(self._fd, self._on_readable)

    @property
    def transports(self) -> int:
        """How many transports are open."""
        return len(self._transports)

    def next_id(self) -> int:
        """A number for a transport, track, subscription or tap; none is used twice."""
        return next(self._ids)

    def close(self) -> None:
        """End the media threads. Whatever waits or lives is told `EngineGone`; idempotent."""
        if self._closed:
            return
        self._loop.remove_reader(self._fd)
        self._inbox.extend(self._engine.poll())
        self._closed = True
        self._engine.close()
        self._dispatch()
        self._end_transports(range(len(self.addresses)), "the media engine is closed")
        taps, self._taps = self._taps, {}
        for tap in taps.values():
            tap.ended()
        pending, self._pending = self._pending, {}
        for future in pending.values():
            _fail(future, EngineGone())

    # Transports

    def open_transport(
        self,
        transport: int,
        handler: TransportHandler,
        *,
        worker: int,
        ice: native.IceParameters,
        own_socket: bool = False,
    ) -> asyncio.Future[tuple[SocketAddress, ...]]:
        """The handler hears of the transport from now until `close_transport` is called or its worker ends.

        With `own_socket` it gets sockets that no other transport uses, one on each address of the worker; the answer is
        where they are bound. Else it shares `addresses[worker]`, and the answer is empty.
        """
        self._transports[transport] = _Transport(worker, handler, [])
        return self._command(self._engine.open_transport, transport, worker=worker, ice=ice, own_socket=own_socket)

    def discover_reflexive(self, transport: int, server: SocketAddress) -> asyncio.Future[None]:
        """Ask a STUN server how the transport's sockets look from there; `reflexive_address` hears of each."""
        return self._command(self._engine.discover_reflexive, transport, server=str(server))

    def close_transport(self, transport: int) -> asyncio.Future[None]:
        """Ends its tracks and subscriptions too. What `send_dtls` was given before leaves first."""
        entry = self._transports.pop(transport, None)
        if entry is None:
            return self._answered()
        for media in entry.media:
            del self._owners[media]
        return self._command(self._engine.close_transport, transport)

    def add_remote_candidate(self, transport: int, address: SocketAddress, priority: int) -> asyncio.Future[None]:
        """A candidate of the peer. A lite agent ignores it; see `native.IceParameters`."""
        return self._command(self._engine.add_remote_candidate, transport, address=str(address), priority=priority)

    def restart_ice(self, transport: int, ice: native.IceParameters) -> asyncio.Future[None]:
        """New credentials (RFC 8445 section 9). Media flows on the old pair until one is nominated under the new ones;
        candidates are to be added again."""
        return self._command(self._engine.restart_ice, transport, ice=ice)

    def send_dtls(self, transport: int, datagram: bytes) -> None:
        """Best effort, as datagrams are: nothing happens on a transport that is gone."""
        if transport in self._transports:
            self._engine.send_dtls(transport, datagram)

    def install_keys(
        self,
        transport: int,
        *,
        profile: SrtpProfile,
        local_key: bytes,
        local_salt: bytes,
        remote_key: bytes,
        remote_salt: bytes,
    ) -> asyncio.Future[None]:
        return self._command(
            self._engine.install_keys,
            transport,
            profile=profile,
            local_key=local_key,
            local_salt=local_salt,
            remote_key=remote_key,
            remote_salt=remote_salt,
        )

    # Tracks and subscriptions

    def add_track(self, transport: int, track: int, parameters: native.TrackParameters) -> asyncio.Future[None]:
        self._own(transport, track)
        return self._command(self._engine.add_track, transport, track, parameters=parameters)

    def subscribe(
        self, transport: int, subscription: int, parameters: native.SubscriptionParameters
    ) -> asyncio.Future[None]:
        self._own(transport, subscription)
        return self._command(self._engine.subscribe, transport, subscription, parameters=parameters)

    def attach(self, subscription: int, track: int, payload_types: Sequence[tuple[int, int]]) -> asyncio.Future[None]:
        return self._command(self._engine.attach, subscription, track, payload_types=payload_types)

    def detach(self, subscription: int) -> asyncio.Future[None]:
        return self._command(self._engine.detach, subscription)

    def select_layer(
        self,
        subscription: int,
        rid: str | None = None,
        *,
        spatial: int | None = None,
        temporal: int | None = None,
        max_width: int | None = None,
        max_height: int | None = None,
        max_spatial: int | None = None,
        max_temporal: int | None = None,
    ) -> asyncio.Future[None]:
        """Pin an encoding (by rid), a spatial or a temporal layer; with none of them, what flows follows the viewer's
        network. Either within the limits. Sizes are in pixels; see `native.Engine.select_layer`."""
        return self._command(
            self._engine.select_layer,
            subscription,
            rid=rid,
            spatial=spatial,
            temporal=temporal,
            max_width=max_width,
            max_height=max_height,
            max_spatial=max_spatial,
            max_temporal=max_temporal,
        )

    def pause(self, subscription: int, paused: bool) -> asyncio.Future[None]:
        """Hold a subscription, or let it go on from the next key frame."""
        return self._command(self._engine.pause, subscription, paused=paused)

    def request_key_frame(self, track: int) -> asyncio.Future[None]:
        return self._command(self._engine.request_key_frame, track)

    # Frames

    def tap(self, track: int, *, capacity: int = CAPACITY, interval: float = INTERVAL, past: float = 0.0) -> Tap:
        """Read a track as frames; it is opened by `async with`.

        `capacity` bounds the bytes that wait for the reader, `interval` is the time between batches in seconds: 0 is
        each frame as it comes. Video begins with the newest key frame, if that is at most `past` seconds old and all
        since then is cached; else with the next one.
        """
        return Tap(self, track, capacity=capacity, interval=interval, past=past)

    def source(
        self,
        codec: native.CodecParameters,
        *,
        worker: int,
        on_key_frame_needed: Callable[[], None] | None = None,
    ) -> Source:
        """Write a track as frames; it is opened by `async with`."""
        return Source(self, codec, worker=worker, on_key_frame_needed=on_key_frame_needed)

    def open_tap(self, tap: int, reader: Tap, *, capacity: int, interval_ms: int, past_ms: int) -> asyncio.Future[None]:
        """The reader hears of its frames from now until `close_tap` is called or the track is gone."""
        self._taps[tap] = reader
        opened = self._command(
            self._engine.open_tap, tap, reader.track, capacity=capacity, interval_ms=interval_ms, past_ms=past_ms
        )
        opened.add_done_callback(lambda future: _drop_refused(self._taps, tap, future))
        return opened

    def close_tap(self, tap: int) -> asyncio.Future[None]:
        if self._taps.pop(tap, None) is None:
            return self._answered()
        return self._command(self._engine.close_tap, tap)

    def open_source(
        self, track: int, writer: Source, *, worker: int, parameters: native.SourceParameters
    ) -> asyncio.Future[None]:
        self._sources[track] = writer
        opened = self._command(self._engine.open_source, track, worker=worker, parameters=parameters)
        opened.add_done_callback(lambda future: _drop_refused(self._sources, track, future))
        return opened

    def close_source(self, track: int) -> asyncio.Future[None]:
        """Its taps end; its subscriptions stay, detached."""
        if self._sources.pop(track, None) is None:
            return self._answered()
        return self._command(self._engine.close_source, track)

    def write_frame(
        self,
        track: int,
        data: bytes | bytearray | memoryview | native.Frame,
        *,
        timestamp: int,
        wallclock: float | None,
        key_frame: bool,
    ) -> None:
        if track in self._sources and not self._closed:
            self._engine.write_frame(track, data, timestamp=timestamp, wallclock=wallclock, key_frame=key_frame)

    # The whole engine

    def stats(self) -> asyncio.Future[Stats]:
        return self._command(self._engine.stats)

    def dump(self) -> asyncio.Future[str]:
        """The state of every worker as text, for a person."""
        return self._command(self._engine.dump)

    def _command(self, send: Callable[..., None], *arguments: object, **options: object) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        request = next(self._requests)
        try:
            send(request, *arguments, **options)
        except native.EngineClosed:
            _fail(future, EngineGone())
        except ValueError as error:
            _fail(future, CommandError("invalid_argument", str(error)))
        else:
            self._pending[request] = future
        return future

    def _answered(self) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self._loop.create_future()
        future.set_result(None)
        return future

    def _own(self, transport: int, media: int) -> None:
        entry = self._transports.get(transport)
        if entry is not None:
            entry.media.append(media)
            self._owners[media] = entry

    # The queue

    def _on_readable(self) -> None:
        self._inbox.extend(self._engine.poll())
        self._dispatch()

    def _dispatch(self) -> None:
        """A handler that raises is reported by the loop and does not take the events behind it with it."""
        try:
            while self._inbox:
                item = self._inbox.popleft()
                self._dispatchers[type(item)](item)
        finally:
            if self._inbox:
                self._loop.call_soon(self._dispatch)

    def _on_response(self, response: native.Response) -> None:
        future = self._pending.pop(response.request, None)
        if future is None or future.done():
            return
        if response.error is None:
            value = response.value
            future.set_result(tuple(map(SocketAddress.parse, value)) if isinstance(value, list) else value)
        else:
            _fail(future, CommandError(response.error, response.message or ""))

    def _on_dtls(self, event: native.Dtls) -> None:
        if entry := self._transports.get(event.transport):
            entry.handler.dtls_received(event.data)

    def _on_ice_connected(self, event: native.IceConnected) -> None:
        if entry := self._transports.get(event.transport):
            entry.handler.ice_connected(event.local, event.remote, event.protocol)

    def _on_reflexive_address(self, event: native.ReflexiveAddress) -> None:
        if entry := self._transports.get(event.transport):
            entry.handler.reflexive_address(event.local, event.address)

    def _on_ice_lost(self, event: native.IceLost) -> None:
        if entry := self._transports.get(event.transport):
            entry.handler.ice_lost()

    def _on_track_event(self, event: native.TrackStarted | native.TrackSilent) -> None:
        if entry := self._owners.get(event.track):
            entry.handler.media_changed(event)

    def _on_layer_changed(self, event: native.LayerChanged) -> None:
        if entry := self._owners.get(event.subscription):
            entry.handler.media_changed(event)

    def _on_frames_ready(self, event: native.FramesReady) -> None:
        if tap := self._taps.get(event.tap):
            tap.frames_ready(event)

    def _on_tap_ended(self, event: native.TapEnded) -> None:
        if tap := self._taps.pop(event.tap, None):
            tap.ended()

    def _on_key_frame_needed(self, event: native.KeyFrameNeeded) -> None:
        if source := self._sources.get(event.track):
            source.key_frame_needed()

    def _on_worker_closed(self, event: native.Closed) -> None:
        _logger.error("media worker %d has ended: %s", event.worker, event.reason)
        self.placement.remove_worker(event.worker)
        self._end_transports((event.worker,), event.reason)

    def _end_transports(self, workers: Container[int], reason: str) -> None:
        ended = [transport for transport, entry in self._transports.items() if entry.worker in workers]
        for transport in ended:
            entry = self._transports.pop(transport)
            for media in entry.media:
                del self._owners[media]
            entry.handler.worker_closed(reason)


def _parsed(addresses: Sequence[Sequence[str]]) -> tuple[tuple[SocketAddress, ...], ...]:
    return tuple(tuple(SocketAddress.parse(address) for address in worker) for worker in addresses)


def _drop_refused(owners: dict[int, Any], key: int, opened: asyncio.Future[None]) -> None:
    if opened.cancelled() or opened.exception() is not None:
        owners.pop(key, None)


def _fail(future: asyncio.Future[Any], error: Live777Error) -> None:
    """A command may be sent without being awaited, so its failure counts as seen."""
    if not future.done():
        future.set_exception(error)
        future.exception()
