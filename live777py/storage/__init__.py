"""Where recordings are kept: a directory or a bucket, the same to those who write and read (docs/storage.md)."""

from live777py.storage.build import build_storage
from live777py.storage.local import LocalStorage
from live777py.storage.object_store import ObjectStorage
from live777py.storage.path import StoragePath
from live777py.storage.settings import BucketSettings, LocalSettings, SpoolSettings, StorageSettings
from live777py.storage.spool import Spool, SpoolStatistics
from live777py.storage.storage import Chunk, Data, Entry, Object, Storage

__all__ = [
    "BucketSettings",
    "Chunk",
    "Data",
    "Entry",
    "LocalSettings",
    "LocalStorage",
    "Object",
    "ObjectStorage",
    "Spool",
    "SpoolSettings",
    "SpoolStatistics",
    "Storage",
    "StoragePath",
    "StorageSettings",
    "build_storage",
]
