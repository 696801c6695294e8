"""What of one publisher flows to one viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.rtc.negotiation import payload_map
from live777py.streams.layers import rids_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from live777py.media.engine import MediaEngine
    from live777py.rtc.negotiation import Kind, PublishedMedia
    from live777py.streams.live import LiveSession

Route = tuple[int, int, tuple[tuple[int, int], ...]]
"""Subscription, track, payload types."""


def connect(engine: MediaEngine, publisher: LiveSession, viewer: LiveSession) -> bool:
    """Let flow what can; False if the viewer cannot follow this publisher."""
    found = routes(publisher, viewer)
    if found is None:
        return False
    for subscription, track, payload_types in found:
        engine.attach(subscription, track, payload_types)
    viewer.forwarded = None
    unknown = viewer.pinned is not None and (publisher.layers is None or viewer.pinned not in publisher.layers)
    viewer.pinned = None if unknown else viewer.pinned
    for played, subscription in viewer.peer.subscriptions:
        if played.rid is not None or (unknown and played.kind == "video"):
            engine.select_layer(subscription, played.rid)
    pause(engine, publisher, viewer, publisher.muted)
    return True


def disconnect(engine: MediaEngine, publisher: LiveSession, viewer: LiveSession) -> None:
    """The publisher is gone, and the engine has detached the viewer."""
    viewer.forwarded = None
    pause(engine, None, viewer, publisher.muted)


def fits(publisher: LiveSession, viewer: LiveSession) -> bool:
    """Whether a viewer can follow this publisher without a new negotiation.

    A push is a publisher itself: it has offered its kinds and layers, and cannot take them back.
    """
    if routes(publisher, viewer) is None:
        return False
    sent = [media for media, _ in publisher.peer.tracks]
    return viewer.pushed is None or _layers_of(viewer.pushed) == _layers_of(sent)


def pause(engine: MediaEngine, publisher: LiveSession | None, viewer: LiveSession, kinds: Iterable[Kind]) -> None:
    """Tell the engine whether these kinds flow, after `muted` of either end has changed."""
    muted = viewer.muted if publisher is None else viewer.muted | publisher.muted
    for played, subscription in viewer.peer.subscriptions:
        if played.kind in kinds:
            engine.pause(subscription, played.kind in muted)


def _layers_of(published: Iterable[PublishedMedia]) -> set[tuple[Kind, str | None]]:
    return {(media.kind, rid) for media in published for rid in rids_of(media) or (None,)}


def routes(publisher: LiveSession, viewer: LiveSession) -> list[Route] | None:
    """All that can flow.

    None where the viewer asked for a kind that the publisher sends, and offered no codec that the publisher uses.
    """
    found = []
    for played, subscription in viewer.peer.subscriptions:
        candidates = [entry for entry in publisher.peer.tracks if entry[0].kind == played.kind]
        if not candidates or not played.active:
            continue
        published, track = candidates[0]
        payload_types = payload_map(published, played)
        if payload_types is None:
            return None
        found.append((subscription, track, payload_types))
    return found
