"""What one node shows to another when it plays a stream there: a short token under a key that all share."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Final

import msgspec

from live777py.errors import StoreError

if TYPE_CHECKING:
    from live777py.store import KeyValue

PREFIX: Final = "live777-node."
LIFETIME: Final = 60
"""Seconds, in which the clocks of the nodes may differ."""

_NAME: Final = "secret"
_BYTES: Final = 32
_LOOK_AGAIN: Final = 1.0
"""Seconds between looks whether the key has changed."""


class _Claims(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    node: str
    stream: str
    exp: float


class ClusterKey:
    """The key is in the store, made by the node that needs it first."""

    def __init__(self, store: KeyValue, node: str) -> None:
        self._store = store
        self._node = node
        self._key: bytes | None = None
        self._looked_at = float("-inf")

    async def load(self) -> None:
        """Before `token`. Raises StoreError."""
        if self._key is None:
            await self._look()

    def token(self, stream: str) -> str:
        claims = _Claims(node=self._node, stream=stream, exp=time.time() + LIFETIME)
        body = _encode(msgspec.json.encode(claims))
        return f"{PREFIX}{body}.{self._signature(body)}"

    async def holder(self, token: str, stream: str | None) -> str | None:
        """The node that shows the token, which is for that stream; None for one that is not valid."""
        body, _, signature = token.removeprefix(PREFIX).partition(".")
        if not token.startswith(PREFIX) or not token.isascii() or not await self._signed(body, signature):
            return None
        try:
            claims = msgspec.json.decode(_decode(body), type=_Claims)
        except (msgspec.DecodeError, binascii.Error):
            return None
        good = claims.stream == stream and abs(claims.exp - time.time()) <= 2 * LIFETIME and claims.exp > time.time()
        return claims.node if good else None

    async def _signed(self, body: str, signature: str) -> bool:
        """The key may be another one since the store has lost its data."""
        if self._key is not None and hmac.compare_digest(self._signature(body), signature):
            return True
        now = asyncio.get_running_loop().time()
        if now - self._looked_at < _LOOK_AGAIN:
            return False
        self._looked_at = now
        try:
            await self._look()
        except StoreError:
            return False
        return hmac.compare_digest(self._signature(body), signature)

    async def _look(self) -> None:
        while (entry := await self._store.get(_NAME)) is None:
            await self._store.compare_and_swap(_NAME, None, self._key or secrets.token_bytes(_BYTES))
        self._key = entry.value

    def _signature(self, body: str) -> str:
        if self._key is None:
            raise AssertionError("load comes first")
        return _encode(hmac.digest(self._key, body.encode(), "sha256"))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
