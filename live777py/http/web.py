"""The web pages: files of the built `web/`, open to everybody and to every origin, since they hold nothing private."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from aiohttp import web

import live777py
from live777py.http.keys import PAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

BUILT_PAGES: Final = Path(live777py.__file__).parent / "webui"

_HEADERS: Final = {
    "Referrer-Policy": "no-referrer",
    # embed.js is loaded by pages of other origins, as a module.
    "Access-Control-Allow-Origin": "*",
    # A player may play from another gateway: connections go anywhere, code comes from here.
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "media-src 'self' blob: mediastream:; connect-src *; object-src 'none'; base-uri 'none'; form-action 'self'"
    ),
}
_FRESH: Final = "no-cache"
_FOREVER: Final = "public, max-age=31536000, immutable"

_NOT_BUILT: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>live777py: pages not built</title>
<body>
<h1>The web pages are not built</h1>
<p>The gateway itself is running. Build the pages with <code>make web</code> in the source tree, then reload.</p>
"""


async def page(request: web.Request) -> web.StreamResponse:
    if request.method not in {"GET", "HEAD"}:
        raise web.HTTPNotFound
    root = request.app[PAGES]
    path = PurePosixPath(request.match_info["tail"] or "index.html")
    if (file := _find(root, path)) is not None:
        # Vite puts a hash of the content into the names below assets/.
        caching = _FOREVER if path.parts[0] == "assets" else _FRESH
        return web.FileResponse(file, headers={**_HEADERS, "Cache-Control": caching})
    if path.suffix == ".html" and not (root / "index.html").is_file():
        headers: Mapping[str, str] = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": _FRESH}
        return web.Response(status=404, body=_NOT_BUILT.encode(), headers=headers)
    raise web.HTTPNotFound


def register(router: web.UrlDispatcher) -> None:
    """Everything that no resource before it takes."""
    router.add_route("*", "/{tail:.*}", page)


def _find(root: Path, path: PurePosixPath) -> Path | None:
    """A regular file below `root`, links resolved."""
    if "\0" in str(path) or path.is_absolute() or ".." in path.parts:
        return None
    try:
        file = (root / path).resolve()
        return file if file.is_relative_to(root.resolve()) and file.is_file() else None
    except OSError:  # a name too long, a loop of links
        return None
