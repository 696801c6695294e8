"""The storage that the configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.storage.bucket import open_bucket
from live777py.storage.local import LocalStorage
from live777py.storage.object_store import ObjectStorage
from live777py.storage.settings import LocalSettings
from live777py.storage.spool import Spool

if TYPE_CHECKING:
    from live777py.storage.settings import StorageSettings


async def build_storage(settings: StorageSettings) -> LocalStorage | Spool:
    """Raises StartError. A bucket that cannot be reached is none: what is put waits for it."""
    if isinstance(settings, LocalSettings):
        return LocalStorage(settings.root)
    bucket = ObjectStorage(open_bucket(settings.bucket), concurrency=settings.concurrency)
    return await Spool.open(bucket, settings.directory, max_bytes=settings.max_bytes, concurrency=settings.concurrency)
