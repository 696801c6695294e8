"""What of which publisher flows to one viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.rtc.negotiation import payload_map
from live777py.streams.layers import forget_pinned, rids_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from live777py.media.engine import MediaEngine
    from live777py.rtc.negotiation import Kind, PublishedMedia
    from live777py.streams.live import Choice, LiveSession

Route = tuple[int, int, tuple[tuple[int, int], ...]]
"""Subscription, track, payload types."""


def connect(engine: MediaEngine, publisher: LiveSession, viewer: LiveSession, kinds: Collection[Kind] = ()) -> bool:
    """Let flow what can, of these kinds or of all; False if the viewer cannot follow this publisher."""
    found = routes(publisher, viewer, kinds)
    if found is None:
        return False
    for subscription, track, payload_types in found:
        engine.attach(subscription, track, payload_types)
    if (not kinds or "video" in kinds) and "video" not in viewer.chosen:
        _begin_layers(engine, publisher, viewer)
    pause(engine, publisher, viewer, publisher.silenced)
    return True


def disconnect(engine: MediaEngine, publisher: LiveSession, viewer: LiveSession) -> None:
    """The publisher is gone, and the engine has detached the viewer."""
    if "video" not in viewer.chosen:
        viewer.forwarded = None
    pause(engine, None, viewer, publisher.silenced)


def detach(engine: MediaEngine, viewer: LiveSession, kinds: Collection[Kind]) -> None:
    """Let nothing of these kinds flow to the viewer from its stream; what it chose itself stays."""
    for played, subscription in viewer.peer.subscriptions:
        if played.kind in kinds and played.kind not in viewer.chosen:
            engine.detach(subscription)
    if "video" in kinds and "video" not in viewer.chosen:
        viewer.forwarded = None


def choose(engine: MediaEngine, viewer: LiveSession, kind: Kind, choice: Choice | None) -> bool:
    """Let this track flow instead of the stream's own, or nothing; False, and no change, if the viewer cannot play it.

    The own one comes back by `unchoose`.
    """
    found = list(_switched(viewer, kind, choice))
    if choice is not None and not found:
        return False
    _forget_choice(viewer, kind)
    viewer.chosen = {**viewer.chosen, kind: choice}
    if choice is None:
        for subscription in _playing(viewer, kind):
            engine.detach(subscription)
    else:
        choice.publisher.followers.add(viewer)
        for subscription, track, payload_types in found:
            engine.attach(subscription, track, payload_types)
    if kind == "video":
        _begin_layers(engine, None if choice is None else choice.publisher, viewer)
    pause(engine, None, viewer, (kind,))
    return True


def unchoose(engine: MediaEngine, publisher: LiveSession | None, viewer: LiveSession, kind: Kind) -> None:
    """Back to what the stream's publisher sends of this kind, where there is one and the viewer can play it."""
    if kind not in viewer.chosen:
        return
    _forget_choice(viewer, kind)
    for subscription in _playing(viewer, kind):
        engine.detach(subscription)
    if publisher is not None:
        connect(engine, publisher, viewer, (kind,))
    pause(engine, publisher, viewer, (kind,))


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
    for played, subscription in viewer.peer.subscriptions:
        if played.kind in kinds:
            source = source_of(publisher, viewer, played.kind)
            muted = viewer.muted if source is None else viewer.muted | source.silenced
            engine.pause(subscription, played.kind in muted)


def source_of(publisher: LiveSession | None, viewer: LiveSession, kind: Kind) -> LiveSession | None:
    """Whose track of this kind the viewer gets; `publisher` is that of its stream."""
    if kind not in viewer.chosen:
        return publisher
    choice = viewer.chosen[kind]
    return None if choice is None else choice.publisher


def routes(publisher: LiveSession, viewer: LiveSession, kinds: Collection[Kind] = ()) -> list[Route] | None:
    """All that can flow, of these kinds or of all.

    None where the viewer asked for a kind that the publisher sends, and offered no codec that the publisher uses.
    """
    found = []
    absent = publisher.absent
    for played, subscription in viewer.peer.subscriptions:
        candidates = [entry for entry in publisher.peer.tracks if entry[0].kind == played.kind]
        if not candidates or not played.active or played.kind in viewer.chosen or (kinds and played.kind not in kinds):
            continue
        published, track = candidates[0]
        payload_types = payload_map(published, played)
        if payload_types is None:
            return None
        if played.kind not in absent:
            found.append((subscription, track, payload_types))
    return found


def _begin_layers(engine: MediaEngine, publisher: LiveSession | None, viewer: LiveSession) -> None:
    """With another publisher; a layer that it does not have is not chosen any more."""
    viewer.forwarded = None
    layers = None if publisher is None else publisher.layers
    if viewer.choice.rid is not None and (layers is None or viewer.choice.rid not in layers):
        forget_pinned(engine, viewer)
    for played, subscription in viewer.peer.subscriptions:
        if played.rid is not None:
            engine.select_layer(subscription, played.rid)


def _switched(viewer: LiveSession, kind: Kind, choice: Choice | None) -> Iterator[Route]:
    if choice is None:
        return
    for published, track in choice.publisher.peer.tracks:
        if track != choice.track or kind in choice.publisher.absent:
            continue
        for played, subscription in viewer.peer.subscriptions:
            payload_types = payload_map(published, played)
            if payload_types is not None:
                yield subscription, track, payload_types


def _playing(viewer: LiveSession, kind: Kind) -> Iterator[int]:
    return (number for played, number in viewer.peer.subscriptions if played.kind == kind and played.active)


def _forget_choice(viewer: LiveSession, kind: Kind) -> None:
    before = viewer.chosen.get(kind)
    viewer.chosen = {other: choice for other, choice in viewer.chosen.items() if other != kind}
    still = {choice.publisher for choice in viewer.chosen.values() if choice is not None}
    if before is not None and before.publisher not in still:
        before.publisher.followers.discard(viewer)


def _layers_of(published: Iterable[PublishedMedia]) -> set[tuple[Kind, str | None]]:
    return {(media.kind, rid) for media in published for rid in rids_of(media) or (None,)}
