"""The composition root: media engine, streams, HTTP door; started in this order, ended in reverse."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from live777py import __version__, log, settings
from live777py.cascade.service import CascadeService
from live777py.config import warnings
from live777py.errors import StartError
from live777py.hooks.commands import HookRunner
from live777py.hooks.webhooks import WebhookSender
from live777py.http.access_log import LOGGER as ACCESS_LOGGER
from live777py.http.access_log import SERVER_LOGGER, AccessLogger
from live777py.http.door import build_door
from live777py.http.door import reconfigure as reconfigure_door
from live777py.http.keys import (
    CASCADE,
    CONFIG,
    ENGINE_STATS,
    GIVEN_UP,
    METRICS,
    PAGES,
    RECORDER,
    RECORDER_COUNTS,
    RECORDINGS,
    RELOAD,
    STORAGE,
    STREAMS,
    THUMBNAILS,
)
from live777py.media.addresses import worker_sockets
from live777py.media.engine import MediaEngine
from live777py.outbound import Outbound
from live777py.recorder.export import IndexExport
from live777py.recorder.index import RecordingIndex
from live777py.recorder.journal import Journal
from live777py.recorder.retention import Retention
from live777py.recorder.service import RecorderService
from live777py.recorder.thumbnails import Thumbnails
from live777py.reload import Reloader
from live777py.rtc.client import ClientPeer
from live777py.rtc.memory import keep_little_free
from live777py.storage import build_storage
from live777py.store import Database
from live777py.streams.manager import StreamManager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from live777py.config import Config, SocketAddress

_logger = logging.getLogger(__name__)

# All together less than 5 s, with the last half second of the webhooks.
REQUEST_GRACE: Final = 0.25
"""Seconds that requests in flight are given at the end, and once more after they are cancelled."""
STREAMS_GRACE: Final = 2.5
"""Seconds for the goodbyes to all peers."""

_BACKLOG: Final = 1024
_RELOADER: Final = web.AppKey("reloader", Reloader)


def build_app(config: Config, read: Callable[[], Config] | None = None) -> web.Application:
    """`read` reads the configuration again; without it a reload changes nothing."""
    app = build_door(config)
    app[_RELOADER] = Reloader(config, read or (lambda: config))
    app[RELOAD] = app[_RELOADER].reload
    app[_RELOADER].add(functools.partial(reconfigure_door, app))
    app.cleanup_ctx.extend((_media_and_streams, _event_loop_lag))
    return app


async def serve(config: Config, read: Callable[[], Config], *, verbose: int = 0) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP reloads. Raises StartError or ConfigError if it cannot begin."""
    keep_little_free()
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
    )
    listener = listen(config.http.address)
    try:
        await runner.setup()
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
        engine = MediaEngine(worker_sockets(config.webrtc.ice_udp_addrs, config.webrtc.workers))
        parts.callback(engine.close)
        outbound = Outbound(settings.addresses(config))
        parts.push_async_callback(outbound.close)
        make_client_peer = functools.partial(ClientPeer, outbound=outbound)
        manager = StreamManager(engine, settings.streams(config), make_client_peer=make_client_peer)
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
        app[STREAMS] = manager
        app[CASCADE] = cascade
        app[RECORDER] = recorder
        app[RECORDER_COUNTS] = recorder.counts
        app[RECORDINGS] = index
        app[STORAGE] = storage
        app[THUMBNAILS] = thumbnails
        app[ENGINE_STATS] = engine.stats
        app[GIVEN_UP] = lambda: {"hooks": hooks.given_up, "webhooks": webhooks.given_up}
        hooks.start()
        await webhooks.start()
        await manager.start()
        await cascade.start()
        await export.start()
        await recorder.open()
        retention.start()

        async def reconfigure(new: Config) -> None:
            wanted = settings.cascade(new)
            manager.reconfigure(settings.streams(new))
            await webhooks.reconfigure(new)  # it forgets what waits for those that are gone, so nothing may refuse now
            outbound.policy = settings.addresses(new)
            recorder.reconfigure(settings.recorder(new))
            retention.reconfigure(settings.retention(new))
            await cascade.reconfigure(wanted)
            hooks.reconfigure(new)

        app[_RELOADER].add(reconfigure)
        yield


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
