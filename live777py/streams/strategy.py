"""When streams come and go by themselves: the rules of Live777's `[strategy]`, applied to plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ORPHAN_MS: Final = 5_000
"""A stream with nobody on either side is forgotten after this time, if the next client would make it anew."""

ExpiryReason = Literal["publish-leave-timeout", "subscribe-leave-timeout", "orphaned"]


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """Live777's keys and defaults. The `auto_delete_*` values are milliseconds; -1 is off."""

    each_stream_max_sub: int = 65_535
    cascade_push_close_sub: bool = False
    auto_create_whip: bool = True
    auto_create_whep: bool = True
    auto_delete_whip: int = -1
    auto_delete_whep: int = -1
    on_publish_conflict: Literal["reject", "takeover"] = "reject"
    """What a publisher meets where another one is: 409, or the other one's place. Our own key."""

    @property
    def auto_create(self) -> bool:
        return self.auto_create_whip or self.auto_create_whep

    def expiry(self, *, publish_left_at: int | None, subscribe_left_at: int | None, now: int) -> ExpiryReason | None:
        """Why a stream is to be deleted at `now`, if it is.

        The times (unix milliseconds) are when the side was last occupied, None while somebody is there. A stream that
        was never published passes 0 for the publishing side: it is an orphan at most.
        """
        if publish_left_at and 0 <= self.auto_delete_whip <= now - publish_left_at:
            return "publish-leave-timeout"
        if subscribe_left_at is not None and 0 <= self.auto_delete_whep <= now - subscribe_left_at:
            return "subscribe-leave-timeout"
        if publish_left_at is None or subscribe_left_at is None:
            return None
        alone_since = max(publish_left_at, subscribe_left_at)
        if self.auto_create and now - alone_since > ORPHAN_MS:
            return "orphaned"
        return None
