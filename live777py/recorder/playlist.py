"""HLS playlists (RFC 8216bis) over the segments of a recording, for what plays no DASH. HLS has no WebM in it."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Final

from live777py.recorder.manifest import date_time
from live777py.recorder.names import MASTER_PLAYLIST, PLAYLISTS, init_name, segment_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live777py.recorder.configuration import Kind
    from live777py.recorder.presentation import Period, Presentation, Track

CONTENT_TYPE: Final = "application/vnd.apple.mpegurl"


def write_playlists(presentation: Presentation) -> dict[str, bytes]:
    """The master playlist and one media playlist for each kind, by name; without tracks that HLS cannot have."""
    tracks = {kind: _tracks(presentation, kind) for kind in PLAYLISTS}
    playlists = {
        PLAYLISTS[kind]: "".join(_media(presentation, kind)).encode() for kind, found in tracks.items() if found
    }
    if playlists:
        playlists[MASTER_PLAYLIST] = _master(tracks["video"], tracks["audio"]).encode()
    return playlists


def _tracks(presentation: Presentation, kind: Kind) -> list[Track]:
    """None at all when a part of them is WebM."""
    tracks = [period.tracks[kind] for period in presentation.periods if kind in period.tracks]
    recorded = [track for track in tracks if track.segments.count]
    return recorded if all(track.configuration.container == "mp4" for track in recorded) else []


def _master(video: list[Track], audio: list[Track]) -> str:
    lines = ["#EXTM3U", "#EXT-X-VERSION:7"]
    if all(track.segments.all_keys for track in video):
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    main = video or audio
    bandwidth = max(track.bandwidth for track in main)
    about = []
    if video and audio:
        bandwidth += max(track.bandwidth for track in audio)
        lines.append(
            '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="audio",DEFAULT=YES,AUTOSELECT=YES,'
            f'CHANNELS="{audio[0].configuration.channels}",URI="{PLAYLISTS["audio"]}"'
        )
        about.append('AUDIO="audio"')
    if video:
        largest = max((track.configuration for track in video), key=lambda it: it.width * it.height)
        about.append(f"RESOLUTION={largest.width}x{largest.height}")
    codecs = ",".join(dict.fromkeys(track.configuration.codecs for track in [*video, *audio]))
    about += [f"BANDWIDTH={bandwidth}", f'CODECS="{codecs}"']
    lines += [f"#EXT-X-STREAM-INF:{','.join(about)}", PLAYLISTS["video" if video else "audio"], ""]
    return "\n".join(lines)


def _media(presentation: Presentation, kind: Kind) -> Iterator[str]:
    """Every Period that has segments is in every playlist, so that their discontinuities are the same ones."""
    periods = [period for period in presentation.periods if _playable(period)]
    yield "#EXTM3U\n#EXT-X-VERSION:8\n"
    yield f"#EXT-X-TARGETDURATION:{_target_duration(presentation, periods, kind)}\n"
    yield "#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-PLAYLIST-TYPE:EVENT\n"
    for index, period in enumerate(periods):
        if index:
            yield "#EXT-X-DISCONTINUITY\n"
        yield from _period(period, kind)
    if presentation.finished:
        yield "#EXT-X-ENDLIST\n"


def _playable(period: Period) -> bool:
    return any(track.segments.count and track.configuration.container == "mp4" for track in period.tracks.values())


def _target_duration(presentation: Presentation, periods: list[Period], kind: Kind) -> int:
    # It must not grow while players read (6.2.1), and a segment ends with a group of pictures: half as much again.
    longest = Fraction(presentation.segment_seconds) * 3 / 2
    for period in periods:
        track = period.tracks.get(kind)
        if track is not None:
            longest = max(longest, Fraction(track.segments.longest, track.configuration.timescale))
    return max(1, ceil(longest))


def _period(period: Period, kind: Kind) -> Iterator[str]:
    track = period.tracks.get(kind)
    if track is None or track.segments.first is None:
        # RFC 8216bis 4.4.4.7: nothing is at this address, and nobody asks for it.
        yield f"#EXT-X-GAP\n#EXTINF:{float(period.duration):.6f},\ngap{period.number}.m4s\n"
        return
    it = track.configuration
    yield f'#EXT-X-MAP:URI="{init_name(kind, period.number, it.container)}"\n'
    first = Fraction(track.segments.first, it.timescale)
    yield f"#EXT-X-PROGRAM-DATE-TIME:{date_time(period.wallclock + float(first - period.media_start))}\n"
    yield _entries(track, period.number)


def _entries(track: Track, period: int) -> str:
    """They stay as they are: of a long recording only what is new is written."""
    it, grown = track.configuration, track.segments.playlist
    grown.text += "".join(
        f"#EXTINF:{ticks / it.timescale:.6f},\n{segment_name(it.kind, period, number, it.container)}\n"
        for number, ticks in enumerate(track.segments.ticks[grown.count :], track.first_number + grown.count)
    )
    grown.count = track.segments.count
    return grown.text
