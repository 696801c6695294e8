"""Segments in Chromium's Media Source Extensions: what dash.js and hls.js hand to the browser."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from live777py.recorder.muxer import Chunk, Segment, TrackMuxer
from tests.recorder.encoded import START, opus, video

if TYPE_CHECKING:
    from playwright.async_api import Browser

PLAY = """async ({mime, parts, seek}) => {
    const element = document.body.appendChild(document.createElement("video"));
    const source = new MediaSource();
    const happens = (target, name) => new Promise((resolve, reject) => {
        target.addEventListener(name, resolve, {once: true});
        element.addEventListener("error", () => reject(element.error.message));
    });
    const opened = happens(source, "sourceopen");
    element.src = URL.createObjectURL(source);
    await opened;
    const buffer = source.addSourceBuffer(mime);
    for (const part of parts) {
        const appended = happens(buffer, "updateend");
        buffer.appendBuffer(Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0)));
        await appended;
    }
    source.endOfStream();
    const sought = happens(element, "seeked");
    element.currentTime = seek;
    await sought;
    const ranges = [...Array(element.buffered.length).keys()];
    return JSON.stringify({
        buffered: ranges.map((index) => [element.buffered.start(index), element.buffered.end(index)]),
        duration: element.duration,
        size: [element.videoWidth, element.videoHeight],
        ready: element.readyState,
    });
}"""


@pytest.mark.interop
@pytest.mark.parametrize("codec", ["H264", "H264-B", "VP8", "VP9", "AV1", "opus"])
@pytest.mark.parametrize("chunk_seconds", [None, 0.2])
async def test_chromium_buffers_and_decodes(chromium: Browser, codec: str, chunk_seconds: float | None) -> None:
    frames = opus() if codec == "opus" else video(codec)
    muxer = TrackMuxer(frames[0], seconds=1, chunk_seconds=chunk_seconds)
    made: list[Chunk] = []
    for frame in frames:
        made += muxer.push(frame, (frame.timestamp - START) * muxer.timescale // frame.clock_rate)
    made += muxer.finish()
    whole = chunk_seconds is None or codec == "VP8"
    parts = [muxer.init, *(chunk.data for chunk in made if isinstance(chunk, Segment) == whole)]
    it = muxer.configuration
    page = await chromium.new_page()
    answer = await page.evaluate(
        PLAY,
        {
            "mime": f'{it.mime}; codecs="{it.codecs}"',
            "parts": [base64.b64encode(part).decode() for part in parts],
            "seek": 1.5,
        },
    )
    end = 3.02 if codec == "opus" else 3
    assert json.loads(answer) == {
        "buffered": [[0, end]],
        "duration": end,
        "size": [it.width, it.height],
        "ready": 4,
    }
