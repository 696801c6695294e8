"""Waiting for a page to have seen enough, and judging what it saw."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.interop.peers import QUADRANTS

if TYPE_CHECKING:
    from tests.interop.conftest import Page

# Lossy codecs and 4:2:0 chroma move a flat colour by a few steps, colour matrices by some more.
COLOUR_TOLERANCE = 48


async def wait_until(page: Page, condition: str, *, within: float = 30.0) -> Any:
    """The first truthy value of a JavaScript expression, asked anew at each frame of the page."""
    value = await page.evaluate(
        f"""async (limit) => {{
            const end = performance.now() + limit * 1000;
            for (;;) {{
                const value = await ({condition});
                if (value) return value;
                if (performance.now() > end) return null;
                await new Promise((resolve) => setTimeout(resolve, 50));
            }}
        }}""",
        within,
    )
    assert value, f"not within {within} s: {condition}"
    return value


def assert_quadrants(seen: list[Any], expected: tuple[tuple[int, ...], ...] = QUADRANTS) -> None:
    for got, wanted in zip(seen, expected, strict=True):
        assert all(abs(a - b) <= COLOUR_TOLERANCE for a, b in zip(got, wanted, strict=True)), (seen, expected)


def assert_moves_on(counters: list[int], *, at_least: int) -> None:
    """The frame counters of the presented pictures: never backwards, and many different ones."""
    assert len(set(counters)) >= at_least, counters
    assert all(a <= b for a, b in pairwise(counters)), counters


async def assert_sees_the_picture(page: Page, *, frames: int = 60, sound: bool = True) -> dict[str, Any]:
    """A page that `t.play`s sees the picture of `t.publish`: content, order, motion, sound. Returns its statistics."""
    await wait_until(page, f"t.counters().length >= {frames}")
    counters = await page.evaluate("() => t.counters()")
    assert_moves_on(counters[5:], at_least=(frames - 5) // 3)
    assert_quadrants(await page.evaluate("() => t.quadrants()"))
    if sound:
        await wait_until(
            page,
            "t.viewerStats().then((s) => s['inbound-rtp audio']"
            " && (s['inbound-rtp audio'].totalAudioEnergy > 0.001 || s['inbound-rtp audio'].audioLevel > 0.01))",
        )
    await wait_until(page, f"t.viewerStats().then((s) => s['inbound-rtp video'].framesDecoded >= {frames})")
    stats: dict[str, Any] = await page.evaluate("() => t.viewerStats()")
    return stats
