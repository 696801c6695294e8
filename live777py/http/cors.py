"""Other origins: which pages may use the API (`http.cors`), and which requests no foreign page may forge.

With `http.cors = false` a browser keeps foreign pages from everything that needs a preflight. A simple request
(Fetch standard: POST as a form or plain text, no Authorization) needs none, so it is refused here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from live777py.errors import Forbidden
from live777py.http.keys import CONFIG

if TYPE_CHECKING:
    from aiohttp import web

EXPOSED_HEADERS: Final = (
    "Location, Link, ETag, Accept-Patch, Accept-Post, Accept-Ranges, Allow, Content-Range, Retry-After, "
    "WWW-Authenticate"
)
_SIMPLE_TYPES: Final = frozenset({"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"})
_PREFLIGHT_AGE: Final = 3600
"""Seconds."""


async def add_cors_headers(request: web.Request, response: web.StreamResponse) -> None:
    """`on_response_prepare` signal."""
    if not request.app[CONFIG].current.http.cors:
        return
    headers = response.headers
    headers["Access-Control-Allow-Origin"] = "*"
    headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        headers["Access-Control-Allow-Methods"] = headers.get("Allow", "*")
        # The wildcard does not cover Authorization (Fetch standard, section 3.3.3).
        headers["Access-Control-Allow-Headers"] = "*, Authorization, Content-Type, If-Match"
        headers["Access-Control-Max-Age"] = str(_PREFLIGHT_AGE)


def refuse_forged(request: web.Request) -> None:
    """Raises Forbidden for a POST that a page of another origin can make without asking."""
    if request.method != "POST" or "Authorization" in request.headers or "Origin" not in request.headers:
        return
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() not in _SIMPLE_TYPES:
        return
    # Set by the browser, not by the page; right also behind a proxy that changes Host.
    if (site := request.headers.get("Sec-Fetch-Site")) is not None:
        foreign = site not in {"same-origin", "none"}
    else:
        foreign = urlsplit(request.headers["Origin"]).netloc.lower() != request.host.lower()
    if foreign:
        raise Forbidden("pages of other origins are not allowed here (http.cors)")
