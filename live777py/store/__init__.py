"""What survives a restart: one SQLite file, or a Redis server that several nodes share."""

from live777py.store.database import Database
from live777py.store.deliveries import Deliveries, Delivery
from live777py.store.keyvalue import Change, Changes, Entry, KeyValue
from live777py.store.sqlite_kv import SqliteKeyValue

__all__ = [
    "Change",
    "Changes",
    "Database",
    "Deliveries",
    "Delivery",
    "Entry",
    "KeyValue",
    "SqliteKeyValue",
]
