"""POST /api/config/reload: read the configuration file again, without ending a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.http.auth import Access
from live777py.http.keys import RELOAD, ReloadReport
from live777py.http.messages import json_answer
from live777py.http.resource import Operation, Resource, json_content

if TYPE_CHECKING:
    from aiohttp import web


async def reload(request: web.Request) -> web.Response:
    return json_answer(await request.app[RELOAD]())


RESOURCE = Resource(
    path="/api/config/reload",
    operations={
        "POST": Operation(
            summary="Read the configuration file again; what needs a restart is named",
            handler=reload,
            access=Access.EVERYTHING,
            answers={200: json_content(ReloadReport)},
            problems=(422,),
        )
    },
)
