"""The layers of a publisher's video: what is measured of each, and which of them a viewer gets.

An encoding is what the publisher sends under one rid (simulcast); it may have spatial and temporal layers in it (SVC).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from live777py.errors import Conflict, Unprocessable
from live777py.streams.views import LayerView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from live777py.media import native
    from live777py.media.engine import MediaEngine
    from live777py.rtc.negotiation import PublishedMedia
    from live777py.streams.live import LiveSession

_NOTICEABLE: Final = 4 / 3
"""A bitrate that has changed by less than this factor is told as it was."""


@dataclass(frozen=True, kw_only=True)
class LayerChoice:
    """What a viewer wants. Without rid, spatial and temporal layer it gets what its network carries, within the limits.

    Layers are at most 255, sizes at most 65535.
    """

    rid: str | None = None
    spatial: int | None = None
    temporal: int | None = None
    max_spatial: int | None = None
    max_temporal: int | None = None
    max_width: int | None = None
    max_height: int | None = None


AUTOMATIC: Final = LayerChoice()


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """What there is to choose from. `bitrate` is in bit/s, 0 while nothing comes; sizes are 0 while unknown."""

    rid: str | None
    spatial: int | None = None
    temporal: int | None = None
    width: int = 0
    height: int = 0
    bitrate: int = 0


class LayerMeters:
    """Size and rate of each layer of one track."""

    __slots__ = ("_encodings", "_measured", "_told", "track")

    def __init__(self, track: int, rids: tuple[str | None, ...]) -> None:
        self.track = track
        self._encodings = {rid: _Encoding(rid) for rid in rids}
        self._told: tuple[Layer, ...] = ()
        self._measured = True
        """Since `_told` was looked at."""

    @classmethod
    def of(cls, publisher: LiveSession) -> LayerMeters | None:
        """Those of the publisher's video; of the track with several encodings, where there are several tracks."""
        tracks = [(rids_of(media), track) for media, track in publisher.peer.tracks if media.kind == "video"]
        if not tracks:
            return None
        rids, track = max(tracks, key=lambda entry: len(entry[0]))
        return cls(track, rids or (None,))

    def __contains__(self, rid: str) -> bool:
        return rid in self._encodings

    def started(self, event: native.TrackStarted) -> None:
        encoding = self._encodings.get(event.rid)
        if event.track == self.track and encoding is not None:
            encoding.active = True
            encoding.measure(event.width, event.height)
            self._measured = True

    def sample(self, row: native.TrackStats) -> None:
        encoding = self._encodings.get(row.rid)
        if encoding is not None:
            encoding.measure(row.width, row.height)
            encoding.bitrate = row.bitrate
            encoding.active = row.active
            encoding.inside = row.layers
            self._measured = True

    @property
    def choosable(self) -> bool:
        return len(self._encodings) > 1 or any(encoding.inside for encoding in self._encodings.values())

    def views(self, selected: tuple[str | None, int] | None) -> list[LayerView]:
        """The best first: the largest picture, then the highest rate, then the order of the offer.

        They are the encodings; of a single one, its spatial layers.
        """
        encodings = self._best_first()
        if len(encodings) == 1 and (spatial := encodings[0].spatial_layers()):
            return [
                LayerView(
                    encoding_id=encodings[0].rid,
                    spatial_layer_id=layer.spatial,
                    width=layer.width,
                    height=layer.height,
                    bitrate=layer.bitrate,
                    active=layer.active,
                    selected=selected == (encodings[0].rid, layer.spatial),
                )
                for layer in spatial
            ]
        return [
            LayerView(
                encoding_id=encoding.rid,
                width=encoding.width,
                height=encoding.height,
                bitrate=encoding.bitrate,
                active=encoding.active,
                selected=selected is not None and encoding.rid == selected[0],
            )
            for encoding in encodings
        ]

    def layers(self) -> tuple[Layer, ...]:
        """The best first, none where there is no choice. Until something noticeable changes it is the same object."""
        if self._measured:
            self._measured = False
            encodings = self._best_first() if self.choosable else []
            layers = tuple(layer for encoding in encodings for layer in encoding.layers())
            if not _alike(layers, self._told):
                self._told = layers
        return self._told

    def require(self, choice: LayerChoice) -> None:
        """Raises `Unprocessable` where there is no such layer. A limit may be higher than what there is."""
        if choice.rid is not None and choice.rid not in self._encodings:
            raise Unprocessable("the publisher sends no such layer")
        named = self._encodings.values() if choice.rid is None else [self._encodings[choice.rid]]
        if not any(encoding.has(choice.spatial, choice.temporal) for encoding in named):
            raise Unprocessable("the publisher's encodings have no such layer in them")

    def _best_first(self) -> list[_Encoding]:
        return sorted(self._encodings.values(), key=lambda encoding: (-encoding.pixels, -encoding.bitrate))


