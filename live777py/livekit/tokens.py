"""Access tokens: JSON web tokens that an API key signed. Made, and verified.

A token that was good is remembered, so that the many calls of one client cost one verification; its times are looked
at each time.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, cast, get_args

import jwt
import msgspec

from live777py.errors import Forbidden, Unauthorized
from live777py.livekit.errors import TwirpError
from live777py.livekit.grants import Grants, VideoGrants
from live777py.streams.participant import Participant, ParticipantKind, Permission, room_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEEWAY: Final = 60
"""Seconds by which a token may be out of date."""
MAX_TOKEN: Final = 32 * 1024
"""Characters. A token may hold metadata and the configuration of a room."""
DEFAULT_TTL: Final = 6 * 3600
"""Seconds."""
BEARER: Final = "Bearer "

_REMEMBERED: Final = 256
_ALGORITHM: Final = "HS256"
_KINDS: Final = frozenset(get_args(ParticipantKind))
_UNREADABLE: Final = "invalid authorization token"
_OUT_OF_DATE: Final = f"{_UNREADABLE}: it has expired"
_TOO_EARLY: Final = f"{_UNREADABLE}: it is not valid yet"


class TokenVerifier:
    """`keys` are the secrets by their API keys. Without any, no token is good."""

    def __init__(self, keys: Mapping[str, str], *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.reconfigure(keys)

    def reconfigure(self, keys: Mapping[str, str]) -> None:
        self._keys = {name: _padded(secret) for name, secret in keys.items()}
        self._good: OrderedDict[str, Grants] = OrderedDict()

    @property
    def has_keys(self) -> bool:
        return bool(self._keys)

    def from_header(self, authorization: str | None, query: Mapping[str, str]) -> Grants | None:
        """Of a request: the header, else `access_token` of the query; None without either. Raises TwirpError."""
        if authorization:
            if not authorization.startswith(BEARER):
                raise _refused(f"invalid authorization header. Must start with {BEARER}")
            return self.verify(authorization.removeprefix(BEARER))
        token = query.get("access_token")
        return self.verify(token) if token else None

    def verify(self, token: str) -> Grants:
        """Raises TwirpError."""
        if (grants := self._good.get(token)) is not None:
            self._good.move_to_end(token)
            self._check_times(grants)
            return grants
        grants = self._verified(token)
        self._check_times(grants)
        self._good[token] = grants
        if len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)
        return grants

    def issued(self, token: str) -> bool:
        """Whether the token says that it is of one of our keys; nothing is verified."""
        claims = unverified_claims(token)
        key = None if claims is None else claims.get("iss")
        return isinstance(key, str) and key in self._keys

    def participant(self, token: str) -> Participant:
        """Who joins a room by this token. Raises Unauthorized, and Forbidden for one that joins none."""
        try:
            return participant_of(self.verify(token))
        except TwirpError as error:
            raise Unauthorized(error.msg) from None

    def _verified(self, token: str) -> Grants:
        claims = unverified_claims(token)
        if claims is None:
            raise _refused(_UNREADABLE)
        key = claims.get("iss")
        secret = self._keys.get(key) if isinstance(key, str) else None
        if secret is None:
            raise _refused("invalid API key")
        try:
            claims = jwt.decode(
                token,
                secret,
                algorithms=[_ALGORITHM],
                # Those that change are looked at each time, and `aud` is not for us.
                options={
                    "require": ["exp"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                },
            )
            return msgspec.convert(claims, Grants)
        except jwt.InvalidAlgorithmError:
            raise _refused(f"{_UNREADABLE}: it must be signed with {_ALGORITHM}") from None
        except jwt.InvalidSignatureError:
            raise _refused(f"{_UNREADABLE}: the signature is wrong") from None
        except jwt.MissingRequiredClaimError:
            raise _refused(f"{_UNREADABLE}: exp is missing") from None
        except (jwt.PyJWTError, msgspec.ValidationError, RecursionError):
            raise _refused(f"{_UNREADABLE}: its claims are not understood") from None

    def _check_times(self, grants: Grants) -> None:
        now = self._clock()
        if not grants.exp + LEEWAY > now:
            raise _refused(_OUT_OF_DATE)
        if max(grants.nbf or 0, grants.iat or 0) - LEEWAY > now:
            raise _refused(_TOO_EARLY)


def unverified_claims(token: str) -> dict[str, Any] | None:
    """None for what is no JSON web token."""
    if not token.isascii() or len(token) > MAX_TOKEN or token.count(".") != 2:
        return None
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, RecursionError):
        return None
    return claims


def participant_of(grants: Grants) -> Participant:
    """Who joins a room by this token. Raises Forbidden for one that joins none."""
    video = grants.of_room
    if video.room and room_of(video.room) != video.room:
        raise Forbidden("a room whose name has an @ cannot be joined: streams are named identity@room")
    if not (video.room_join and video.room and grants.identity):
        raise Forbidden("this token is not for joining a room")
    can_publish = video.can_publish is not False
    issued = [at for at in (grants.nbf, grants.iat) if at is not None]
    return Participant(
        room=video.room,
        identity=grants.identity,
        name=grants.name or "",
        metadata=grants.metadata or "",
        attributes=grants.attributes or {},
        kind=cast("ParticipantKind", grants.kind) if grants.kind in _KINDS else "standard",
        permission=Permission(
            can_publish=can_publish,
            can_subscribe=video.can_subscribe is not False,
            can_publish_data=can_publish if video.can_publish_data is None else video.can_publish_data,
            can_publish_sources=frozenset(source.lower() for source in video.can_publish_sources or ()),
            can_update_metadata=bool(video.can_update_own_metadata),
            hidden=bool(video.hidden),
            recorder=bool(video.recorder),
            agent=bool(video.agent),
        ),
        issued_at=max(issued, default=None),
        can_create_room=bool(video.room_create),
        room_config=grants.room_config,
    )


def create_token(
    key: str,
    secret: str,
    *,
    identity: str = "",
    video: VideoGrants | None = None,
    ttl: float = DEFAULT_TTL,
    now: float | None = None,
    **claims: Any,
) -> str:
    """`ttl` in seconds; `claims` are further fields of `Grants`, such as `name`."""
    began = int(time.time() if now is None else now)
    grants = Grants(iss=key, sub=identity or None, nbf=began, exp=began + int(ttl), video=video, **claims)
    return jwt.encode(msgspec.to_builtins(grants), _padded(secret), algorithm=_ALGORITHM)


def _padded(secret: str) -> bytes:
    """RFC 2104 section 2: a short HMAC key means the same with zeros behind it, and PyJWT does not warn about it."""
    return secret.encode().ljust(32, b"\0")


def _refused(msg: str) -> TwirpError:
    return TwirpError("unauthenticated", msg)
