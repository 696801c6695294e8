"""Who sent a request and what that allows: Live777's static tokens and JSON web tokens, and who made a session.

A static token, and a JWT whose id is "*", may do everything. Any other JWT speaks for the one stream it names:

    bit   publish   play   see the stream   delete the stream   its sessions
    4 r             yes    yes                                  those made with this token
    2 w   yes              yes                                  those made with this token, and the publisher's
    1 x                    yes              yes                 all

Authentication is off while there are no static tokens, as in Live777.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jwt

from live777py.errors import Forbidden, NotFound, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Iterable

    from live777py.config import AuthConfig

LEEWAY: Final = 60
"""Seconds by which a token may be out of date."""

_ANY_STREAM: Final = "*"


class Mode(enum.IntFlag):
    """The bits of the `mode` claim."""

    ADMIN = 1
    WRITE = 2
    READ = 4


class Access(enum.Enum):
    """What an operation needs; every route names one."""

    PUBLIC = enum.auto()
    PUBLISH = enum.auto()
    PLAY = enum.auto()
    SEE_STREAM = enum.auto()
    DELETE_STREAM = enum.auto()
    SESSION = enum.auto()
    """A session of the stream; `SessionOwners.check` says which."""
    EVERYTHING = enum.auto()


_NEEDED: Final = {
    Access.PUBLISH: Mode.WRITE,
    Access.PLAY: Mode.READ,
    Access.SEE_STREAM: Mode(0),
    Access.DELETE_STREAM: Mode.ADMIN,
    Access.SESSION: Mode(0),
}


@dataclass(frozen=True, kw_only=True)
class Principal:
    """`stream` is None for one who may do everything. `identity` is the same for requests of the same holder."""

    stream: str | None
    mode: Mode
    identity: bytes

    def authorize(self, access: Access, stream: str | None) -> None:
        """Raises Forbidden."""
        if access is Access.PUBLIC or self.stream is None:
            return
        needed = _NEEDED.get(access)
        if needed is None or self.stream != stream or (needed and not self.mode & needed):
            raise Forbidden("this token does not allow that")


ANYBODY: Final = Principal(stream=None, mode=Mode(7), identity=b"")


class Authenticator:
    def __init__(self, config: AuthConfig) -> None:
        self._tokens = tuple(token.encode() for token in config.tokens)
        # RFC 2104 section 2: a short HMAC key means the same with zeros behind it, and PyJWT does not warn about it.
        self._secret = config.secret.encode().ljust(32, b"\0") if config.secret else None
        self.enabled = bool(self._tokens)

    def authenticate(self, authorization: str | None) -> Principal:
        """The holder of the Authorization header's token. Raises Unauthorized."""
        if not self.enabled:
            return ANYBODY
        scheme, _, credential = (authorization or "").strip().partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise Unauthorized("a bearer token is needed")
        token = credential.encode("utf-8", "surrogateescape")
        identity = hashlib.sha256(token).digest()
        # Every token is compared, so the time says nothing about which one was close.
        if sum(hmac.compare_digest(token, known) for known in self._tokens):
            return Principal(stream=None, mode=Mode(7), identity=identity)
        return self._holder_of_jwt(credential, identity)

    def _holder_of_jwt(self, token: str, identity: bytes) -> Principal:
        refused = Unauthorized("the token is not valid")
        if self._secret is None or not token.isascii():
            raise refused
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._secret, algorithms=["HS256"], leeway=LEEWAY, options={"require": ["id", "exp", "mode"]}
            )
        except jwt.InvalidTokenError:
            raise refused from None
        stream, mode = claims["id"], claims["mode"]
        if not isinstance(stream, str) or type(mode) is not int or not 0 <= mode <= 255:
            raise refused
        if subject := claims.get("sub"):
            identity = hashlib.sha256(f"sub:{stream}:{subject}".encode()).digest()
        return Principal(stream=None if stream == _ANY_STREAM else stream, mode=Mode(mode & 7), identity=identity)


@dataclass(frozen=True, slots=True)
class _Owner:
    identity: bytes
    publisher: bool


class SessionOwners:
    """Who made which session, so that one viewer's token does not end another viewer's session.

    Sessions end in many ways; the ended ones are forgotten when the table has doubled since the last look.
    """

    _MIN_LIMIT: Final = 1024

    def __init__(self) -> None:
        self._owners: dict[str, _Owner] = {}
        self._limit = self._MIN_LIMIT

    def __len__(self) -> int:
        return len(self._owners)

    @property
    def full(self) -> bool:
        """Call `keep` before the next `record`."""
        return len(self._owners) >= self._limit

    def record(self, session: str, principal: Principal, *, publisher: bool) -> None:
        if principal is not ANYBODY:  # who is so because everybody is
            self._owners[session] = _Owner(principal.identity, publisher)

    def keep(self, sessions: Iterable[str]) -> None:
        self._owners = {session: self._owners[session] for session in sessions if session in self._owners}
        self._limit = max(self._MIN_LIMIT, 2 * len(self._owners))

    def forget(self, session: str) -> None:
        self._owners.pop(session, None)

    def check(self, session: str, principal: Principal) -> None:
        """Raises NotFound: another's session looks like none (RFC 9725 section 5)."""
        if principal.stream is None or principal.mode & Mode.ADMIN:
            return
        owner = self._owners.get(session)
        if owner is not None:
            if hmac.compare_digest(owner.identity, principal.identity):
                return
            if owner.publisher and principal.mode & Mode.WRITE:
                return
        raise NotFound("no such session")
