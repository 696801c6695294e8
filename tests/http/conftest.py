from __future__ import annotations

from tests.http.doors import open_door

__all__ = ["open_door"]
