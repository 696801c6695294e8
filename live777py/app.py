"""The composition root: media engine, streams, HTTP door; started in this order, ended in reverse."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import resource
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from live777py import __version__, log, settings
from live777py.cascade.service import CascadeService
from live777py.config import warnings
from live777py.errors import ConfigError, StartError
from live777py.hooks.commands import HookRunner
from live777py.hooks.webhooks import WebhookSender
from live777py.http.access_log import LOGGER as ACCESS_LOGGER
from live777py.http.access_log import SERVER_LOGGER, AccessLogger
from live777py.http.door import build_door
from live777py.http.door import reconfigure as reconfigure_door
from live777py.http.forwarding import FORWARDER, Forwarder
from live777py.http.keys import (
    AUTHENTICATOR,
    CASCADE,
    CONFIG,
    ENGINE_STATS,
    GIVEN_UP,
    METRICS,
    NODES,
    PAGES,
    RECORDER,
    RECORDER_COUNTS,
    RECORDINGS,
    RELOAD,
    STORAGE,
    STREAMS,
    THUMBNAILS,
)
from live777py.http.resource import answer_of_publisher, name_client
from live777py.http.session import client_of, ice_links_of
from live777py.http.web import BUILT_PAGES
from live777py.media.addresses import worker_listeners, worker_sockets
from live777py.media.engine import GopCache, MediaEngine
from live777py.media.external import ExternalAddresses
from live777py.outbound import Outbound
from live777py.recorder.export import IndexExport
from live777py.recorder.index import RecordingIndex
from live777py.recorder.journal import Journal
from live777py.recorder.retention import Retention
from live777py.recorder.service import RecorderService
from live777py.recorder.thumbnails import Thumbnails
from live777py.reload import Reloader
from live777py.rtc.client import ClientPeer
from live777py.rtc.memory import keep_little_free, keep_what_is_loaded
from live777py.storage import build_storage
from live777py.store import Database, SqliteKeyValue
from live777py.streams.manager import StreamManager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from live777py.cluster.build import Shared
    from live777py.cluster.service import Cluster
    from live777py.config import Config, SocketAddress
    from live777py.livekit.build import LiveKit
    from live777py.store import KeyValue
    from live777py.streams.cascading import MakeClientPeer

_logger = logging.getLogger(__name__)

# All together less than 5 s, with the last half second of the webhooks.
REQUEST_GRACE: Final = 0.25
"""Seconds that requests in flight are given at the end, and once more after they are cancelled."""
STREAMS_GRACE: Final = 2.5
"""Seconds for the goodbyes to all peers."""
CLUSTER_GRACE: Final = 1.0
"""Seconds for those to the other nodes."""

MAX_HEADER: Final = 64 * 1024
"""Bytes of one header, or of the first line: a token may hold metadata and the configuration of a room."""

_BACKLOG: Final = 1024
_RELOADER: Final = web.AppKey("reloader", Reloader)
LIVEKIT: Final[web.AppKey[LiveKit]] = web.AppKey("livekit")
"""What is behind the LiveKit door; absent while it is closed."""


def build_app(config: Config, read: Callable[[], Config] | None = None) -> web.Application:
    """`read` reads the configuration again; without it a reload changes nothing."""
    app = build_doors(config)
    app[_RELOADER] = Reloader(config, read or (lambda: config))
    app[RELOAD] = app[_RELOADER].reload
    app[_RELOADER].add(functools.partial(reconfigure_door, app))
    app.cleanup_ctx.extend((_media_and_streams, _event_loop_lag))
    return app


def build_doors(config: Config, *, web_pages: Path = BUILT_PAGES) -> web.Application:
    """With nothing behind them yet; the LiveKit door, if there are keys to it, is `LIVEKIT`."""
    if not config.livekit.enabled:
        return build_door(config, web_pages=web_pages)
    from live777py.livekit.build import LiveKit, Surroundings  # noqa: PLC0415 (others need no protobuf)

    around = Surroundings(
        streams=lambda app: app[STREAMS],
        client=client_of,
        ice_links=ice_links_of,
        name_client=name_client,
        answer_of_publisher=answer_of_publisher,
    )
    livekit = LiveKit(config, around)
    app = build_door(config, web_pages=web_pages, add_routes=livekit.register)
    app[LIVEKIT] = livekit
    app[AUTHENTICATOR].participants = livekit.verifier
    app.on_shutdown.append(_shut_livekit)
    return app


async def _shut_livekit(app: web.Application) -> None:
    await app[LIVEKIT].shut()


async def serve(config: Config, read: Callable[[], Config], *, verbose: int = 0) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP reloads. Raises StartError or ConfigError if it cannot begin."""
    keep_little_free()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    stopping, reload_wanted = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, reload_wanted.set)
    for warning in warnings(config, os.environ):
        _logger.warning("%s", warning)
    app = build_app(config, read)
    app[_RELOADER].add(functools.partial(_set_log_level, verbose))
    runner = web.AppRunner(
        app,
        access_log_class=AccessLogger,
        access_log=ACCESS_LOGGER,
        logger=SERVER_LOGGER,
        shutdown_timeout=REQUEST_GRACE,
        max_line_size=MAX_HEADER,
        max_field_size=MAX_HEADER,
    )
    listener = listen(config.http.address)
    try:
        await runner.setup()
        keep_what_is_loaded()
        await web.SockSite(runner, listener, backlog=_BACKLOG).start()
        for line in announcement(listener.getsockname()[:2], pages=(app[PAGES] / "index.html").is_file()):
            print(line, flush=True)  # noqa: T201 (what the user is to read, wherever the log goes)
        reloading = log.watched(asyncio.create_task(app[_RELOADER].follow(reload_wanted), name="reload"))
        await stopping.wait()
        _logger.info("stopping")
        reloading.cancel()
    finally:
        await runner.cleanup()
        listener.close()


