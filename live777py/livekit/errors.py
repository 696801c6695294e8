"""Errors as Twirp says them, and the one place where our own become such."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from live777py.errors import (
    BadRequest,
    ClientError,
    Conflict,
    Forbidden,
    Live777Error,
    NotFound,
    PayloadTooLarge,
    StorageFull,
    StorageUnavailable,
    StoreError,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unprocessable,
    UpstreamError,
    UpstreamTimeout,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Code = Literal[
    "canceled",
    "unknown",
    "invalid_argument",
    "malformed",
    "deadline_exceeded",
    "not_found",
    "bad_route",
    "already_exists",
    "permission_denied",
    "unauthenticated",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "dataloss",
]

HTTP_STATUS: Final[Mapping[Code, int]] = {
    "canceled": 408,
    "unknown": 500,
    "invalid_argument": 400,
    "malformed": 400,
    "deadline_exceeded": 408,
    "not_found": 404,
    "bad_route": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "unauthenticated": 401,
    "resource_exhausted": 429,
    "failed_precondition": 412,
    "aborted": 409,
    "out_of_range": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "dataloss": 500,
}
"""Twirp specification v7, "Error Codes"."""

PERMISSIONS_DENIED: Final = "permissions denied"


class TwirpError(Exception):
    """`msg` and `meta` are for the caller; they hold no secret."""

    def __init__(self, code: Code, msg: str, meta: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code}: {msg}")
        self.code: Code = code
        self.msg = msg
        self.meta: Mapping[str, str] = meta or {}

    @property
    def status(self) -> int:
        return HTTP_STATUS[self.code]


_CODES: Final[tuple[tuple[type[Live777Error], Code], ...]] = (
    (BadRequest, "invalid_argument"),
    (Unauthorized, "unauthenticated"),
    (Forbidden, "permission_denied"),
    (NotFound, "not_found"),
    (Conflict, "failed_precondition"),
    (PayloadTooLarge, "invalid_argument"),
    (Unprocessable, "invalid_argument"),
    (TooManyRequests, "resource_exhausted"),
    (ClientError, "invalid_argument"),
    (Unavailable, "unavailable"),
    (UpstreamTimeout, "unavailable"),
    (UpstreamError, "unavailable"),
    (StoreError, "unavailable"),
    (StorageUnavailable, "unavailable"),
    (StorageFull, "resource_exhausted"),
)


def as_twirp(error: Live777Error) -> TwirpError:
    """One that the table does not know is a fault of ours, and says nothing."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return TwirpError(code, error.detail)
    return TwirpError("internal", "the server failed; its log says why")
