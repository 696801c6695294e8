"""What survives a restart: one SQLite file."""

from live777py.store.database import Database
from live777py.store.deliveries import Deliveries, Delivery

__all__ = ["Database", "Deliveries", "Delivery"]