def listen(address: SocketAddress) -> socket.socket:
    """A TCP socket that accepts; [::] accepts IPv4 too. Raises StartError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise StartError(f"cannot listen on TCP {address}: {error.strerror}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address.host == "::" else 1)
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise StartError(f"cannot listen on TCP {address}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def announcement(bound: tuple[str, int], *, pages: bool) -> Iterator[str]:
    host, port = bound
    if host in {"0.0.0.0", "::"}:
        host = "127.0.0.1"
    origin = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    yield f"live777py {__version__}: web page {origin}/" + ("" if pages else " (not built: make web)")
    yield f"Publish with OBS or FFmpeg by WHIP: {origin}/whip/demo"


async def _media_and_streams(app: web.Application) -> AsyncIterator[None]:
    config = app[CONFIG].current
    async with AsyncExitStack() as parts:  # what was begun is ended, wherever the start may fail
        store = Database(Path(config.store.path))
        parts.push_async_callback(store.close)
        place = settings.storage(config)
        storage = await build_storage(place)
        parts.push_async_callback(storage.close)
        external_settings = settings.external(config)
        engine = MediaEngine(
            worker_sockets(config.webrtc.ice_udp_addrs, config.webrtc.workers),
            GopCache(
                bytes=config.webrtc.gop_cache_bytes,
                ms=config.webrtc.gop_cache_ms,
                replays=config.webrtc.gop_cache_replays,
            ),
            bandwidth_estimation=config.webrtc.bandwidth_estimation,
            listeners=worker_listeners(config.webrtc.ice_tcp_addrs, config.webrtc.workers),
        )
        parts.callback(engine.close)
        external = ExternalAddresses(engine, external_settings)
        parts.push_async_callback(external.stop)
        outbound = Outbound(settings.addresses(config))
        parts.push_async_callback(outbound.close)
        make_client_peer: MakeClientPeer = functools.partial(ClientPeer, outbound=outbound)
        shared = await _shared(parts, config)
        if shared is not None:
            make_client_peer = shared.client_peers(make_client_peer)
        manager = StreamManager(engine, settings.streams(config), make_client_peer=make_client_peer, external=external)
        cluster = None if shared is None else shared.cluster(manager)
        if (livekit := app.get(LIVEKIT)) is not None:
            keys: KeyValue = _own_keys(parts, store) if shared is None else shared.store
            node = None if cluster is None else cluster.node.id
            await parts.enter_async_context(livekit.running(config, manager, keys, database=store, node=node))
        cascade = CascadeService(manager, settings.cascade(config))
        index = RecordingIndex(store)
        journal = Journal(place.journal)
        parts.callback(journal.close)
        recorder = RecorderService(manager, engine, storage, index, settings.recorder(config), journal=journal)
        hooks = HookRunner(manager.bus, config)
        webhooks = WebhookSender(manager.bus, config, store)
        parts.push_async_callback(webhooks.stop)
        parts.push_async_callback(_say_goodbye, cascade, manager, hooks)
        export = IndexExport(index, storage, settings.export(config))
        parts.push_async_callback(export.stop)
        parts.push_async_callback(recorder.close)
        retention = Retention(index, storage, settings.retention(config))
        parts.push_async_callback(retention.stop)
        thumbnails = Thumbnails(manager, engine, storage)
        parts.push_async_callback(thumbnails.close)
        if cluster is None:
            app[STREAMS] = manager
        else:
            await _join(app, parts, cluster, manager, livekit)
        app[CASCADE] = cascade
        app[RECORDER] = recorder
        app[RECORDER_COUNTS] = recorder.counts
        app[RECORDINGS] = index
        app[STORAGE] = storage
        app[THUMBNAILS] = thumbnails
        app[ENGINE_STATS] = engine.stats
        app[GIVEN_UP] = lambda: {
            "hooks": hooks.given_up,
            "webhooks": webhooks.given_up + (0 if livekit is None else livekit.given_up),
        }
        await external.start()
        hooks.start()
        await webhooks.start()
        await manager.start()
        await cascade.start()
        await export.start()
        await recorder.open()
        retention.start()

        async def reconfigure(new: Config) -> None:
            if livekit is None and new.livekit.enabled:
                raise ConfigError("livekit.keys: the first key needs a restart")
            wanted = settings.cascade(new)
            manager.reconfigure(settings.streams(new))
            if livekit is not None:
                await livekit.reconfigure(new)
            await webhooks.reconfigure(new)  # it forgets what waits for those that are gone, so nothing may refuse now
            outbound.policy = settings.addresses(new)
            recorder.reconfigure(settings.recorder(new))
            retention.reconfigure(settings.retention(new))
            await cascade.reconfigure(wanted)
            hooks.reconfigure(new)

        app[_RELOADER].add(reconfigure)
        yield


def _own_keys(parts: AsyncExitStack, store: Database) -> SqliteKeyValue:
    keys = SqliteKeyValue(store)
    parts.push_async_callback(keys.close)
    return keys


async def _shared(parts: AsyncExitStack, config: Config) -> Shared | None:
    """What the nodes of a cluster share; None where this one is alone."""
    if not config.cluster.redis_url:
        return None
    from live777py.cluster.build import shared  # noqa: PLC0415 (a node that is alone needs no Redis)

    return await parts.enter_async_context(shared(settings.cluster(config)))


async def _join(
    app: web.Application, parts: AsyncExitStack, cluster: Cluster, manager: StreamManager, livekit: LiveKit | None
) -> None:
    """The doors see the cluster's streams, and the others see this node."""
    from live777py.cluster.streams import ClusterStreams  # noqa: PLC0415 (as above)

    app[STREAMS] = ClusterStreams(manager, cluster)
    app[NODES] = cluster
    app[AUTHENTICATOR].nodes = cluster.key
    forwarder = app[FORWARDER] = Forwarder(cluster)
    parts.push_async_callback(forwarder.close)
    if livekit is not None and livekit.rooms is not None:
        from live777py.livekit.cluster_calls import ClusterCalls  # noqa: PLC0415 (as above)

        calls = ClusterCalls(livekit.services, livekit.rooms, cluster.rpc)
        livekit.door.caller = livekit.rooms.others = calls
    await cluster.start()
    parts.push_async_callback(_leave, cluster)


async def _leave(cluster: Cluster) -> None:
    try:
        async with asyncio.timeout(CLUSTER_GRACE):
            await cluster.stop()
    except TimeoutError:
        _logger.warning("the other nodes may not know yet that this one has gone")


async def _say_goodbye(cascade: CascadeService, manager: StreamManager, hooks: HookRunner) -> None:
    try:
        async with asyncio.timeout(STREAMS_GRACE):
            await asyncio.gather(cascade.stop(), manager.stop(), hooks.stop())
    except TimeoutError:
        _logger.error("sessions did not end within %.1f s", STREAMS_GRACE)  # noqa: TRY400 (nothing to trace)


async def _event_loop_lag(app: web.Application) -> AsyncIterator[None]:
    with app[METRICS].watch_event_loop():
        yield


async def _set_log_level(verbose: int, config: Config) -> None:
    log.set_level(config.log.level, verbose=verbose)
