from __future__ import annotations

from tests.http.authority import authority
from tests.http.doors import open_door

__all__ = ["authority", "open_door"]
