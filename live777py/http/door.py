"""The whole door: an aiohttp application with every resource. Who owns the streams behind it is set by the caller."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from aiohttp import web

from live777py.http import (
    api_docs,
    cascade,
    cors,
    download,
    info,
    layers,
    objects,
    playback,
    record,
    recordings,
    reload,
    session,
    snapshots,
    streams,
    thumbnails,
    viewer_event_streams,
    whep,
    whip,
)
from live777py.http import web as pages
from live777py.http.auth import Authenticator, SessionOwners
from live777py.http.client import ClientResolver
from live777py.http.keys import (
    AUTHENTICATOR,
    CLIENTS,
    CONFIG,
    METRICS,
    NODES,
    OWNERS,
    PAGES,
    RATE_LIMITER,
    STREAMS,
    LiveConfig,
)
from live777py.http.limits import MAX_BODY, RateLimiter
from live777py.http.openapi import ApiDocument
from live777py.http.problems import problems
from live777py.http.viewer_events import ViewerEvents
from live777py.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from live777py.config import Config

RESOURCES: Final = (
    whip.RESOURCE,
    whep.RESOURCE,
    session.RESOURCE,
    layers.RESOURCE,
    *viewer_event_streams.RESOURCES,
    *streams.RESOURCES,
    thumbnails.RESOURCE,
    snapshots.RESOURCE,
    *cascade.RESOURCES,
    record.RESOURCE,
    objects.RESOURCE,
    *recordings.RESOURCES,
    *playback.RESOURCES,
    download.RESOURCE,
    *info.RESOURCES,
    reload.RESOURCE,
    *api_docs.RESOURCES,
)


def build_door(
    config: Config,
    *,
    web_pages: Path = pages.BUILT_PAGES,
    add_routes: Callable[[web.UrlDispatcher], None] | None = None,
) -> web.Application:
    """The caller sets those of `keys` that stand for what is behind the door before the first request.

    `add_routes` adds those of another door: before ours, since the pages take what is left.
    """
    app = web.Application(client_max_size=MAX_BODY, middlewares=[problems])
    app[CONFIG] = LiveConfig(config)
    app[METRICS] = Metrics()
    owners = app[OWNERS] = SessionOwners()
    authenticator = app[AUTHENTICATOR] = Authenticator(config.auth, owners)
    app[RATE_LIMITER] = RateLimiter(config.http.rate_limit)
    app[CLIENTS] = ClientResolver(config.http.trusted_proxies)
    app[PAGES] = web_pages
    app[api_docs.DOCUMENT] = ApiDocument(RESOURCES)
    app[download.DOWNLOADS] = download.Downloads()
    feed = app[snapshots.FEED] = snapshots.SnapshotFeed(lambda: app[STREAMS], lambda: app.get(NODES))
    viewer_events = app[viewer_event_streams.VIEWER_EVENTS] = ViewerEvents(lambda: app[STREAMS])
    if add_routes is not None:
        add_routes(app.router)
    for resource in RESOURCES:
        resource.register(app.router)
    pages.register(app.router)
    app.on_shutdown.append(partial(_end_event_streams, feed, viewer_events))
    app.on_cleanup.append(lambda _app: authenticator.close())
    app.on_response_prepare.extend((_sign, cors.add_cors_headers))
    return app


async def reconfigure(app: web.Application, config: Config) -> None:
    """From the next request on."""
    app[CONFIG].current = config
    app[RATE_LIMITER].reconfigure(config.http.rate_limit)
    app[CLIENTS].reconfigure(config.http.trusted_proxies)
    await app[AUTHENTICATOR].reconfigure(config.auth)


async def _end_event_streams(feed: snapshots.SnapshotFeed, viewer_events: ViewerEvents, app: web.Application) -> None:
    feed.close()
    viewer_events.say_goodbye(lambda stream: app[NODES].way_out(stream) if NODES in app else None)


async def _sign(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "live777py"
    response.headers["X-Content-Type-Options"] = "nosniff"
    request.app[METRICS].count_request(request.method, response.status)
