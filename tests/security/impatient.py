"""The gateway, which waits 5 seconds for ICE and DTLS instead of 15: `python -m tests.security.impatient -c ...`."""

from __future__ import annotations

import sys

from live777py.__main__ import main
from live777py.rtc import peer

LIMIT = 5.0

if __name__ == "__main__":
    setattr(peer, "SETUP_TIMEOUT", LIMIT)  # noqa: B010 (Final)
    sys.exit(main())
