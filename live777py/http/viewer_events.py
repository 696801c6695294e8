"""What a viewer may be told of its stream: the server-sent events of the WHEP extension, as state, not as history.

webrtc-http-egress-events of the wish working group. Of each kind only the newest event is kept for a listener.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from live777py.errors import Conflict, NotFound, Unprocessable
from live777py.http.changes import ChangeFollower
from live777py.http.event_stream import Mailbox, encode_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from live777py.http.keys import Streams
    from live777py.streams.views import LayerView

EVENTS: Final = ("active", "inactive", "layers", "viewercount")
"""The types of the draft that say something here; `reconnect` and `scte35` never happen."""

_MAX_PER_SESSION: Final = 4


@dataclass(eq=False)
class _EventStream:
    """`told` is what the listener knows, by kind. `video` is the index of the viewer's video section."""

    stream: str
    session: str
    types: frozenset[str]
    video: int
    mailbox: Mailbox | None = None
    was_active: bool = False
    told: dict[str, object] = field(default_factory=dict)


@dataclass
class _StreamState:
    active: bool
    viewers: frozenset[str]
    """Live sessions."""
    viewercount: int


class ViewerEvents:
    """Event streams of sessions. An id is a capability: who knows it may read and end the event stream."""

    def __init__(self, streams: Callable[[], Streams]) -> None:
        self._streams = streams
        self._open: dict[str, _EventStream] = {}
        self._follower = ChangeFollower(self._refresh, self.close)

    def open(self, stream: str, session: str, types: frozenset[str], video: int) -> str:
        """The id of a new event stream. Raises NotFound if the session does not play."""
        if session not in self._state(stream).viewers:
            raise NotFound("no such session")
        mine = [key for key, entry in self._open.items() if entry.session == session]
        if len(mine) >= _MAX_PER_SESSION:
            self._drop(mine[0])
        key = secrets.token_urlsafe(16)
        self._open[key] = _EventStream(stream, session, types, video)
        self._follower.start(self._streams().bus)
        return key

    def listen(self, stream: str, session: str, key: str) -> Mailbox:
        """A mailbox with all that is so now; it takes the place of an earlier listener's. Raises NotFound."""
        entry = self._find(stream, session, key)
        if entry.mailbox is not None:
            entry.mailbox.close()
        entry.mailbox = Mailbox()
        entry.told.clear()
        self._tell(entry, self._state(stream))
        return entry.mailbox

    def remove(self, stream: str, session: str, key: str) -> None:
        """Raises NotFound."""
        self._find(stream, session, key)
        self._drop(key)

    def close(self) -> None:
        for key in tuple(self._open):
            self._drop(key)

    def _find(self, stream: str, session: str, key: str) -> _EventStream:
        entry = self._open.get(key)
        if entry is None or (entry.stream, entry.session) != (stream, session):
            raise NotFound("no such event stream")
        return entry

    def _drop(self, key: str) -> None:
        entry = self._open.pop(key)
        if entry.mailbox is not None:
            entry.mailbox.close()
        if not self._open:
            self._follower.stop()

    def _refresh(self) -> None:
        states: dict[str, _StreamState] = {}
        for key, entry in tuple(self._open.items()):
            if entry.stream not in states:
                states[entry.stream] = self._state(entry.stream)
            state = states[entry.stream]
            if entry.session in state.viewers:
                self._tell(entry, state)
            else:
                self._drop(key)

    def _state(self, stream: str) -> _StreamState:
        try:
            view = self._streams().stream(stream)
        except NotFound:
            return _StreamState(active=False, viewers=frozenset(), viewercount=0)
        viewers = view.subscribe.sessions
        return _StreamState(
            active=any(session.state == "connected" for session in view.publish.sessions),
            viewers=frozenset(session.id for session in viewers if session.state != "closed"),
            viewercount=sum(session.state == "connected" for session in viewers),
        )

    def _tell(self, entry: _EventStream, state: _StreamState) -> None:
        """What differs from what it has been told."""
        if entry.mailbox is None:
            return
        for kind, name, known, data in self._facts(entry, state):
            if entry.told.get(kind) != known:
                entry.told[kind] = known
                if name in entry.types:
                    entry.mailbox.put(encode_event(msgspec.json.encode(data), name), kind)

    def _facts(self, entry: _EventStream, state: _StreamState) -> Iterator[tuple[str, str, object, Any]]:
        """Kind, name of the event, what makes it another one, data."""
        entry.was_active |= state.active
        if entry.was_active:  # no `inactive` before the first `active`
            yield "publication", "active" if state.active else "inactive", state.active, {}
        yield "viewercount", "viewercount", state.viewercount, {"viewercount": state.viewercount}
        if layers := layers_of(self._streams(), entry.stream, entry.session):
            shape = [(layer.encoding_id, layer.width, layer.height, layer.active) for layer in layers]
            yield "layers", "layers", shape, {str(entry.video): [_layer(layer) for layer in layers]}


def layers_of(streams: Streams, stream: str, session: str) -> list[LayerView]:
    """Empty where there is nothing to choose from."""
    try:
        return streams.layers(stream, session)
    except (Conflict, NotFound, Unprocessable):
        return []


def _layer(layer: LayerView) -> dict[str, str | int]:
    return {"rid": layer.encoding_id, "bitrate": layer.bitrate, "width": layer.width, "height": layer.height}
