"""obstore's stores as the configuration wants them: S3, Google Cloud Storage, Azure."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from live777py.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore.store import ClientConfig, RetryConfig

    from live777py.storage.settings import BucketSettings

Bucket: TypeAlias = S3Store | GCSStore | AzureStore

_CONNECT_TIMEOUT: Final = 5.0
_RETRY: Final[RetryConfig] = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}
"""For a request that a reader waits for; the spool has its own patience."""

_PREFIX: Final = {"s3": "AWS_", "gcs": "GOOGLE_", "azure": "AZURE_"}
_CREDENTIAL: Final = ("KEY", "TOKEN", "ROLE", "CREDENTIAL", "ACCOUNT", "CLIENT", "TENANT", "SAS")


def open_bucket(settings: BucketSettings) -> Bucket:
    """Asks nobody: a bucket that is away is one that comes back. Raises StartError."""
    client: ClientConfig = {
        "allow_http": (settings.endpoint or "").startswith("http://"),
        "connect_timeout": timedelta(seconds=min(_CONNECT_TIMEOUT, settings.timeout)),
        "timeout": timedelta(seconds=settings.timeout),
    }
    try:
        with _environment(settings):
            match settings.type:
                case "s3":
                    return _s3(settings, client)
                case "gcs":
                    return _gcs(settings, client)
                case "azure":
                    return _azure(settings, client)
    except (BaseError, ValueError):
        # Not the words of the library: they may repeat a secret.
        raise StartError(f"recorder.storage: cannot use the {settings.type} bucket {settings.bucket}") from None


def _s3(settings: BucketSettings, client: ClientConfig) -> S3Store:
    options: dict[str, str | bool | None] = {
        "region": settings.region,
        "endpoint": _s3_endpoint(settings),
        # The same by the name that has an environment variable of its own, which would win.
        "aws_endpoint_url_s3": _s3_endpoint(settings),
        "access_key_id": settings.access_key_id,
        "secret_access_key": settings.secret_access_key,
        "session_token": settings.session_token,
        "virtual_hosted_style_request": settings.virtual_host_style,
        "skip_signature": True if _anonymous(settings) else None,
    }
    return S3Store(
        settings.bucket,
        prefix=settings.root,
        client_options=client,
        retry_config=_RETRY,
        config=_given(options),  # type: ignore[arg-type]
    )


def _s3_endpoint(settings: BucketSettings) -> str | None:
    """With virtual host style, obstore wants the bucket's own host."""
    if settings.endpoint is None or not settings.virtual_host_style:
        return settings.endpoint
    parts = urlsplit(settings.endpoint)
    return parts._replace(netloc=f"{settings.bucket}.{parts.netloc}").geturl()


def _gcs(settings: BucketSettings, client: ClientConfig) -> GCSStore:
    options: dict[str, str | bool | None] = {
        "service_account": settings.credential_file,
        "base_url": settings.endpoint,
        "skip_signature": True if _anonymous(settings) else None,
    }
    return GCSStore(
        settings.bucket,
        prefix=settings.root,
        client_options=client,
        retry_config=_RETRY,
        config=_given(options),  # type: ignore[arg-type]
    )


def _azure(settings: BucketSettings, client: ClientConfig) -> AzureStore:
    options: dict[str, str | bool | None] = {
        "account_name": settings.access_key_id,
        "account_key": settings.secret_access_key,
        "endpoint": settings.endpoint,
        "skip_signature": True if _anonymous(settings) else None,
    }
    return AzureStore(
        settings.bucket,
        prefix=settings.root,
        client_options=client,
        retry_config=_RETRY,
        config=_given(options),  # type: ignore[arg-type]
    )


def _given(options: dict[str, str | bool | None]) -> dict[str, str | bool]:
    return {name: value for name, value in options.items() if value is not None}


def _has_credentials(settings: BucketSettings) -> bool:
    return settings.secret_access_key is not None or settings.credential_file is not None


def _anonymous(settings: BucketSettings) -> bool:
    return not settings.from_environment and not _has_credentials(settings)


@contextmanager
def _environment(settings: BucketSettings) -> Iterator[None]:
    """obstore reads the environment whatever it is given, and would mix a token found there with configured keys."""
    hidden = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_PREFIX[settings.type])
        and (
            not settings.from_environment or (_has_credentials(settings) and any(word in name for word in _CREDENTIAL))
        )
    }
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)
