"""Requests about what another node of the cluster has, made there for the client: any node answers any request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import web
from yarl import URL

from live777py.errors import Unavailable
from live777py.http.keys import CLIENT

if TYPE_CHECKING:
    from live777py.http.keys import Nodes

FORWARDED: Final = "Live777-Node"
"""The header by which a node says that it asks for a client: it is not to be forwarded again."""

_CONNECT_TIMEOUT: Final = 3.0
_READ_TIMEOUT: Final = 60.0
"""Seconds between two pieces of the answer; event streams have one more often."""
_TOWARDS: Final = (
    *("Authorization", "Content-Type", "Accept", "If-Match", "If-None-Match", "Origin", "Prefer", "User-Agent"),
)
_BACK: Final = (
    *("Content-Type", "Content-Length", "ETag", "Last-Modified", "Cache-Control", "Location", "Link"),
    *("Accept-Patch", "Accept-Post", "Allow", "Preference-Applied", "Retry-After", "WWW-Authenticate"),
)
_RETRY_AFTER: Final = 2


class Forwarder:
    """Usage: `await forwarder.forward(request, url)` ... `await forwarder.close()`."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def forward(self, request: web.Request, node: str, stream: str) -> web.StreamResponse:
        """`node` is its URL. Raises Unavailable where it does not answer."""
        headers = {name: request.headers[name] for name in _TOWARDS if name in request.headers}
        headers[FORWARDED] = await self._nodes.token(stream)
        headers["X-Forwarded-For"] = str(request[CLIENT])
        url = URL(node + request.rel_url.raw_path_qs, encoded=True)
        body = await request.read()
        try:
            answer = await self._http().request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False
            )
        except (aiohttp.ClientError, TimeoutError):
            raise Unavailable("the node of the cluster that has it does not answer", retry_after=_RETRY_AFTER) from None
        async with answer:
            response = web.StreamResponse(status=answer.status)
            for name in _BACK:
                for value in answer.headers.getall(name, ()):
                    response.headers.add(name, value)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    def _http(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT, sock_read=_READ_TIMEOUT),
            )
        return self._client


FORWARDER: Final = web.AppKey("forwarder", Forwarder)
