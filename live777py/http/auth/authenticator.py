"""The order in which a request's token is looked at: static tokens, JSON web tokens, the authorisation service."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import aiohttp

from live777py.errors import Unauthorized
from live777py.http.auth.access import ANYBODY, AccessRequest, Mode, Principal
from live777py.http.auth.claims import TokenVerifier, digest
from live777py.http.auth.hook import AuthorizationService, holder
from live777py.http.auth.jwks import KeySource, key_source

if TYPE_CHECKING:
    from live777py.config import AuthConfig
    from live777py.http.auth.owners import SessionOwners


class Authenticator:
    """Usage: `await authenticator.admit(request)` for each request, `await authenticator.close()` at the end."""

    def __init__(self, config: AuthConfig, owners: SessionOwners) -> None:
        self._owners = owners
        self._client: aiohttp.ClientSession | None = None
        self._key_source: KeySource | None = None
        self._use(config)

    async def reconfigure(self, config: AuthConfig) -> None:
        """From the next request on; sessions and their owners stay."""
        if config == self._config:
            return
        previous = self._key_source
        self._use(config)
        if previous is not None:
            await previous.close()

    async def close(self) -> None:
        if self._key_source is not None:
            await self._key_source.close()
        if self._client is not None:
            await self._client.close()

    async def admit(self, request: AccessRequest) -> Principal:
        """Who may do what is asked for. Raises Unauthorized, Forbidden or NotFound (of a session)."""
        principal = await self._admitted(request)
        if request.session is not None:
            self._owners.check(request.session, principal)
        return principal

    def _use(self, config: AuthConfig) -> None:
        self._config = config
        self._tokens = tuple(token.encode() for token in config.tokens)
        self._key_source = key_source(config.jwks, self._http) if config.jwks else None
        self._verifier = TokenVerifier(config, self._key_source)
        self._service = (
            AuthorizationService(config.http_url, config.http_timeout_ms / 1000, self._http)
            if config.http_url
            else None
        )

    async def _admitted(self, request: AccessRequest) -> Principal:
        if not self._config.enabled:
            return ANYBODY
        principal = await self._holder(request.token)
        if principal is not None:
            principal.authorize(request.access, request.stream)
            return principal
        if self._service is None:
            raise Unauthorized("the token is not valid" if request.token else "a bearer token is needed")
        identity = holder(request)
        if request.session is not None and self._owners.made_by(request.session, identity):
            return Principal(stream=request.stream, mode=Mode(0), identity=identity)  # asked when it was made
        return await self._service.ask(request)

    async def _holder(self, token: str | None) -> Principal | None:
        """Of a static token or a valid JWT."""
        if token is None:
            return None
        given = token.encode("utf-8", "surrogateescape")
        # Every token is compared, so the time says nothing about which one was close.
        if sum(hmac.compare_digest(given, known) for known in self._tokens):
            return Principal(stream=None, mode=Mode(7), identity=digest(token))
        return await self._verifier.principal(token)

    def _http(self) -> aiohttp.ClientSession:
        """Nobody is asked anything without a key set's URL or a service, and a client session costs memory."""
        if self._client is None:
            self._client = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)
        return self._client
