"""Where recordings are kept: a directory or a bucket, the same to those who write and read (docs/storage.md)."""

from live777py.storage.local import LocalStorage
from live777py.storage.path import StoragePath
from live777py.storage.storage import Chunk, Data, Entry, Object, Storage

__all__ = ["Chunk", "Data", "Entry", "LocalStorage", "Object", "Storage", "StoragePath"]
