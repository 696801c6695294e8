"""/api/info, /api/strategy and /metrics: what this node is, what it does by itself, and how it is doing."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from live777py import metrics
from live777py.http.auth import Access
from live777py.http.build import read_build
from live777py.http.keys import CONFIG, METRICS, PAGES
from live777py.http.resource import Operation, Resource
from live777py.http.stats import read_families


async def info(request: web.Request) -> web.Response:
    build = read_build()
    features = ["webui"] if (request.app[PAGES] / "index.html").is_file() else []
    return web.json_response(
        {"version": build.version, "gitHash": build.git_hash, "buildTime": build.time, "features": features}
    )


async def strategy(request: web.Request) -> web.Response:
    """In snake case, unlike everything else: so does Live777."""
    return web.json_response(asdict(request.app[CONFIG].current.strategy))


async def prometheus(request: web.Request) -> web.Response:
    text = request.app[METRICS].render(await read_families(request.app))
    return web.Response(body=text, headers={"Content-Type": metrics.CONTENT_TYPE})


RESOURCES = (
    Resource(path="/api/info", operations={"GET": Operation(handler=info, access=Access.PUBLIC)}),
    Resource(path="/api/strategy", operations={"GET": Operation(handler=strategy, access=Access.EVERYTHING)}),
    Resource(path="/metrics", operations={"GET": Operation(handler=prometheus, access=Access.PUBLIC)}),
)
