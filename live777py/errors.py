"""The error tree: who is at fault, and the HTTP status and title that say so.

Live777Error
+-- ClientError                 4xx: the request is at fault
|   +-- BadRequest              400  not understood
|   +-- Unauthorized            401  no or a bad credential
|   +-- Forbidden               403  a good credential without this right
|   +-- NotFound                404  no such stream, session or object
|   +-- Conflict                409  the stream's state forbids it
|   +-- PreconditionFailed      412  If-Match names another ICE session
|   +-- PayloadTooLarge         413
|   +-- UnsupportedMediaType    415
|   +-- RangeNotSatisfiable     416  the object is shorter
|   +-- Unprocessable           422  understood, cannot be done (RFC 9725 section 4.2)
|   +-- PreconditionRequired    428  If-Match is missing
|   +-- TooManyRequests         429
+-- Unavailable                 503  a limit of ours; try again after `retry_after` seconds
+-- UpstreamError               502  another server, which we asked, failed us
|   +-- UpstreamTimeout         504  it did not answer in time
|   +-- Refused                 403  it is at an address that this gateway does not connect to
+-- Elsewhere                   307  another node has it
+-- StoreError                  500: our database failed us
|   +-- StoreUnavailable        503  it is another process, which is away: the same may work later
+-- StorageError                500: the disk or the object store of the recordings failed us
|   +-- StorageUnavailable      503  it is away or overloaded: the same may work later
|   +-- StorageFull             507  no space is left
|       +-- SpoolFull           507  too much waits for the object store
+-- ConfigError                 never leaves the process: one line at start, exit code 2
+-- StartError                  never leaves the process: one line at start, exit code 1
"""

from __future__ import annotations

from typing import ClassVar


class Live777Error(Exception):
    """`detail` is text for the person who sent the request; it never holds a secret."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ClientError(Live777Error):
    status = 400
    title = "Bad request"


class BadRequest(ClientError):
    pass


class Unauthorized(ClientError):
    status = 401
    title = "Unauthorized"


class Forbidden(ClientError):
    status = 403
    title = "Forbidden"


class NotFound(ClientError):
    status = 404
    title = "Not found"


class Conflict(ClientError):
    status = 409
    title = "Conflict"

    def __init__(self, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class PreconditionFailed(ClientError):
    status = 412
    title = "Precondition failed"


class PayloadTooLarge(ClientError):
    status = 413
    title = "Payload too large"


class UnsupportedMediaType(ClientError):
    status = 415
    title = "Unsupported media type"


class RangeNotSatisfiable(ClientError):
    """`size` is that of the whole object, in bytes."""

    status = 416
    title = "Range not satisfiable"

    def __init__(self, detail: str, *, size: int) -> None:
        super().__init__(detail)
        self.size = size


class Unprocessable(ClientError):
    status = 422
    title = "Unprocessable content"


class PreconditionRequired(ClientError):
    status = 428
    title = "Precondition required"


class TooManyRequests(ClientError):
    status = 429
    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(Live777Error):
    status = 503
    title = "Service unavailable"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class UpstreamError(Live777Error):
    """`answered` is the HTTP status of the other server, where it gave one; `retry_after` is in seconds."""

    status = 502
    title = "Bad gateway"

    def __init__(self, detail: str, *, answered: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.answered = answered
        self.retry_after = retry_after


class UpstreamTimeout(UpstreamError):
    status = 504
    title = "Gateway timeout"


class Refused(UpstreamError):
    status = 403
    title = "Forbidden"


class Elsewhere(Live777Error):
    """`url` is where the same request is to be made."""

    status = 307
    title = "Temporary redirect"

    def __init__(self, detail: str, *, url: str) -> None:
        super().__init__(detail)
        self.url = url


class StoreError(Live777Error):
    pass


class StoreUnavailable(StoreError):
    status = 503
    title = "Service unavailable"


class StorageError(Live777Error):
    pass


class StorageUnavailable(StorageError):
    status = 503
    title = "Service unavailable"


class StorageFull(StorageError):
    status = 507
    title = "Insufficient storage"


class SpoolFull(StorageFull):
    pass


class ConfigError(Live777Error):
    pass


class StartError(Live777Error):
    pass
