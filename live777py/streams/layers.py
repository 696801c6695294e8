"""The layers of a simulcast publisher: what is measured of each, and which of them a viewer gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.errors import Conflict, Unprocessable
from live777py.streams.views import LayerView

if TYPE_CHECKING:
    from live777py.media import native
    from live777py.media.engine import MediaEngine
    from live777py.rtc.negotiation import PublishedMedia
    from live777py.streams.live import LiveSession


class LayerMeters:
    """Size and rate of each encoding of one track."""

    __slots__ = ("_layers", "track")

    def __init__(self, track: int, rids: tuple[str, ...]) -> None:
        self.track = track
        self._layers = {rid: _Layer(rid) for rid in rids}

    @classmethod
    def of(cls, publisher: LiveSession) -> LayerMeters | None:
        """Those of the publisher's simulcast track, where it has one."""
        return next(
            (cls(track, rids) for media, track in publisher.peer.tracks if len(rids := rids_of(media)) > 1), None
        )

    def __contains__(self, rid: str) -> bool:
        return rid in self._layers

    def started(self, event: native.TrackStarted) -> None:
        layer = self._layers.get(event.rid or "")
        if event.track == self.track and layer is not None:
            layer.active = True
            layer.measure(event.width, event.height)

    def sample(self, row: native.TrackStats) -> None:
        layer = self._layers.get(row.rid or "")
        if layer is not None:
            layer.measure(row.width, row.height)
            layer.bitrate = row.bitrate
            layer.active = row.active

    def views(self, selected: str | None) -> list[LayerView]:
        """The best first: the largest picture, then the highest rate, then the order of the offer."""
        layers = sorted(self._layers.values(), key=lambda layer: (-layer.width * layer.height, -layer.bitrate))
        return [
            LayerView(
                encoding_id=layer.rid,
                width=layer.width,
                height=layer.height,
                bitrate=layer.bitrate,
                active=layer.active,
                selected=layer.rid == selected,
            )
            for layer in layers
        ]


class _Layer:
    __slots__ = ("active", "bitrate", "height", "rid", "width")

    def __init__(self, rid: str) -> None:
        self.rid = rid
        self.width = 0
        self.height = 0
        self.bitrate = 0
        self.active = False

    def measure(self, width: int, height: int) -> None:
        """A size of 0 is an unknown one."""
        if width and height:
            self.width, self.height = width, height


def rids_of(media: PublishedMedia) -> tuple[str, ...]:
    return tuple(encoding.rid for encoding in media.encodings if encoding.rid is not None)


def list_layers(publisher: LiveSession | None, viewer: LiveSession) -> list[LayerView]:
    """Raises `Conflict` without simulcast, `Unprocessable` for a session that plays nothing."""
    return _layers_for(publisher, viewer).views(viewer.forwarded)


def select_layer(engine: MediaEngine, publisher: LiveSession | None, viewer: LiveSession, rid: str | None) -> None:
    """None leaves the choice to the engine. Raises as `list_layers` does, and `Unprocessable` for an unknown layer."""
    layers = _layers_for(publisher, viewer)
    if rid is not None and rid not in layers:
        raise Unprocessable("the publisher sends no such layer")
    viewer.pinned = rid
    for played, subscription in viewer.peer.subscriptions:
        if played.kind == "video":
            engine.select_layer(subscription, rid)


def _layers_for(publisher: LiveSession | None, viewer: LiveSession) -> LayerMeters:
    if viewer.session.role != "subscribe":
        raise Unprocessable("the session plays nothing")
    if publisher is None or publisher.layers is None:
        raise Conflict("not layers")
    if viewer.session.cascade is not None:
        raise Unprocessable("the session carries every layer to another node")
    return publisher.layers
