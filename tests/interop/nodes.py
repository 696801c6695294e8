"""Gateways in a row: what is published to the first, what the second is configured to pull and push."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.interop.programs import OPUS, TEST_TONE, ffmpeg_publisher

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tests.gateway import Gateway

HOP_MS = 10
"""That a node more may take, at the 95th percentile."""

# As OBS sends: x264 without B frames, and key frames at an interval of its own, whatever viewers ask for.
CAMERA = (*("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"), *TEST_TONE)
OBS = (
    *("-c:v", "libx264", "-profile:v", "baseline", "-preset", "ultrafast", "-tune", "zerolatency"),
    *("-b:v", "1200k", "-maxrate", "1200k", "-bufsize", "1200k", "-g", "15", *OPUS),
)


def publisher(gateway: Gateway, stream: str = "cam") -> AbstractAsyncContextManager[object]:
    return ffmpeg_publisher(f"{gateway.url}/whip/{stream}", inputs=CAMERA, options=OBS)


def pulls_and_pushes(a: Gateway, c: Gateway) -> str:
    return (
        f'[[stream.cam.sources]]\nurl = "{a.url.replace("http", "whep")}/whep/cam"\n'
        f'[[stream.cam.targets]]\nurl = "{c.url.replace("http", "whip")}/whip/cam"\n'
    )


async def live(gateway: Gateway, stream: str = "cam") -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The sessions of publisher and viewers that are connected or on their way."""
    view = await gateway.stream(stream)
    sides = ((view[side]["sessions"] if view else []) for side in ("publish", "subscribe"))
    publishers, viewers = ([session for session in side if session["state"] != "closed"] for side in sides)
    return publishers, viewers


async def connected(gateway: Gateway, stream: str = "cam") -> bool:
    publishers, _ = await live(gateway, stream)
    return [session["state"] for session in publishers] == ["connected"]
