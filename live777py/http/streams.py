"""/api/streams: list, see, create and delete streams (Live777's API)."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass
from functools import cache

from aiohttp import web

from live777py.http.auth import Access
from live777py.http.keys import STREAM, STREAMS
from live777py.http.resource import Operation, Resource


async def list_streams(request: web.Request) -> web.Response:
    """`?streams=a&streams=b` keeps only those named."""
    wanted = set(request.query.getall("streams", ()))
    views = request.app[STREAMS].streams()
    return _answer([view for view in views if not wanted or view.id in wanted])


async def see_stream(request: web.Request) -> web.Response:
    return _answer(request.app[STREAMS].stream(request[STREAM]))


async def create_stream(request: web.Request) -> web.Response:
    request.app[STREAMS].create(request[STREAM])
    return web.Response(status=204)


async def delete_stream(request: web.Request) -> web.Response:
    await request.app[STREAMS].delete(request[STREAM])
    return web.Response(status=204)


RESOURCES = (
    Resource(path="/api/streams", operations={"GET": Operation(handler=list_streams, access=Access.EVERYTHING)}),
    Resource(
        path="/api/streams/{stream}",
        operations={
            "GET": Operation(handler=see_stream, access=Access.SEE_STREAM),
            "POST": Operation(handler=create_stream, access=Access.EVERYTHING),
            "DELETE": Operation(handler=delete_stream, access=Access.DELETE_STREAM),
        },
    ),
)


def _answer(value: object) -> web.Response:
    """Written piece by piece: a tree of objects for each of a thousand sessions would leave the memory in pieces."""
    body = bytearray()
    _write(value, body)
    return web.Response(body=bytes(body), content_type="application/json", charset="utf-8")


def _write(value: object, body: bytearray) -> None:
    """A view as Live777 names it: camel case, and no member for what is None."""
    if isinstance(value, tuple | list):
        separator = b"["
        for item in value:
            body += separator
            _write(item, body)
            separator = b","
        body += b"]" if value else b"[]"
    elif is_dataclass(value) and not isinstance(value, type):
        separator = b"{"
        for name, key in _members(type(value)):
            if (member := getattr(value, name)) is not None:
                body += separator + key
                _write(member, body)
                separator = b","
        body += b"}"
    else:
        body += json.dumps(value).encode()


@cache
def _members(view: type) -> tuple[tuple[str, bytes], ...]:
    return tuple((field.name, f'"{_camel_case(field.name)}":'.encode()) for field in fields(view))


def _camel_case(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
