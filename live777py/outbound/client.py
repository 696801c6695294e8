"""An HTTP client for addresses that are not our own choice: checked, bounded, and without ambient credentials."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from live777py import __version__
from live777py.errors import Refused, UpstreamError, UpstreamTimeout
from live777py.outbound.endpoint import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import AddrInfoType
    from multidict import CIMultiDictProxy

    from live777py.outbound.policy import AddressPolicy, IpAddress

CONNECT_TIMEOUT: Final = 5.0
"""Seconds for one connection: name, TCP and TLS."""
TOTAL_TIMEOUT: Final = 30.0
"""Seconds for one request with all its redirects."""
MAX_BODY: Final = 64 * 1024
MAX_REDIRECTS: Final = 5
MAX_ADDRESSES: Final = 4
MAX_CONNECTIONS: Final = 100

_REDIRECTS: Final = frozenset({307, 308})
_OTHER_REDIRECTS: Final = frozenset({300, 301, 302, 303, 305, 306})


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the last server said. `url` is where it said so, after redirects."""

    url: URL
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


class Outbound:
    """Usage: `outbound = Outbound(policy)`, `answer = await outbound.request(...)`, `await outbound.close()`.

    `policy` may be replaced at any time. No proxy or password file of the environment is used, no cookie is kept, no
    connection is used twice.
    """

    def __init__(self, policy: AddressPolicy, *, connections: int = MAX_CONNECTIONS) -> None:
        """`connections`: requests at the same time, others wait; 0 is any number."""
        self.policy = policy
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def close(self) -> None:
        """Requests under way fail with `UpstreamError`; idempotent."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        url: str | URL,
        *,
        authorize: Callable[[URL], str | None] = lambda _: None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        max_body: int = MAX_BODY,
        timeout: float = TOTAL_TIMEOUT,  # noqa: ASYNC109 (it spans the redirects)
    ) -> Answer:
        """One request; 307 and 308 are followed, each address on the way is checked.

        `authorize` is asked with every URL on the way for the value of its Authorization header. Any other redirect
        would turn the request into another one (RFC 9725 section 4.5) and is an error.

        Raises `Refused`, `UpstreamTimeout` or `UpstreamError`; their texts hold no secret of the request.
        """
        target = URL(url)
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        try:
            async with asyncio.timeout(timeout):
                for _ in range(MAX_REDIRECTS + 1):
                    self._check(target)
                    credential = authorize(target)
                    carried = sent if credential is None else {**sent, "Authorization": credential}
                    answer = await self._hop(method, target, headers=carried, body=body, max_body=max_body)
                    if answer.status in _OTHER_REDIRECTS:
                        raise UpstreamError(
                            f"{shown(target)} redirects by {answer.status}; only 307 and 308 keep the method",
                            answered=answer.status,
                        )
                    if answer.status not in _REDIRECTS:
                        return answer
                    target = _redirect(answer)
        except TimeoutError:
            raise UpstreamTimeout(f"{shown(target)} did not answer in time") from None
        raise UpstreamError(f"{shown(url)} redirects more than {MAX_REDIRECTS} times")

    async def _hop(self, method: str, url: URL, *, headers: Mapping[str, str], body: bytes, max_body: int) -> Answer:
        try:
            async with self._client().request(
                method,
                url.with_user(None).with_fragment(None),
                headers=headers,
                data=body or None,
                allow_redirects=False,
            ) as response:
                received = await _bounded(response, max_body)
                return Answer(url=url, status=response.status, headers=response.headers, body=received)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # A time-out is an OSError too; the one of the whole request is not seen here, being a cancellation.
            failed = UpstreamTimeout if isinstance(error, TimeoutError) else UpstreamError
            raise failed(f"{shown(url)}: {failure(error)}") from None

    async def addresses(self, host: str) -> tuple[IpAddress, ...]:
        """Where a name or address leads, at most `MAX_ADDRESSES`. Raises as `request` does."""
        literal = self._literal(host)
        if literal is not None:
            return (literal,)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                found = await _CheckingResolver(self._allows).resolve(host)
        except TimeoutError:
            raise UpstreamTimeout(f"{host}: no answer in time") from None
        except OSError:
            raise UpstreamError(f"{host}: its name is not known") from None
        return tuple(dict.fromkeys(ip_address(entry["host"]) for entry in found))[:MAX_ADDRESSES]

    def _check(self, url: URL) -> None:
        """What needs no name resolution. Raises `Refused`, or `UpstreamError` for what is no http URL."""
        if url.scheme not in ("http", "https") or not url.host:
            raise UpstreamError(f"{shown(url)} is not an http or https URL")
        self._literal(url.host)

    def _literal(self, host: str) -> IpAddress | None:
        """The address that `host` is, if it is none to be resolved. Raises `Refused`."""
        if ":" not in host and not host.replace(".", "").isdigit():  # aiohttp resolves these, and nothing else
            return None
        try:
            address = ip_address(host)
        except ValueError:
            raise Refused(f"{host} is not an address as RFC 3986 section 3.2.2 writes one") from None
        self.policy.check(address)
        return address

    def _client(self) -> aiohttp.ClientSession:
        if self._closed:
            raise UpstreamError("the gateway is shutting down")
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=_CheckingResolver(self._allows),
                socket_factory=self._socket,
                limit=self._connections,
                use_dns_cache=False,
                force_close=True,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"live777py/{__version__}"},
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _allows(self, ip: IpAddress) -> bool:
        return self.policy.allows(ip)

    def _socket(self, address: AddrInfoType) -> socket.socket:
        """The last gate, behind whatever aiohttp did to find the address."""
        family, kind, protocol, _, peer = address
        if not self.policy.allows(ip_address(peer[0])):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return socket.socket(family, kind, protocol)


class _CheckingResolver(AbstractResolver):
    """The system's resolver without the addresses that are refused. What it returns is what is connected to."""

    def __init__(self, allows: Callable[[IpAddress], bool]) -> None:
        self._allows = allows
        self._system = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._system.resolve(host, port, family)
        allowed = [entry for entry in found if self._allows(ip_address(entry["host"]))]
        if not allowed:
            raise Refused(f"{host} has no address that this gateway connects to")
        return allowed

    async def close(self) -> None:
        await self._system.close()


def _redirect(answer: Answer) -> URL:
    location = answer.headers.get("Location")
    if location is None:
        raise UpstreamError(f"{shown(answer.url)} redirects to nowhere", answered=answer.status)
    try:
        return answer.url.join(URL(location))
    except ValueError:
        raise UpstreamError(f"{shown(answer.url)} redirects to no URL", answered=answer.status) from None


async def _bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    received = bytearray()
    async for chunk in response.content.iter_any():
        received += chunk
        if len(received) > limit:
            raise UpstreamError(f"{shown(response.url)} answers with more than {limit} bytes")
    return bytes(received)


def failure(error: Exception) -> str:
    """Why it failed, of words that are ours or the system's: what aiohttp writes may quote the request."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not trusted"
        case aiohttp.ClientSSLError():
            return "TLS failed"
        case aiohttp.ClientConnectorDNSError():
            return "its name is not known"
        case OSError(errno=int(number)):
            return os.strerror(number)
        case TimeoutError():
            return "no answer in time"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed without an answer"
        case _:
            return "the answer is not HTTP"
