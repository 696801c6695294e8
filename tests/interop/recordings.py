"""Recordings made with FFmpeg's DASH muxer, and a server of them that lets one grow segment by segment."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from aiohttp import web

from live777py.http import web as pages
from live777py.http.keys import PAGES

if TYPE_CHECKING:
    from pathlib import Path

FPS = 15
SIZE = (320, 180)
SEGMENT_SECONDS = 2
SAMPLE_RATE = 48_000
NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"


def make_recording(directory: Path, *, seconds: int, codec: str = "libx264") -> None:
    """`manifest.mpd` with its segments (WebM for VP8), `recording.mp4` and `thumbnail.jpg`."""
    directory.mkdir(parents=True)
    kind, suffix = ("webm", "webm") if codec == "libvpx" else ("mp4", "m4s")
    options = {
        "seg_duration": str(SEGMENT_SECONDS),
        "use_template": "1",
        "use_timeline": "1",
        "dash_segment_type": kind,
        "init_seg_name": f"init_$RepresentationID$.{suffix}",
        "media_seg_name": f"seg_$RepresentationID$_$Number%04d$.{suffix}",
    }
    _encode(av.open(directory / "manifest.mpd", "w", format="dash", options=options), seconds, codec)
    _encode(av.open(directory / "recording.mp4", "w"), seconds, "libx264")
    with av.open(directory / "thumbnail.jpg", "w", format="mjpeg") as image, _pattern() as pattern:
        stream = image.add_stream("mjpeg", rate=1)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuvj420p"
        image.mux(stream.encode(next(pattern.decode(video=0))))
        image.mux(stream.encode(None))


def _encode(container: Any, seconds: int, codec: str) -> None:
    with container, _pattern() as pattern:
        pictures = pattern.decode(video=0)
        video = container.add_stream(codec, rate=FPS)
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        video.gop_size = FPS * SEGMENT_SECONDS
        video.codec_context.options = {"preset": "ultrafast", "deadline": "realtime", "sc_threshold": "0"}
        audio = container.add_stream("libopus", rate=SAMPLE_RATE, layout="mono")
        for number in range(seconds * FPS):
            frame = next(pictures)
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
            samples = SAMPLE_RATE // FPS
            at = np.arange(number * samples, (number + 1) * samples)
            tone = (np.sin(at * 2 * np.pi * 440 / SAMPLE_RATE) * 3000).astype(np.int16)
            sound = av.AudioFrame.from_ndarray(tone[np.newaxis, :], format="s16", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = SAMPLE_RATE, int(at[0]), Fraction(1, SAMPLE_RATE)
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _pattern() -> Any:
    """FFmpeg's test picture, without an end."""
    return av.open(f"testsrc2=size={SIZE[0]}x{SIZE[1]}:rate={FPS}", format="lavfi")


@dataclass
class Recording:
    """`segments`: how many there are so far; None: it is over."""

    stream: str
    start: float
    """Unix seconds."""
    directory: Path
    segments: int | None = None
    status: str = "Completed"
    reason: str | None = None
    codecs: tuple[str, ...] = ("avc1.42c00d", "opus")

    @property
    def record(self) -> str:
        return f"{int(self.start):010}"

    @property
    def path(self) -> str:
        return f"{self.stream}/{self.record}"

    def manifest(self) -> bytes:
        text = (self.directory / "manifest.mpd").read_bytes()
        return text if self.segments is None else _growing(text, self.start, self.segments)

    def entry(self) -> dict[str, Any]:
        live = self.segments is not None
        return {
            "start_ts": int(self.start * 1e6),
            "end_ts": None if live else int((self.start + 8) * 1e6),
            "duration_ms": None if live else 8000,
            "mpd_path": f"{self.path}/manifest.mpd",
            "status": "Active" if live else self.status,
            "reason": self.reason,
            "bytes": sum(file.stat().st_size for file in self.directory.iterdir()),
            "codecs": self.codecs,
        }


def _growing(text: bytes, start: float, segments: int) -> bytes:
    """A manifest of the first segments only, that is to be asked for again."""
    ET.register_namespace("", NAMESPACE)
    root = ET.fromstring(text)  # noqa: S314 (our own)
    for name in ("mediaPresentationDuration", "maxSegmentDuration"):
        root.attrib.pop(name, None)
    period = root.find(f"{{{NAMESPACE}}}Period")
    assert period is not None
    period.attrib.pop("duration", None)
    root.set("type", "dynamic")
    root.set("availabilityStartTime", datetime.fromtimestamp(start, UTC).isoformat())
    root.set("minimumUpdatePeriod", "PT0.5S")
    root.set("suggestedPresentationDelay", f"PT{SEGMENT_SECONDS}S")
    for timeline in root.iter(f"{{{NAMESPACE}}}SegmentTimeline"):
        entries = [dict(entry.attrib) for entry in timeline]
        timeline.clear()
        at, left = 0, segments
        for entry in entries:
            at = int(entry.get("t", at))
            for _ in range(min(left, 1 + int(entry.get("r", "0")))):
                ET.SubElement(timeline, f"{{{NAMESPACE}}}S", {"t": str(at), "d": entry["d"]})
                at += int(entry["d"])
                left -= 1
    return ET.tostring(root)


