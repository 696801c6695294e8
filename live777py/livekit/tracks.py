"""A published track as LiveKit describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from livekit.protocol.models import (
    AudioTrackFeature,
    SimulcastCodecInfo,
    TrackInfo,
    TrackSource,
    TrackType,
    VideoLayer,
    VideoQuality,
)

from live777py.livekit import ids

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from live777py.rtc.parameters import Kind, PublishedMedia
    from live777py.streams.control import LayerFacts, SessionKey, TrackFacts

_SOURCES: Final[Mapping[Kind, tuple[str, ...]]] = {
    "video": ("camera", "screen_share"),
    "audio": ("microphone", "screen_share_audio"),
}
"""The likelier one first: nothing in WHIP tells what a track is of."""

_SOURCE_VALUES: Final = {
    "camera": TrackSource.CAMERA,
    "screen_share": TrackSource.SCREEN_SHARE,
    "microphone": TrackSource.MICROPHONE,
    "screen_share_audio": TrackSource.SCREEN_SHARE_AUDIO,
}
_LETTERS: Final = {"camera": "VC", "screen_share": "VS", "microphone": "AM", "screen_share_audio": "As"}
_TYPES: Final = {"audio": TrackType.AUDIO, "video": TrackType.VIDEO}
_QUALITIES: Final = (VideoQuality.LOW, VideoQuality.MEDIUM, VideoQuality.HIGH)
_RIDS: Final = {"q": VideoQuality.LOW, "h": VideoQuality.MEDIUM, "f": VideoQuality.HIGH}


@dataclass(frozen=True, kw_only=True, slots=True)
class Track:
    """One that somebody publishes in a room. `number` is the engine's, `key` the session that has it."""

    sid: str
    number: int
    key: SessionKey
    kind: Kind
    source: str

    def info(self, facts: TrackFacts) -> TrackInfo:
        media, best = facts.media, facts.layers[0] if facts.layers else None
        mime_type = mime_type_of(media)
        layers = _layers(facts.layers) if self.kind == "video" else []
        stereo = self.kind == "audio" and _is_stereo(media)
        return TrackInfo(
            sid=self.sid,
            type=_TYPES[self.kind],
            name=self.source,
            muted=facts.muted,
            width=best.width if best else 0,
            height=best.height if best else 0,
            simulcast=len(media.encodings) > 1,
            source=_SOURCE_VALUES[self.source],
            layers=layers,
            mime_type=mime_type,
            mid=media.mid,
            codecs=[SimulcastCodecInfo(mime_type=mime_type, mid=media.mid, layers=layers)],
            stereo=stereo,
            disable_red=self.kind == "audio" and mime_type != "audio/red",
            stream=(media.msid or "").partition(" ")[0],
            audio_features=[AudioTrackFeature.TF_STEREO] if stereo else [],
        )


def source_of(kind: Kind, allowed: Collection[str]) -> str:
    """What a track most likely is of, among the sources that its publisher may publish (none named: all)."""
    return next((source for source in _SOURCES[kind] if source in allowed), _SOURCES[kind][0])


def may_publish(kind: Kind, allowed: Collection[str]) -> bool:
    return not allowed or any(source in allowed for source in _SOURCES[kind])


def new_sid(source: str) -> str:
    return ids.new_id(ids.TRACK + _LETTERS[source])


def mime_type_of(media: PublishedMedia) -> str:
    return f"{media.kind}/{media.codecs[0].name}"


def _is_stereo(media: PublishedMedia) -> bool:
    return any("stereo=1" in codec.fmtp.replace("sprop-", "") for codec in media.codecs)


def _layers(layers: Collection[LayerFacts]) -> list[VideoLayer]:
    """The lowest first, as LiveKit's clients list them."""
    rising = list(reversed(list(layers)))
    named = all(layer.rid in _RIDS for layer in rising)
    found = []
    for place, layer in enumerate(rising):
        quality = _RIDS[layer.rid or ""] if named else _QUALITIES[min(place, 2) if len(rising) > 1 else 2]
        found.append(
            VideoLayer(
                quality=quality,
                width=layer.width,
                height=layer.height,
                bitrate=layer.bitrate,
                ssrc=layer.ssrc,
                rid=layer.rid or "",
            )
        )
    return sorted(found, key=lambda layer: layer.quality)
