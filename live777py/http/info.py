"""/api/info, /api/strategy and /metrics: what this node is, what it does by itself, and how it is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from live777py import metrics
from live777py.http.auth import Access
from live777py.http.build import read_build
from live777py.http.keys import AUTHENTICATOR, METRICS, PAGES, STREAMS
from live777py.http.messages import json_answer
from live777py.http.resource import Content, Operation, Resource, json_content
from live777py.http.stats import read_families

if TYPE_CHECKING:
    from collections.abc import Iterator


class Info(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`features` are Live777's names of what this build has, and `livekit` where API keys are set."""

    version: str
    git_hash: str
    build_time: str
    features: list[str]


class GlobalStrategy(msgspec.Struct, frozen=True, kw_only=True):
    """In snake case, unlike everything else, and these six: so does Live777."""

    each_stream_max_sub: int
    cascade_push_close_sub: bool
    auto_create_whip: bool
    auto_create_whep: bool
    auto_delete_whip: int
    auto_delete_whep: int


async def info(request: web.Request) -> web.Response:
    build = read_build()
    features = list(_features(request.app))
    return json_answer(Info(version=build.version, git_hash=build.git_hash, build_time=build.time, features=features))


def _features(app: web.Application) -> Iterator[str]:
    if (app[PAGES] / "index.html").is_file():
        yield "webui"
    yield from ("cascade", "recorder", "source", "source-whep")
    if app[AUTHENTICATOR].participants is not None:
        yield "livekit"


async def strategy(request: web.Request) -> web.Response:
    return json_answer(msgspec.convert(request.app[STREAMS].strategy(), GlobalStrategy, from_attributes=True))


async def prometheus(request: web.Request) -> web.Response:
    text = request.app[METRICS].render(await read_families(request.app))
    return web.Response(body=text, headers={"Content-Type": metrics.CONTENT_TYPE})


RESOURCES = (
    Resource(
        path="/api/info",
        operations={
            "GET": Operation(
                summary="What this node is",
                handler=info,
                access=Access.PUBLIC,
                answers={200: json_content(Info)},
            )
        },
    ),
    Resource(
        path="/api/strategy",
        operations={
            "GET": Operation(
                summary="The strategy of streams that have none of their own",
                handler=strategy,
                access=Access.EVERYTHING,
                answers={200: json_content(GlobalStrategy)},
            )
        },
    ),
    Resource(
        path="/metrics",
        operations={
            "GET": Operation(
                summary="Prometheus metrics",
                handler=prometheus,
                access=Access.PUBLIC,
                answers={200: Content(media_type="text/plain")},
            )
        },
    ),
)
