"""One line per answer: never a query string, a header or a body, since those carry tokens."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import HttpProcessingError

from live777py.http.keys import CLIENT

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest, StreamResponse

LOGGER = logging.getLogger(__name__)
_EVENTS = re.compile(r"^(/session/[^/]+/[^/]+/events/)[^/]+")
"""The id of a viewer's event stream is a credential."""
SERVER_LOGGER = logging.getLogger("live777py.http.server")
"""What aiohttp says of connections; `http.problems` logs the faults of handlers."""


class _NoProtocolErrors(logging.Filter):
    """Anybody can send bytes that are not HTTP, or a body that is not of its encoding; the access line is enough."""

    def filter(self, record: logging.LogRecord) -> bool:
        theirs = (HttpProcessingError, web.RequestPayloadError)
        return record.exc_info is None or not isinstance(record.exc_info[1], theirs)


SERVER_LOGGER.addFilter(_NoProtocolErrors())


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
            _EVENTS.sub(r"\1...", request.rel_url.raw_path),
            response.status,
            time * 1000,
        )
