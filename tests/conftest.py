"""What every kind of test may use."""

from __future__ import annotations

import aioice.ice
import pytest


@pytest.fixture
def loopback_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves 127.0.0.1 out of its host candidates."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *_: ["127.0.0.1"])
