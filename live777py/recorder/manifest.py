"""The MPD of a recording: ISO/IEC 23009-1, `dynamic` while it runs and `static` when it is over."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import quoteattr

from live777py.recorder.names import init_name, media_template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live777py.recorder.presentation import Period, Presentation, Segments, Track

CONTENT_TYPE: Final = "application/dash+xml"
UPDATE_PERIOD: Final = 2
"""Seconds after which a player asks again."""
MIN_BUFFER: Final = 2
_IDS: Final = {"video": 0, "audio": 1}
_LIVE: Final = "urn:mpeg:dash:profile:isoff-live:2011"
_FULL: Final = "urn:mpeg:dash:profile:full:2011"
"""No ISO profile has WebM in it."""
_CHANNELS: Final = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"
_UTC: Final = "urn:mpeg:dash:utc:http-xsdate:2014"


def write_manifest(presentation: Presentation, *, published: float, utc_timing: str | None = None) -> bytes:
    """`published` is unix seconds, now. `utc_timing` is where a player asks for the time (ISO 8601, by HTTP)."""
    return "".join(_manifest(presentation, published, utc_timing)).encode()


def _manifest(presentation: Presentation, published: float, utc_timing: str | None) -> Iterator[str]:
    live = not presentation.finished
    periods = [period for period in presentation.periods if _shown(period)]
    containers = {track.configuration.container for period in periods for track in period.tracks.values()}
    attributes: dict[str, object] = {
        "xmlns": "urn:mpeg:dash:schema:mpd:2011",
        "profiles": _FULL if "webm" in containers else _LIVE,
        "type": "dynamic" if live else "static",
    }
    if live:
        attributes["availabilityStartTime"] = date_time(presentation.started)
        attributes["publishTime"] = date_time(published)
        attributes["minimumUpdatePeriod"] = duration(_update_period(presentation))
        if presentation.chunk_seconds is None:
            attributes["suggestedPresentationDelay"] = duration(2 * presentation.segment_seconds)
    else:
        attributes["mediaPresentationDuration"] = duration(presentation.duration)
    attributes["minBufferTime"] = duration(min(MIN_BUFFER, presentation.chunk_seconds or MIN_BUFFER))
    yield f'<?xml version="1.0" encoding="utf-8"?>\n<MPD{_attributes(attributes)}>\n'
    if live and presentation.chunk_seconds is not None:
        yield _service_description(presentation.chunk_seconds)
    start = Fraction(0)
    for number, period in enumerate(periods):
        open_ended = live and period is periods[-1]
        attributes = {"id": number, "start": duration(start)}
        if not open_ended:
            attributes["duration"] = duration(period.duration)
        yield f"  <Period{_attributes(attributes)}>\n"
        yield from _tracks(period, presentation, open_ended=open_ended)
        yield "  </Period>\n"
        start += period.duration
    if not periods:
        length = "" if live else ' duration="PT0S"'
        yield f'  <Period id="0" start="PT0S"{length}/>\n'
    if live and utc_timing:
        yield f"  <UTCTiming{_attributes({'schemeIdUri': _UTC, 'value': utc_timing})}/>\n"
    yield "</MPD>\n"


def _shown(period: Period) -> bool:
    return any(track.segments.count or track.pending for track in period.tracks.values())


def _update_period(presentation: Presentation) -> float:
    return UPDATE_PERIOD if presentation.chunk_seconds is None else min(UPDATE_PERIOD, presentation.segment_seconds)


def _service_description(chunk_seconds: float) -> str:
    """Annex K: how far behind the event a player should be, and how fast it may catch up."""
    target = round(max(1.5, 3 * chunk_seconds) * 1000)
    latency = _attributes({"target": target, "min": target // 2, "max": 3 * target})
    return (
        '  <ServiceDescription id="0">\n'
        f"    <Latency{latency}/>\n"
        '    <PlaybackRate min="0.96" max="1.04"/>\n'
        "  </ServiceDescription>\n"
    )


def _tracks(period: Period, presentation: Presentation, *, open_ended: bool) -> Iterator[str]:
    for kind in ("video", "audio"):
        track = period.tracks.get(kind)
        if track is not None and (track.segments.count or (track.pending and open_ended)):
            yield from _adaptation_set(period, track, presentation, open_ended=open_ended)


def _adaptation_set(period: Period, track: Track, presentation: Presentation, *, open_ended: bool) -> Iterator[str]:
    it = track.configuration
    about: dict[str, object] = {
        "id": _IDS[it.kind],
        "contentType": it.kind,
        "mimeType": it.mime,
        "segmentAlignment": "true",
    }
    if track.segments.all_keys:
        about["startWithSAP"] = 1
    yield f"    <AdaptationSet{_attributes(about)}>\n"
    what: dict[str, object] = {"id": it.kind[0], "bandwidth": track.bandwidth, "codecs": it.codecs}
    if it.kind == "video":
        what |= {"width": it.width, "height": it.height, "sar": "1:1"}
    else:
        what["audioSamplingRate"] = it.sample_rate
    yield f"      <Representation{_attributes(what)}>\n"
    if it.kind == "audio":
        channels = {"schemeIdUri": _CHANNELS, "value": it.channels}
        yield f"        <AudioChannelConfiguration{_attributes(channels)}/>\n"
    template: dict[str, object] = {
        "timescale": it.timescale,
        "presentationTimeOffset": round(period.media_start * it.timescale),
        "startNumber": track.first_number,
        "initialization": init_name(it.kind, period.number, it.container),
        "media": media_template(it.kind, period.number, it.container),
    }
    if open_ended and presentation.chunk_seconds is not None and it.container == "mp4":
        ahead = presentation.segment_seconds - presentation.chunk_seconds
        template |= {"availabilityTimeOffset": f"{max(0.0, ahead):g}", "availabilityTimeComplete": "false"}
    yield f"        <SegmentTemplate{_attributes(template)}>\n          <SegmentTimeline>\n"
    yield _timeline(track.segments)
    if open_ended and track.pending:
        time, ticks = track.pending
        yield _run(None if track.segments.count and time == track.segments.end else time, ticks, 1)
    yield "          </SegmentTimeline>\n        </SegmentTemplate>\n      </Representation>\n    </AdaptationSet>\n"


def _timeline(segments: Segments) -> str:
    """All runs but the last stay as they are: of a long recording only what is new is written."""
    grown = segments.timeline
    settled = max(0, len(segments.runs) - 1)
    grown.text += "".join(_run(*run) for run in segments.runs[grown.count : settled])
    grown.count = settled
    return grown.text + "".join(_run(*run) for run in segments.runs[settled:])


def _run(time: int | None, ticks: int, count: int) -> str:
    begin = "" if time is None else f' t="{time}"'
    repeat = f' r="{count - 1}"' if count > 1 else ""
    return f'            <S{begin} d="{ticks}"{repeat}/>\n'


def _attributes(values: dict[str, object]) -> str:
    return "".join(f" {name}={quoteattr(str(value))}" for name, value in values.items())


def date_time(unix: float) -> str:
    """xs:dateTime in UTC, to the millisecond."""
    seconds, milliseconds = divmod(round(unix * 1000), 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"


def duration(seconds: Fraction | float) -> str:
    """xs:duration, to the microsecond."""
    whole, part = divmod(round(Fraction(seconds) * 1_000_000), 1_000_000)
    return f"PT{whole}.{part:06}".rstrip("0").rstrip(".") + "S"
