from __future__ import annotations

from tests.http.doors import open_door
from tests.livekit.doors import open_livekit

__all__ = ["open_door", "open_livekit"]
