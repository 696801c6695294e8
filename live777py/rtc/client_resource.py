"""The HTTP side of a session with another server: POST, PATCH, DELETE (RFC 9725 section 4, draft-ietf-wish-whep-04)."""

from __future__ import annotations

import email.utils
import http
import logging
import time
from typing import TYPE_CHECKING, Final

from yarl import URL

from live777py.errors import UpstreamError
from live777py.outbound.endpoint import shown
from live777py.outbound.loop import CDN_LOOP
from live777py.rtc.links import IceServer, ice_servers

if TYPE_CHECKING:
    from live777py.outbound import Answer, Endpoint, Outbound

DELETE_TIMEOUT: Final = 2.0
"""Seconds for the goodbye; past it the other side finds out by itself (RFC 7675)."""

_SDP: Final = "application/sdp"
_FRAGMENT: Final = "application/trickle-ice-sdpfrag"
_MAX_RETRY_AFTER: Final = 86_400.0

_logger = logging.getLogger(__name__)


class SessionResource:
    """Usage: `answer = await resource.create(offer)`, `await resource.trickle(fragment)`, `await resource.delete()`.

    `loop` is the value of the CDN-Loop header of the offer's request.
    """

    def __init__(self, outbound: Outbound, endpoint: Endpoint) -> None:
        self._outbound = outbound
        self._endpoint = endpoint
        self._url: URL | None = None
        self._tag: str | None = None
        self.loop: str | None = None
        self.ice_servers: tuple[IceServer, ...] = ()

    @property
    def url(self) -> str | None:
        """The session's address once there is one; what stands in its query is a secret."""
        return None if self._url is None else str(self._url)

    async def create(self, offer: str) -> str:
        """The answer's text. Raises `UpstreamError`."""
        answer = await self._outbound.request(
            "POST",
            self._endpoint.url,
            authorize=self._endpoint.authorization_for,
            headers={"Content-Type": _SDP, "Accept": _SDP, **({} if self.loop is None else {CDN_LOOP: self.loop})},
            body=offer.encode(),
        )
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if answer.status == http.HTTPStatus.NOT_ACCEPTABLE and kind == _SDP:
            # draft-ietf-wish-whep-04 section 4.3.2. The offer has every codec there is, so a counter-offer has no more.
            raise UpstreamError(f"{self._endpoint} makes an offer of its own instead of an answer", answered=406)
        if answer.status not in (http.HTTPStatus.CREATED, http.HTTPStatus.OK):
            raise UpstreamError(
                f"{self._endpoint} answers {_status(answer.status)}",
                answered=answer.status,
                retry_after=_retry_after(answer),
            )
        self._remember(answer)
        if kind != _SDP:
            raise UpstreamError(f"{self._endpoint} answers without SDP", answered=answer.status)
        try:
            return answer.body.decode()
        except UnicodeDecodeError:
            raise UpstreamError(f"{self._endpoint} answers with SDP that is not UTF-8") from None

    async def trickle(self, fragment: str) -> None:
        """Whatever the other side makes of it: candidates are an offer of help (RFC 9725 section 4.3.2)."""
        if self._url is None:
            return
        headers = {"Content-Type": _FRAGMENT}
        if self._tag is not None:
            headers["If-Match"] = self._tag
        try:
            answer = await self._outbound.request(
                "PATCH",
                self._url,
                authorize=self._endpoint.authorization_for,
                headers=headers,
                body=fragment.encode(),
            )
            _logger.debug("%s answers a candidate with %s", shown(self._url), _status(answer.status))
        except UpstreamError as error:
            _logger.debug("a candidate was not taken: %s", error.detail)

    async def delete(self) -> None:
        """The end, once: whether the other side hears of it or not."""
        url, self._url = self._url, None
        if url is None:
            return
        try:
            answer = await self._outbound.request(
                "DELETE", url, authorize=self._endpoint.authorization_for, timeout=DELETE_TIMEOUT
            )
            _logger.debug("%s answers DELETE with %s", shown(url), _status(answer.status))
        except UpstreamError as error:
            _logger.info("the session at the other server was not deleted: %s", error.detail)

    def _remember(self, answer: Answer) -> None:
        location = answer.headers.get("Location")
        if location is not None:
            try:
                url = answer.url.join(URL(location))
            except ValueError:
                url = URL()
            if url.scheme not in {"http", "https"} or not url.host:
                raise UpstreamError(f"{self._endpoint} answers with a Location that is no http URL")
            self._url = url
        else:
            _logger.warning("%s names no session: it cannot be told when this one ends", self._endpoint)
        self._tag = answer.headers.get("ETag")
        self.ice_servers = ice_servers(answer.headers.getall("Link", []))


def _status(number: int) -> str:
    try:
        return f"{number} {http.HTTPStatus(number).phrase}"
    except ValueError:
        return str(number)


def _retry_after(answer: Answer) -> float | None:
    """RFC 9110 section 10.2.3: seconds, or a date."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _MAX_RETRY_AFTER)
    try:
        seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except ValueError:
        return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER)
