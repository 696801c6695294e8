"""Media programs that publish: FFmpeg's WHIP muxer and GStreamer's webrtcbin."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import imageio_ffmpeg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

GST_PUBLISHER = Path(__file__).with_name("gst_publisher.py")
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
async def running(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that is interrupted, as by Ctrl-C, when the test has seen enough."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    log = asyncio.create_task(process.stderr.read()) if process.stderr else None
    try:
        yield process
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


def ffmpeg_publisher(
    url: str, *, inputs: Sequence[str] = (*TEST_PICTURE, *TEST_TONE), options: Sequence[str] = (), active: bool = False
) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """FFmpeg as the README runs it; `active` makes it the DTLS client instead of the server."""
    role = ("-whip_flags", "dtls_active") if active else ()
    return running(
        *(ffmpeg(), "-hide_banner", "-nostats", "-loglevel", "info", "-re", *inputs),
        *(options or (*H264, *OPUS)),
        *("-f", "whip", *role, url),
    )


def gstreamer_publisher(url: str, codec: str) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """webrtcbin with SMPTE bars and a tone; its certificate is RSA."""
    return running(SYSTEM_PYTHON, str(GST_PUBLISHER), url, codec)
