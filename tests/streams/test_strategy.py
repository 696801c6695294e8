"""When a stream goes by itself."""

from __future__ import annotations

import pytest

from live777py.streams.strategy import ExpiryReason, Strategy

NOW = 1_000_000


@pytest.mark.parametrize(
    ("strategy", "publish_left", "subscribe_left", "reason"),
    [
        pytest.param({}, 0, NOW - 5_000, None, id="empty for exactly five seconds"),
        pytest.param({}, 0, NOW - 5_001, "orphaned", id="empty for longer"),
        pytest.param({}, NOW - 4_000, NOW - 9_000, None, id="the publisher has just left"),
        pytest.param({}, NOW - 9_000, NOW - 6_000, "orphaned", id="both left long ago"),
        pytest.param({}, None, NOW - 9_000, None, id="published"),
        pytest.param({}, NOW - 9_000, None, None, id="watched"),
        pytest.param(
            {"auto_create_whip": False, "auto_create_whep": False}, 0, 1, None, id="nobody would make it anew"
        ),
        pytest.param({"auto_create_whip": False}, 0, 1, "orphaned", id="a viewer would make it anew"),
        pytest.param({"auto_delete_whip": 0}, NOW, None, "publish-leave-timeout", id="whip at once"),
        pytest.param({"auto_delete_whip": 3_000}, NOW - 2_999, None, None, id="whip not yet"),
        pytest.param({"auto_delete_whip": 3_000}, NOW - 3_000, None, "publish-leave-timeout", id="whip"),
        pytest.param({"auto_delete_whip": 0}, 0, None, None, id="whip, never published"),
        pytest.param({"auto_delete_whip": 0}, None, None, None, id="whip, published"),
        pytest.param(
            {"auto_delete_whep": 3_000}, None, NOW - 3_000, "subscribe-leave-timeout", id="live but unwatched"
        ),
        pytest.param({"auto_delete_whep": 3_000}, None, NOW - 2_999, None, id="whep not yet"),
        pytest.param({"auto_delete_whep": 0}, None, None, None, id="whep, watched"),
    ],
)
def test_expiry(
    strategy: dict[str, int], publish_left: int | None, subscribe_left: int | None, reason: ExpiryReason | None
) -> None:
    assert (
        Strategy(**strategy).expiry(publish_left_at=publish_left, subscribe_left_at=subscribe_left, now=NOW)  # type: ignore[arg-type]
        == reason
    )
