"""One line per answer: never a query string, a header or a body, since those carry tokens."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from live777py.http.keys import CLIENT

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest, StreamResponse

LOGGER = logging.getLogger(__name__)


class AccessLogger(AbstractAccessLogger):
    """Changes and failures at info, reading at debug."""

    @property
    def enabled(self) -> bool:
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: BaseRequest, response: StreamResponse, time: float) -> None:
        reading = request.method in {"GET", "HEAD", "OPTIONS"} and response.status < 500
        client = request.get(CLIENT) if isinstance(request, web.Request) else None
        self.logger.log(
            logging.DEBUG if reading else logging.INFO,
            "%s %s %s %d %.1f ms",
            client or request.remote or "-",
            request.method,
            request.rel_url.raw_path,
            response.status,
            time * 1000,
        )
