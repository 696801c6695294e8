"""The order in which a request's token is looked at: that of a participant of a room, static tokens, JSON web tokens,
the authorisation service.
"""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Protocol

import aiohttp

from live777py.errors import Unauthorized
from live777py.http.auth.access import ANYBODY, AccessRequest, Mode, Principal
from live777py.http.auth.claims import TokenVerifier, digest, is_json_web_token
from live777py.http.auth.hook import AuthorizationService, holder
from live777py.http.auth.jwks import KeySource, key_source

if TYPE_CHECKING:
    from live777py.config import AuthConfig
    from live777py.http.auth.owners import SessionOwners
    from live777py.streams.participant import Participant


class ParticipantTokens(Protocol):
    """Tokens of participants of rooms: LiveKit's."""

    def issued(self, token: str) -> bool:
        """Whether it says that one of the keys made it; nothing is verified."""

    def participant(self, token: str) -> Participant:
        """Raises Unauthorized and Forbidden."""


class NodeTokens(Protocol):
    """Tokens of the other nodes of the cluster."""

    async def holder(self, token: str, stream: str | None) -> str | None:
        """The node whose token it is, for that stream; None for any other."""


class Authenticator:
    """Usage: `await authenticator.admit(request)` for each request, `await authenticator.close()` at the end.

    `participants` is set where there are rooms, `nodes` in a cluster.
    """

    participants: ParticipantTokens | None = None
    nodes: NodeTokens | None = None

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
        if self.nodes is not None and (node := await self._node(self.nodes, request)) is not None:
            node.authorize(request.access, request.stream)
            return node
        if (participant := await self._participant(request.token)) is not None:
            participant.authorize(request.access, request.stream)
            return participant
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

    @staticmethod
    async def _node(nodes: NodeTokens, request: AccessRequest) -> Principal | None:
        """One that plays the stream for its own viewers; None for anybody else."""
        node = None if request.token is None else await nodes.holder(request.token, request.stream)
        if node is None:
            return None
        return Principal(stream=request.stream, mode=Mode.READ, identity=digest(f"node {node}"), node=True)

    async def _participant(self, token: str | None) -> Principal | None:
        """None for a token that is not of a room. Raises Unauthorized and Forbidden.

        While everybody may do everything no token is needed; one that is given says who sent it, and must be good.
        """
        if token is None or self.participants is None:
            return None
        if not self.participants.issued(token) and (
            self._config.enabled or not is_json_web_token(token) or await self._holder(token) is not None
        ):
            return None
        participant = self.participants.participant(token)
        identity = digest(json.dumps(["participant", participant.room, participant.identity]))
        return Principal(stream=None, mode=Mode(0), identity=identity, participant=participant)

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
