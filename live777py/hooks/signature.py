"""How a receiver knows that a post is ours, is new, and is whole. docs/hooks.md says how it looks."""

from __future__ import annotations

import hashlib
import hmac


def sign(secret: str, body: bytes, now: int) -> str:
    """The value of Live777-Signature at `now` (Unix seconds)."""
    mac = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256)
    return f"t={now},v1={mac.hexdigest()}"
