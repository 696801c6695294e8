"""Media programs that publish: FFmpeg's WHIP muxer and GStreamer's webrtcbin."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import imageio_ffmpeg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

Reports = Literal["true", "once", "default"]
"""Sender reports of `gst_clapper.py`."""
GST_PUBLISHER = Path(__file__).with_name("gst_publisher.py")
GST_CLAPPER = Path(__file__).with_name("gst_clapper.py")
GST_PLAYER = Path(__file__).with_name("gst_player.py")
# PyGObject and the GStreamer bindings are Debian packages, made for Debian's own interpreter.
SYSTEM_PYTHON = "/usr/bin/python3"

TEST_PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30")
TEST_TONE = ("-f", "lavfi", "-i", "sine")
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-bf", "0", "-g", "60")
OPUS = ("-c:a", "libopus", "-ar", "48000", "-ac", "2")


@cache
def ffmpeg() -> str:
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@contextlib.asynccontextmanager
async def _interrupted(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """A program is interrupted, as by Ctrl-C, when the test has seen enough."""
    log = asyncio.create_task(process.stderr.read()) if process.stderr else None
    try:
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
        await process.wait()
        if log is not None:
            print((await log).decode(errors="replace")[-4000:])


@contextlib.asynccontextmanager
async def running(
    *command: str, environment: dict[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    async with _interrupted(process):
        yield process


@contextlib.asynccontextmanager
async def gstreamer_player(url: str, *codecs: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """webrtcbin, offering just these codecs; what it has decoded, each time there is more of it."""
    process = await asyncio.create_subprocess_exec(
        *(SYSTEM_PYTHON, str(GST_PLAYER), url, *codecs),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None

    async def told(lines: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
        async for line in lines:
            yield json.loads(line)

    async with _interrupted(process):
        yield told(process.stdout)


def ffmpeg_publisher(
    url: str,
    *,
    inputs: Sequence[str] = (*TEST_PICTURE, *TEST_TONE),
    options: Sequence[str] = (),
    active: bool = False,
    token: str = "",
) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """FFmpeg as the README runs it; `active` makes it the DTLS client instead of the server."""
    role = ("-whip_flags", "dtls_active") if active else ()
    credential = ("-authorization", token) if token else ()
    return running(
        *(ffmpeg(), "-hide_banner", "-nostats", "-loglevel", "info", "-re", *inputs),
        *(options or (*H264, *OPUS)),
        *("-f", "whip", *role, *credential, url),
    )


def gstreamer_publisher(
    url: str, *codecs: str, size: str = "640x360"
) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """webrtcbin with SMPTE bars and a tone; its certificate is RSA."""
    return running(SYSTEM_PYTHON, str(GST_PUBLISHER), url, size, *codecs)


def gstreamer_clapper(
    url: str, codec: str, *, size: str = "320x180", reports: Reports = "true"
) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """webrtcbin with pictures that are counted, 25 a second, and Opus that beeps with each 25th of them."""
    return running(SYSTEM_PYTHON, str(GST_CLAPPER), url, size, codec, reports)