class _Encoding:
    """`inside` are its spatial and temporal layers from the cheapest to the best; none where it has but one of each."""

    __slots__ = ("active", "bitrate", "height", "inside", "rid", "width")

    def __init__(self, rid: str | None) -> None:
        self.rid = rid
        self.width = 0
        self.height = 0
        self.bitrate = 0
        self.active = False
        self.inside: Sequence[native.LayerStats] = ()

    @property
    def pixels(self) -> int:
        return self.width * self.height

    def measure(self, width: int, height: int) -> None:
        """A size of 0 is an unknown one."""
        if width and height:
            self.width, self.height = width, height

    def has(self, spatial: int | None, temporal: int | None) -> bool:
        layers = [(layer.spatial, layer.temporal) for layer in self.inside] or [(0, 0)]
        return any(spatial in {None, one} and temporal in {None, other} for one, other in layers)

    def spatial_layers(self) -> list[native.LayerStats]:
        """Each with all that is in it, the best first; none where there is but one."""
        best = {layer.spatial: layer for layer in self.inside}
        return [best[spatial] for spatial in sorted(best, reverse=True)] if len(best) > 1 else []

    def layers(self) -> Iterator[Layer]:
        """The best first."""
        if not self.inside:
            bitrate = self.bitrate if self.active else 0
            yield Layer(rid=self.rid, width=self.width, height=self.height, bitrate=bitrate)
        for layer in reversed(self.inside):
            yield Layer(
                rid=self.rid,
                spatial=layer.spatial,
                temporal=layer.temporal,
                width=layer.width,
                height=layer.height,
                bitrate=layer.bitrate if layer.active else 0,
            )


def _alike(layers: tuple[Layer, ...], others: tuple[Layer, ...]) -> bool:
    return len(layers) == len(others) and all(
        _shape(layer) == _shape(other) and _near(layer.bitrate, other.bitrate)
        for layer, other in zip(layers, others, strict=True)
    )


def _shape(layer: Layer) -> tuple[object, ...]:
    return layer.rid, layer.spatial, layer.temporal, layer.width, layer.height, layer.bitrate > 0


def _near(rate: int, other: int) -> bool:
    return max(rate, other) <= _NOTICEABLE * min(rate, other)


def rids_of(media: PublishedMedia) -> tuple[str, ...]:
    return tuple(encoding.rid for encoding in media.encodings if encoding.rid is not None)


def list_layers(publisher: LiveSession | None, viewer: LiveSession) -> list[LayerView]:
    """Raises `Conflict` where there is nothing to choose from, `Unprocessable` for a session that plays nothing."""
    return _layers_for(publisher, viewer).views(viewer.forwarded)


def select_layer(engine: MediaEngine, publisher: LiveSession | None, viewer: LiveSession, choice: LayerChoice) -> None:
    """At the layer's next key frame. Raises as `list_layers` does, and `Unprocessable` for an unknown layer."""
    layers = _layers_for(publisher, viewer)
    layers.require(choice)
    _set_choice(engine, viewer, choice)


def forget_pinned(engine: MediaEngine, viewer: LiveSession) -> None:
    """The layer that was chosen is not there any more; the limits stay."""
    _set_choice(engine, viewer, replace(viewer.choice, rid=None, spatial=None, temporal=None))


def _set_choice(engine: MediaEngine, viewer: LiveSession, choice: LayerChoice) -> None:
    viewer.choice = choice
    for played, subscription in viewer.peer.subscriptions:
        if played.kind == "video":
            engine.select_layer(
                subscription,
                choice.rid,
                spatial=choice.spatial,
                temporal=choice.temporal,
                max_width=choice.max_width,
                max_height=choice.max_height,
                max_spatial=choice.max_spatial,
                max_temporal=choice.max_temporal,
            )


def _layers_for(publisher: LiveSession | None, viewer: LiveSession) -> LayerMeters:
    if viewer.session.role != "subscribe":
        raise Unprocessable("the session plays nothing")
    if publisher is None or publisher.layers is None or not publisher.layers.choosable:
        raise Conflict("not layers")
    if viewer.session.cascade is not None:
        raise Unprocessable("the session carries every layer to another node")
    return publisher.layers