@dataclass
class RecordingServer:
    """Routes of the gateway's API, as far as the pages ask for them, and the pages themselves."""

    recordings: list[Recording]
    token: str = ""
    live: set[str] = field(default_factory=set)
    """Streams that are published."""
    asked: list[str] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._authorize])
        app[PAGES] = pages.BUILT_PAGES
        app.router.add_get("/api/info", self._info)
        app.router.add_get("/api/streams/", self._streams)
        app.router.add_get("/api/playback", self._playback)
        app.router.add_get("/api/playback/{stream}", self._of_stream)
        app.router.add_get("/api/playback/{stream}/{record}.mp4", self._file)
        app.router.add_get("/api/recordings", self._list)
        app.router.add_delete("/api/recordings/{stream}/{record}", self._delete)
        app.router.add_post("/api/record/{stream}", self._start)
        app.router.add_delete("/api/record/{stream}", self._stop)
        app.router.add_get("/api/record/object/{path:.+}", self._object)
        pages.register(app.router)
        return app

    @web.middleware
    async def _authorize(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        private = request.path.startswith("/api/") and request.path != "/api/info"
        if private and self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            raise web.HTTPUnauthorized(text="a valid token is needed", headers={"WWW-Authenticate": "Bearer"})
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _info(self, _request: web.Request) -> web.Response:
        return web.json_response({"version": "v0", "features": ["webui", "recorder"]})

    async def _streams(self, _request: web.Request) -> web.Response:
        counters = {"bytes": 0, "packets": 0, "bitrate": 0}
        session = {"id": "p", "createdAt": 0, "leaveAt": 0, "state": "connected", "stats": counters}
        sides = {"publish": {"leaveAt": 0, "sessions": [session]}, "subscribe": {"leaveAt": 0, "sessions": []}}
        stats = {"publish": counters, "subscribe": counters}
        return web.json_response(
            [{"id": name, "createdAt": 0, **sides, "codecs": [], "stats": stats} for name in self.live]
        )

    async def _playback(self, _request: web.Request) -> web.Response:
        return web.json_response(sorted({recording.stream for recording in self.recordings}))

    async def _of_stream(self, request: web.Request) -> web.Response:
        found = [it for it in self.recordings if it.stream == request.match_info["stream"]]
        return web.json_response([{"record": it.record, **it.entry()} for it in found])

    async def _list(self, request: web.Request) -> web.Response:
        """Everything has changed after each look, as running recordings have."""
        status = request.query.get("status")
        rows = [{"id": it.record, "stream": it.stream, **it.entry()} for it in self.recordings]
        wanted = [row for row in rows if status in {None, row["status"]}]
        return web.json_response({"sessions": wanted, "last_ts": int(request.query["since_ts"]) + 1})

    async def _delete(self, request: web.Request) -> web.Response:
        self.recordings.remove(self._find(f"{request.match_info['stream']}/{request.match_info['record']}"))
        return web.Response(status=204)

    async def _start(self, request: web.Request) -> web.Response:
        assert await request.json() == {}
        template = self.recordings[0]
        self.recordings.append(Recording(request.match_info["stream"], 1_700_000_000, template.directory, segments=1))
        return web.json_response({"record_id": "1700000000"})

    async def _stop(self, request: web.Request) -> web.Response:
        for recording in self.recordings:
            if recording.stream == request.match_info["stream"]:
                recording.segments = None
        return web.Response()

    async def _file(self, request: web.Request) -> web.StreamResponse:
        recording = self._find(f"{request.match_info['stream']}/{request.match_info['record']}")
        return web.FileResponse(recording.directory / "recording.mp4")

    async def _object(self, request: web.Request) -> web.StreamResponse:
        path, _, name = request.match_info["path"].rpartition("/")
        recording = self._find(path)
        if name == "manifest.mpd":
            return web.Response(body=recording.manifest(), content_type="application/dash+xml")
        if re.fullmatch(r"[\w.]+", name) is None or not (recording.directory / name).is_file():
            raise web.HTTPNotFound
        return web.FileResponse(recording.directory / name)

    def _find(self, path: str) -> Recording:
        for recording in self.recordings:
            if recording.path == path:
                return recording
        raise web.HTTPNotFound
